//! From a frame's detections to tracked garments, and to a query for each full window.

use super::aggregator::Aggregator;
use super::close_ups::CloseUps;
use crate::fault::Result;
use crate::frame::{Frame, FrameMeta, Picture};
use crate::geometry::{Camera, Rect};
use crate::metrics::StageTimes;
use crate::network::Manifest;
use crate::seam::{Detection, Detections, Embedding, Observation, Track, TrackId, TrackSettings, Tracker};
use std::time::Duration;

/// A garment that is missed for a moment stays on the screen for this long: boxes do not flicker.
const HOLD: Duration = Duration::from_millis(400);

/// A garment as it stands after a frame.
#[derive(Clone, Debug)]
pub struct TrackedGarment {
    pub track: TrackId,
    /// In pixels of the frame.
    pub bounds: Rect<Camera>,
    /// Whether it was found in the newest frame; else it is held for a moment.
    pub is_seen: bool,
    /// Index into the manifest's class names.
    pub class: usize,
    /// The class's name, for people.
    pub label: String,
    /// Observations in its window, and of how many the window is full.
    pub gathered: usize,
    pub wanted: usize,
}

/// What was tracked in one recognized frame.
#[derive(Clone, Debug)]
pub struct TrackUpdate {
    pub meta: FrameMeta,
    /// The tracker's: that of all its garments' tracks.
    pub generation: u32,
    /// Most prominent first.
    pub garments: Vec<TrackedGarment>,
}

/// A full window of one garment, to be searched for in the catalogue.
#[derive(Clone, Debug)]
pub struct GarmentQuery {
    pub track: TrackId,
    /// Index into the manifest's class names.
    pub class: usize,
    pub label: String,
    /// The frame that completed the window.
    pub meta: FrameMeta,
    /// By the aggregator.
    pub embedding: Embedding,
    /// How surely the window's frames show a garment: the mean of their detections' scores, 0 to 1.
    pub detection_score: f32,
    /// The surest view of the window.
    pub best_view: Detection,
    /// What that frame shows of the garment, small; only where staff may see it.
    pub crop: Option<Picture>,
}

/// Tracker, windows and aggregator of one camera.
pub struct TrackingStage {
    aggregator: Aggregator,
    close_ups: Option<CloseUps>,
    tracker: Tracker,
    max_garments: usize,
}

impl TrackingStage {
    /// At most `max_garments` garments of a frame make a query. The frames may be recognized elsewhere; `close_ups` embeds
    /// the garments that make queries, where the model wants that.
    /// `generation`: see [`Tracker::new`].
    pub fn new(generation: u32, aggregator: Aggregator, close_ups: Option<CloseUps>, max_garments: usize) -> Self {
        let tracker = new_tracker(generation, aggregator.manifest());
        TrackingStage { aggregator, close_ups, tracker, max_garments }
    }

    /// Forgets all tracks.
    pub fn reset(&mut self) {
        self.tracker = new_tracker(self.tracker.generation() + 1, self.aggregator.manifest());
    }

    /// Garments of a frame that make a query, at most.
    pub fn set_max_garments(&mut self, max_garments: usize) {
        self.max_garments = max_garments;
    }

    /// What the aggregation graph runs on, "the CPU".
    pub fn runs_on(&self) -> &str {
        &self.aggregator.runs_on().name
    }

    pub fn manifest(&self) -> &Manifest {
        self.aggregator.manifest()
    }

    /// The tracks, most prominent first.
    pub fn tracks(&self) -> &[Track] {
        self.tracker.tracks()
    }

    /// Takes in a frame's detections. Each of the most prominent garments whose window is full and has a view of this frame
    /// makes one query.
    pub fn update(
        &mut self,
        frame: &Frame,
        detections: Vec<Detection>,
        times: &mut StageTimes,
    ) -> Result<Vec<GarmentQuery>> {
        let meta = frame.meta;
        let detections = Detections { meta, size: frame.picture.size(), detections };
        times.time("track", || self.tracker.update(detections));
        if let Some(close_ups) = &mut self.close_ups {
            close_ups.update(&mut self.tracker, frame, self.max_garments, times)?;
        }
        let wanted = self.aggregator.manifest().aggregation.frames;
        let mut queries = Vec::new();
        for track in self.tracker.tracks().iter().filter(|track| track.seen_in_last_frame).take(self.max_garments) {
            let window: Vec<Embedding> = track.views.embeddings();
            let is_new = track.views.latest().is_some_and(|view| view.meta == meta);
            if window.len() < wanted || !is_new {
                continue;
            }
            let embedding = self.aggregator.aggregate(&window, times)?;
            let label = class_label(&self.aggregator.manifest().classes, track.class);
            let detection_score = track.views.mean_score();
            let by_score = |a: &&Observation, b: &&Observation| a.detection.score.total_cmp(&b.detection.score);
            let Some(best_view) = track.views.iter().max_by(by_score).map(|view| view.detection.clone()) else {
                continue;
            };
            queries.push(GarmentQuery {
                track: track.id,
                class: track.class,
                label,
                meta,
                embedding,
                detection_score,
                best_view,
                crop: None,
            });
        }
        Ok(queries)
    }

    /// The garments that are to be shown with the frame `meta`.
    pub fn tracked(&self, meta: FrameMeta) -> TrackUpdate {
        let manifest = self.aggregator.manifest();
        let shown = |track: &&Track| meta.captured.saturating_sub(track.last_seen.captured) <= HOLD;
        let garment = |track: &Track| TrackedGarment {
            track: track.id,
            bounds: track.bounds,
            is_seen: track.seen_in_last_frame,
            class: track.class,
            label: class_label(&manifest.classes, track.class),
            gathered: track.views.len(),
            wanted: manifest.aggregation.frames,
        };
        let generation = self.tracker.generation();
        TrackUpdate { meta, generation, garments: self.tracker.tracks().iter().filter(shown).map(garment).collect() }
    }
}

/// A tracker as the model wants it, for a mirror. `generation`: see [`Tracker::new`].
pub fn new_tracker(generation: u32, manifest: &Manifest) -> Tracker {
    Tracker::new(generation, track_settings(manifest, TrackSettings::default().begin), manifest.match_score())
}

/// A tracker, the only one, whose tracks begin with a detection of at least this score.
pub fn tracker_from(manifest: &Manifest, begin: f32) -> Tracker {
    Tracker::new(0, track_settings(manifest, begin), manifest.match_score())
}

fn track_settings(manifest: &Manifest, begin: f32) -> TrackSettings {
    TrackSettings {
        window: manifest.aggregation.frames,
        begin,
        regions: manifest.class_regions(),
        close_ups: CloseUps::are_wanted(manifest),
        ..TrackSettings::default()
    }
}

/// A class's name for people: "long sleeved shirt".
pub fn class_label(classes: &[String], class: usize) -> String {
    classes.get(class).map_or_else(|| format!("class {class}"), |name| name.replace('_', " "))
}
