//! `vetrina demo`: a small shop of its own, three clips of people who wear its products, and what a mirror makes of them.

use super::places;
use super::progress::ImportProgressBar;
use super::table::{Table, print};
use crate::capture;
use crate::catalogue::{ImportOptions, ImportReport};
use crate::display::canvas::Canvas;
use crate::display::draw::Painter;
use crate::display::panel::DisplayPanel;
use crate::display::png::PngPanel;
use crate::display::scene::Scene;
use crate::display::window::WindowPanel;
use crate::fault::{Fault, Kind, Result};
use crate::geometry::Size;
use crate::metrics::StageTimes;
use crate::pipeline::close_ups::{CLOSE_UPS_A_FRAME, CloseUps};
use crate::pipeline::import::{ImportRequest, import};
use crate::pipeline::matcher::Matcher;
use crate::pipeline::recognizer::Recognizer;
use crate::pipeline::sequential::SequentialPipeline;
use crate::pipeline::settings::PipelineSettings;
use crate::pipeline::track_matches::TrackMatches;
use crate::pipeline::tracking::class_label;
use crate::pipeline::workers::{frame_workers, recognize_in_order};
use clap::Args;
use std::path::{Path, PathBuf};

const PORTRAIT: Size = Size::new(1080, 1920);
const LANDSCAPE: Size = Size::new(1920, 1080);
/// Garments that a frame is recognized with.
const GARMENTS: usize = 8;

/// Try it: a drawn shop, three clips, the matches and the mirror's screens
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Folder for the screens and the demo's catalogue
    #[arg(long, value_name = "DIR", default_value = "demo-output")]
    pub output: PathBuf,
    /// Model folder [default: the shipped one]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Show the mirror live in a window as well
    #[arg(long)]
    pub window: bool,
}

/// The moments of a clip that are kept as pictures.
#[derive(Default)]
struct Moments {
    attract: Option<Scene>,
    gathering: Option<Scene>,
    matches: Option<(f32, Scene)>,
}

impl Moments {
    fn watch(&mut self, scene: &Scene) {
        if scene.garments.is_empty() {
            self.attract.get_or_insert_with(|| scene.clone());
        }
        let half = scene.garments.iter().filter(|garment| 2 * garment.gathered >= garment.wanted).count();
        if scene.matches.is_empty() && half >= 1 {
            self.gathering.get_or_insert_with(|| scene.clone());
        }
        let worth = scene.matches.iter().filter_map(|matched| {
            // Matches stay for a while: the moment is the one in which their garment is seen best.
            let size = scene.garments[matched.garment].bounds.area().sqrt();
            Some(size * (1.0 + f32::from(u8::from(matched.cards.first()?.likely))))
        });
        let worth: f32 = worth.sum();
        if worth > self.matches.as_ref().map_or(0.0, |(best, _)| *best) {
            self.matches = Some((worth, scene.clone()));
        }
    }

    fn named(self) -> Vec<(&'static str, Scene)> {
        let matches = self.matches.map(|(_, scene)| scene);
        [("attract", self.attract), ("gathering", self.gathering), ("matches", matches)]
            .into_iter()
            .filter_map(|(name, scene)| Some((name, scene?)))
            .collect()
    }
}

pub fn run(args: &DemoArgs) -> Result<()> {
    let demo = places::shipped("demo")?;
    let model = places::model(&args.model)?;
    std::fs::create_dir_all(&args.output).map_err(|error| Fault::io(Kind::Storage, "make", &args.output, error))?;
    let db = args.output.join("catalogue.db");
    eprintln!("importing the demo shop's feed");
    let report = import_demo(&demo, &db, &model)?;
    print(&format!("{} products in {}", report.products, db.display()))?;
    let mut workers = frame_workers(Recognizer::load(&model)?.at_most(GARMENTS));
    let matcher = Matcher::load(&db, workers[0].manifest())?;
    let settings = PipelineSettings { shop_name: "Bottega Vetrina".into(), ..PipelineSettings::default() };
    let mut pipeline = SequentialPipeline::new(
        workers[0].aggregator(),
        CloseUps::new(&workers[0], CLOSE_UPS_A_FRAME),
        matcher,
        settings,
    );
    let mut window = args.window.then(|| WindowPanel::open("vetrina", Size::new(540, 960))).transpose()?;
    let mut times = StageTimes::default();
    let mut table = Table::new(&["clip", "garment", ">frames", "first", "second", "third"]);
    for clip in clips(&demo)? {
        eprintln!("playing {}", clip.display());
        let name = clip.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let moments = play(&clip, &mut pipeline, &mut workers, window.as_mut(), &mut times)?;
        match_rows(&name, &pipeline, &workers[0].manifest().classes, &mut table);
        write_screens(&args.output, &name, moments)?;
    }
    print(&table.render())?;
    print(&stages(&times))?;
    print(&format!("the mirror's screens: {}/*.png", args.output.display()))
}

