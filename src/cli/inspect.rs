//! `vetrina inspect`: all that the network sees in a picture.

use super::backend::BackendArgs;
use super::places;
use super::table::{Table, json, print};
use crate::capture::read_picture;
use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::metrics::StageTimes;
use crate::network::manifest::GraphName;
use crate::network::{Graphs, Level, Manifest, ProgramPlan, StepCost};
use crate::pipeline::tracking::class_label;
use crate::seam::Detection;
use clap::Args;
use image::{Rgb, RgbImage};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Show all that the network sees in a picture
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// JPEG, PNG or WebP
    #[arg(required_unless_present = "plan")]
    pub picture: Option<PathBuf>,
    /// Model folder [default: the shipped one]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub backend: BackendArgs,
    /// Print JSON: every detection with box (picture pixels), class, score and both embeddings
    #[arg(long)]
    pub json: bool,
    /// Write the picture with its boxes as PNG
    #[arg(long, value_name = "FILE")]
    pub draw: Option<PathBuf>,
    /// Show instead what runs where on the CPU: every step of every graph, its time and speed
    #[arg(long, conflicts_with_all = ["picture", "draw"])]
    pub plan: bool,
}

/// Runs of which a plan shows each step's least time.
const ROUNDS: usize = 20;

pub fn run(args: &InspectArgs) -> Result<()> {
    let Some(path) = &args.picture else { return plan(args) };
    let picture = read_picture(path)?;
    let mut recognizer = args.backend.load(&args.model)?;
    let detections = recognizer.recognize(&picture, &mut StageTimes::default())?;
    if let Some(path) = &args.draw {
        draw(&picture, &detections, path)?;
    }
    let classes = &recognizer.manifest().classes;
    if !args.json {
        return print(&table(&detections, classes));
    }
    let size = picture.size();
    let found: Vec<_> = detections.iter().map(|detection| detection_json(detection, classes)).collect();
    print(&json(&json!({
        "picture": path.display().to_string(),
        "width": size.width,
        "height": size.height,
        "model": recognizer.manifest().name,
        "descriptor_hash": recognizer.manifest().descriptor_hash,
        "detections": found,
    }))?)
}

/// What runs where, graph by graph.
fn plan(args: &InspectArgs) -> Result<()> {
    let manifest = Manifest::load(&places::model(&args.model)?)?;
    let mut all = Vec::new();
    for graph in GraphName::ALL {
        let engine = Graphs::load_for(&manifest, graph, Some(Level::new()))?;
        all.push((graph.name(), engine.plan(ROUNDS).unwrap_or_default()));
    }
    if args.json {
        let graphs: Vec<_> = all.iter().map(|(name, plan)| plan_json(name, plan)).collect();
        return print(&json(&json!({ "model": manifest.name, "graphs": graphs }))?);
    }
    print(&all.iter().map(|(name, plan)| plan_text(name, plan)).collect::<Vec<_>>().join("\n\n"))
}

fn plan_json(name: &str, plan: &ProgramPlan) -> serde_json::Value {
    let step = |step: &StepCost| json!({ "node": step.name, "step": step.kind, "ms": step.seconds * 1e3, "multiply_adds": step.products });
    json!({ "graph": name, "steps": plan.steps.iter().map(step).collect::<Vec<_>>(), "tract": plan.by_tract })
}

fn plan_text(name: &str, plan: &ProgramPlan) -> String {
    let sum = plan.steps.iter().fold((0.0, 0), |sum, step| (sum.0 + step.seconds, sum.1 + step.products));
    let speed = |products: usize, seconds: f64| {
        if products == 0 { "-".to_owned() } else { format!("{:.1}", products as f64 / seconds / 1e9) }
    };
    let mut table = Table::new(&["step", ">ms", ">GMAC/s", "last node"]);
    for step in &plan.steps {
        let (ms, speed) = (format!("{:.3}", step.seconds * 1e3), speed(step.products, step.seconds));
        table.row([step.kind.clone(), ms, speed, step.name.clone()]);
    }
    table.row(["all steps".to_owned(), format!("{:.3}", sum.0 * 1e3), speed(sum.1, sum.0), String::new()]);
    let tract = match plan.by_tract.len() {
        0 => String::new(),
        count => format!("\n{count} operators run by tract: {}", plan.by_tract.join(", ")),
    };
    format!("{name}\n{}{tract}", table.render())
}

fn detection_json(detection: &Detection, classes: &[String]) -> serde_json::Value {
    json!({
        "box": detection.bounds.corners(),
        "class": classes.get(detection.class),
        // As the published network counts: 0 is background.
        "label": detection.class + 1,
        "score": detection.score,
        "match_embedding": detection.match_embedding.as_ref(),
        "aggregation_embedding": detection.aggregation_embedding.as_ref(),
    })
}

fn table(detections: &[Detection], classes: &[String]) -> String {
    if detections.is_empty() {
        return "no garment found in this picture".into();
    }
    let mut table = Table::new(&["garment", ">score", "box"]);
    for detection in detections {
        let [x1, y1, x2, y2] = detection.bounds.corners();
        table.row([
            class_label(classes, detection.class),
            format!("{:.3}", detection.score),
            format!("{x1:.0},{y1:.0} - {x2:.0},{y2:.0}"),
        ]);
    }
    table.render()
}

/// Boxes of strong detections in full colour, weaker ones darker.
fn draw(picture: &Picture, detections: &[Detection], path: &Path) -> Result<()> {
    let size = picture.size();
    let Some(mut canvas) = RgbImage::from_raw(size.width as u32, size.height as u32, picture.rgb().to_vec()) else {
        return Err(Fault::new(Kind::Internal, "the picture's size does not fit"));
    };
    let line = (size.width.max(size.height) / 300).max(1) as i64;
    for detection in detections.iter().rev() {
        let strength = (255.0 * detection.score.clamp(0.2, 1.0)) as u8;
        let [x1, y1, x2, y2] = detection.bounds.corners().map(|corner| corner.round() as i64);
        for step in 0..line {
            for x in x1..x2 {
                dot(&mut canvas, x, y1 + step, strength);
                dot(&mut canvas, x, y2 - 1 - step, strength);
            }
            for y in y1..y2 {
                dot(&mut canvas, x1 + step, y, strength);
                dot(&mut canvas, x2 - 1 - step, y, strength);
            }
        }
    }
    canvas.save_with_format(path, image::ImageFormat::Png).map_err(|error| {
        let text = format!("cannot write the picture {}", path.display());
        Fault::new(Kind::Storage, text).cause(error)
    })
}

fn dot(canvas: &mut RgbImage, x: i64, y: i64, strength: u8) {
    if (0..i64::from(canvas.width())).contains(&x) && (0..i64::from(canvas.height())).contains(&y) {
        canvas.put_pixel(x as u32, y as u32, Rgb([strength, strength / 2, 0]));
    }
}
