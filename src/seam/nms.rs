//! Non-maximum suppression, and decoding of box deltas.

use crate::geometry::{Network, Rect};

/// Limit of width and height deltas, against overflow: ln(1000 / 16).
pub const DELTA_LIMIT: f32 = 4.135_166_6;

/// Applies `deltas` (dx, dy, dw, dh), divided by `weights`, to `anchor` (corners).
pub fn decode(anchor: [f32; 4], deltas: [f32; 4], weights: [f32; 4]) -> Rect<Network> {
    let (width, height) = (anchor[2] - anchor[0], anchor[3] - anchor[1]);
    let (x, y) = (anchor[0] + 0.5 * width, anchor[1] + 0.5 * height);
    let x = deltas[0] / weights[0] * width + x;
    let y = deltas[1] / weights[1] * height + y;
    let half_width = 0.5 * width * (deltas[2] / weights[2]).min(DELTA_LIMIT).exp();
    let half_height = 0.5 * height * (deltas[3] / weights[3]).min(DELTA_LIMIT).exp();
    Rect::new(x - half_width, y - half_height, x + half_width, y + half_height)
}

/// Keeps each of `boxes` (best first) that overlaps no kept box by more than `limit` (IoU). Returns at most `most`
/// indices, in order.
pub fn nms(boxes: &[Rect<Network>], limit: f32, most: usize) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    for (index, candidate) in boxes.iter().enumerate() {
        if kept.len() == most {
            break;
        }
        if kept.iter().all(|&better| boxes[better].iou(candidate) <= limit) {
            kept.push(index);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Suppression by definition, box by box.
    fn by_definition(boxes: &[Rect<Network>], limit: f32) -> Vec<usize> {
        let mut alive = vec![true; boxes.len()];
        for first in 0..boxes.len() {
            for second in first + 1..boxes.len() {
                if alive[first] && boxes[first].iou(&boxes[second]) > limit {
                    alive[second] = false;
                }
            }
        }
        (0..boxes.len()).filter(|&index| alive[index]).collect()
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            corners in prop::collection::vec((0f32..80.0, 0f32..80.0, 1f32..40.0, 1f32..40.0), 0..60),
            limit in 0.1f32..0.9,
        ) {
            let boxes: Vec<_> = corners.iter().map(|(x, y, w, h)| Rect::new(*x, *y, x + w, y + h)).collect();
            prop_assert_eq!(nms(&boxes, limit, usize::MAX), by_definition(&boxes, limit));
        }
    }

    #[test]
    fn zero_deltas_leave_the_anchor() {
        let anchor = [10.0, 20.0, 30.0, 60.0];
        assert_eq!(decode(anchor, [0.0; 4], [1.0; 4]).corners(), anchor);
        let wild = decode(anchor, [0.0, 0.0, f32::MAX, f32::MAX], [1.0; 4]);
        assert!(wild.width().is_finite());
    }
}
