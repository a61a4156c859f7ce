//! Live tracking: joins observations of one garment by appearance, and by overlap with where it is expected.
//!
//! A mirror has no ground truth to select tracks by: size, confidence, age and centrality decide what is shown first.

use super::assignment::assign;
use super::class_votes::ClassVotes;
use super::motion::Motion;
use super::score::ScoreHead;
use super::track_settings::TrackSettings;
use super::window::{Observation, Window};
use super::{Detection, Detections};
use crate::frame::FrameMeta;
use crate::geometry::{Camera, Rect, Size};
use std::time::Duration;

/// Identity of a track, unique while the program runs although each tracker counts from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId {
    /// Generation of the tracker. A program gives each new tracker a higher one.
    pub generation: u32,
    /// Number of the track within its tracker, from 0.
    pub number: u64,
}

impl std::fmt::Display for TrackId {
    /// "3-17"
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.generation, self.number)
    }
}

/// One tracked garment.
#[derive(Clone, Debug)]
pub struct Track {
    pub id: TrackId,
    /// What its latest observations say: the likeliest class of the likeliest region.
    pub class: usize,
    /// Box of the latest observation.
    pub bounds: Rect<Camera>,
    pub score: f32,
    pub first_seen: FrameMeta,
    pub last_seen: FrameMeta,
    pub seen_in_last_frame: bool,
    /// Observations that detections are compared with.
    pub observations: Window,
    /// Observations fused into one embedding: only the close-ups if there are any, otherwise all.
    pub views: Window,
    /// The track with the highest value is shown first.
    pub prominence: f32,
    votes: ClassVotes,
    motion: Motion,
    seen: usize,
    /// The tracker's frame count at the latest observation.
    frame: u64,
}

/// Tracks the garments of one camera.
pub struct Tracker {
    settings: TrackSettings,
    score_head: ScoreHead,
    tracks: Vec<Track>,
    next_id: TrackId,
    /// Source of the newest frame.
    source: u32,
    /// Number of frames processed. A camera's own sequence numbers have gaps for skipped frames.
    frame: u64,
}

/// Number of latest observations that a new one is compared with.
const COMPARED: usize = 3;
/// What a detection of the track's region is worth beside likeness and overlap, of which each is at most 1.
const REGION_WORTH: f32 = 0.5;

impl Tracker {
    /// `generation`: higher than that of every earlier tracker. `score_head`: the match head's.
    pub fn new(generation: u32, settings: TrackSettings, score_head: ScoreHead) -> Self {
        let next_id = TrackId { generation, number: 0 };
        Tracker { settings, score_head, tracks: Vec::new(), next_id, source: 0, frame: 0 }
    }

    /// Generation of this tracker's tracks.
    pub fn generation(&self) -> u32 {
        self.next_id.generation
    }

    /// Current tracks, most prominent first.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Processes the detections of the next frame.
    pub fn update(&mut self, frame: Detections) {
        let gap = self.settings.gap;
        self.frame += 1;
        if frame.meta.source != self.source {
            // Another source: no track continues.
            self.tracks.clear();
            self.source = frame.meta.source;
        }
        self.tracks.retain(|track| frame.meta.captured.saturating_sub(track.last_seen.captured) <= gap);
        for track in &mut self.tracks {
            track.seen_in_last_frame = false;
        }
        let detections = self.without_doubles(frame.detections);
        let captured = frame.meta.captured;
        let fit = |track: usize, detection: usize| self.fit(&self.tracks[track], &detections[detection], captured);
        let pairs = assign(self.tracks.len(), detections.len(), fit);
        let mut free: Vec<Option<Detection>> = detections.into_iter().map(Some).collect();
        for (track, detection) in pairs {
            if let Some(detection) = free[detection].take() {
                let observation = Observation { meta: frame.meta, detection };
                self.tracks[track].observe(observation, self.frame, &self.settings);
            }
        }
        let begin = self.settings.begin;
        for detection in free.into_iter().flatten().filter(|detection| detection.score >= begin) {
            self.begin(Observation { meta: frame.meta, detection });
        }
        for track in &mut self.tracks {
            track.prominence = prominence(track, frame.size);
        }
        self.tracks.sort_by(|a, b| b.prominence.total_cmp(&a.prominence).then(a.id.cmp(&b.id)));
    }

