//! Thresholds of the tracker, and what follows from them for two boxes or two classes.

use super::region::Region;
use crate::geometry::{Camera, Rect};
use std::time::Duration;

/// Thresholds of the tracker.
#[derive(Clone, Debug)]
pub struct TrackSettings {
    /// Number of observations in a window.
    pub window: usize,
    /// Maximum age of an observation in a window, relative to the newest.
    pub span: Duration,
    /// Minimum match score of two observations of one garment (docs/seam.md §8).
    pub similarity: f32,
    /// Minimum match score if the boxes do not overlap: a garment that returns.
    pub return_similarity: f32,
    /// IoU from which two boxes of one class in consecutive frames are one garment, whatever they look like: an arm or
    /// a shadow may pass over it. The same holds for boxes of one region of which one lies within the other
    /// ([`Self::within`]), as when a pillar hides a part.
    pub same_place: f32,
    /// IoU from which two boxes of one frame show the same garment twice.
    pub double: f32,
    /// Share of the smaller box's area within the other from which the less probable of two boxes must be sure
    /// ([`Self::own`]): a blouse under a coat is a garment of its own, a lapel is none.
    pub within: f32,
    /// Minimum detection score of such a garment.
    pub own: f32,
    /// Minimum detection score to start a track.
    pub begin: f32,
    /// A track ends after this time without an observation.
    pub gap: Duration,
    /// Region of each class; empty if unknown.
    pub regions: Vec<Option<Region>>,
    /// Windows are filled only by [`super::track::Tracker::add_view`]: each garment is embedded from a separate crop.
    pub close_ups: bool,
}

impl Default for TrackSettings {
    fn default() -> Self {
        TrackSettings {
            window: 10,
            span: Duration::from_secs(10),
            similarity: 0.3,
            return_similarity: 0.6,
            same_place: 0.6,
            double: 0.6,
            within: 0.7,
            own: 0.8,
            begin: 0.65,
            gap: Duration::from_millis(2500),
            regions: Vec::new(),
            close_ups: false,
        }
    }
}

impl TrackSettings {
    /// Body region of a class, if known.
    pub fn region(&self, class: usize) -> Option<Region> {
        self.regions.get(class).copied().flatten()
    }

    /// Whether two classes cover the same body region, as far as known.
    pub fn same_region(&self, a: usize, b: usize) -> bool {
        self.region(a).is_some() && self.region(a) == self.region(b)
    }

    /// Detection score from which the less probable of two boxes within one another is a garment of its own. A top and a skirt
    /// always are two; of the upper body one is worn under another; any other two never are, not even of two persons.
    pub fn own_score(&self, a: usize, b: usize) -> f32 {
        match (self.region(a), self.region(b)) {
            (Some(Region::Upper), Some(Region::Lower)) | (Some(Region::Lower), Some(Region::Upper)) => 0.0,
            (Some(Region::Upper), Some(Region::Upper)) | (None, _) | (_, None) => self.own,
            _ => f32::INFINITY,
        }
    }

    /// Whether one of two boxes lies mostly within the other.
    pub fn is_within(&self, a: &Rect<Camera>, b: &Rect<Camera>) -> bool {
        a.intersection(b) > self.within * a.area().min(b.area())
    }
}
