//! From a frame's detections to the garments that are followed, and to the questions that full windows ask of the catalogue.

use super::recognizer::Recognizer;
use crate::display::scene::Garment;
use crate::fault::Result;
use crate::frame::FrameMeta;
use crate::metrics::StageTimes;
use crate::network::Manifest;
use crate::seam::{Detections, Embedding, Track, TrackSettings, Tracker};
use std::time::Duration;

/// A garment that is missed for a moment stays on the screen for so long: boxes do not flicker.
const HOLD: Duration = Duration::from_millis(400);

/// A garment as it stands after a frame.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Never given twice.
    pub track: u64,
    pub garment: Garment,
}

/// A full window, to be asked of the catalogue.
#[derive(Clone, Debug)]
pub struct Query {
    pub track: u64,
    /// Index into the manifest's class names.
    pub class: usize,
    pub label: String,
    /// The frame that completed it.
    pub meta: FrameMeta,
    /// By the aggregator.
    pub embedding: Embedding,
    /// How surely the window's frames show a garment: the mean of their detections' scores, 0 to 1.
    pub seen: f32,
}

/// Tracker, windows and aggregator of one camera.
pub struct Follower {
    aggregator: Recognizer,
    tracker: Tracker,
    looks: usize,
}

impl Follower {
    /// `aggregator` runs the aggregation graph; the frames may be recognised elsewhere. At most `looks` garments of a frame
    /// ask the catalogue.
    pub fn new(aggregator: Recognizer, looks: usize) -> Self {
        let tracker = new_tracker(aggregator.manifest());
        Follower { aggregator, tracker, looks }
    }

    /// Forgets everybody.
    pub fn reset(&mut self) {
        self.tracker = new_tracker(self.aggregator.manifest());
    }

    pub fn set_looks(&mut self, looks: usize) {
        self.looks = looks;
    }

    /// What the aggregation graph runs on, "the CPU".
    pub fn runs_on(&self) -> &str {
        &self.aggregator.runs_on().name
    }

    pub fn manifest(&self) -> &Manifest {
        self.aggregator.manifest()
    }

    pub fn tracks(&self) -> &[Track] {
        self.tracker.tracks()
    }

    /// Takes a frame's detections in. Each of the most prominent garments whose window is full and has a new observation
    /// asks once.
    pub fn follow(&mut self, detections: Detections, times: &mut StageTimes) -> Result<Vec<Query>> {
        let meta = detections.meta;
        times.time("track", || self.tracker.update(detections));
        let wanted = self.aggregator.manifest().aggregation.frames;
        let mut queries = Vec::new();
        for track in self.tracker.tracks().iter().filter(|track| track.seen_in_last_frame).take(self.looks) {
            let window: Vec<Embedding> = track.observations.embeddings();
            if window.len() < wanted {
                continue;
            }
            let embedding = self.aggregator.aggregate(&window, times)?;
            let label = label(&self.aggregator.manifest().classes, track.class);
            let seen = track.observations.mean_score();
            queries.push(Query { track: track.id, class: track.class, label, meta, embedding, seen });
        }
        Ok(queries)
    }

    /// The garments to be shown with the frame `meta`, most prominent first.
    pub fn followed(&self, meta: FrameMeta) -> Vec<Followed> {
        let manifest = self.aggregator.manifest();
        let shown = |track: &&Track| meta.captured.saturating_sub(track.last_seen.captured) <= HOLD;
        let followed = |track: &Track| Followed {
            track: track.id,
            garment: Garment {
                bounds: track.bounds,
                label: label(&manifest.classes, track.class),
                gathered: track.observations.len(),
                wanted: manifest.aggregation.frames,
            },
        };
        self.tracker.tracks().iter().filter(shown).map(followed).collect()
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
