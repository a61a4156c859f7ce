//! One pure step: a recognised frame in, a scene out. No thread, no clock: replay, demo and golden tests run this very code.

use super::matcher::{Match, Matcher};
use super::recognizer::Recognizer;
use crate::display::scene::{Garment, Look, Scene, Status};
use crate::fault::Result;
use crate::frame::Frame;
use crate::metrics::StageTimes;
use crate::network::Manifest;
use crate::seam::{Detection, Detections, Embedding, Track, TrackSettings, Tracker};
use std::collections::BTreeMap;

/// What the core needs to know beyond the model and the catalogue.
#[derive(Clone, Debug)]
pub struct CoreSettings {
    /// The shop's name, for the screen.
    pub shop: String,
    /// Matches kept for a garment.
    pub top: usize,
    /// Garments that get an answer at one time.
    pub looks: usize,
}

impl Default for CoreSettings {
    fn default() -> Self {
        CoreSettings { shop: "vetrina".into(), top: 5, looks: 3 }
    }
}

/// What one track was found to be.
#[derive(Clone, Debug)]
pub struct Answer {
    pub class: usize,
    /// How often the catalogue was asked: once a frame since the window was full.
    pub asked: usize,
    pub matches: Vec<Match>,
}

/// Tracker, windows and matches of one camera.
pub struct Core {
    aggregator: Recognizer,
    matcher: Matcher,
    tracker: Tracker,
    settings: CoreSettings,
    answers: BTreeMap<u64, Answer>,
}

impl Core {
    /// `aggregator` runs the aggregation graph; the frames may be recognised elsewhere.
    pub fn new(aggregator: Recognizer, matcher: Matcher, settings: CoreSettings) -> Self {
        let tracker = new_tracker(aggregator.manifest());
        Core { aggregator, matcher, tracker, settings, answers: BTreeMap::new() }
    }

    /// Forgets everybody: another clip begins.
    pub fn reset(&mut self) {
        self.tracker = new_tracker(self.aggregator.manifest());
        self.answers.clear();
    }

    /// The newest answer of every track so far, the gone ones included, by track number.
    pub fn answers(&self) -> &BTreeMap<u64, Answer> {
        &self.answers
    }

    pub fn tracks(&self) -> &[Track] {
        self.tracker.tracks()
    }

    /// Takes a frame's detections in, and says what the screen shows now.
    pub fn follow(&mut self, frame: &Frame, detections: Vec<Detection>, times: &mut StageTimes) -> Result<Scene> {
        let detections = Detections { meta: frame.meta, size: frame.picture.size(), detections };
        times.time("track", || self.tracker.update(detections));
        self.answer(times)?;
        Ok(self.scene(frame))
    }

    /// Asks the catalogue for each shown garment whose window is full and has a new observation.
    fn answer(&mut self, times: &mut StageTimes) -> Result<()> {
        let wanted = self.aggregator.manifest().aggregation.frames;
        for track in self.tracker.tracks().iter().filter(|track| track.seen_in_last_frame).take(self.settings.looks) {
            let window: Vec<Embedding> = track.observations.embeddings();
            if window.len() < wanted {
                continue;
            }
            let query = self.aggregator.aggregate(&window, times)?;
            let matches = times.time("search", || self.matcher.search_for(&query, track.class, self.settings.top));
            let asked = self.answers.get(&track.id).map_or(0, |answer| answer.asked) + 1;
            self.answers.insert(track.id, Answer { class: track.class, asked, matches });
        }
        Ok(())
    }

    fn scene(&mut self, frame: &Frame) -> Scene {
        let wanted = self.aggregator.manifest().aggregation.frames;
        let shown: Vec<&Track> = self.tracker.tracks().iter().filter(|track| track.seen_in_last_frame).collect();
        let classes = &self.aggregator.manifest().classes;
        let garments = shown
            .iter()
            .map(|track| Garment {
                bounds: track.bounds,
                label: label(classes, track.class),
                gathered: track.observations.len(),
                wanted,
            })
            .collect();
        let mut looks = Vec::new();
        for (garment, track) in shown.iter().enumerate() {
            let Some(answer) = self.answers.get(&track.id) else { continue };
            let accepted: Vec<&Match> = answer.matches.iter().filter(|found| self.matcher.accepts(found)).collect();
            let accepted: Vec<Match> = accepted.into_iter().cloned().collect();
            let cards = accepted.iter().map(|found| self.matcher.card(found)).collect();
            looks.push(Look { label: label(classes, track.class), garment, cards });
            if looks.len() == self.settings.looks {
                break;
            }
        }
        let status = Status {
            text: format!("{} on the CPU, {} products", self.aggregator.manifest().name, self.matcher.products()),
            ..Status::default()
        };
        Scene { shop: self.settings.shop.clone(), camera: Some(frame.picture.clone()), garments, looks, status }
    }
}

/// A tracker as the model wants it, for a mirror.
pub fn new_tracker(manifest: &Manifest) -> Tracker {
    tracker_from(manifest, TrackSettings::default().begin)
}

/// A tracker whose tracks begin with a detection of at least this score.
pub fn tracker_from(manifest: &Manifest, begin: f32) -> Tracker {
    let settings = TrackSettings { window: manifest.aggregation.frames, begin, ..TrackSettings::default() };
    Tracker::new(settings, manifest.match_score())
}

/// A class's name for people: "long sleeved shirt".
pub fn label(classes: &[String], class: usize) -> String {
    classes.get(class).map_or_else(|| format!("class {class}"), |name| name.replace('_', " "))
}
