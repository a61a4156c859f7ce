//! `vetrina catalogue`: import, history, undo, list, show, remove, check, export.

mod history;
pub(super) mod mirror;
pub(super) mod worn;

use self::mirror::CatalogueMirror;
use super::places;
use super::progress::{ImportProgressBar, ProgressFormat};
use super::removals::RemovalArgs;
use super::table::{Table, done, json, print};
use crate::audit::AuditAction;
use crate::catalogue::confusion::Confusion;
use crate::catalogue::{
    Catalogue, CheckReport, ColumnMap, Currency, FetchFrom, ImportOptions, ImportReport, Product, ProductDetail,
};
use crate::fault::{Fault, Kind, Result, and_more, counted};
use crate::machine;
use crate::network::Manifest;
use crate::pipeline::import::{self, ImportRequest};
use crate::pipeline::matcher::stamp;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Where the catalogue is, unless `--db` says otherwise.
pub const DEFAULT_DB: &str = "/var/lib/vetrina/catalogue.db";

/// Manage the shop's products: import a feed, list, show, check, export
#[derive(Args, Clone, Debug)]
pub struct CatalogueArgs {
    #[command(subcommand)]
    pub command: CatalogueCommand,
}

#[derive(Subcommand, Clone, Debug)]
pub enum CatalogueCommand {
    /// Make the catalogue from a feed (Google Merchant, Shopify or WooCommerce; CSV, TSV, XML, JSON, XLSX), all or nothing
    Import(ImportArgs),
    /// List the last generations of the catalogue: what the last imports made of it
    History(DbArgs),
    /// Make the catalogue what it was before the last import, or in another kept generation
    Undo(UndoArgs),
    /// List the products
    List(DbArgs),
    /// Show one product with its pictures
    Show(ProductArgs),
    /// Remove one product
    Remove(ProductArgs),
    /// Check the file and its descriptors and, with --model, whether they fit the model
    Check(CheckArgs),
    /// Write the catalogue as a feed (CSV) that can be imported again
    Export(ExportArgs),
    /// List, export and import worn views: what `vetrina enrol` kept
    Worn {
        #[command(subcommand)]
        command: worn::WornCommand,
    },
    /// Say how often the mirror was right, as staff confirmed on the page
    Corrections(DbArgs),
}

