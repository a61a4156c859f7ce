//! The hub's commands.

use super::*;
use crate::catalogue::{ColumnMap, Currency, write_difference};
use crate::cli::places;
use crate::cli::progress::Progress;
use crate::cli::table::{Table, json, print};
use crate::config::check_from_hub;
use crate::fault::{Fault, Kind};
use crate::hub::approximate::make_indexes;
use crate::hub::bench::{self, BenchSettings};
use crate::hub::database::{Database, actor};
use crate::hub::feed_import::{self, HubImport};
use crate::hub::mirrors::RolloutChange;
use crate::hub::publish::{Publication, PublishReport, ReleaseFolder};
use crate::hub::serve::ServeSettings;
use crate::hub::sign::ReleaseKey;
use crate::hub::status::{HubStatus, status};
use crate::hub::store::ReleaseStore;
use crate::hub::tokens::OperatorRole;
use crate::hub::work::EmbeddingWorker;
use crate::hub::{mirrors, shop_catalogue, tokens};
use crate::network::Manifest;
use crate::pipeline::import::model_stamp;
use crate::shutdown::Signals;
use std::fs;
use std::time::Duration;

/// How often a worker that waits asks for pictures.
const ASK_AGAIN: Duration = Duration::from_secs(5);

pub fn run(command: &HubCommand) -> Result<()> {
    match command {
        HubCommand::Key(args) => key(args),
        HubCommand::Init(args) => init(args),
        HubCommand::Import(args) => import(args),
        HubCommand::Work(args) => work(args),
        HubCommand::Publish(args) => publish(args),
        HubCommand::Price(args) => {
            let PriceArgs { shop, product, price, .. } = args;
            open(&args.database)?
                .block_on(async |client| feed_import::set_price(client, shop, product, price, &actor()).await)?;
            print("changed; `vetrina hub publish` brings it to the mirrors")
        }
        HubCommand::Status(args) => say_status(args),
        HubCommand::Serve(args) => serve(args),
        HubCommand::Enrol(args) => {
            let HubEnrolArgs { shop, mirror, hours, .. } = args;
            let code = open(&args.database)?
                .block_on(async |client| mirrors::invite(client, shop, mirror, *hours, &actor()).await)?;
            print(&code)
        }
        HubCommand::Revoke(args) => {
            open(&args.database)?.block_on(async |client| mirrors::revoke(client, &args.mirror, &actor()).await)?;
            print(&format!("{} has no key any more", args.mirror))
        }
        HubCommand::RollOut(args) => roll_out(args),
        HubCommand::Token(args) => token(&args.command),
        HubCommand::Bench(args) => {
            let model = places::model(&None)?;
            let settings = BenchSettings {
                database: address(&args.database)?,
                products: args.products,
                shop_products: args.shop_products,
                folder: args.folder.clone(),
                model,
                hnsw: args.hnsw,
            };
            bench::run(&settings, |report| print(&json(report)?))
        }
    }
}

fn address(args: &DatabaseArgs) -> Result<String> {
    let named = args.database.clone().or_else(|| std::env::var(DATABASE_VARIABLE).ok());
    named.ok_or_else(|| {
        Fault::new(Kind::Usage, "no database is named")
            .cure(format!("give --database postgres://user@host/name, or set {DATABASE_VARIABLE}"))
    })
}

fn open(args: &DatabaseArgs) -> Result<Database> {
    Database::open(&address(args)?)
}

fn key(args: &KeyArgs) -> Result<()> {
    let key = if args.file.exists() { ReleaseKey::load(&args.file) } else { ReleaseKey::make(&args.file) }?;
    print(&key.public()?)
}

fn init(args: &InitArgs) -> Result<()> {
    let model = places::model(&args.model)?;
    let stamp = model_stamp(&model)?;
    let mut database = Database::init(&address(&args.database)?)?;
    database.set_model(&stamp)?;
    if args.hnsw {
        make_indexes(&mut database, &Manifest::load(&model)?)?;
    }
    print(&format!("the hub is ready; pictures are embedded by {}", stamp.name))
}

fn import(args: &HubImportArgs) -> Result<()> {
    let request = HubImport {
        feed: args.feed.clone(),
        images: args.images.clone(),
        shops: args.shop.clone(),
        map: args.map.as_deref().map_or(Ok(ColumnMap::default()), ColumnMap::parse)?,
        currency: args.currency.as_deref().map_or(Ok(Currency::default()), Currency::parse)?,
        max_removals: args.removals.largest_share(),
    };
    let report = feed_import::import(&mut open(&args.database)?, &request, |_, _| {})?;
    if args.json {
        return print(&json(&report)?);
    }
    for line in report.skipped.iter().chain(&report.warnings) {
        log::warn!("{line}");
    }
    print(&format!(
        "{} products, {} pictures, of which {} wait for a worker; {} products are gone, {} rows were left out",
        report.products,
        report.pictures,
        report.queued,
        report.removed,
        report.skipped.len()
    ))
}

