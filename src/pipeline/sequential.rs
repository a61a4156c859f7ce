//! All steps after the recognizer on one thread: a recognized frame in, a scene out. No thread, no clock: the demo runs
//! this, and the live pipeline runs the same steps on several threads.

use super::aggregator::Aggregator;
use super::close_ups::CloseUps;
use super::matcher::Matcher;
use super::presenter::{Presenter, status_text};
use super::settings::PipelineSettings;
use super::shown_products::shown_products;
use super::track_matches::{self, MatchesByTrack};
use super::tracking::TrackingStage;
use crate::display::scene::{Scene, StatusLine};
use crate::fault::Result;
use crate::frame::Frame;
use crate::metrics::StageTimes;
use crate::seam::Detection;

/// Tracker, windows and matches of one camera.
pub struct SequentialPipeline {
    tracking: TrackingStage,
    matcher: Matcher,
    settings: PipelineSettings,
    matches_by_track: MatchesByTrack,
    presenter: Presenter,
}

impl SequentialPipeline {
    /// The frames may be recognized elsewhere.
    pub fn new(
        aggregator: Aggregator,
        close_ups: Option<CloseUps>,
        matcher: Matcher,
        settings: PipelineSettings,
    ) -> Self {
        let tracking = TrackingStage::new(0, aggregator, close_ups, settings.max_garments);
        SequentialPipeline {
            tracking,
            matcher,
            settings,
            matches_by_track: MatchesByTrack::new(),
            presenter: Presenter::default(),
        }
    }

    /// Forgets all tracks and matches: another clip begins.
    pub fn reset(&mut self) {
        self.tracking.reset();
        self.matches_by_track.clear();
        self.presenter = Presenter::default();
    }

    /// The matches of every track so far.
    pub fn matches_by_track(&self) -> &MatchesByTrack {
        &self.matches_by_track
    }

    /// Takes in a frame's detections and gives the scene after it.
    pub fn update(&mut self, frame: &Frame, detections: Vec<Detection>, times: &mut StageTimes) -> Result<Scene> {
        let matches_per_garment = self.settings.matches_per_garment;
        for query in self.tracking.update(frame, detections, times)? {
            track_matches::update(&mut self.matches_by_track, &query, &mut self.matcher, matches_per_garment, times);
        }
        let (model, runs_on) = (&self.tracking.manifest().name, self.tracking.runs_on());
        let text = status_text(model, runs_on, self.matcher.products());
        let status = StatusLine { text, ..StatusLine::default() };
        let tracked = self.tracking.tracked(frame.meta).garments;
        let camera = Some(frame.picture.clone());
        let (settings, found) = (&self.settings, &self.matches_by_track);
        let shown = shown_products(&tracked, found, settings);
        Ok(self.presenter.scene(frame.meta.captured, settings, camera, &shown, status))
    }
}