#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// The feed, in any of the formats; - is standard input
    pub feed: PathBuf,
    /// Folder that the feed's image_link paths start from; may be given several times, the newest file counts
    #[arg(long, value_name = "DIR", required = true)]
    pub images: Vec<PathBuf>,
    /// Catalogue file; created if missing
    #[arg(long, value_name = "FILE", default_value = DEFAULT_DB)]
    pub db: PathBuf,
    /// Model folder [default: the shipped one]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Which columns are which, where their names do not say it: id=SKU,title=Name,image_link=Photo; kept for the next import
    #[arg(long, value_name = "FIELD=COLUMN,...")]
    pub map: Option<String>,
    /// Currency of prices that have none, such as EUR; kept for the next import
    #[arg(long, value_name = "CODE")]
    pub currency: Option<String>,
    /// Fetch pictures that are not in the folders from their web addresses: by https from the public network, with =any also by http and from the local network
    #[arg(long, value_name = "FROM", value_parser = ["public", "any"], num_args = 0..=1, require_equals = true, default_missing_value = "public")]
    pub fetch: Option<String>,
    /// Refuse the feed if any row, picture or column cannot be used
    #[arg(long)]
    pub strict: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub removals: RemovalArgs,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Run at the lowest priority
    #[arg(long)]
    pub background: bool,
    /// How to report progress; json is for programs, one object a line, the report last
    #[arg(long, value_enum, default_value_t = ProgressFormat::Bar, value_name = "FORMAT")]
    pub progress: ProgressFormat,
    /// Configuration of the mirror that shows the catalogue, for its fonts and its audit log [default: /etc/vetrina.toml, where that shows
    /// this catalogue]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write nothing into the mirror's audit log: who calls this has done so, as the page does
    #[arg(long)]
    pub audited: bool,
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
pub struct UndoArgs {
    #[command(flatten)]
    pub db: DbArgs,
    /// The generation to bring back, a number of `history` [default: the one before the newest]
    #[arg(long, value_name = "N")]
    pub to: Option<i64>,
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

pub fn run(args: &CatalogueArgs) -> Result<()> {
    match &args.command {
        CatalogueCommand::Import(args) => import(args),
        CatalogueCommand::History(args) => history::history(args),
        CatalogueCommand::Undo(args) => history::undo(args),
        CatalogueCommand::List(args) => list(args),
        CatalogueCommand::Show(args) => show(args),
        CatalogueCommand::Remove(args) => remove(args),
        CatalogueCommand::Check(args) => check(args),
        CatalogueCommand::Export(args) => export(args),
        CatalogueCommand::Worn { command } => worn::run(command),
        CatalogueCommand::Corrections(args) => worn::corrections(args),
    }
}

impl ImportArgs {
    fn request(&self) -> Result<ImportRequest> {
        let options = ImportOptions {
            strict: self.strict,
            max_removals: self.removals.largest_share(),
            column_map: self.map.as_deref().map(ColumnMap::parse).transpose()?,
            currency: self.currency.as_deref().map(Currency::parse).transpose()?,
            more_images: self.images.iter().skip(1).cloned().collect(),
            fetch: self
                .fetch
                .as_deref()
                .map(|from| if from == "any" { FetchFrom::Anywhere } else { FetchFrom::Public }),
            ..ImportOptions::default()
        };
        let images = self.images.first().cloned().unwrap_or_default();
        let (feed, catalogue) = (self.feed.clone(), self.db.clone());
        Ok(ImportRequest { feed, images, catalogue, options, dry_run: self.dry_run })
    }
}

fn import(args: &ImportArgs) -> Result<()> {
    if args.background {
        machine::step_back();
    }
    let mut progress = ImportProgressBar::new(args.progress);
    let work = || {
        // Before the work: it may be a wrong path.
        let mirror =
            args.config.as_deref().map_or_else(|| Ok(CatalogueMirror::of(&args.db)), CatalogueMirror::configured)?;
        let mut report = import::import(&args.request()?, &places::model(&args.model)?, |step| progress.show(step))?;
        report.warnings.extend(mirror.letters_warning(&report.letters));
        if !(args.audited || args.dry_run) {
            mirror.note(AuditAction::Import, &args.feed.display().to_string());
        }
        Ok(report)
    };
    let Some(report) = args.progress.conclude(work)? else { return Ok(()) };
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
    if let Some(refusal) = &report.refusal {
        eprintln!("it would be refused: {refusal}");
    }
    if args.dry_run {
        return print(&history::preview_text(&report));
    }
    print(&import_text(&report, &args.db))
}

fn import_text(report: &ImportReport, db: &Path) -> String {
    let mut text = format!(
        "{}: {} ({} added, {} updated, {} unchanged, {} removed); {} embedded, {} reused",
        db.display(),
        counted(report.products, "product"),
        report.added,
        report.updated,
        report.unchanged,
        report.removed,
        counted(report.pictures_embedded, "picture"),
        report.pictures_reused
    );
    if !report.skipped_rows.is_empty() || !report.skipped_pictures.is_empty() {
        let (rows, pictures) = (report.skipped_rows.len(), report.skipped_pictures.len());
        text += &format!("; skipped {} and {}", counted(rows, "row"), counted(pictures, "picture"));
    }
    text
}

fn list(args: &DbArgs) -> Result<()> {
    let catalogue = Catalogue::open(&args.db)?;
    let (products, worn) = (catalogue.list()?, catalogue.worn_views()?);
    if args.json {
        let products: Vec<_> = products.iter().map(|(product, _)| with_stock(product, product)).collect();
        return print(&json(&products)?);
    }
    let columns = ["id", "title", "brand", ">price", ">sale price", "color", "size", "stock", "location"];
    let mut table = Table::new(&[&columns[..], &[">pictures", ">worn views"]].concat());
    for (product, pictures) in &products {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        table.row([
            product.id.clone(),
            product.title.clone(),
            text(&product.brand),
            text(&product.price),
            text(&product.sale_price),
            text(&product.color),
            text(&product.size),
            product.stock().to_string(),
            text(&product.location),
            pictures.to_string(),
            worn.get(&product.id).copied().unwrap_or(0).to_string(),
        ]);
    }
    print(&table.render())
}

/// What is printed of a product, and what its availability and quantity mean.
fn with_stock(value: &impl Serialize, product: &Product) -> serde_json::Value {
    let mut value = serde_json::json!(value);
    value["stock"] = serde_json::json!(product.stock());
    value
}

fn show(args: &ProductArgs) -> Result<()> {
    let catalogue = Catalogue::open(&args.db.db)?;
    let detail = catalogue.require(&args.id)?;
    if args.db.json {
        return print(&json(&with_stock(&detail, &detail.product))?);
    }
    let classes = places::model(&None).and_then(|model| Manifest::load(&model)).ok();
    let classes = classes.filter(|manifest| catalogue.require_model(&stamp(manifest)).is_ok());
    let worn = catalogue.worn_views()?.get(&args.id).copied().unwrap_or(0);
    let text = product_text(&detail, &classes.map(|manifest| manifest.classes).unwrap_or_default());
    print(&format!("{text}\nworn views: {worn}"))
}

/// `classes`: the names of the classes of the model that embedded the pictures; none where that is not the shipped one.
fn product_text(detail: &ProductDetail, classes: &[String]) -> String {
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
        ("sale_price", &product.sale_price),
        ("sale_price_effective_date", &product.sale_price_effective_date),
        ("quantity", &product.quantity),
        ("location", &product.location),
        ("gtin", &product.gtin),
    ];
    for (name, value) in fields {
        lines.extend(value.as_ref().map(|value| format!("  {name}: {value}")));
    }
    lines.push(format!("  stock: {}", product.stock()));
    lines.extend(product.region().map(|region| format!("  region: {}", region.name())));
    let mut table = Table::new(&["picture", "class", ">score", "box", "sha256"]);
    for picture in &detail.pictures {
        let [x1, y1, x2, y2] = picture.bounds;
        table.row([
            picture.source.clone(),
            classes.get(picture.class).map_or_else(|| picture.class.to_string(), String::clone),
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
    CatalogueMirror::of(&args.db.db).note(AuditAction::Remove, &args.id);
    if args.db.json {
        print(&json(&serde_json::json!({ "removed": args.id }))?)
    } else {
        print(&format!("removed {}", args.id))
    }
}

/// `check`: prints the report; a catalogue with problems is a fault.
fn check(args: &CheckArgs) -> Result<()> {
    let expected = args.model.as_deref().map(import::model_stamp).transpose()?;
    let (args, model) = (&args.db, &args.model);
    let catalogue = Catalogue::open(&args.db)?;
    let report = catalogue.check(expected.as_ref())?;
    let model = model.as_ref().filter(|_| report.is_sound());
    let wear_next = model.map_or(Ok(Vec::new()), |model| worn::wear_next(&catalogue, model))?;
    if args.json {
        let mut value = serde_json::json!(report);
        value["wear_next"] = serde_json::json!(wear_next);
        print(&json(&value)?)?;
    } else {
        print(&check_text(&report, &wear_next))?;
    }
    if report.is_sound() {
        return Ok(());
    }
    let text = format!("the catalogue {} has {} problems", args.db.display(), report.problems.len());
    Err(Fault::new(Kind::Catalogue, text).cure("import the feed again, into a new file where this one is damaged"))
}

/// Pictures of a detail that a text names; JSON names all.
const MOST_DETAILS: usize = 20;

fn check_text(report: &CheckReport, wear_next: &[Confusion]) -> String {
    let model = report.model.as_ref().map_or("none yet".to_owned(), |stamp| {
        format!("{} ({}, {} values)", stamp.name, stamp.descriptor_hash, stamp.embedding)
    });
    let mut lines = vec![
        format!("products: {}", report.products),
        format!(
            "pictures: {}; {} different ones stored, those of earlier imports among them",
            report.pictures, report.descriptors
        ),
        format!("model: {model}"),
    ];
    if !report.details.is_empty() {
        let names = report.details.iter().take(MOST_DETAILS).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = and_more(report.details.len().saturating_sub(MOST_DETAILS));
        lines.push(format!("pictures of a detail, not searched where the product has another one: {names}{more}"));
    }
    let worn = &report.worn;
    lines.push(format!("worn views: {} of {} products", worn.used, worn.products));
    if worn.without_product > 0 {
        lines.push(format!("worn views of products that the feed does not have now: {}", worn.without_product));
    }
    if worn.other_model > 0 {
        let words = "made by another model, not used: wear these products again";
        lines.push(format!("worn views {words}: {}", worn.other_model));
    }
    lines.extend((!wear_next.is_empty()).then(|| worn::wear_next_text(wear_next)));
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