fn work(args: &WorkArgs) -> Result<()> {
    let mut database = open(&args.database)?;
    let mut worker = EmbeddingWorker::new(args.backend.load(&args.model)?);
    let waiting = status(&mut database)?.queued;
    let mut signals = Signals::take_over()?;
    let progress = Progress::new(u64::try_from(waiting).unwrap_or(0), "pictures");
    let mut stop = false;
    let mut all = crate::hub::work::WorkReport::default();
    loop {
        let mut done = 0;
        let report = worker.work(&mut database, |report| {
            while done < report.embedded + report.refused {
                progress.step();
                done += 1;
            }
            stop = signals.wait(Duration::ZERO).is_some();
            !stop
        })?;
        all.embedded += report.embedded;
        all.refused += report.refused;
        if stop || !args.forever || signals.wait(ASK_AGAIN).is_some() {
            break;
        }
    }
    if args.json {
        return print(&json(&all)?);
    }
    let on = worker.runs_on();
    print(&format!("{} pictures embedded by {}, {} show no garment", all.embedded, on.name, all.refused))
}

fn publish(args: &PublishArgs) -> Result<()> {
    let key = ReleaseKey::load(&args.key)?;
    let store = args.store.as_deref().map(|address| open_store(address, args)).transpose()?;
    let folder = ReleaseFolder::open(&args.to)?;
    // Locked for this shop until the store has the release.
    let mut database = None;
    let (publication, mut report) = match &args.catalogue {
        Some(catalogue) => {
            let publication = begin(&folder, args)?;
            write_difference(None, catalogue, &publication.catalogue(), "a catalogue file")?;
            let report = publication.finish(&key, args.after)?;
            (publication, report)
        }
        None => publish_from_tables(args, &folder, &key, database.insert(open(&args.database)?))?,
    };
    let needed = database.as_mut().map_or(Ok(u64::MAX), |database| mirrors::newest_for_all(database, &args.shop))?;
    if let Some(store) = &store {
        // Also what an earlier publication has not brought there to its end.
        store.copy(&folder, &args.shop)?;
    }
    report.deleted = publication.clear(needed)?;
    if let Some(store) = &store {
        report.deleted_in_store = store.clear(&folder)?;
    }
    drop((publication, database));
    if args.json { print(&json(&report)?) } else { print(&published(&report)) }
}

fn publish_from_tables(
    args: &PublishArgs,
    folder: &ReleaseFolder,
    key: &ReleaseKey,
    database: &mut Database,
) -> Result<(Publication, PublishReport)> {
    let model = database.require_model()?;
    require_embedded(args, shop_catalogue::waiting(database, &args.shop, &model)?)?;
    mirrors::lock_publication(database, &args.shop)?;
    let publication = begin(folder, args)?;
    // Once more, as of the moment that is published.
    let waiting = shop_catalogue::write(database, &args.shop, &model, &publication.catalogue())?;
    require_embedded(args, waiting)?;
    let after = mirrors::newest_release(database, &args.shop)?.max(args.after);
    let report = publication.finish(key, after)?;
    mirrors::note_release(database, &report, i32::from(args.share), &actor())?;
    if args.store.is_some() {
        mirrors::require_for_all(database, &report)?;
    }
    Ok((publication, report))
}

fn open_store(address: &str, args: &PublishArgs) -> Result<ReleaseStore> {
    if args.share < 100 {
        return Err(Fault::new(Kind::Usage, "a store gives a release to all mirrors at once")
            .cure("leave out --share, or let the mirrors follow `vetrina hub serve`"));
    }
    ReleaseStore::open(address, |name| std::env::var(name).ok())
}

/// A publication with what the options bring beside products.
fn begin(folder: &ReleaseFolder, args: &PublishArgs) -> Result<Publication> {
    let mut publication = folder.begin(&args.shop)?;
    if let Some(model) = &args.model {
        publication = publication.with_model(model)?;
    }
    if let Some(path) = &args.configuration {
        let text = fs::read_to_string(path)
            .map_err(|error| Fault::io(Kind::Usage, "read the mirrors' configuration", path, error))?;
        check_from_hub(&text)
            .map_err(|fault| Fault::new(Kind::Usage, format!("cannot publish {}", path.display())).cause(fault))?;
        publication = publication.with_configuration(text);
    }
    Ok(publication)
}

fn require_embedded(args: &PublishArgs, waiting: i64) -> Result<()> {
    if waiting == 0 || args.incomplete {
        return Ok(());
    }
    Err(Fault::new(Kind::Usage, format!("pictures of {} are not embedded yet: {waiting}", args.shop)).cure(
        "run `vetrina hub work` first (after a change of the model, import again before), or publish with --incomplete",
    ))
}

