//! `vetrina engine`: builds, lists, prunes and verifies a model's TensorRT engines.

use super::backend::EngineArgs;
use super::bench::demo_picture;
use super::places;
use super::progress::{Progress, ProgressFormat};
use super::table::{Table, json, print};
use crate::capture::read_picture;
use crate::fault::{Fault, Kind, Result};
use crate::machine;
use crate::network::engines::build::{Wanted, build, graph, verify, wanted};
use crate::network::engines::compare::{Figure, Tolerance};
use crate::network::engines::{EngineCache, Entry, Host};
use crate::network::tensorrt::{BuildLimits, BuildProgress, TensorRt};
use crate::network::{Manifest, Precision};
use crate::pipeline::graph_inputs::GraphInputs;
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Manage TensorRT engines: build for this machine, list, prune, verify against the CPU
#[derive(Args, Clone, Debug)]
pub struct EngineCommandArgs {
    #[command(subcommand)]
    pub command: EngineCommand,
}

#[derive(Subcommand, Clone, Debug)]
pub enum EngineCommand {
    /// Build the missing engines of a model; each is compared with the CPU before it is kept
    Build(BuildArgs),
    /// List the engines and whether they are for this machine
    List(ListArgs),
    /// Remove engines that are damaged, unfinished, or for another TensorRT, GPU or driver
    Prune(PruneArgs),
    /// Compare the engines of a model with the CPU again
    Verify(VerifyArgs),
}

#[derive(Args, Clone, Debug)]
pub struct ModelArgs {
    /// Model folder [default: the shipped one]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Picture for the comparison with the CPU [default: a frame of the demo]
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    #[command(flatten)]
    pub engines: EngineArgs,
}

#[derive(Args, Clone, Debug)]
pub struct BuildArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Memory TensorRT may use while building, MB [default: half of the free memory, at most 4096]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(64..=1_000_000))]
    pub memory: Option<u64>,
    /// Build existing engines again
    #[arg(long)]
    pub again: bool,
    /// Only check that TensorRT accepts every graph, in every precision or in --precision; keep nothing. TensorRT-RTX needs
    /// no GPU for this
    #[arg(long, conflicts_with = "again")]
    pub dry_run: bool,
    /// Run at the lowest priority
    #[arg(long)]
    pub background: bool,
    /// How to report progress; json is for programs, one object a line, the report last
    #[arg(long, value_enum, default_value_t = ProgressFormat::Bar, value_name = "FORMAT")]
    pub progress: ProgressFormat,
}

#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    /// Folder of the engines
    #[arg(long, value_name = "DIR", default_value = crate::network::backend::ENGINES)]
    pub engines: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct PruneArgs {
    /// Folder of the engines
    #[arg(long, value_name = "DIR", default_value = crate::network::backend::ENGINES)]
    pub engines: PathBuf,
    /// Remove all of them
    #[arg(long)]
    pub all: bool,
}

#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub model: ModelArgs,
}

/// Maximum workspace of the builder in bytes; also used if the free memory is unknown.
const MEMORY: u64 = 4 << 30;
/// Compute capability for a dry run without a GPU: 8.6, the nearest to an Orin's 8.7 that TensorRT-RTX supports.
const DRY_CAPABILITY: i32 = 86;

pub fn run(args: &EngineCommandArgs) -> Result<()> {
    match &args.command {
        EngineCommand::Build(args) if args.dry_run => dry_run(args),
        EngineCommand::Build(args) => build_all(args),
        EngineCommand::List(args) => list(args),
        EngineCommand::Prune(args) => prune(args),
        EngineCommand::Verify(args) => verify_all(args),
    }
}

/// What all subcommands need: model, machine, cache.
struct EngineSet {
    tensorrt: TensorRt,
    manifest: Arc<Manifest>,
    wanted: Vec<Wanted>,
    cache: EngineCache,
}

impl EngineSet {
    fn open(args: &ModelArgs) -> Result<Self> {
        let tensorrt = TensorRt::open()?;
        let manifest = Arc::new(Manifest::load(&places::model(&args.model)?)?);
        let wanted = wanted(&manifest, args.engines.precision, &tensorrt.host())?;
        Ok(EngineSet { tensorrt, manifest, wanted, cache: EngineCache::new(&args.engines.engines) })
    }

