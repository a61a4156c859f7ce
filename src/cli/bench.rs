//! `vetrina bench`: measures the cost of each stage of a frame on this machine.

mod live;

use super::backend::BackendArgs;
use super::places;
use super::table::{Table, json, print};
use crate::capture::{self, RECORDED_RATE, Source, decode_picture};
use crate::catalogue::Gallery;
use crate::fault::{Fault, Kind, Result};
use crate::frame::{Frame, FrameMeta, Picture};
use crate::machine;
use crate::metrics::{Measure, StageSummary, StageTimes};
use crate::pipeline::aggregator::Aggregator;
use crate::pipeline::recognizer::Recognizer;
use crate::pipeline::tracking::tracker_from;
use crate::pipeline::workers::{frame_workers, recognize_in_order};
use crate::seam::{Detections, Embedding, Tracker};
use clap::Args;
use image::{RgbImage, imageops};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Measure what each stage of a frame costs on this machine
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Model folder [default: the shipped one]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub backend: BackendArgs,
    /// Picture to measure with [default: four figures of the demo, eight garments]
    #[arg(long, value_name = "FILE", conflicts_with = "live")]
    pub picture: Option<PathBuf>,
    /// Frames to measure, after a short warm-up
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub frames: u32,
    /// Products in the searched gallery
    #[arg(long, default_value_t = 14_000, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub products: u32,
    /// Measure the running mirror instead, with all its threads: the age of what a shopper sees
    #[arg(long)]
    pub live: bool,
    /// With --live: clip that is played as the camera [default: the demo's first]
    #[arg(long, value_name = "FILE", requires = "live")]
    pub clip: Option<PathBuf>,
    /// With --live: frames per second of the clip
    #[arg(long, default_value_t = RECORDED_RATE, value_parser = clap::value_parser!(u32).range(1..=240))]
    pub rate: u32,
    /// With --live: seconds to measure, after a short warm-up
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub seconds: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Garments per frame that are embedded and matched.
const GARMENTS: usize = 8;
const WARM_UP: u32 = 3;
/// The stages of a frame in order: the rows of the table, here and in docs/tensorrt.md. A stage that a backend does not
/// measure separately still has a row, so that tables are comparable.
const ROWS: [&str; 13] = [
    "decode",
    "letterbox",
    "trunk",
    "proposals",
    "roi_align 7x7",
    "box_head",
    "detect",
    "roi_align 14x14",
    "match_head",
    "track",
    "aggregate",
    "search",
    "whole frame",
];
/// A frame of the demo's first clip that shows the whole person.
const SHOWN: u64 = 45;

/// Delivers the same JPEG repeatedly, decoded anew each time like a camera's frames.
struct RepeatedFrame {
    jpeg: Vec<u8>,
    left: u32,
    given: u64,
}

impl Source for RepeatedFrame {
    fn next(&mut self) -> Result<Option<Frame>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.given += 1;
        let meta = FrameMeta { source: 0, sequence: self.given, captured: Duration::from_millis(66 * self.given) };
        Ok(Some(Frame { meta, picture: Arc::new(decode_picture(&self.jpeg, "the test frame")?) }))
    }
}

/// The steps after recognition: track, aggregate and search.
struct AfterRecognition {
    tracker: Tracker,
    aggregator: Aggregator,
    gallery: Gallery,
    garments: usize,
}

impl AfterRecognition {
    fn follow(&mut self, frame: &Frame, found: Detections, times: &mut StageTimes) -> Result<()> {
        self.garments += found.detections.len();
        debug_assert_eq!(frame.meta, found.meta);
        times.time("track", || self.tracker.update(found));
        for track in self.tracker.tracks().iter().filter(|track| track.seen_in_last_frame) {
            let window: Vec<Embedding> = track.observations.embeddings();
            let query = self.aggregator.aggregate(&window, times)?;
            times.time("search", || self.gallery.search(&query, 20));
        }
        Ok(())
    }
}

/// Result of one pass over the frames.
struct Pass {
    times: StageTimes,
    frames_per_second: f64,
    garments: f64,
}

pub fn run(args: &BenchArgs) -> Result<()> {
    if args.live {
        return live::run(args);
    }
    let jpeg = match &args.picture {
        Some(path) => std::fs::read(path).map_err(|error| Fault::io(Kind::Input, "read", path, error))?,
        None => four_figures()?,
    };
    let recognizer = args.backend.load(&args.model)?.at_most(GARMENTS);
    let runs_on = recognizer.runs_on().name.clone();
    let manifest = recognizer.manifest();
    let rows = args.products as usize;
    let length = manifest.matching.embedding;
    let settings = &manifest.aggregation;
    let gallery = Gallery::new(&settings.weight, settings.bias, noise(rows * length), (0..args.products).collect())
        .with_threads(1);
    let name = [manifest.name.clone(), runs_on];
    let mut rest = AfterRecognition {
        tracker: tracker_from(manifest, 0.0),
        aggregator: recognizer.aggregator(),
        gallery,
        garments: 0,
    };
    let mut workers = frame_workers(recognizer);
    let one = pass(&jpeg, args.frames, &mut workers[..1], &mut rest)?;
    let several = pass(&jpeg, args.frames, &mut workers, &mut rest)?;
    report(args, &name, &one, &several, workers.len())
}