    /// Leaves the most probable of the detections of one garment.
    fn without_doubles(&self, mut detections: Vec<Detection>) -> Vec<Detection> {
        detections.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut kept: Vec<Detection> = Vec::new();
        for detection in detections {
            if !kept.iter().any(|better| self.is_double(&detection, better)) {
                kept.push(detection);
            }
        }
        kept
    }

    /// Whether a detection shows a more probable one again, or a part of it. What they look like does not tell, since a garment worn
    /// under another is seen with it; how sure the detector is does.
    fn is_double(&self, detection: &Detection, better: &Detection) -> bool {
        let (a, b) = (&detection.bounds, &better.bounds);
        let is_part = || {
            self.settings.is_within(a, b) && detection.score < self.settings.own_score(detection.class, better.class)
        };
        a.iou(b) > self.settings.double || is_part()
    }

    /// Adds an observation from a separate crop of the newest frame to a track. Its class counts too.
    pub fn add_view(&mut self, id: TrackId, view: Observation) {
        if let Some(track) = self.tracks.iter_mut().find(|track| track.id == id) {
            track.vote(view.detection.class, view.detection.score, &self.settings);
            track.views.push(view);
        }
    }

    /// How well a detection of a frame captured at `captured` continues a track; `None`: not at all.
    fn fit(&self, track: &Track, detection: &Detection, captured: Duration) -> Option<f32> {
        let expected = track.motion.predict(&track.bounds, captured.saturating_sub(track.last_seen.captured));
        let overlap = expected.iou(&detection.bounds);
        let recent = || track.observations.iter().rev().take(COMPARED).map(|known| &known.detection.match_embedding);
        let embedding = &detection.match_embedding;
        let score = recent().map(|known| self.score_head.score(known, embedding)).fold(0.0, f32::max);
        let same_class = track.class == detection.class;
        let same_region = same_class || self.settings.same_region(track.class, detection.class);
        let just_seen = self.frame - track.frame <= 2;
        let settings = &self.settings;
        // A class may flicker between regions, but then the box stays: a skirt does not continue the top and skirt that were taken
        // for one dress.
        let is_known = self.settings.region(track.class).is_some() && self.settings.region(detection.class).is_some();
        let may_continue = same_region || !is_known || overlap > settings.same_place;
        let joined = (may_continue && overlap > 0.0 && score > settings.similarity)
            || (may_continue && score > settings.return_similarity)
            || (just_seen && same_class && overlap > settings.same_place)
            || (just_seen
                && self.settings.same_region(track.class, detection.class)
                && self.settings.is_within(&expected, &detection.bounds));
        let likeness = recent().map(|known| self.score_head.likeness(known, embedding)).fold(0.0, f32::max);
        joined.then_some(likeness + overlap + if same_region { REGION_WORTH } else { 0.0 })
    }

    fn begin(&mut self, observation: Observation) {
        let mut track = Track {
            id: self.next_id,
            class: observation.detection.class,
            bounds: observation.detection.bounds,
            score: observation.detection.score,
            first_seen: observation.meta,
            last_seen: observation.meta,
            seen_in_last_frame: true,
            observations: Window::new(self.settings.window, self.settings.span),
            views: Window::new(self.settings.window, self.settings.span),
            prominence: 0.0,
            votes: ClassVotes::default(),
            motion: Motion::default(),
            seen: 0,
            frame: self.frame,
        };
        track.observe(observation, self.frame, &self.settings);
        self.next_id.number += 1;
        self.tracks.push(track);
    }
}