    fn samples(&self, args: &ModelArgs) -> Result<GraphInputs> {
        let picture = match &args.picture {
            Some(path) => Arc::new(read_picture(path)?),
            None => demo_picture()?,
        };
        GraphInputs::of(&self.manifest, &picture)
    }
}

fn build_all(args: &BuildArgs) -> Result<()> {
    if args.background {
        machine::step_back();
        machine::first_to_go();
    }
    args.progress.conclude(|| build_missing(args)).map(drop)
}

/// Builds the missing engines. Returns one line for each.
fn build_missing(args: &BuildArgs) -> Result<Vec<String>> {
    let mut report = Vec::new();
    let mut say = |line: String| {
        report.push(line.clone());
        if args.progress == ProgressFormat::Bar { print(&line) } else { Ok(()) }
    };
    let opened = EngineSet::open(&args.model)?;
    let _lock = opened.cache.lock()?;
    let missing = |wanted: &&Wanted| args.again || opened.cache.find(&wanted.key).is_none();
    let missing: Vec<&Wanted> = opened.wanted.iter().filter(missing).collect();
    if missing.is_empty() {
        say("all engines are already built; --again rebuilds them".into())?;
        return Ok(report);
    }
    let samples = opened.samples(&args.model)?;
    for (number, wanted) in missing.iter().enumerate() {
        let what = name(wanted);
        let steps = BuildSteps::new(format!("engine {} of {}, {what}", number + 1, missing.len()), args.progress);
        let EngineSet { tensorrt, manifest, cache, .. } = &opened;
        let inputs = samples.inputs(wanted.graph);
        let record =
            build(tensorrt, manifest, wanted, &inputs, &limits(args, None), cache, &mut |event| steps.take(event))?;
        steps.finish();
        say(format!("{what}: built in {:.0} s; {}", record.build_seconds, in_words(&record.figures, wanted)))?;
    }
    Ok(report)
}

/// Builds every graph without storing it.
fn dry_run(args: &BuildArgs) -> Result<()> {
    let tensorrt = TensorRt::open_builder()?;
    let host = tensorrt.host();
    let manifest = Manifest::load(&places::model(&args.model.model)?)?;
    let mut all: Vec<Wanted> = Vec::new();
    for precision in Precision::ALL {
        if args.model.engines.precision.is_none_or(|asked| asked == precision) {
            let of_precision = wanted(&manifest, Some(precision), &host);
            // Without --precision: the precisions that the model has.
            let of_precision =
                if args.model.engines.precision.is_none() { of_precision.unwrap_or_default() } else { of_precision? };
            all.extend(of_precision.into_iter().filter(|wanted| wanted.key.precision == precision));
        }
    }
    let without_gpu = (host.gpu == "none").then_some(DRY_CAPABILITY);
    for (number, wanted) in all.iter().enumerate() {
        let steps = BuildSteps::new(format!("engine {} of {}, {}", number + 1, all.len(), name(wanted)), args.progress);
        let begun = std::time::Instant::now();
        let engine =
            tensorrt.build(&graph(wanted)?, wanted.open, &limits(args, without_gpu), &mut |event| steps.take(event))?;
        steps.finish();
        let (size, seconds) = (engine.len() as f64 / 1e6, begun.elapsed().as_secs_f64());
        print(&format!("{}: TensorRT {} built it, {size:.1} MB in {seconds:.1} s", name(wanted), host.tensorrt))?;
    }
    Ok(())
}

fn limits(args: &BuildArgs, capability: Option<i32>) -> BuildLimits {
    let free = machine::available_memory().map_or(MEMORY, |free| (free / 2).min(MEMORY));
    BuildLimits { memory: args.memory.map_or(free, |mb| mb << 20), capability }
}

