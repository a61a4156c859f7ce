//! `vetrina catalogue`: import, list, show, remove, check, export.

use super::places;
use super::progress::Progress;
use super::table::{Table, done, json, print};
use crate::catalogue::{
    Catalogue, CheckReport, Feed, Found, ImageFolder, ImportOptions, ImportReport, ModelStamp, PendingPicture, Plan,
    ProductDetail, ShopPicture,
};
use crate::fault::{Fault, Kind, Result};
use crate::machine;
use crate::seam::Region;
use clap::{Args, Subcommand};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::available_parallelism;

/// Where the catalogue is, unless `--db` says otherwise.
pub const DEFAULT_DB: &str = "/var/lib/vetrina/catalogue.db";

/// The shop's products: import a feed, look, check, export
#[derive(Args, Clone, Debug)]
pub struct CatalogueArgs {
    #[command(subcommand)]
    pub command: CatalogueCommand,
}

#[derive(Subcommand, Clone, Debug)]
pub enum CatalogueCommand {
    /// Make the catalogue from a feed (CSV or TSV with Google Merchant columns): all of it, or nothing changes
    Import(ImportArgs),
    /// List the products
    List(DbArgs),
    /// Show one product with its pictures
    Show(ProductArgs),
    /// Take one product out
    Remove(ProductArgs),
    /// Check the file, its descriptors and, with --model, whether they fit the model
    Check(CheckArgs),
    /// Write the catalogue as a feed (CSV) that can be imported again
    Export(ExportArgs),
}

#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// CSV or TSV; id, title and image_link are required
    pub feed: PathBuf,
    /// Folder that the feed's image_link paths start from
    #[arg(long, value_name = "DIR")]
    pub images: PathBuf,
    /// Catalogue file; made where there is none
    #[arg(long, value_name = "FILE", default_value = DEFAULT_DB)]
    pub db: PathBuf,
    /// Model folder [default: the shipped one]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Refuse the feed where any row, picture or column of it cannot be used
    #[arg(long)]
    pub strict: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Let everything else on this machine go first, and say how far it is after each picture
    #[arg(long)]
    pub background: bool,
}

