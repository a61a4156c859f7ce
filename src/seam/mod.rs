//! SEAM Match-RCNN around its graphs: everything that docs/seam.md puts between one network and the next.
//!
//! Reading order is the way of a frame: [`settings`] (what a manifest says), [`letterbox`], [`anchors`], [`proposals`] (with
//! [`nms`]), [`roi_align`], [`detect`], [`region`], [`score`], [`track`] (live) and [`greedy`] (published, offline), [`window`],
//! [`aggregate`]; [`detail`] (a shop's close-ups).
//!
//! Nothing here knows a camera, an engine or a database: tensors come in, values go out.

pub mod aggregate;
pub mod anchors;
pub mod detail;
pub mod detect;
pub mod greedy;
pub mod letterbox;
pub mod nms;
pub mod proposals;
pub mod region;
pub mod roi_align;
pub mod score;
pub mod settings;
pub mod track;
pub mod window;

pub use anchors::Anchors;
pub use detail::is_detail;
pub use detect::RawDetection;
pub use region::Region;
pub use roi_align::{FeatureMap, Levels, MapLayout, Pyramid, RoiGrid};
pub use score::ScoreHead;
pub use track::{Track, TrackId, TrackSettings, Tracker};
pub use window::{Observation, Window};

use crate::frame::FrameMeta;
use crate::geometry::{Camera, Rect, Size};
use std::sync::Arc;

/// A descriptor of one garment in one picture, by one match head: `embedding` values of the manifest, not normalised.
pub type Embedding = Arc<[f32]>;

/// Which of a detection's two embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingHead {
    /// By the single-image head: for one frame.
    Match,
    /// By the aggregator's head: for the query of several frames.
    Aggregation,
}

/// One garment in one picture.
#[derive(Clone, Debug)]
pub struct Detection {
    /// In pixels of the picture that was given.
    pub bounds: Rect<Camera>,
    /// Index into the manifest's class names (background is not among them).
    pub class: usize,
    /// Softmax probability of `class`, 0 to 1.
    pub score: f32,
    /// By the single-image head ("SFMR"): serves tracking and single-frame search.
    pub match_embedding: Embedding,
    /// By the aggregator's head: serves the search over several frames.
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
    /// The picture's size, camera pixels.
    pub size: Size,
    pub detections: Vec<Detection>,
}
