//! SEAM Match-RCNN around its graphs: everything that seam-spec puts between one network and the next.
//!
//! Nothing here knows a camera, an engine or a database: tensors come in, values go out.

use crate::frame::FrameMeta;
use crate::geometry::{Camera, Rect};
use std::sync::Arc;

/// A descriptor of one garment in one picture, by one match head: `embedding` values of the manifest, not normalised.
pub type Embedding = Arc<[f32]>;

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

/// All garments of one frame, best score first.
#[derive(Clone, Debug)]
pub struct Detections {
    pub meta: FrameMeta,
    pub detections: Vec<Detection>,
}