#[derive(Args, Clone, Debug)]
pub struct DbArgs {
    /// Catalogue file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_DB)]
    pub db: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct ProductArgs {
    /// The product's id
    pub id: String,
    #[command(flatten)]
    pub db: DbArgs,
}

#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    pub db: DbArgs,
    /// Model folder that the descriptors must fit
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// Catalogue file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_DB)]
    pub db: PathBuf,
    /// File to write instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Runs one of the commands. `stamp` reads a model folder's stamp; `workers` makes embedders from a model folder for so many
/// pictures, one a thread; it is not called where nothing needs embedding.
pub fn run<W>(
    args: &CatalogueArgs,
    stamp: impl FnOnce(&Path) -> Result<ModelStamp>,
    workers: impl FnOnce(&Path, usize) -> Result<Vec<W>>,
) -> Result<()>
where
    W: FnMut(&[u8], &Path, Option<Region>) -> Result<ShopPicture> + Send,
{
    match &args.command {
        CatalogueCommand::Import(args) => {
            let model = places::model(&args.model)?;
            let stamp = stamp(&model)?;
            import(args, &stamp, |pending| workers(&model, pending))
        }
        CatalogueCommand::List(args) => list(args),
        CatalogueCommand::Show(args) => show(args),
        CatalogueCommand::Remove(args) => remove(args),
        CatalogueCommand::Check(args) => {
            let expected = args.model.as_deref().map(stamp).transpose()?;
            check(&args.db, expected.as_ref())
        }
        CatalogueCommand::Export(args) => export(args),
    }
}

/// `import`, with the network's part from the caller: see [`run`].
pub fn import<W>(args: &ImportArgs, stamp: &ModelStamp, workers: impl FnOnce(usize) -> Result<Vec<W>>) -> Result<()>
where
    W: FnMut(&[u8], &Path, Option<Region>) -> Result<ShopPicture> + Send,
{
    let report = import_feed(args, stamp, workers)?;
    if args.json {
        return print(&json(&report)?);
    }
    for warning in &report.warnings {
        eprintln!("warning: {warning}");
    }
    for row in &report.skipped_rows {
        eprintln!("line {}: skipped: {}", row.line, row.reason);
    }
    for picture in &report.skipped_pictures {
        eprintln!("line {}: picture skipped: {}", picture.line, picture.reason);
    }
    print(&import_text(&report, &args.db))
}

/// As [`import`], without printing the report: for a command that imports on its way, such as the demo.
pub fn import_feed<W>(
    args: &ImportArgs,
    stamp: &ModelStamp,
    workers: impl FnOnce(usize) -> Result<Vec<W>>,
) -> Result<ImportReport>
where
    W: FnMut(&[u8], &Path, Option<Region>) -> Result<ShopPicture> + Send,
{
    if args.background {
        machine::step_back();
    }
    let feed = Feed::read(&args.feed)?;
    let mut catalogue = Catalogue::create_or_open(&args.db)?;
    let found = find_all(&feed, &ImageFolder::open(&args.images)?)?;
    let mut plan = catalogue.plan(&feed, &found, stamp, ImportOptions { strict: args.strict })?;
    let pending = plan.pending().to_vec();
    if !pending.is_empty() {
        let progress = Progress::new(pending.len() as u64, "pictures recognized").every_step(args.background);
        embed_all(&mut plan, &pending, workers(pending.len())?, &progress)?;
        progress.finish();
    }
    plan.finish()
}

/// Reads and hashes the feed's pictures, on a thread a core.
fn find_all(feed: &Feed, folder: &ImageFolder) -> Result<HashMap<String, Found>> {
    let links = feed.links();
    let progress = Progress::new(links.len() as u64, "pictures read");
    let cores = available_parallelism().map_or(1, usize::from);
    let workers = vec![|index: usize| folder.find(links[index]); cores];
    let mut found = HashMap::with_capacity(links.len());
    side_by_side(links.len(), workers, |index, file| {
        found.insert(links[index].to_owned(), file);
        progress.step();
        Ok(())
    })?;
    progress.finish();
    Ok(found)
}

/// Runs the workers over the pending pictures and hands the results to the plan.
fn embed_all<W>(plan: &mut Plan, pending: &[PendingPicture], workers: Vec<W>, progress: &Progress) -> Result<()>
where
    W: FnMut(&[u8], &Path, Option<Region>) -> Result<ShopPicture> + Send,
{
    if workers.is_empty() {
        return Err(Fault::new(Kind::Internal, "an import needs at least one worker"));
    }
    let embedder = |mut worker: W| {
        move |index: usize| {
            let picture: &PendingPicture = &pending[index];
            picture.read().and_then(|bytes| worker(&bytes, &picture.path, picture.region))
        }
    };
    side_by_side(pending.len(), workers.into_iter().map(embedder).collect(), |index, result| {
        plan.supply(index, result)?;
        progress.step();
        Ok(())
    })
}

/// Gives the numbers below `count` to the workers, a thread each, and their results to `take` in the order they come. The first
/// fault of `take` ends it.
fn side_by_side<T: Send>(
    count: usize,
    workers: Vec<impl FnMut(usize) -> T + Send>,
    mut take: impl FnMut(usize, T) -> Result<()>,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (results, received) = sync_channel(2 * workers.len());
        for mut worker in workers {
            let results = results.clone();
            let (next, stop) = (&next, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count || results.send((index, worker(index))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);
        for (index, result) in received {
            if let Err(fault) = take(index, result) {
                stop.store(true, Ordering::Relaxed);
                return Err(fault);
            }
        }
        Ok(())
    })
}

fn import_text(report: &ImportReport, db: &Path) -> String {
    let mut text = format!(
        "{}: {} products ({} added, {} updated, {} unchanged, {} removed); {} pictures embedded, {} reused",
        db.display(),
        report.products,
        report.added,
        report.updated,
        report.unchanged,
        report.removed,
        report.pictures_embedded,
        report.pictures_reused
    );
    if !report.skipped_rows.is_empty() || !report.skipped_pictures.is_empty() {
        let (rows, pictures) = (report.skipped_rows.len(), report.skipped_pictures.len());
        text += &format!("; skipped {rows} rows and {pictures} pictures");
    }
    text
}

fn list(args: &DbArgs) -> Result<()> {
    let products = Catalogue::open(&args.db)?.list()?;
    if args.json {
        let products: Vec<_> = products.iter().map(|(product, _)| product).collect();
        return print(&json(&products)?);
    }
    let mut table = Table::new(&["id", "title", "brand", ">price", "color", "size", ">pictures"]);
    for (product, pictures) in &products {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        table.row([
            product.id.clone(),
            product.title.clone(),
            text(&product.brand),
            text(&product.price),
            text(&product.color),
            text(&product.size),
            pictures.to_string(),
        ]);
    }
    print(&table.render())
}

fn show(args: &ProductArgs) -> Result<()> {
    let found = Catalogue::open(&args.db.db)?.get(&args.id)?;
    let Some(detail) = found else {
        let text = format!("the catalogue {} has no product {:?}", args.db.db.display(), args.id);
        return Err(Fault::new(Kind::Usage, text).cure("see `vetrina catalogue list`"));
    };
    if args.db.json {
        return print(&json(&detail)?);
    }
    print(&product_text(&detail))
}

fn product_text(detail: &ProductDetail) -> String {
    let product = &detail.product;
    let mut lines = vec![format!("{}  {}", product.id, product.title)];
    let fields = [
        ("brand", &product.brand),
        ("price", &product.price),
        ("color", &product.color),
        ("size", &product.size),
        ("availability", &product.availability),
        ("product_type", &product.product_type),
        ("link", &product.link),
        ("item_group_id", &product.item_group_id),
    ];
    for (name, value) in fields {
        lines.extend(value.as_ref().map(|value| format!("  {name}: {value}")));
    }
    lines.extend(product.region().map(|region| format!("  region: {}", region.name())));
    let mut table = Table::new(&["picture", ">class", ">score", "box", "sha256"]);
    for picture in &detail.pictures {
        let [x1, y1, x2, y2] = picture.bounds;
        table.row([
            picture.source.clone(),
            picture.class.to_string(),
            format!("{:.3}", picture.score),
            format!("{x1:.0},{y1:.0} - {x2:.0},{y2:.0}"),
            picture.sha256.chars().take(12).collect(),
        ]);
    }
    lines.push(table.render());
    lines.join("\n")
}

fn remove(args: &ProductArgs) -> Result<()> {
    Catalogue::open(&args.db.db)?.remove(&args.id)?;
    if args.db.json {
        print(&json(&serde_json::json!({ "removed": args.id }))?)
    } else {
        print(&format!("removed {}", args.id))
    }
}

/// `check`: prints the report; a catalogue with problems is a fault.
fn check(args: &DbArgs, expected: Option<&ModelStamp>) -> Result<()> {
    let report = Catalogue::open(&args.db)?.check(expected)?;
    print(&if args.json { json(&report)? } else { check_text(&report) })?;
    if report.is_sound() {
        return Ok(());
    }
    let text = format!("the catalogue {} has {} problems", args.db.display(), report.problems.len());
    Err(Fault::new(Kind::Catalogue, text).cure("import the feed again, into a new file where this one is damaged"))
}

fn check_text(report: &CheckReport) -> String {
    let model = report.model.as_ref().map_or("none yet".to_owned(), |stamp| {
        format!("{} ({}, {} values)", stamp.name, stamp.descriptor_hash, stamp.embedding)
    });
    let mut lines = vec![
        format!("products: {}", report.products),
        format!("pictures: {} ({} different)", report.pictures, report.descriptors),
        format!("model: {model}"),
    ];
    lines.extend(report.problems.iter().map(|problem| format!("problem: {problem}")));
    lines.extend(report.is_sound().then(|| "sound".to_owned()));
    lines.join("\n")
}

fn export(args: &ExportArgs) -> Result<()> {
    let catalogue = Catalogue::open(&args.db)?;
    if let Some(path) = &args.output {
        let file = File::create(path).map_err(|error| Fault::io(Kind::Storage, "write", path, error))?;
        return catalogue.export(file);
    }
    let mut text = Vec::new();
    catalogue.export(&mut text)?;
    let mut out = io::stdout().lock();
    done(io::Write::write_all(&mut out, &text).and_then(|()| io::Write::flush(&mut out)))
}
