//! SEAM Match-RCNN between its graphs: the arithmetic of docs/seam.md.
//!
//! In the order of a frame's path: [`settings`] (from the manifest), [`letterbox`], [`anchors`], [`proposals`] (with
//! [`nms`]), [`roi_align`], [`detect`], [`region`], [`score`], [`track`] (live, with [`assignment`], [`motion`]
//! and [`class_votes`]) and [`greedy`] (published, offline), [`window`], [`aggregate`]; [`detail`] (a shop's close-ups).
//!
//! Nothing here knows a camera, an engine or a database: tensors in, values out.

pub mod aggregate;
pub mod anchors;
pub mod assignment;
pub mod class_votes;
pub mod detail;
pub mod detect;
pub mod greedy;
pub mod letterbox;
pub mod motion;
pub mod nms;
pub mod proposals;
pub mod region;
pub mod roi_align;
pub mod score;
pub mod settings;
pub mod track;
pub mod track_settings;
pub mod window;

pub use anchors::Anchors;
pub use detail::is_detail;
pub use detect::RawDetection;
pub use region::Region;
pub use roi_align::{FeatureMap, Levels, MapLayout, Pyramid, RoiGrid};
pub use score::ScoreHead;
pub use track::{Track, TrackId, Tracker};
pub use track_settings::TrackSettings;
pub use window::{Observation, Window};

use crate::frame::FrameMeta;
use crate::geometry::{Camera, Rect, Size};
use std::sync::Arc;

/// Descriptor of one garment in one picture from one head: `embedding` values (see the manifest), not normalised.
pub type Embedding = Arc<[f32]>;

/// Selects one of a detection's two embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingHead {
    /// The match head's: for single frames.
    Match,
    /// The aggregator's: for several frames.
    Aggregation,
}

/// One garment in one picture.
#[derive(Clone, Debug)]
pub struct Detection {
    /// In pixels of the given picture.
    pub bounds: Rect<Camera>,
    /// Index into the manifest's class names, without background.
    pub class: usize,
    /// Probability of `class`, or of its group, 0 to 1.
    pub score: f32,
    /// From the match head ("SFMR"): for tracking and single-frame search.
    pub match_embedding: Embedding,
    /// From the aggregator's head: for the search over several frames.
    pub aggregation_embedding: Embedding,
}

impl Detection {
    pub fn embedding(&self, head: EmbeddingHead) -> &Embedding {
        match head {
            EmbeddingHead::Match => &self.match_embedding,
            EmbeddingHead::Aggregation => &self.aggregation_embedding,
        }
    }
}

/// All garments of one frame, best score first.
#[derive(Clone, Debug)]
pub struct Detections {
    pub meta: FrameMeta,
    /// Size of the picture in camera pixels.
    pub size: Size,
    pub detections: Vec<Detection>,
}
