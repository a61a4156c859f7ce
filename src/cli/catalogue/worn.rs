//! `catalogue worn`: the worn views of a catalogue, and their way to the shop's other mirrors. `catalogue corrections`.

use super::DbArgs;
use super::mirror::CatalogueMirror;
use crate::audit::AuditAction;
use crate::catalogue::confusion::{Confusion, confusions};
use crate::catalogue::correction::ConfirmedWeek;
use crate::catalogue::{Catalogue, Index};
use crate::cli::table::{Table, done, json, print};
use crate::fault::{Fault, Kind, Result};
use crate::network::Manifest;
use crate::seam::EmbeddingHead;
use clap::{Args, Subcommand};
use std::fs::File;
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};

/// Products that `check` names to be worn next.
const WEAR_NEXT: usize = 20;

#[derive(Subcommand, Clone, Debug)]
pub enum WornCommand {
    /// List the enrolments: what was worn, when, before which camera
    List(DbArgs),
    /// Write all worn views to a file for the shop's other mirrors (one JSON object a line)
    Export(WornExportArgs),
    /// Add the worn views of another mirror of this shop, all or nothing
    Import(WornImportArgs),
}

#[derive(Args, Clone, Debug)]
pub struct WornExportArgs {
    /// File to write; - is standard output
    pub file: PathBuf,
    /// Catalogue file
    #[arg(long, value_name = "FILE", default_value = super::DEFAULT_DB)]
    pub db: PathBuf,
}

#[derive(Args, Clone, Debug)]
pub struct WornImportArgs {
    /// File of `catalogue worn export`; - is standard input
    pub file: PathBuf,
    #[command(flatten)]
    pub db: DbArgs,
}

pub fn run(command: &WornCommand) -> Result<()> {
    match command {
        WornCommand::List(args) => list(args),
        WornCommand::Export(args) => export(args),
        WornCommand::Import(args) => import(args),
    }
}

fn list(args: &DbArgs) -> Result<()> {
    let catalogue = Catalogue::open(&args.db)?;
    let (enrolments, stamp) = (catalogue.enrolments()?, catalogue.stamp()?);
    if args.json {
        return print(&json(&enrolments)?);
    }
    let mut table = Table::new(&[">number", "made", "camera", "views", "model"]);
    for one in &enrolments {
        let views: Vec<String> = one.products.iter().map(|(id, views)| format!("{id}: {views}")).collect();
        let is_used = stamp.as_ref().is_some_and(|stamp| stamp.descriptor_hash == one.model.descriptor_hash);
        let model = if is_used { one.model.name.clone() } else { format!("{}, not used", one.model.name) };
        table.row([one.number.to_string(), one.made.clone(), one.camera.clone(), views.join(", "), model]);
    }
    print(&table.render())
}

fn export(args: &WornExportArgs) -> Result<()> {
    let catalogue = Catalogue::open(&args.db)?;
    if args.file == Path::new("-") {
        let mut text = Vec::new();
        catalogue.export_worn(&mut text)?;
        return done(io::Write::write_all(&mut io::stdout().lock(), &text));
    }
    let fail = |error| Fault::io(Kind::Storage, "write", &args.file, error);
    let count = catalogue.export_worn(BufWriter::new(File::create(&args.file).map_err(fail)?))?;
    print(&format!("{}: {count} enrolments", args.file.display()))
}

fn import(args: &WornImportArgs) -> Result<()> {
    let mut catalogue = Catalogue::open(&args.db.db)?;
    let report = if args.file == Path::new("-") {
        catalogue.import_worn(io::stdin().lock())?
    } else {
        let fail = |error| Fault::io(Kind::Input, "read", &args.file, error);
        catalogue.import_worn(BufReader::new(File::open(&args.file).map_err(fail)?))?
    };
    let detail = format!("{} enrolments of {}", report.enrolments, args.file.display());
    CatalogueMirror::of(&args.db.db).note(AuditAction::Enrol, &detail);
    if args.db.json {
        return print(&json(&report)?);
    }
    for id in &report.without_product {
        eprintln!("warning: this shop's feed has no product {id}: its views wait for it");
    }
    let (path, views) = (args.db.db.display(), report.views);
    print(&format!("{path}: {} enrolments added with {views} views, {} known before", report.enrolments, report.known))
}

/// How often the mirror was right, as staff confirmed.
pub fn corrections(args: &DbArgs) -> Result<()> {
    let weeks = Catalogue::open(&args.db)?.confirmed_weeks()?;
    if args.json {
        return print(&json(&weeks)?);
    }
    if weeks.is_empty() {
        return print("nothing was said of an answer yet");
    }
    print(&confirmed(&weeks))
}

/// A line a week and region.
pub fn confirmed(weeks: &[ConfirmedWeek]) -> String {
    let header = [
        "week",
        "region",
        ">answers",
        ">right",
        ">precision",
        ">another product",
        ">not ours",
        ">right of those called likely",
    ];
    let mut table = Table::new(&header);
    for week in weeks {
        table.row([
            week.week.clone(),
            week.region.clone(),
            week.answers().to_string(),
            week.right.to_string(),
            format!("{:.2}", week.precision()),
            week.other.to_string(),
            week.not_ours.to_string(),
            format!("{} of {}", week.likely_right, week.likely),
        ]);
    }
    table.render()
}

/// The products to be worn next, as `check --model` says them.
pub fn wear_next(catalogue: &Catalogue, model: &Path) -> Result<Vec<Confusion>> {
    let manifest = Manifest::load(model)?;
    let settings = &manifest.aggregation;
    let index = Index::load(catalogue, EmbeddingHead::Aggregation, &settings.weight, settings.bias)?
        .with_regions(&manifest.class_regions())
        .with_worn_offset(settings.worn_offset);
    Ok(confusions(&index, WEAR_NEXT))
}

pub fn wear_next_text(next: &[Confusion]) -> String {
    let mut table = Table::new(&["wear next", "title", "is most like", "title", ">logit", "worn"]);
    for one in next {
        table.row([
            one.id.clone(),
            one.title.clone(),
            one.other_id.clone(),
            one.other_title.clone(),
            format!("{:.1}", one.logit),
            if one.worn { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table.render()
}
