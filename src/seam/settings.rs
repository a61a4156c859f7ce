//! What a model's manifest says about each step, as plain values.

use crate::geometry::Rect;
use serde::Deserialize;

/// How a picture becomes the network's input (docs/seam.md §1).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSettings {
    pub height: usize,
    pub width: usize,
    /// Per channel R, G, B, of values 0 to 1.
    pub mean: [f32; 3],
    pub std: [f32; 3],
    pub prefilter: Prefilter,
}

/// What is done to a picture before the bilinear resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prefilter {
    /// Nothing, as published.
    None,
    /// A mean over whole blocks of pixels, where the picture is more than twice the size.
    Box,
}

/// The feature pyramid that RoIs are taken from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSettings {
    pub channels: usize,
    /// Pyramid levels in order, 3 for P3: one trunk output each.
    pub levels: Vec<i32>,
}

/// Anchors, one size a level of the region proposal network (docs/seam.md §3).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorSettings {
    /// Input pixels, one per level.
    pub sizes: Vec<f32>,
    /// Height over width.
    pub ratios: Vec<f32>,
    /// (y, x) in input pixels, one per level.
    pub strides: Vec<[usize; 2]>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalSettings {
    /// Best logits kept of each level.
    pub per_level: usize,
    /// Best proposals kept over all levels: the box head's batch.
    pub keep: usize,
    /// IoU above which the weaker of two is dropped.
    pub nms: f32,
    /// Shortest side, input pixels.
    pub min_side: f32,
    /// How many times as wide and high as a proposal the part of the picture about it is that the box head sees too, in a RoI of
    /// its own behind the proposal's. Absent: the box head sees the proposal alone, as published.
    pub context: Option<f32>,
}

impl ProposalSettings {
    /// RoIs that the box head gets for each proposal.
    pub fn rois_each(&self) -> usize {
        if self.context.is_some() { 2 } else { 1 }
    }

    /// What the box head sees of `boxes`: [`Self::rois_each`] RoIs of each, one after the other.
    pub fn seen<S>(&self, boxes: &[Rect<S>]) -> Vec<Rect<S>> {
        let Some(times) = self.context else { return boxes.to_vec() };
        boxes.iter().flat_map(|bounds| [*bounds, bounds.grown(times - 1.0)]).collect()
    }
}

/// Which pyramid level a RoI is taken from, and how (docs/seam.md §4).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoiSettings {
    /// A box with this square root of its area lies on `canonical_level`; input pixels.
    pub canonical_size: f32,
    pub canonical_level: i32,
    /// Samples a bin and axis.
    pub sampling_ratio: usize,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectionSettings {
    /// Scores must be greater.
    pub score: f32,
    pub nms: f32,
    /// Most detections of a picture.
    pub max: usize,
    /// Shortest side, input pixels.
    pub min_side: f32,
    #[serde(default)]
    pub per: Per,
}

/// How classes are grouped in detection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Each class by itself, as published: a garment that could be of two classes is detected twice, each time with half the score.
    #[default]
    Class,
    /// The classes of one region of the body together: a garment has the score of all of them, and the likeliest class.
    Region,
}

/// The single-image match head (docs/seam.md §5 and §6).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchSettings {
    /// RoIs that the graph takes in one run.
    pub batch: usize,
    /// Values of one embedding.
    pub embedding: usize,
    /// v = W\[1\] - W\[0\]
    pub weight: Vec<f32>,
    /// d = c\[1\] - c\[0\]
    pub bias: f32,
}

/// The aggregator's head (docs/seam.md §6 and §7).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregationSettings {
    /// Observations of a full window.
    pub frames: usize,
    pub weight: Vec<f32>,
    pub bias: f32,
    /// Added to the logit of a worn view, which is seen as the query is and so matches it better than a picture of the shop does: what
    /// makes both count alike. Calibrated on generated people (docs/experiments/enrol.md); without a value they count as they are.
    #[serde(default)]
    pub worn_offset: f32,
}

/// "Not in our catalogue": calibrated on held-out data.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSetSettings {
    /// A best match below this logit is no match.
    pub logit: f32,
}

/// The second pass over people who are small in the network's input.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondPassSettings {
    /// A group of garments gets a second pass where it covers less than this share of both sides of the input.
    pub below: f32,
    /// The share of the second pass's picture that the group fills, by its larger side.
    pub fill: f32,
    /// Detections below this score make no group.
    pub score: f32,
    /// Most groups of a picture that get a second pass, the largest first.
    #[serde(rename = "looks")]
    pub max_groups: usize,
}