fn published(report: &PublishReport) -> String {
    let PublishReport { shop, release, products, .. } = report;
    let deleted = match (report.deleted, report.deleted_in_store) {
        (0, 0) => String::new(),
        (here, there) => format!("; deleted of old releases: {here} files here, {there} in the store"),
    };
    if !report.is_new {
        return format!("nothing has changed: release {release} of {shop} stays the newest{deleted}");
    }
    let deltas: Vec<String> = report.delta_bytes.iter().map(ToString::to_string).collect();
    let deltas = if deltas.is_empty() { "none".into() } else { deltas.join(", ") };
    format!(
        "release {release} of {shop}: {products} products, {} bytes; what has changed since the last ones: {deltas}{deleted}",
        report.snapshot_bytes
    )
}

fn say_status(args: &HubStatusArgs) -> Result<()> {
    let mut status = status(&mut open(&args.database)?)?;
    mirrors::explain(&mut status.shops, &status.mirrors);
    if args.json {
        return print(&json(&status)?);
    }
    let HubStatus { model, products, pictures, queued, refused, shops, mirrors } = status;
    let model = model.unwrap_or_else(|| "no model".into());
    print(&format!(
        "{products} products, {pictures} pictures by {model}; {queued} wait for a worker, {refused} show no garment"
    ))?;
    let number = |value: Option<i64>| value.map_or(String::new(), |value| value.to_string());
    let mut table = Table::new(&["shop", ">products", ">release", ">age s", ">share %", "not to all"]);
    for shop in shops {
        let why = shop.why_not_all().to_owned();
        table.row([
            shop.shop,
            shop.products.to_string(),
            number(shop.release),
            shop.release_age_seconds.map_or(String::new(), |age| format!("{age:.0}")),
            number(shop.share.map(i64::from)),
            why,
        ]);
    }
    print(&table.render())?;
    let mut table =
        Table::new(&["mirror", "shop", ">seen s ago", "version", ">release", ">fps", ">°C", "right", "wrong"]);
    for mirror in mirrors {
        let wrong = if mirror.revoked { "revoked".into() } else { mirror.reasons.join("; ") };
        let confirmed = mirror.confirmed();
        let real = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.1}"));
        table.row([
            mirror.mirror,
            mirror.shop,
            mirror.last_seen_seconds.map_or("never".into(), |age| format!("{age:.0}")),
            mirror.version.unwrap_or_default(),
            number(mirror.release),
            real(mirror.frames_per_second),
            real(mirror.temperature_celsius),
            confirmed,
            wrong,
        ]);
    }
    print(&table.render())
}

fn roll_out(args: &RollOutArgs) -> Result<()> {
    let change = match (args.share, &args.stop) {
        (Some(share), _) => RolloutChange::Share(share),
        (None, why) => RolloutChange::Stop(why.clone().unwrap_or_default()),
    };
    open(&args.database)?
        .block_on(async |client| mirrors::change_roll_out(client, &args.shop, &change, &actor()).await)?;
    print("changed; `vetrina hub status` shows it")
}

fn token(command: &TokenCommand) -> Result<()> {
    match command {
        TokenCommand::Add(TokenAddArgs { name, role, database }) => {
            let role: OperatorRole = role.parse().map_err(|wrong: String| Fault::new(Kind::Usage, wrong))?;
            let token = open(database)?.block_on(async |client| tokens::add(client, name, role, &actor()).await)?;
            print(&token)
        }
        TokenCommand::Remove(TokenRemoveArgs { name, database }) => {
            open(database)?.block_on(async |client| tokens::remove(client, name, &actor()).await)?;
            print(&format!("{name} opens nothing any more"))
        }
        TokenCommand::List(args) => list_tokens(args),
    }
}

fn list_tokens(args: &TokenListArgs) -> Result<()> {
    let tokens = open(&args.database)?.run(async |client| tokens::list(client).await)?;
    if args.json {
        return print(&json(&tokens)?);
    }
    let mut table = Table::new(&["token", "role", ">made s ago", ">used s ago"]);
    for token in tokens {
        let used = token.last_used_seconds.map_or("never".into(), |age| format!("{age:.0}"));
        table.row([token.name, token.role, format!("{:.0}", token.made_seconds), used]);
    }
    print(&table.render())
}

fn serve(args: &ServeArgs) -> Result<()> {
    crate::hub::serve::run(ServeSettings {
        database: address(&args.database)?,
        releases: args.releases.clone(),
        listen: args.listen,
        model: places::model(&args.model)?,
        soak: Duration::from_secs(args.soak_seconds.into()),
        hnsw: args.hnsw,
        proxies: args.proxy.iter().map(IpAddr::to_canonical).collect(),
    })
}