/// Imports the demo shop's feed into the catalogue `db`.
pub fn import_demo(demo: &Path, db: &Path, model: &Path) -> Result<ImportReport> {
    let request = ImportRequest {
        feed: demo.join("feed.csv"),
        images: demo.into(),
        catalogue: db.into(),
        options: ImportOptions::default(),
        dry_run: false,
    };
    let mut progress = ImportProgressBar::default();
    import(&request, model, |step| progress.show(step))
}

fn clips(demo: &Path) -> Result<Vec<PathBuf>> {
    let folder = demo.join("clips");
    let entries = std::fs::read_dir(&folder).map_err(|error| Fault::io(Kind::Input, "read", &folder, error))?;
    let mut clips: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    clips.retain(|path| path.extension().is_some_and(|ending| ending == "mjpg"));
    clips.sort();
    Ok(clips)
}

/// Sends a clip through the pipeline that a camera feeds.
fn play(
    clip: &Path,
    pipeline: &mut SequentialPipeline,
    workers: &mut [Recognizer],
    mut window: Option<&mut WindowPanel>,
    times: &mut StageTimes,
) -> Result<Moments> {
    let mut source = capture::open(&clip.display().to_string())?;
    let mut moments = Moments::default();
    let mut painter = Painter::new()?;
    pipeline.reset();
    let spent = recognize_in_order(source.as_mut(), workers, |frame, detections, times| {
        let scene = pipeline.update(&frame, detections, times)?;
        if let Some(window) = window.as_deref_mut().filter(|window| window.is_open()) {
            let mut canvas = Canvas::new(window.size());
            times.time("draw", || painter.draw(&scene, &mut canvas));
            window.present(&canvas)?;
        }
        moments.watch(&scene);
        Ok(())
    })?;
    times.merge(spent);
    Ok(moments)
}

/// The garments that were matched, those seen longest first.
fn match_rows(clip: &str, pipeline: &SequentialPipeline, classes: &[String], table: &mut Table) {
    let mut tracks: Vec<&TrackMatches> = pipeline.matches_by_track().values().collect();
    tracks.sort_by_key(|track| std::cmp::Reverse(track.queries));
    for track in tracks {
        let name = |place: usize| {
            track.matches.get(place).map_or(String::new(), |found| {
                format!("{} {} ({:.2})", found.product.id, found.product.title, found.score)
            })
        };
        table.row([
            clip.to_owned(),
            class_label(classes, track.class),
            track.queries.to_string(),
            name(0),
            name(1),
            name(2),
        ]);
    }
}

fn write_screens(folder: &Path, clip: &str, moments: Moments) -> Result<()> {
    let mut painter = Painter::new()?;
    for (name, scene) in moments.named() {
        for (shape, size) in [("portrait", PORTRAIT), ("landscape", LANDSCAPE)] {
            let mut canvas = Canvas::new(size);
            painter.draw(&scene, &mut canvas);
            let mut panel = PngPanel::create(folder, size)?;
            panel.name_next(&format!("{clip}-{name}-{shape}"));
            panel.present(&canvas)?;
        }
    }
    Ok(())
}

fn stages(times: &StageTimes) -> String {
    let mut table = Table::new(&["stage", ">median ms", ">p95 ms", ">times"]);
    for stage in times.summaries() {
        table.row([
            stage.stage.to_owned(),
            format!("{:.2}", stage.median.as_secs_f64() * 1e3),
            format!("{:.2}", stage.p95.as_secs_f64() * 1e3),
            stage.count.to_string(),
        ]);
    }
    table.render()
}
