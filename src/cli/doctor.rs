//! `vetrina doctor`: checks everything that a mirror needs. One line each, with the cure for what is wrong.

use super::places;
use super::table::print;
use crate::capture::camera::{self, shown};
use crate::capture::{Source, Step};
use crate::catalogue::Catalogue;
use crate::clock::{self, Clock, SystemClock};
use crate::config::{Config, DEFAULT_PATH};
use crate::display::draw::Painter;
use crate::display::open;
use crate::fault::{Fault, Kind, READ_ONLY_CURE, Result};
use crate::language::Words;
use crate::machine::{self, Board};
use crate::network::engines::EngineCache;
use crate::network::engines::build::wanted;
use crate::network::tensorrt::TensorRt;
use crate::network::{Backend, Manifest};
use crate::pipeline::matcher::stamp;
use crate::shutdown::Token;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A camera must deliver its first frame within this time.
const FIRST_FRAME: Duration = Duration::from_secs(8);
/// Minimum free space in bytes for an import and the journal.
const LEAST_SPACE: u64 = 500 << 20;
/// Boards throttle at higher temperatures, degrees Celsius.
const HOT: f64 = 85.0;

/// Check everything a mirror needs, and say how to mend what is wrong
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
}

/// Prints one line per finding and keeps the first fault. Lines are not truncated: the cure is at the end.
#[derive(Default)]
struct Findings {
    lines: Vec<String>,
    first: Option<Fault>,
}

impl Findings {
    fn add(&mut self, what: &str, finding: Result<String>) {
        let (how, text) = match &finding {
            Ok(text) => ("ok", text.clone()),
            Err(fault) => ("FAULT", fault.to_string()),
        };
        self.lines.push(format!("{what:<14}{how:<7}{text}"));
        if let Err(fault) = finding {
            self.first.get_or_insert(fault);
        }
    }
}

pub fn run(args: &DoctorArgs) -> Result<()> {
    let config = Config::load(&args.config)?;
    let mut findings = Findings::default();
    findings.add("configuration", Ok(args.config.display().to_string()));
    findings.add("camera", camera(&config));
    findings.add("screen", screen(&config));
    findings.add("languages", languages(&config));
    let manifest = places::model(&config.model.folder).and_then(|folder| Manifest::load(&folder));
    findings.add("model", manifest.as_ref().map(model_line).map_err(copy));
    findings.add("backend", manifest.as_ref().map_err(copy).and_then(|manifest| backend(&config, manifest)));
    findings.add("catalogue", catalogue(&config.catalogue.file, manifest.as_ref().ok()));
    findings.add("disk", disk(&config.catalogue.file));
    findings.add("time", clock::check_time_zone().map(|()| clock::time_of_day()));
    let board = Board::read(&config.heat.sysfs);
    findings.add("temperature", temperature(&board));
    findings.add("throttling", throttling(&board));
    print(&findings.lines.join("\n"))?;
    match findings.first {
        None => print("all is well"),
        Some(fault) => Err(fault),
    }
}

/// A copy of a fault's text and kind: one is printed, the other may be the program's result.
fn copy(fault: &Fault) -> Fault {
    Fault::new(fault.kind(), fault.to_string())
}

/// The backend that the network would use.
fn backend(config: &Config, manifest: &Manifest) -> Result<String> {
    let engines = config.engines();
    if engines.backend == Backend::Cpu {
        return Ok("tract, on the CPU".into());
    }
    let host = match TensorRt::open() {
        Ok(tensorrt) => tensorrt.host(),
        Err(fault) if engines.backend == Backend::Auto => return Ok(format!("tract, on the CPU ({})", fault.reason())),
        Err(fault) => return Err(fault),
    };
    let cache = EngineCache::new(&engines.engines);
    let wanted = wanted(manifest, engines.precision, &host)?;
    let built = wanted.iter().filter(|wanted| cache.find(&wanted.key).is_some()).count();
    Ok(format!(
        "TensorRT {}, driver {}, {}; {built} of {} engines are built, the mirror builds the rest",
        host.tensorrt,
        host.driver,
        host.gpu,
        wanted.len()
    ))
}

