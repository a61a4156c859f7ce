//! `vetrina inspect`: all that the network sees in a picture.

use super::backend::BackendArgs;
use super::captions::Captions;
use super::places;
use super::table::{Table, json, print};
use crate::capture::read_picture;
use crate::display::canvas::Canvas;
use crate::display::draw::fitted;
use crate::display::theme;
use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::geometry::{Camera, Rect};
use crate::metrics::StageTimes;
use crate::network::manifest::GraphName;
use crate::network::{Graphs, Level, Manifest, ProgramPlan, StepCost};
use crate::pipeline::tracking::class_label;
use crate::seam::{Detection, Region, TrackSettings};
use clap::Args;
use embedded_graphics::pixelcolor::Rgb888;
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
    #[arg(long, value_name = "FILE", value_parser = png_path)]
    pub draw: Option<PathBuf>,
    /// Show instead what runs where on the CPU: every step of every graph, its time and speed
    #[arg(long, conflicts_with_all = ["picture", "draw"])]
    pub plan: bool,
}

/// A file whose name says what is written.
fn png_path(name: &str) -> std::result::Result<PathBuf, String> {
    let path = PathBuf::from(name);
    let is_png = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    if is_png { Ok(path) } else { Err("it is written as PNG: give a name that ends in .png".into()) }
}

/// Runs of which a plan shows each step's least time.
const ROUNDS: usize = 20;

pub fn run(args: &InspectArgs) -> Result<()> {
    let Some(path) = &args.picture else { return plan(args) };
    let picture = read_picture(path)?;
    let mut recognizer = args.backend.load(&args.model)?;
    let detections = recognizer.recognize(&picture, &mut StageTimes::default())?;
    if let Some(path) = &args.draw {
        draw(&picture, &detections, recognizer.manifest(), path)?;
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

/// Boxes with class and score: upper, lower and dress in colours of their own, what a mirror would not follow thin and dark.
fn draw(picture: &Picture, detections: &[Detection], manifest: &Manifest, path: &Path) -> Result<()> {
    let size = picture.size();
    let mut canvas = fitted(picture, size);
    let unit = (size.width.max(size.height) as f32 / 900.0).max(0.6);
    let regions = manifest.class_regions();
    let mut captions = Captions::new(theme::LABEL.at(unit))?;
    for detection in detections.iter().rev() {
        let sure = detection.score >= TrackSettings::default().begin;
        let colour = colour_of(regions.get(detection.class).copied().flatten());
        let line = (if sure { 3.0 * unit } else { unit }).round().max(1.0);
        outline(&mut canvas, detection.bounds, line as i32, colour, if sure { 256 } else { 140 });
        let words = format!("{} {:.2}", class_label(&manifest.classes, detection.class), detection.score);
        captions.plate(&mut canvas, &words, detection.bounds, colour);
    }
    std::fs::write(path, canvas.encode_png()?)
        .map_err(|error| Fault::io(Kind::Storage, "write the picture", path, error))
}

fn colour_of(region: Option<Region>) -> Rgb888 {
    match region {
        Some(Region::Upper) => Rgb888::new(255, 168, 38),
        Some(Region::Lower) => Rgb888::new(70, 190, 255),
        Some(Region::Dress) => Rgb888::new(240, 110, 220),
        None => theme::IVORY,
    }
}

/// The edge of a box, `line` pixels inwards.
fn outline(canvas: &mut Canvas, bounds: Rect<Camera>, line: i32, colour: Rgb888, opacity: u32) {
    let [x1, y1, x2, y2] = bounds.corners().map(|corner| corner.round() as i32);
    for y in y1..y2 {
        if y < y1 + line || y >= y2 - line {
            canvas.blend_row(y, x1..x2, colour, opacity);
        } else {
            canvas.blend_row(y, x1..x1 + line, colour, opacity);
            canvas.blend_row(y, x2 - line..x2, colour, opacity);
        }
    }
}
