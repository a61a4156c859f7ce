//! Selects which garment of a clip is the query.
//!
//! The published evaluation selects by the ground truth ([`oracle`]). A mirror has none and shows the most prominent
//! garments ([`own_tracks`]).

use super::annotations::Tracklet;
use super::record::{DetectionRecord, FrameDetection};
use crate::frame::FrameMeta;
use crate::pipeline::clip_tracks::MIN_FRAMES;
use crate::seam::greedy::greedy_tracks;
use crate::seam::{Detection, Detections, ScoreHead, TrackId, TrackSettings, Tracker};
use std::collections::BTreeMap;
use std::time::Duration;

/// One garment over the frames of a clip, in the order in which its boxes were joined.
pub type QueryTrack = Vec<FrameDetection>;

/// The published tracking over all boxes of a clip (docs/seam.md §8).
pub fn published_tracks(record: &DetectionRecord, head: &ScoreHead) -> Vec<QueryTrack> {
    let seen = &record.detections;
    let frames: Vec<i64> = seen.iter().map(|one| one.frame as i64).collect();
    let scores: Vec<f32> = seen.iter().map(|one| one.detection.score).collect();
    let similarity =
        |a: usize, b: usize| head.score(&seen[a].detection.match_embedding, &seen[b].detection.match_embedding);
    let tracks = greedy_tracks(&frames, &scores, similarity);
    tracks.into_iter().map(|track| track.into_iter().map(|index| seen[index].clone()).collect()).collect()
}

/// The track that covers the ground truth best, by the sum of overlaps (IoU). `None` if no track touches it.
pub fn oracle<'t>(tracks: &'t [QueryTrack], truth: &Tracklet) -> Option<&'t QueryTrack> {
    let overlap = |seen: &FrameDetection| truth.at(seen.frame).map_or(0.0, |bounds| bounds.iou(&seen.detection.bounds));
    let covered = |track: &QueryTrack| track.iter().map(overlap).sum::<f32>();
    let mut best: Option<(&QueryTrack, f32)> = None;
    for track in tracks {
        let sum = covered(track);
        if sum > best.map_or(0.0, |(_, most)| most) {
            best = Some((track, sum));
        }
    }
    best.map(|(track, _)| track)
}

/// The mirror's own tracking and selection: the garments of a clip, most prominent first. A query's frames are far
/// apart in the clip; they are tracked as if consecutive, and no track ends between them.
pub fn own_tracks(record: &DetectionRecord, head: &ScoreHead) -> Vec<QueryTrack> {
    let ever = Duration::from_secs(1 << 20);
    let settings =
        TrackSettings { window: record.frames.len().max(1), span: ever, gap: ever, ..TrackSettings::default() };
    let mut tracker = Tracker::new(0, settings, head.clone());
    let mut prominence: BTreeMap<TrackId, f32> = BTreeMap::new();
    for (sequence, frame) in (0..).zip(&record.frames) {
        let here = record.detections.iter().filter(|seen| seen.frame == *frame && !seen.substitute);
        let detections: Vec<Detection> = here.map(|seen| seen.detection.clone()).collect();
        let meta = FrameMeta { source: 0, sequence, captured: Duration::from_millis(66 * sequence) };
        tracker.update(Detections { meta, size: record.size, detections });
        for track in tracker.tracks().iter().filter(|track| track.seen_in_last_frame) {
            *prominence.entry(track.id).or_default() += track.prominence;
        }
    }
    let mut tracks: Vec<_> = tracker.tracks().iter().collect();
    let first = |id: TrackId| prominence.get(&id).copied().unwrap_or(0.0);
    tracks.sort_by(|a, b| {
        let long = |frames: usize| frames >= MIN_FRAMES;
        long(b.seen()).cmp(&long(a.seen())).then(first(b.id).total_cmp(&first(a.id))).then(a.id.cmp(&b.id))
    });
    let seen = |observation: &crate::seam::Observation| FrameDetection {
        frame: record.frames[observation.meta.sequence as usize],
        detection: observation.detection.clone(),
        substitute: false,
    };
    tracks.into_iter().map(|track| track.observations.iter().map(seen).collect()).collect()
}

/// The class with the highest sum of scores over a track's observations.
pub fn class_of(track: &QueryTrack) -> Option<usize> {
    let mut votes: BTreeMap<usize, f32> = BTreeMap::new();
    for seen in track {
        *votes.entry(seen.detection.class).or_default() += seen.detection.score;
    }
    votes.into_iter().max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map(|(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{Rect, Size};

    fn seen(frame: u64, x: f32, side: f32, class: usize, look: f32) -> FrameDetection {
        let detection = Detection {
            bounds: Rect::new(x, 10.0, x + side, 10.0 + side),
            class,
            score: 0.9,
            match_embedding: [look].into(),
            aggregation_embedding: [look].into(),
        };
        FrameDetection { frame, detection, substitute: false }
    }

    /// A large jacket and small trousers in four frames far apart.
    fn record() -> DetectionRecord {
        let frames = vec![3, 40, 77, 200];
        let both = |&frame: &u64| [seen(frame, 50.0, 60.0, 3, 0.0), seen(frame, 110.0, 30.0, 7, 5.0)];
        DetectionRecord { size: Size::new(200, 100), detections: frames.iter().flat_map(both).collect(), frames }
    }

    fn head() -> ScoreHead {
        ScoreHead { weight: vec![-8.0], bias: 4.0 }
    }

    #[test]
    fn the_oracle_selects_the_track_on_the_ground_truth() {
        let tracks = published_tracks(&record(), &head());
        assert_eq!(tracks.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4]);
        let truth = |x: f32| Tracklet::new([(45, Rect::new(x, 10.0, x + 30.0, 40.0))]);
        assert_eq!(oracle(&tracks, &truth(110.0)).and_then(class_of), Some(7));
        assert_eq!(oracle(&tracks, &truth(52.0)).and_then(class_of), Some(3));
        assert!(oracle(&tracks, &truth(170.0)).is_none());
    }

    #[test]
    fn the_mirror_selects_the_most_prominent_and_no_substitute() {
        let mut record = record();
        let tracks = own_tracks(&record, &head());
        assert_eq!(tracks.iter().map(class_of).collect::<Vec<_>>(), [Some(3), Some(7)]);
        assert_eq!(tracks[1].iter().map(|seen| seen.frame).collect::<Vec<_>>(), [3, 40, 77, 200]);
        record.detections.iter_mut().for_each(|seen| seen.substitute = true);
        assert!(own_tracks(&record, &head()).is_empty());
    }
}
