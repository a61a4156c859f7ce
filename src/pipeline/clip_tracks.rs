//! The garments of a whole clip, each with its observations from the first frame to the last.
//!
//! A mirror matches the last ten observations; a query about a clip wants the garment as it was over all of it, so the window is
//! spread evenly over the track.

use crate::geometry::{Camera, Rect};
use crate::seam::{Detection, Embedding, Track, TrackId};
use std::collections::BTreeMap;

/// The least detection score that begins a track of a clip. A query about a clip lists the doubtful garments too, at the
/// end; a mirror shows only the sure ones ([`crate::seam::TrackSettings`]).
pub const BEGIN_SCORE: f32 = 0.2;
/// A garment of a clip that is seen in fewer frames than this is likely a false detection.
pub const MIN_FRAMES: usize = 3;

/// One garment of a clip.
#[derive(Clone, Debug)]
pub struct GarmentTrack {
    /// Index into the manifest's class names.
    pub class: usize,
    /// The best single observation's box and score.
    pub bounds: Rect<Camera>,
    pub score: f32,
    /// In how many frames it was seen.
    frames: usize,
    views: Vec<Embedding>,
    prominence: f32,
}

impl GarmentTrack {
    /// Frames in which the garment was seen.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// At most `count` of its embeddings (aggregator's head), evenly spread over the views of it.
    pub fn window(&self, count: usize) -> Vec<Embedding> {
        let views = self.views.len();
        let count = count.clamp(1, views.max(1)).min(views);
        (0..count).map(|place| self.views[(2 * place + 1) * views / (2 * count)].clone()).collect()
    }
}

/// All garments of a clip.
#[derive(Clone, Debug, Default)]
pub struct ClipTracks {
    garments: BTreeMap<TrackId, GarmentTrack>,
}

impl ClipTracks {
    /// Takes in the tracks as they stand after a frame.
    pub fn observe(&mut self, tracks: &[Track]) {
        for track in tracks.iter().filter(|track| track.seen_in_last_frame) {
            let Some(latest) = track.observations.latest() else { continue };
            self.add(track, &latest.detection);
        }
    }

    fn add(&mut self, track: &Track, latest: &Detection) {
        let record = self.garments.entry(track.id).or_insert_with(|| GarmentTrack {
            class: track.class,
            bounds: latest.bounds,
            score: latest.score,
            frames: 0,
            views: Vec::new(),
            prominence: 0.0,
        });
        record.class = track.class;
        record.prominence += track.prominence;
        record.frames += 1;
        if let Some(view) = track.views.latest().filter(|view| view.meta == track.last_seen) {
            record.views.push(view.detection.aggregation_embedding.clone());
        }
        if latest.score > record.score {
            (record.bounds, record.score) = (latest.bounds, latest.score);
        }
    }

    /// The garments, the most prominent of the clip first. Those seen in fewer than `least` frames are left out, unless
    /// nothing else was seen.
    pub fn garments(&self, least: usize) -> Vec<&GarmentTrack> {
        let mut garments: Vec<&GarmentTrack> = self.garments.values().collect();
        if garments.iter().any(|garment| garment.frames() >= least) {
            garments.retain(|garment| garment.frames() >= least);
        }
        garments.sort_by(|a, b| b.prominence.total_cmp(&a.prominence));
        garments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_spread_over_the_track() {
        let record = |frames: usize| GarmentTrack {
            class: 0,
            bounds: Rect::new(0.0, 0.0, 1.0, 1.0),
            score: 1.0,
            frames,
            views: (0..frames).map(|frame| Embedding::from(vec![frame as f32])).collect(),
            prominence: 1.0,
        };
        let values = |frames, count| record(frames).window(count).iter().map(|one| one[0] as usize).collect::<Vec<_>>();
        assert_eq!(values(100, 4), [12, 37, 62, 87]);
        assert_eq!(values(3, 10), [0, 1, 2]);
        assert_eq!(values(1, 10), [0]);
    }
}