fn list(args: &ListArgs) -> Result<()> {
    let host = TensorRt::open().map(|tensorrt| tensorrt.host());
    let entries = EngineCache::new(&args.engines).entries()?;
    if args.json {
        let entries: Vec<_> = entries.iter().map(|entry| entry_json(entry, host.as_ref().ok())).collect();
        return print(&json(&json!({ "machine": host.as_ref().ok(), "engines": entries }))?);
    }
    if entries.is_empty() {
        return print(&format!("there are no engines in {}", args.engines.display()));
    }
    let mut table = Table::new(&["graph", "type", ">MB", ">built in", "TensorRT", "driver", "state"]);
    for entry in &entries {
        let megabytes = format!("{:.1}", entry.size as f64 / 1e6);
        match &entry.record {
            Ok(record) => {
                let key = &record.key;
                let seconds = format!("{:.0} s", record.build_seconds);
                let state = state(entry, host.as_ref().ok());
                let precision = key.precision.name();
                table.row([&key.graph, precision, &megabytes, &seconds, &key.host.tensorrt, &key.host.driver, state]);
            }
            Err(_) => table.row([&file_name(entry), "", &megabytes, "", "", "", "damaged"]),
        }
    }
    print(&table.render())?;
    match &host {
        Ok(Host { tensorrt, gpu, driver }) => {
            print(&format!("this machine: TensorRT {tensorrt}, driver {driver}, {gpu}"))
        }
        Err(fault) => print(&format!("this machine: {fault}")),
    }
}

fn state(entry: &Entry, host: Option<&Host>) -> &'static str {
    match (&entry.record, host) {
        (Err(_), _) => "damaged",
        (Ok(_), None) => "unknown",
        (Ok(_), Some(_)) if entry.is_for(host) => "for this machine",
        (Ok(_), Some(_)) => "stale",
    }
}

fn entry_json(entry: &Entry, host: Option<&Host>) -> serde_json::Value {
    let fault = entry.record.as_ref().err().map(ToString::to_string);
    json!({
        "file": file_name(entry), "bytes": entry.size, "state": state(entry, host),
        "record": entry.record.as_ref().ok(), "fault": fault,
    })
}

fn file_name(entry: &Entry) -> String {
    entry.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn prune(args: &PruneArgs) -> Result<()> {
    let host = if args.all { None } else { TensorRt::open().map(|tensorrt| tensorrt.host()).ok() };
    let gone = EngineCache::new(&args.engines).prune(|entry| !args.all && entry.is_for(host.as_ref()))?;
    for path in &gone {
        print(&format!("removed {}", path.display()))?;
    }
    if host.is_none() && !args.all {
        return print("this machine has no TensorRT to compare with: only damaged or unfinished files were removed");
    }
    print(&format!("{} files removed", gone.len()))
}

fn verify_all(args: &VerifyArgs) -> Result<()> {
    let opened = EngineSet::open(&args.model)?;
    let samples = opened.samples(&args.model)?;
    for wanted in &opened.wanted {
        let Some((record, engine)) = opened.cache.find(&wanted.key) else {
            let text = format!("the engine {} is not built for this machine", name(wanted));
            return Err(Fault::new(Kind::Unavailable, text).cure("build it: vetrina engine build"));
        };
        let inputs = samples.inputs(wanted.graph);
        let figures = verify(&opened.tensorrt, &opened.manifest, wanted, &engine, &record.outputs, &inputs)?;
        print(&format!("{}: {}", name(wanted), in_words(&figures, wanted)))?;
    }
    Ok(())
}

fn name(wanted: &Wanted) -> String {
    format!("{} in {}", wanted.graph.name(), wanted.key.precision)
}

fn in_words(figures: &[Figure], wanted: &Wanted) -> String {
    let worst = figures.iter().map(|figure| figure.worst).fold(0.0, f64::max);
    let typical = figures.iter().map(|figure| figure.typical).fold(0.0, f64::max);
    let allowed = Tolerance::of(wanted.key.precision);
    format!(
        "differs from the CPU by at most {worst:.1e} (allowed {:.0e}), on average {typical:.1e} (allowed {:.0e})",
        allowed.worst, allowed.typical
    )
}

/// Progress of a build, in hundredths.
struct BuildSteps {
    shown: Progress,
    progress: std::sync::Mutex<BuildProgress>,
}

impl BuildSteps {
    fn new(what: String, format: ProgressFormat) -> Self {
        let shown = Progress::with_format(100, &what, format);
        BuildSteps { shown, progress: std::sync::Mutex::default() }
    }

    fn take(&self, event: crate::network::tensorrt::BuildEvent) -> bool {
        let mut progress = self.progress.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let hundredths = (100.0 * progress.take(event)) as u64;
        while self.shown.done() < hundredths {
            self.shown.step();
        }
        true
    }

    fn finish(&self) {
        self.shown.finish();
    }
}
