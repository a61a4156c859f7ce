//! Converts the region proposal network's outputs into the boxes for the box head (docs/seam.md §3).

use super::anchors::Anchors;
use super::nms::{decode, nms};
use super::settings::ProposalSettings;
use crate::geometry::{Network, Rect, Size};
use crate::tensor::Tensor;

/// A box with its objectness, 0 to 1.
#[derive(Clone, Copy, Debug)]
pub struct Proposal {
    pub bounds: Rect<Network>,
    pub score: f32,
}

/// The best boxes over all levels, best first. `objectness` (1 x ratios x h x w) and `deltas` (1 x 4 ratios x h x w):
/// one tensor per level of `anchors`. Boxes are clipped to `scaled`, the part of the input covered by the picture.
pub fn proposals(
    objectness: &[Tensor],
    deltas: &[Tensor],
    anchors: &Anchors,
    settings: &ProposalSettings,
    scaled: Size,
) -> Vec<Proposal> {
    let mut all = Vec::new();
    for level in 0..anchors.len() {
        let candidates = candidates(&objectness[level], &deltas[level], anchors, level, settings, scaled);
        let boxes: Vec<_> = candidates.iter().map(|proposal| proposal.bounds).collect();
        all.extend(nms(&boxes, settings.nms, settings.keep).into_iter().map(|index| candidates[index]));
    }
    all.sort_by(|a, b| b.score.total_cmp(&a.score));
    all.truncate(settings.keep);
    all
}

/// Best boxes of one level before suppression, best first.
fn candidates(
    objectness: &Tensor,
    deltas: &Tensor,
    anchors: &Anchors,
    level: usize,
    settings: &ProposalSettings,
    scaled: Size,
) -> Vec<Proposal> {
    let (height, width) = (objectness.shape()[2], objectness.shape()[3]);
    let plane = height * width;
    let anchors = anchors.level(level);
    let ratios = anchors.ratios();
    let best = top_k(objectness.data(), settings.per_level, |flat| (flat % plane) * ratios + flat / plane);
    let decoded = best.into_iter().map(|flat| {
        let (ratio, place) = (flat / plane, flat % plane);
        let deltas = std::array::from_fn(|axis| deltas.data()[(4 * ratio + axis) * plane + place]);
        let anchor = anchors.at(place % width, place / width, ratio);
        let bounds = decode(anchor, deltas, [1.0; 4]).clip(scaled.width as f32, scaled.height as f32);
        Proposal { bounds, score: sigmoid(objectness.data()[flat]) }
    });
    let least = settings.min_side;
    decoded.filter(|proposal| proposal.bounds.width() >= least && proposal.bounds.height() >= least).collect()
}

/// Indices of the `k` largest values, largest first; equal values in the order of `order`.
pub fn top_k(values: &[f32], k: usize, order: impl Fn(usize) -> usize) -> Vec<usize> {
    let better = |a: &usize, b: &usize| values[*b].total_cmp(&values[*a]).then_with(|| order(*a).cmp(&order(*b)));
    let mut indices: Vec<usize> = (0..values.len()).collect();
    if k == 0 {
        return Vec::new();
    }
    if k < indices.len() {
        indices.select_nth_unstable_by(k - 1, better);
        indices.truncate(k);
    }
    indices.sort_unstable_by(better);
    indices
}

/// The logistic function.
pub fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn top_k_is_the_head_of_a_full_sort(values in prop::collection::vec(-3i32..3, 0..200), k in 0usize..50) {
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            let mut sorted: Vec<usize> = (0..values.len()).collect();
            sorted.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
            sorted.truncate(k);
            prop_assert_eq!(top_k(&values, k, |index| index), sorted);
        }
    }
}