/// Runs the frames through `workers`. With one worker, all steps share one thread.
fn pass(jpeg: &[u8], frames: u32, workers: &mut [Recognizer], rest: &mut AfterRecognition) -> Result<Pass> {
    let mut warm_up = RepeatedFrame { jpeg: jpeg.to_vec(), left: WARM_UP, given: 0 };
    recognize_in_order(&mut warm_up, workers, |_, _, _| Ok(()))?;
    rest.garments = 0;
    let mut source = RepeatedFrame { jpeg: jpeg.to_vec(), left: frames, given: 0 };
    let start = Instant::now();
    let times = if let [worker] = workers {
        one_after_the_other(&mut source, worker, rest)?
    } else {
        recognize_in_order(&mut source, workers, |frame, detections, times| {
            let found = Detections { meta: frame.meta, size: frame.picture.size(), detections };
            rest.follow(&frame, found, times)
        })?
    };
    let frames = f64::from(frames);
    Ok(Pass {
        times,
        frames_per_second: frames / start.elapsed().as_secs_f64(),
        garments: rest.garments as f64 / frames,
    })
}

/// Runs all steps on this thread: the throughput of one core. On the CPU in processor time, which excludes other load.
fn one_after_the_other(
    source: &mut RepeatedFrame,
    worker: &mut Recognizer,
    rest: &mut AfterRecognition,
) -> Result<StageTimes> {
    let measure = if worker.runs_on().engines.is_empty() { Measure::Processor } else { Measure::Elapsed };
    let mut times = StageTimes::by(measure);
    loop {
        let start = measure.now();
        let Some(frame) = source.next()? else { return Ok(times) };
        times.add("decode", measure.now().saturating_sub(start));
        let detections = worker.recognize(&frame.picture, &mut times)?;
        let found = Detections { meta: frame.meta, size: frame.picture.size(), detections };
        rest.follow(&frame, found, &mut times)?;
        times.add("whole frame", measure.now().saturating_sub(start));
    }
}

/// A frame of the demo that shows a person from head to foot.
pub fn demo_picture() -> Result<Arc<Picture>> {
    let clip = places::shipped("demo/clips/1.mjpg")?;
    let mut source = capture::open(&clip.display().to_string())?;
    let mut shown: Option<Arc<Picture>> = None;
    while let Some(frame) = source.next()? {
        shown = Some(frame.picture);
        if frame.meta.sequence >= SHOWN {
            break;
        }
    }
    shown.ok_or_else(|| Fault::new(Kind::Input, format!("the clip {} is empty", clip.display())))
}

/// Two by two copies of a demo frame as one JPEG: four persons in one picture.
fn four_figures() -> Result<Vec<u8>> {
    let fault = |text: &str| Fault::new(Kind::Internal, format!("cannot create the test frame: {text}"));
    let picture = demo_picture()?;
    let (width, height) = (picture.size().width as u32, picture.size().height as u32);
    let one = RgbImage::from_raw(width, height, picture.rgb().to_vec()).ok_or_else(|| fault("sizes differ"))?;
    let mut four = RgbImage::new(2 * width, 2 * height);
    for (x, y) in [(0, 0), (width, 0), (0, height), (width, height)] {
        imageops::replace(&mut four, &one, x.into(), y.into());
    }
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 85)
        .encode_image(&four)
        .map_err(|error| fault(&error.to_string()))?;
    Ok(jpeg)
}

/// Values from -2 to 2, the same on every run. The speed does not depend on them.
fn noise(length: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 22) as f32 - 2.0
        })
        .collect()
}

fn report(args: &BenchArgs, [name, runs_on]: &[String; 2], one: &Pass, several: &Pass, workers: usize) -> Result<()> {
    let stages = one.times.summaries();
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    let whole = stages.iter().find(|stage| stage.stage == "whole frame").map_or(1.0, |stage| ms(stage.median));
    let per_frame = |stage: &StageSummary| ms(stage.median) * stage.count as f64 / f64::from(args.frames);
    if args.json {
        let stages: Vec<_> = stages
            .iter()
            .map(|stage| {
                json!({ "name": stage.stage, "least_ms": ms(stage.least), "median_ms": ms(stage.median), "p95_ms": ms(stage.p95),
                        "calls_per_frame": stage.count as f64 / f64::from(args.frames) })
            })
            .collect();
        return print(&json(&json!({
            "model": name, "backend": runs_on, "frames": args.frames, "garments_per_frame": one.garments, "stages": stages,
            "frames_per_second_one_thread": one.frames_per_second,
            "frames_per_second": several.frames_per_second, "frame_workers": workers,
            "products": args.products, "peak_memory_mb": peak_memory_mb(),
        }))?);
    }
    let mut table = Table::new(&["stage", ">median ms", ">p95 ms", ">calls/frame", ">share"]);
    let others = stages.iter().map(|stage| stage.stage).filter(|name| !ROWS.contains(name));
    for name in ROWS.into_iter().chain(others) {
        let Some(stage) = stages.iter().find(|stage| stage.stage == name) else {
            table.row([name, "-", "-", "-", "-"]);
            continue;
        };
        table.row([
            name.to_owned(),
            format!("{:.2}", ms(stage.median)),
            format!("{:.2}", ms(stage.p95)),
            format!("{:.1}", stage.count as f64 / f64::from(args.frames)),
            format!("{:.1} %", 100.0 * per_frame(stage) / whole),
        ]);
    }
    let memory = peak_memory_mb().map_or("unknown".into(), |mb| format!("{mb:.0} MB"));
    print(&format!(
        "model {name} on {runs_on}, {} frames, {:.1} garments a frame, {} products\n{}\none thread: {:.1} frames/s; {workers} \
         frame workers: {:.1} frames/s; peak memory {memory}",
        args.frames,
        one.garments,
        args.products,
        table.render(),
        one.frames_per_second,
        several.frames_per_second,
    ))
}

fn peak_memory_mb() -> Option<f64> {
    machine::peak_memory().map(|bytes| bytes as f64 / f64::from(1 << 20))
}