impl Track {
    fn observe(&mut self, observation: Observation, frame: u64, settings: &TrackSettings) {
        let detection = &observation.detection;
        self.vote(detection.class, detection.score, settings);
        let time = observation.meta.captured.saturating_sub(self.last_seen.captured);
        self.motion.observe(&self.bounds, &detection.bounds, time);
        self.bounds = detection.bounds;
        self.score = detection.score;
        self.last_seen = observation.meta;
        self.seen_in_last_frame = true;
        self.seen += 1;
        self.frame = frame;
        if !settings.close_ups {
            self.views.push(observation.clone());
        }
        self.observations.push(observation);
    }

    fn vote(&mut self, class: usize, score: f32, settings: &TrackSettings) {
        self.votes.add(class, score);
        self.class = self.votes.winner(&settings.regions).unwrap_or(class);
    }

    /// Number of frames in which it was seen.
    pub fn seen(&self) -> usize {
        self.seen
    }
}

/// Size, confidence, age and centrality combined, 0 to 1.
fn prominence(track: &Track, frame: Size) -> f32 {
    let (width, height) = (frame.width as f32, frame.height as f32);
    let share = (track.bounds.area() / (width * height)).clamp(0.0, 1.0).sqrt();
    let off_centre = ((track.bounds.centre().0 - width / 2.0).abs() / (width / 2.0)).clamp(0.0, 1.0);
    let age = (track.seen as f32 / 5.0).min(1.0);
    let here = if track.seen_in_last_frame { 1.0 } else { 0.5 };
    share * track.score * (1.0 - 0.6 * off_centre) * (0.2 + 0.8 * age) * here
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::Region;

    fn detection(x: f32, class: usize, look: f32) -> Detection {
        Detection {
            bounds: Rect::new(x, 10.0, x + 40.0, 60.0),
            class,
            score: 0.9,
            match_embedding: [look, 0.0].into(),
            aggregation_embedding: [look].into(),
        }
    }

    fn frame(sequence: u64, detections: Vec<Detection>) -> Detections {
        let meta = FrameMeta { source: 0, sequence, captured: Duration::from_millis(66 * sequence) };
        Detections { meta, size: Size::new(200, 100), detections }
    }

    fn tracker() -> Tracker {
        Tracker::new(7, TrackSettings::default(), ScoreHead { weight: vec![-8.0, -8.0], bias: 4.0 })
    }

    #[test]
    fn two_garments_stay_two_and_keep_their_numbers() {
        let mut tracker = tracker();
        for step in 0..12 {
            let x = step as f32;
            tracker.update(frame(step, vec![detection(x, 0, 0.0), detection(100.0 - x, 7, 3.0)]));
        }
        assert_eq!(tracker.tracks().len(), 2);
        for track in tracker.tracks() {
            assert_eq!(track.observations.len(), 10);
            assert_eq!(track.seen(), 12);
            assert_eq!(track.first_seen.sequence, 0);
        }
    }

    #[test]
    fn a_garment_survives_a_gap_and_ends_after_a_long_one() {
        let mut tracker = tracker();
        tracker.update(frame(0, vec![detection(10.0, 0, 0.0)]));
        tracker.update(frame(1, vec![]));
        tracker.update(frame(20, vec![detection(120.0, 0, 0.05)]));
        assert_eq!(tracker.tracks().len(), 1);
        assert_eq!(tracker.tracks()[0].id.to_string(), "7-0");
        tracker.update(frame(90, vec![detection(120.0, 0, 0.05)]));
        assert_eq!(tracker.tracks()[0].id.to_string(), "7-1");
    }

    #[test]
    fn no_track_continues_on_another_camera() {
        let mut tracker = tracker();
        tracker.update(frame(0, vec![detection(10.0, 0, 0.0)]));
        let mut other = frame(1, vec![detection(10.0, 0, 0.0)]);
        other.meta.source = 1;
        tracker.update(other);
        let ids: Vec<String> = tracker.tracks().iter().map(|track| track.id.to_string()).collect();
        assert_eq!(ids, ["7-1"]);
    }

    #[test]
    fn frames_that_a_camera_skipped_do_not_count() {
        let mut tracker = tracker();
        tracker.update(frame(0, vec![detection(10.0, 0, 0.0)]));
        tracker.update(frame(9, vec![detection(12.0, 0, 5.0)]));
        assert_eq!(tracker.tracks().len(), 1, "the next frame seen, at the same place, in another light");
    }

    #[test]
    fn another_appearance_at_the_same_place_is_another_garment() {
        let mut tracker = tracker();
        tracker.update(frame(0, vec![detection(10.0, 0, 0.0)]));
        tracker.update(frame(1, vec![detection(12.0, 7, 5.0)]));
        assert_eq!(tracker.tracks().len(), 2);
    }

    #[test]
    fn one_garment_found_twice_is_one_track() {
        let mut tracker = tracker();
        let mut double = detection(11.0, 3, 0.0);
        double.score = 0.6;
        tracker.update(frame(0, vec![double, detection(10.0, 0, 0.0)]));
        assert_eq!(tracker.tracks().len(), 1);
        assert_eq!(tracker.tracks()[0].class, 0);
    }

    #[test]
    fn a_garment_beneath_is_one_of_its_own_however_alike_and_an_unsure_part_is_not() {
        let part =
            |score, look| Detection { bounds: Rect::new(15.0, 10.0, 45.0, 35.0), score, ..detection(0.0, 4, look) };
        for (score, look, tracks) in [(0.85, 0.0, 2), (0.85, 3.0, 2), (0.7, 0.0, 1), (0.7, 3.0, 1)] {
            let mut tracker = tracker();
            tracker.update(frame(0, vec![detection(10.0, 0, 0.0), part(score, look)]));
            assert_eq!(tracker.tracks().len(), tracks, "{score} {look}");
        }
        for (whole, within, tracks) in [
            (Region::Lower, Region::Lower, 1),
            (Region::Dress, Region::Upper, 1),
            (Region::Dress, Region::Lower, 1),
            (Region::Upper, Region::Upper, 2),
            (Region::Upper, Region::Lower, 2),
        ] {
            let regions = vec![Some(whole), None, None, None, Some(within)];
            let settings = TrackSettings { regions, ..TrackSettings::default() };
            let mut tracker = Tracker::new(0, settings, ScoreHead { weight: vec![-8.0, -8.0], bias: 4.0 });
            tracker.update(frame(0, vec![detection(10.0, 0, 0.0), part(0.85, 3.0)]));
            assert_eq!(tracker.tracks().len(), tracks, "{within:?} within {whole:?}");
        }
    }

    #[test]
    fn a_top_and_a_skirt_are_two_garments_even_if_alike() {
        let skirt = Detection { bounds: Rect::new(15.0, 30.0, 45.0, 60.0), score: 0.7, ..detection(0.0, 8, 0.0) };
        let regions = |skirt| vec![Some(Region::Upper), None, None, None, None, None, None, None, skirt];
        for (region, tracks) in [(Some(Region::Lower), 2), (Some(Region::Dress), 1), (None, 1)] {
            let settings = TrackSettings { regions: regions(region), ..TrackSettings::default() };
            let mut tracker = Tracker::new(0, settings, ScoreHead { weight: vec![-8.0, -8.0], bias: 4.0 });
            tracker.update(frame(0, vec![detection(10.0, 0, 0.0), skirt.clone()]));
            assert_eq!(tracker.tracks().len(), tracks);
        }
    }

    #[test]
    fn garments_that_cross_keep_their_tracks_though_their_scores_are_one() {
        // Scores of all pairs are above .99; likeness and motion tell the two apart.
        let mut tracker = Tracker::new(0, TrackSettings::default(), ScoreHead { weight: vec![-1.0, -1.0], bias: 12.0 });
        for step in 0..20 {
            let x = 10.0 * step as f32;
            tracker.update(frame(step, vec![detection(x, 0, 0.0), detection(190.0 - x, 0, 1.5)]));
        }
        assert_eq!(tracker.tracks().len(), 2);
        for track in tracker.tracks() {
            let look = if track.id.number == 0 { 0.0 } else { 1.5 };
            assert_eq!(track.observations.len(), 10);
            assert!(track.observations.iter().all(|seen| seen.detection.match_embedding[0] == look));
        }
    }

    #[test]
    fn a_skirt_does_not_continue_a_dress_unless_its_box_is_the_same() {
        let regions = vec![Some(Region::Dress), Some(Region::Lower)];
        let settings = TrackSettings { regions, ..TrackSettings::default() };
        let seen = |class: usize, top: f32| {
            let dress = detection(0.0, class, 0.0);
            Detection { bounds: Rect::new(dress.bounds.x1, top, dress.bounds.x2, dress.bounds.y2), ..dress }
        };
        for (top, tracks) in [(35.0, 2), (12.0, 1)] {
            let mut tracker = Tracker::new(0, settings.clone(), ScoreHead { weight: vec![-8.0, -8.0], bias: 4.0 });
            tracker.update(frame(0, vec![seen(0, 10.0)]));
            tracker.update(frame(1, vec![seen(1, top)]));
            assert_eq!(tracker.tracks().len(), tracks, "from {top}");
        }
    }

    #[test]
    fn the_best_pairs_are_taken_together() {
        // The left detection is a little nearer to the right track; taken first, it would leave the right one without.
        let mut tracker = tracker();
        tracker.update(frame(0, vec![detection(0.0, 0, 0.0), detection(30.0, 0, 0.0)]));
        tracker.update(frame(1, vec![detection(18.0, 0, 0.0), detection(52.0, 0, 0.0)]));
        let ids: Vec<(u64, f32)> = tracker.tracks().iter().map(|track| (track.id.number, track.bounds.x1)).collect();
        assert_eq!(tracker.tracks().len(), 2, "{ids:?}");
        assert!(ids.contains(&(0, 18.0)) && ids.contains(&(1, 52.0)), "{ids:?}");
    }

    #[test]
    fn with_close_ups_only_these_are_fused() {
        let settings = TrackSettings { close_ups: true, ..TrackSettings::default() };
        let mut tracker = Tracker::new(0, settings, ScoreHead { weight: vec![-8.0, -8.0], bias: 4.0 });
        for step in 0..3 {
            tracker.update(frame(step, vec![detection(10.0, 0, 0.0)]));
        }
        assert!(tracker.tracks()[0].views.is_empty());
        let id = tracker.tracks()[0].id;
        let meta = frame(2, vec![]).meta;
        for _ in 0..4 {
            tracker.add_view(id, Observation { meta, detection: detection(10.0, 7, 0.5) });
        }
        let track = &tracker.tracks()[0];
        assert_eq!((track.observations.len(), track.views.len(), track.class), (3, 4, 7));
        tracker.add_view(TrackId { number: 99, ..id }, Observation { meta, detection: detection(10.0, 7, 0.5) });
    }

    #[test]
    fn a_partly_hidden_garment_stays_one_track() {
        let wide = |class| Detection { bounds: Rect::new(10.0, 5.0, 95.0, 70.0), ..detection(0.0, class, 5.0) };
        for (region, tracks) in [(Some(Region::Upper), 1), (Some(Region::Dress), 2), (None, 2)] {
            let regions = vec![Some(Region::Upper), region];
            let settings = TrackSettings { regions, ..TrackSettings::default() };
            let mut tracker = Tracker::new(0, settings, ScoreHead { weight: vec![-8.0, -8.0], bias: 4.0 });
            tracker.update(frame(0, vec![detection(12.0, 0, 0.0)]));
            tracker.update(frame(1, vec![wide(1)]));
            assert_eq!(tracker.tracks().len(), tracks, "{region:?}");
        }
    }
}
