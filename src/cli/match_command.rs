//! `vetrina match`: finds the products worn in a picture, a folder of frames or a clip.

use super::backend::BackendArgs;
use super::catalogue::DEFAULT_DB;
use super::progress::Progress;
use super::table::{Table, json, print};
use crate::capture;
use crate::catalogue::Catalogue;
use crate::fault::Result;
use crate::pipeline::clip_tracks::{BEGIN_SCORE, ClipTracks};
use crate::pipeline::close_ups::CloseUps;
use crate::pipeline::garment_answers::{GarmentAnswer, answers_json, garment_answers};
use crate::pipeline::matcher::Matcher;
use crate::pipeline::recognizer::Recognizer;
use crate::pipeline::tracking::{class_label, tracker_from};
use crate::pipeline::workers::{frame_workers, recognize_in_order};
use crate::seam::Detections;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Find the products worn in pictures, folders of frames or clips
#[derive(Args, Clone, Debug)]
pub struct MatchArgs {
    /// Picture, folder of pictures or motion-JPEG clip; other clips need ffmpeg
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<String>,
    /// Catalogue file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_DB)]
    pub catalogue: PathBuf,
    /// Model folder [default: the shipped one]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub backend: BackendArgs,
    /// Products listed for each garment
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub top: u16,
    /// Frames of a clip fused into one embedding, spread evenly over it
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub frames: u16,
    /// Print JSON: one object for each input
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &MatchArgs) -> Result<()> {
    // Said before the model is loaded, which takes longer.
    drop(Catalogue::open(&args.catalogue)?);
    let mut recognizers = frame_workers(args.backend.load(&args.model)?);
    let matcher = Matcher::load(&args.catalogue, recognizers[0].manifest())?;
    let mut aggregator = recognizers[0].aggregator();
    let mut objects = Vec::new();
    for input in &args.inputs {
        let (tracks, damaged) = track(input, &mut recognizers)?;
        let answers = garment_answers(&tracks, &mut aggregator, &matcher, args.frames.into(), args.top.into())?;
        let classes = &recognizers[0].manifest().classes;
        if args.json {
            objects.push(input_json(input, &answers, classes, damaged));
        } else {
            print(&input_text(input, &answers, classes))?;
        }
    }
    // One input: one indented object. Several: one object per line.
    for object in &objects {
        print(&if objects.len() == 1 { json(object)? } else { object.to_string() })?;
    }
    Ok(())
}

/// Tracks the garments of an input from first to last frame. Also returns the number of damaged frames skipped.
fn track(input: &str, recognizers: &mut [Recognizer]) -> Result<(ClipTracks, u64)> {
    let mut source = capture::open(input)?;
    let progress = Progress::of(source.frames().map(|frames| frames as u64), "frames");
    let mut tracker = tracker_from(recognizers[0].manifest(), BEGIN_SCORE);
    let mut close_ups = CloseUps::new(&recognizers[0], usize::MAX);
    let mut tracks = ClipTracks::default();
    recognize_in_order(source.as_mut(), recognizers, |frame, detections, times| {
        let detections = Detections { meta: frame.meta, size: frame.picture.size(), detections };
        tracker.update(detections);
        if let Some(close_ups) = &mut close_ups {
            close_ups.update(&mut tracker, &frame, usize::MAX, times)?;
        }
        tracks.observe(tracker.tracks());
        progress.step();
        Ok(())
    })?;
    progress.finish();
    Ok((tracks, source.corrupt()))
}

fn input_json(input: &str, answers: &[GarmentAnswer], classes: &[String], damaged: u64) -> Value {
    json!({ "input": input, "damaged_frames": damaged, "garments": answers_json(answers, classes) })
}

fn input_text(input: &str, answers: &[GarmentAnswer], classes: &[String]) -> String {
    if answers.is_empty() {
        return format!("{input}: no garment found");
    }
    let mut table = Table::new(&["garment", ">frames", ">rank", "id", "title", ">score", "verdict"]);
    for answer in answers {
        for (place, found) in answer.matches.iter().enumerate() {
            let first = place == 0;
            table.row([
                if first { class_label(classes, answer.garment.class) } else { String::new() },
                if first { answer.garment.frames().to_string() } else { String::new() },
                (place + 1).to_string(),
                found.product.id.clone(),
                found.product.title.clone(),
                format!("{:.3}", found.score),
                found.verdict.name().into(),
            ]);
        }
    }
    format!("{input}\n{}", table.render())
}
