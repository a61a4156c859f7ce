//! `vetrina enrol`: somebody wears a product before the camera, and the catalogue keeps views of it.

use super::backend::BackendArgs;
use super::catalogue::mirror::CatalogueMirror;
use super::table::{json, print};
use crate::audit::AuditAction;
use crate::capture::camera::{self, CameraSettings, shown};
use crate::capture::{self, Source};
use crate::catalogue::{Catalogue, Enrolment};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, DEFAULT_PATH};
use crate::fault::{Fault, Kind, Result};
use crate::pipeline::enrol::doubt::doubts;
use crate::pipeline::enrol::watch::watch;
use crate::pipeline::enrol::{CONSENT, EnrolSession, EnrolSettings, EnrolTarget, ViewsTaken};
use crate::pipeline::matcher::{Matcher, stamp};
use crate::pipeline::workers::frame_workers;
use crate::seam::Region;
use crate::shutdown::Token;
use clap::Args;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Wear a product before the camera, so that it is recognized better from then on; numbers are kept, no picture
#[derive(Args, Clone, Debug)]
pub struct EnrolArgs {
    /// Id of the product that is worn, or the number on its label (GTIN)
    #[arg(value_name = "ID", required_unless_present = "undo")]
    pub id: Option<String>,
    /// More products that are worn at the same time, on other parts of the body
    #[arg(long, value_name = "ID,...", value_delimiter = ',', requires = "id")]
    pub outfit: Vec<String>,
    /// Where ID is worn: upper, lower or dress [default: as the catalogue says]
    #[arg(long, value_name = "REGION", value_parser = region, requires = "id")]
    pub region: Option<Region>,
    /// Clip, folder of frames or camera (v4l2:///dev/video0) [default: the configuration's camera]
    #[arg(long, value_name = "SOURCE")]
    pub from: Option<String>,
    /// Undo an enrolment, a number of `catalogue worn list` [default: the newest]
    #[arg(long, value_name = "N", num_args = 0..=1, conflicts_with_all = ["id", "from", "outfit", "yes"])]
    pub undo: Option<Option<i64>>,
    /// Whoever wears it agrees that numbers are kept: do not ask
    #[arg(long)]
    pub yes: bool,
    /// Catalogue file [default: the configuration's]
    #[arg(long, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
    /// Model folder [default: the shipped one]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub backend: BackendArgs,
    /// Configuration file, for the camera and the catalogue
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &EnrolArgs) -> Result<()> {
    // Open for no longer than needed: the watching takes a minute.
    let file = catalogue_file(args)?;
    let catalogue = || Catalogue::open(&file);
    if let Some(number) = args.undo {
        let undone = catalogue()?.undo_enrolment(number)?;
        return say(args, &file, ("undone", AuditAction::UndoEnrol), &undone);
    }
    let said = args.id.iter().cloned().zip(args.region).collect();
    let open_catalogue = catalogue()?;
    let ids: Vec<String> = args.id.iter().chain(&args.outfit).cloned().collect();
    let mut recognizers = frame_workers(args.backend.load(&args.model)?);
    let model = stamp(recognizers[0].manifest());
    open_catalogue.require_model(&model)?;
    let targets = EnrolTarget::find(&open_catalogue, &ids, &recognizers[0].manifest().class_regions(), &said)?;
    drop(open_catalogue);
    agree(args.yes)?;
    let (mut source, camera, settings) = open(args)?;
    let mut said = SaidProgress::default();
    let products = watch(source.as_mut(), &mut recognizers, targets, settings, |session| said.progress(session))?;
    let matcher = Matcher::load(&file, recognizers[0].manifest())?;
    for words in doubts(&matcher, &products) {
        eprintln!("vetrina: warning: {words}: vetrina enrol --undo");
    }
    let enrolment = catalogue()?.enrol(&camera, &model, &products)?;
    say(args, &file, ("kept", AuditAction::Enrol), &enrolment)
}

/// The catalogue that is named, or else that of the mirror whose configuration is read.
fn catalogue_file(args: &EnrolArgs) -> Result<PathBuf> {
    args.catalogue.clone().map_or_else(|| Ok(config(args)?.catalogue.file), Ok)
}

/// The mirror's configuration; the defaults where there is none.
fn config(args: &EnrolArgs) -> Result<Config> {
    if args.config.exists() { Config::load(&args.config) } else { Ok(Config::default()) }
}

fn region(name: &str) -> std::result::Result<Region, String> {
    Region::named(name).ok_or_else(|| "it is upper, lower or dress".into())
}

/// Waits for a yes.
fn agree(is_agreed: bool) -> Result<()> {
    eprintln!("{CONSENT}");
    if is_agreed {
        return Ok(());
    }
    eprintln!("Does whoever wears it agree? Type yes:");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.map_err(|error| Fault::new(Kind::Usage, "no answer can be read").cause(error).cure("give --yes"))?;
    if answer.trim().eq_ignore_ascii_case("yes") {
        return Ok(());
    }
    Err(Fault::new(Kind::Usage, "nothing was enrolled: whoever wears it must agree").cure("answer yes, or give --yes"))
}

/// The source, its name for the catalogue, and how long to watch: a clip from its first frame to its last.
fn open(args: &EnrolArgs) -> Result<(Box<dyn Source>, String, EnrolSettings)> {
    if let Some(from) = args.from.as_ref().filter(|from| is_recorded(from)) {
        let name = Path::new(from).file_name().map_or(from.clone(), |name| name.to_string_lossy().into_owned());
        let settings = EnrolSettings { countdown: Duration::ZERO, ..EnrolSettings::default() };
        return Ok((capture::open(from)?, name, settings));
    }
    let settings = match &args.from {
        // Its size, rate and turn are the configuration's, where there is one.
        Some(from) => CameraSettings { source: from.clone(), ..config(args)?.camera() },
        None => Config::load(&args.config)?.camera(),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let source = camera::open(&settings, &clock, &Token::new())?;
    Ok((source, shown(&settings.source), EnrolSettings::default()))
}

/// Whether a source is a file or a folder, which is read as fast as it can be.
fn is_recorded(from: &str) -> bool {
    let path = from.strip_prefix("file://").unwrap_or(from);
    !path.starts_with("/dev/") && !path.contains("://") && !path.contains('?')
}

/// What was said of the progress, so that a line is said once.
#[derive(Default)]
struct SaidProgress(String);

impl SaidProgress {
    fn progress(&mut self, session: &EnrolSession) {
        let wait = session.countdown().as_secs();
        let line = if wait > 0 {
            format!("step back: {wait}")
        } else {
            let of = |one: ViewsTaken| format!("{} {}: {} of {} good frames", one.id, one.title, one.good, one.wanted);
            session.progress().into_iter().map(of).collect::<Vec<_>>().join("; ")
        };
        if line != self.0 {
            eprintln!("{line}");
            self.0 = line;
        }
    }
}

/// Says what was done, also in the mirror's audit log.
fn say(args: &EnrolArgs, catalogue: &Path, (what, action): (&str, AuditAction), enrolment: &Enrolment) -> Result<()> {
    let line = format!("enrolment {} {what}: {}", enrolment.number, enrolment.views_text());
    CatalogueMirror::of(catalogue).note(action, &line);
    if args.json {
        return print(&json(&serde_json::json!({ what: enrolment }))?);
    }
    print(&line)
}
