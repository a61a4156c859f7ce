//! Settings of each step from a model's manifest, as plain data.

use crate::geometry::Rect;
use serde::Deserialize;

/// Conversion of a picture to the network's input (docs/seam.md §1).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSettings {
    pub height: usize,
    pub width: usize,
    /// Per channel R, G, B, for values from 0 to 1.
    pub mean: [f32; 3],
    pub std: [f32; 3],
    pub prefilter: Prefilter,
}

/// Filter applied before the bilinear resize.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prefilter {
    /// Nothing, as published.
    None,
    /// Mean over whole blocks of pixels, if the picture is more than twice the input's size.
    Box,
}

/// The feature pyramid from which RoIs are read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSettings {
    pub channels: usize,
    /// Pyramid levels in order, 3 for P3: one trunk output per level.
    pub levels: Vec<i32>,
}

/// Anchors of the region proposal network, one size per level (docs/seam.md §3).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorSettings {
    /// In input pixels, one per level.
    pub sizes: Vec<f32>,
    /// Height divided by width.
    pub ratios: Vec<f32>,
    /// (y, x) in input pixels, one per level.
    pub strides: Vec<[usize; 2]>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalSettings {
    /// Number of best logits kept per level.
    pub per_level: usize,
    /// Number of best proposals kept over all levels: the box head's batch.
    pub keep: usize,
    /// IoU above which the weaker of two boxes is dropped.
    pub nms: f32,
    /// Minimum side in input pixels.
    pub min_side: f32,
    /// Size of the surroundings that the box head also reads, as a multiple of the proposal's width and height: a
    /// second RoI after the proposal's. Absent: only the proposal, as published.
    pub context: Option<f32>,
}

impl ProposalSettings {
    /// Number of RoIs per proposal.
    pub fn rois_each(&self) -> usize {
        if self.context.is_some() { 2 } else { 1 }
    }

    /// RoIs of `boxes`: [`Self::rois_each`] per box, in sequence.
    pub fn seen<S>(&self, boxes: &[Rect<S>]) -> Vec<Rect<S>> {
        let Some(times) = self.context else { return boxes.to_vec() };
        boxes.iter().flat_map(|bounds| [*bounds, bounds.grown(times - 1.0)]).collect()
    }
}

/// Pyramid level and sampling of a RoI (docs/seam.md §4).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoiSettings {
    /// A box whose area has this square root is read from `canonical_level`; input pixels.
    pub canonical_size: f32,
    pub canonical_level: i32,
    /// Samples per bin and axis.
    pub sampling_ratio: usize,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectionSettings {
    /// Scores must be greater than this.
    pub score: f32,
    pub nms: f32,
    /// Maximum number of detections per picture.
    pub max: usize,
    /// Minimum side in input pixels.
    pub min_side: f32,
    #[serde(default)]
    pub per: Per,
}

/// Grouping of classes in detection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Each class alone, as published: a garment between two classes is detected twice, each time with about half the
    /// score.
    #[default]
    Class,
    /// All classes of one body region together: a garment has the sum of their scores and the most probable class.
    Region,
}

/// The match head (docs/seam.md §5 and §6).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchSettings {
    /// RoIs per run of the graph.
    pub batch: usize,
    /// Length of an embedding.
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
    /// Observations in a full window.
    pub frames: usize,
    pub weight: Vec<f32>,
    pub bias: f32,
    /// Added to the logit of worn views, which match a query better than a shop picture does, right or wrong, so that both
    /// count alike; half of it for a picture that was moved half of the way. Calibrated on generated people
    /// (docs/experiments/enrol.md). Absent: 0.
    #[serde(default)]
    pub worn_offset: f32,
}

/// Threshold for "not in our catalogue", calibrated on held-out data.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSetSettings {
    /// A best match below this logit does not count as a match.
    pub logit: f32,
}

/// The second pass over persons that are small in the network's input.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondPassSettings {
    /// A group of garments gets a second pass if it covers less than this share of both sides of the input.
    pub below: f32,
    /// Share of the second pass's picture that the group fills, by its larger side.
    pub fill: f32,
    /// Detections below this score form no group.
    pub score: f32,
    /// Maximum number of groups per picture with a second pass, largest first.
    #[serde(rename = "looks")]
    pub max_groups: usize,
}
