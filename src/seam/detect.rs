//! From the box head's outputs to detections (seam-spec section 4).

use super::nms::{decode, nms};
use super::settings::DetectionSettings;
use crate::geometry::{Network, Rect, Size};
use crate::tensor::Tensor;

/// Deltas of the box head are this many times finer than the proposal network's.
const WEIGHTS: [f32; 4] = [10.0, 10.0, 5.0, 5.0];

/// A detection before it is embedded.
#[derive(Clone, Copy, Debug)]
pub struct RawDetection {
    pub bounds: Rect<Network>,
    /// Index into the class names, without background.
    pub class: usize,
    pub score: f32,
}

/// Detections, best score first. `logits` (n x classes + 1) and `deltas` (n x 4 (classes + 1)) may hold more rows than there
/// are `proposals`: the rest is padding.
pub fn detect(
    proposals: &[Rect<Network>],
    logits: &Tensor,
    deltas: &Tensor,
    settings: &DetectionSettings,
    scaled: Size,
) -> Vec<RawDetection> {
    let columns = logits.shape()[1];
    let probabilities: Vec<f32> = logits.data().chunks_exact(columns).take(proposals.len()).flat_map(softmax).collect();
    let mut all = Vec::new();
    for column in 1..columns {
        let mut found = Vec::new();
        for (row, proposal) in proposals.iter().enumerate() {
            let score = probabilities[row * columns + column];
            if score <= settings.score {
                continue;
            }
            let start = 4 * (row * columns + column);
            let deltas = std::array::from_fn(|axis| deltas.data()[start + axis]);
            let bounds = decode(proposal.corners(), deltas, WEIGHTS).clip(scaled.width as f32, scaled.height as f32);
            if bounds.width() >= settings.min_side && bounds.height() >= settings.min_side {
                found.push(RawDetection { bounds, class: column - 1, score });
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

/// The likeliest class of one box, background aside, and its probability. `logits`: classes + 1 of one row.
pub fn likeliest(logits: &[f32]) -> (usize, f32) {
    let probabilities = softmax(logits);
    let classes = probabilities.iter().copied().enumerate().skip(1);
    let best = classes.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
    best.map_or((0, 0.0), |(column, probability)| (column - 1, probability))
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

    #[test]
    fn a_given_boxs_class_is_the_likeliest_garment_even_where_background_is_likelier() {
        let (class, score) = likeliest(&[2.0, 0.0, 1.0]);
        assert_eq!(class, 1);
        assert!((score - 1f32.exp() / (2f32.exp() + 1.0 + 1f32.exp())).abs() < 1e-6);
    }

    #[test]
    fn background_and_doubles_are_dropped() {
        let settings = DetectionSettings { score: 0.05, nms: 0.5, max: 100, min_side: 0.01 };
        let proposals = [[0.0, 0.0, 50.0, 50.0], [2.0, 0.0, 52.0, 50.0], [60.0, 60.0, 90.0, 90.0]];
        let proposals = proposals.map(|[a, b, c, d]| Rect::new(a, b, c, d));
        let logits = Tensor::new([4, 3], vec![0., 9., 0., 0., 8., 0., 9., 0., 0., 0., 99., 0.]);
        let deltas = Tensor::zeros([4, 12]);
        let found = detect(&proposals, &logits, &deltas, &settings, Size::new(100, 100));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].class, 0);
        assert_eq!(found[0].bounds, proposals[0]);
    }
}