/// Opens the camera and waits for a frame.
fn camera(config: &Config) -> Result<String> {
    let settings = config.camera();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut source = camera::open(&settings, &clock, &Token::new())?;
    let size = first_frame(source.as_mut(), clock.as_ref())?;
    let asked = settings.size;
    Ok(format!(
        "{}: {}x{} (asked for {}x{}), first frame after {:.1} s",
        shown(&settings.source),
        size.width,
        size.height,
        asked.width,
        asked.height,
        clock.now().as_secs_f64(),
    ))
}

fn first_frame(source: &mut dyn Source, clock: &dyn Clock) -> Result<crate::geometry::Size> {
    while clock.now() < FIRST_FRAME {
        match source.step()? {
            Step::Frame(frame) => return Ok(frame.picture.size()),
            Step::NotYet => {}
            Step::End => break,
        }
    }
    Err(camera::silent())
}

fn screen(config: &Config) -> Result<String> {
    let settings = config.panel();
    let panel = open::open(&settings)?;
    if let Some(fault) = panel.fault() {
        return Err(copy(fault));
    }
    Ok(format!("{:?}, {}x{}", config.screen.panel, panel.size().width, panel.size().height).to_lowercase())
}

/// Every letter of the screen's languages has a font.
fn languages(config: &Config) -> Result<String> {
    let painter = Painter::with(config.look())?;
    let languages: Vec<_> = config.languages().iter().map(Words::language).collect();
    languages.iter().try_for_each(|language| painter.fonts().require(*language))?;
    Ok(languages.iter().map(|language| language.tag()).collect::<Vec<_>>().join(", "))
}

fn model_line(manifest: &Manifest) -> String {
    let hash: String = manifest.descriptor_hash.chars().take(12).collect();
    format!("{}, descriptors {hash}, all graph hashes match", manifest.name)
}

fn catalogue(path: &Path, manifest: Option<&Manifest>) -> Result<String> {
    let catalogue = Catalogue::open(path)?;
    if let Some(manifest) = manifest {
        catalogue.require_model(&stamp(manifest))?;
    }
    Ok(format!("{}: {} products", path.display(), catalogue.list()?.len()))
}

fn disk(catalogue: &Path) -> Result<String> {
    let folder = machine::folder_of(catalogue);
    let free = machine::free_space(folder).map_err(|error| Fault::io(Kind::Storage, "examine", folder, error))?;
    let text = format!("{} MB free at {}", free >> 20, folder.display());
    if machine::is_read_only(folder) {
        return Err(Fault::new(Kind::Storage, format!("{text}, which is read-only")).cure(READ_ONLY_CURE));
    }
    if free < LEAST_SPACE {
        return Err(Fault::new(Kind::Storage, text).cure("free some space on that disk"));
    }
    Ok(text)
}

fn temperature(board: &Board) -> Result<String> {
    match board.hottest() {
        None => Ok("not reported by this machine".into()),
        Some(degrees) if degrees > HOT => {
            Err(Fault::new(Kind::Unavailable, format!("{degrees:.0} °C is hot"))
                .cure("improve the cooling of the board"))
        }
        Some(degrees) => Ok(format!("{degrees:.0} °C")),
    }
}

/// Whether the board throttles itself, and its counters.
fn throttling(board: &Board) -> Result<String> {
    if let Some(brake) = board.braking() {
        let text = format!("{} slows the board down", brake.name);
        return Err(Fault::new(Kind::Unavailable, text).cure("improve the cooling of the board"));
    }
    if board.low_voltage == Some(true) {
        let fault = Fault::new(Kind::Unavailable, "the board's supply voltage is too low");
        return Err(fault.cure("use the power supply that its maker specifies, and a short cable"));
    }
    let brakes = Some(board.brakes.len())
        .filter(|count| *count > 0)
        .map(|count| format!("{count} cooling devices, none active"));
    let slowdowns = board.slowdowns.map(|count| format!("throttled for heat {count} times"));
    let overcurrents = board.overcurrents.map(|count| format!("{count} over-currents"));
    let counted = [slowdowns, overcurrents].into_iter().flatten().map(|words| words + " since boot");
    let told: Vec<String> = brakes.into_iter().chain(counted).collect();
    Ok(if told.is_empty() { "not reported by this machine".into() } else { told.join(", ") })
}
