//! Converts the box head's outputs into detections (docs/seam.md §4).

use super::nms::{decode, nms};
use super::settings::DetectionSettings;
use crate::geometry::{Network, Rect, Size};
use crate::tensor::Tensor;

/// The box head's deltas are scaled by these factors relative to the proposal network's.
const WEIGHTS: [f32; 4] = [10.0, 10.0, 5.0, 5.0];

/// A detection without embeddings.
#[derive(Clone, Copy, Debug)]
pub struct RawDetection {
    pub bounds: Rect<Network>,
    /// Index into the class names, without background.
    pub class: usize,
    pub score: f32,
}

/// Detections, best score first. `logits` (n x classes + 1) and `deltas` (n x 4 (classes + 1)) may have more rows than
/// `proposals`: the rest is padding. `groups`: classes that form one detection; as published, each class alone.
pub fn detect(
    proposals: &[Rect<Network>],
    logits: &Tensor,
    deltas: &Tensor,
    groups: &[Vec<usize>],
    settings: &DetectionSettings,
    scaled: Size,
) -> Vec<RawDetection> {
    let columns = logits.shape()[1];
    let probabilities: Vec<f32> = logits.data().chunks_exact(columns).take(proposals.len()).flat_map(softmax).collect();
    let mut all = Vec::new();
    for group in groups {
        let mut found = Vec::new();
        let rows = probabilities.chunks_exact(columns).zip(deltas.data().chunks_exact(4 * columns));
        for (proposal, (probabilities, deltas)) in proposals.iter().zip(rows) {
            let (class, score) = together(probabilities, group);
            if score <= settings.score {
                continue;
            }
            let bounds = mean_box(proposal, probabilities, deltas, group, scaled);
            if bounds.width() >= settings.min_side && bounds.height() >= settings.min_side {
                found.push(RawDetection { bounds, class, score });
            }
        }
        found.sort_by(best_first);
        let boxes: Vec<_> = found.iter().map(|detection| detection.bounds).collect();
        all.extend(nms(&boxes, settings.nms, settings.max).into_iter().map(|index| found[index]));
    }
    all.sort_by(best_first);
    all.truncate(settings.max);
    all
}

/// The most probable class of the most probable group for one box, without background, and the group's probability.
/// `logits`: one row, classes + 1.
pub fn likeliest(logits: &[f32], groups: &[Vec<usize>]) -> (usize, f32) {
    let probabilities = softmax(logits);
    let found = groups.iter().map(|group| together(&probabilities, group));
    found.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).unwrap_or((0, 0.0))
}

/// The most probable class of a group, and the sum of the group's probabilities. `probabilities`: background first.
fn together(probabilities: &[f32], group: &[usize]) -> (usize, f32) {
    let of = |class: usize| probabilities[class + 1];
    let class = group.iter().copied().max_by(|a, b| of(*a).total_cmp(&of(*b)).then(b.cmp(a)));
    (class.unwrap_or(0), group.iter().map(|&class| of(class)).sum())
}

/// Each class has its own deltas: the mean of the boxes of a group's classes, weighted by probability.
fn mean_box(
    proposal: &Rect<Network>,
    probabilities: &[f32],
    deltas: &[f32],
    group: &[usize],
    scaled: Size,
) -> Rect<Network> {
    let moved = |class: usize| {
        let start = 4 * (class + 1);
        let bounds: Rect<Network> =
            decode(proposal.corners(), std::array::from_fn(|axis| deltas[start + axis]), WEIGHTS);
        bounds.clip(scaled.width as f32, scaled.height as f32).corners()
    };
    // Computed relative to the first box, so that a single class keeps its box exactly.
    let first = moved(group[0]);
    let (mut sum, mut weight) = ([0.0; 4], probabilities[group[0] + 1]);
    for &class in &group[1..] {
        let share = probabilities[class + 1];
        weight += share;
        for (sum, (corner, first)) in sum.iter_mut().zip(moved(class).into_iter().zip(first)) {
            *sum += share * (corner - first);
        }
    }
    let [x1, y1, x2, y2] = std::array::from_fn(|axis| first[axis] + sum[axis] / weight);
    Rect::new(x1, y1, x2, y2)
}

fn best_first(a: &RawDetection, b: &RawDetection) -> std::cmp::Ordering {
    b.score.total_cmp(&a.score)
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - greatest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::settings::Per;

    #[test]
    fn a_given_box_gets_a_garment_class_even_if_background_is_more_probable() {
        let (class, score) = likeliest(&[2.0, 0.0, 1.0], &[vec![0], vec![1]]);
        assert_eq!(class, 1);
        assert!((score - 1f32.exp() / (2f32.exp() + 1.0 + 1f32.exp())).abs() < 1e-6);
    }

    #[test]
    fn background_and_doubles_are_dropped() {
        let settings = DetectionSettings { score: 0.05, nms: 0.5, max: 100, min_side: 0.01, per: Per::Class };
        let proposals = [[0.0, 0.0, 50.0, 50.0], [2.0, 0.0, 52.0, 50.0], [60.0, 60.0, 90.0, 90.0]];
        let proposals = proposals.map(|[a, b, c, d]| Rect::new(a, b, c, d));
        let logits = Tensor::new([4, 3], vec![0., 9., 0., 0., 8., 0., 9., 0., 0., 0., 99., 0.]);
        let deltas = Tensor::zeros([4, 12]);
        let found = detect(&proposals, &logits, &deltas, &[vec![0], vec![1]], &settings, Size::new(100, 100));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].class, 0);
        assert_eq!(found[0].bounds, proposals[0]);
    }

    #[test]
    fn classes_of_a_group_are_one_garment() {
        let settings = DetectionSettings { score: 0.05, nms: 0.5, max: 100, min_side: 0.01, per: Per::Region };
        let proposals = [Rect::new(20.0, 20.0, 60.0, 60.0)];
        // Background 0.1, classes 0.36, 0.54 and 0; the box of the second class is 4 pixels further right.
        let logits = Tensor::new([1, 4], [0.1f32, 0.36, 0.54, 1e-9].map(f32::ln).to_vec());
        let mut deltas = Tensor::zeros([1, 16]);
        deltas.data_mut()[8] = 1.0;
        let size = Size::new(100, 100);
        let found = detect(&proposals, &logits, &deltas, &[vec![0, 1], vec![2]], &settings, size);
        assert_eq!(found.len(), 1);
        assert!(found[0].class == 1 && (found[0].score - 0.9).abs() < 1e-6, "{found:?}");
        assert!((found[0].bounds.x1 - 22.4).abs() < 1e-4 && (found[0].bounds.y2 - 60.0).abs() < 1e-4, "{found:?}");
        assert_eq!(detect(&proposals, &logits, &deltas, &[vec![0], vec![1], vec![2]], &settings, size).len(), 2);
        assert_eq!(likeliest(logits.data(), &[vec![0, 2], vec![1]]).0, 1);
    }
}
