//! `vetrina eval`: how well a model finds what people wear, by the published protocol and as a shopper sees it.

mod clips;
mod clips_errors;
mod clips_report;
mod pairs;
mod plot;
mod report;
mod sheet;
mod tracks;
mod worn;

use super::backend::BackendArgs;
use crate::evaluation::Cache;
use crate::evaluation::cached_recognizer::CachedRecognizer;
use crate::evaluation::noise::Noise;
use crate::fault::{Fault, Kind, Result};
use crate::pipeline::recognizer::Recognizer;
use crate::pipeline::workers::frame_workers;
use clap::{ArgGroup, Args, ValueEnum};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Measure how well a model finds what people wear
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("what").required(true).args(["data", "pairs", "tracks"]))]
pub struct EvalArgs {
    /// Root of a video data set in MovingFashion's layout
    #[arg(long, value_name = "ROOT", requires = "annotations")]
    pub data: Option<PathBuf>,
    /// Annotations of the data set (JSON): product id -> img_path, video_paths, source, tracklets
    #[arg(long, value_name = "FILE", requires = "data")]
    pub annotations: Option<PathBuf>,
    /// Still pictures with boxes (CSV): query_id, file, x0, y0, x1, y1, garment_id (empty: not sold here), and frame for a clip
    #[arg(long, value_name = "FILE", requires = "gallery")]
    pub pairs: Option<PathBuf>,
    /// The shop's photos for --pairs (CSV): garment_id, file, category
    #[arg(long, value_name = "FILE", requires = "pairs")]
    pub gallery: Option<PathBuf>,
    /// Boxes that people set in clips (CSV): clip, frame (from 0, 15 a second), garment (empty: does not count), x0, y0, x1, y1
    #[arg(long, value_name = "FILE")]
    pub tracks: Option<PathBuf>,
    /// Folder of the clips of --tracks [default: the table's]
    #[arg(long, value_name = "DIR", requires = "tracks")]
    pub clips: Option<PathBuf>,
    /// What of --pairs is one product: a garment_id, or all that have the same `style` in the gallery
    #[arg(long, value_enum, default_value_t = By::Variant)]
    pub by: By,
    /// Model folder [default: the shipped one]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub backend: BackendArgs,
    /// Noise added to the frames of videos
    #[arg(long, value_enum, default_value_t = NoiseChoice::Published)]
    pub noise: NoiseChoice,
    /// Seed for the choice of video, frames and noise
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Also measure accuracy against window length
    #[arg(long, requires = "data")]
    pub windows: bool,
    /// Measure instead what worn views bring: products that have two videos are enrolled from one and asked for in the other
    #[arg(long, requires = "data", conflicts_with_all = ["windows", "plot", "errors"])]
    pub worn: bool,
    /// Keep what the network saw in this folder; an interrupted run continues
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Write all figures as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Draw curves of the figures as PNG
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Draw wrong answers as PNG: queries whose product was not first, that product, and those ranked before it
    #[arg(long, value_name = "FILE")]
    pub errors: Option<PathBuf>,
}

/// What is one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// All colours and sizes of a garment
    Style,
    /// Each colour by itself
    Variant,
}

/// What is done to a frame first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NoiseChoice {
    /// None
    Off,
    /// The published test noise: gaussian, strong in one frame of four, then half the resolution
    Published,
}

impl NoiseChoice {
    fn noise(self) -> Noise {
        match self {
            NoiseChoice::Off => Noise::Off,
            NoiseChoice::Published => Noise::Published,
        }
    }
}

pub fn run(args: &EvalArgs) -> Result<()> {
    let mut recognizer = args.backend.load(&args.model)?;
    if let Some(table) = &args.tracks {
        return tracks::run(args, table, &mut recognizer);
    }
    let cache = match &args.cache {
        Some(folder) => Cache::open(folder, &basis(&recognizer)?)?,
        None => Cache::none(),
    };
    let mut recognizer = CachedRecognizer::new(frame_workers(recognizer), cache);
    match (&args.data, &args.annotations, &args.pairs, &args.gallery) {
        (Some(root), Some(annotations), _, _) if args.worn => worn::run(args, root, annotations, &mut recognizer),
        (Some(root), Some(annotations), _, _) => clips::run(args, root, annotations, &mut recognizer),
        (_, _, Some(pairs), Some(gallery)) => pairs::run(args, pairs, gallery, &mut recognizer),
        // clap sees to it that one of them is given.
        _ => Err(Fault::new(Kind::Usage, "give --data with --annotations, --pairs with --gallery, or --tracks")),
    }
}

/// All that what is seen depends on beside the picture: the model, what it runs on and in which precision, and the arithmetic,
/// which is this very program.
fn basis(recognizer: &Recognizer) -> Result<String> {
    let program = std::env::current_exe()
        .and_then(std::fs::read)
        .map_err(|error| Fault::io(Kind::Internal, "read", Path::new("this program"), error))?;
    let program: String = Sha256::digest(program).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!(
        "model {}\nruns on {}\nprogram {} {program} {}",
        recognizer.manifest().descriptor_hash,
        recognizer.runs_on().in_full(),
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    ))
}

/// Writes the figures where `--json` says.
fn write_json(path: &Option<PathBuf>, value: &Value) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    write(path, super::table::json(value)?.as_bytes())
}

/// Writes the curves where `--plot` says.
fn write_plot(path: &Option<PathBuf>, charts: &[plot::Chart]) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    write(path, &plot::draw(charts)?.encode_png()?)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|error| Fault::io(Kind::Storage, "write", path, error))
}
