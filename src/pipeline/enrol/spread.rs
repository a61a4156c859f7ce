//! Of many good views of one garment the few that differ most: front, back and sides look different, ten frames of a person who
//! stands still do not.

use super::good_frame::GoodFrame;
use crate::seam::ScoreHead;

/// A frame that is less sharp than this beside the garment's sharper ones is blurred: somebody moved. Share.
const SHARP: f32 = 0.5;
/// What the others are held against: the frame that is sharper than three of four. One frame in which something else passes through the
/// box may be far sharper than all others.
const SHARPER_THAN: f32 = 0.75;

/// The frames that are sharp beside the sharper ones, each with its sharpness beside these, 0 to 1.
pub fn sharp(frames: &[GoodFrame]) -> Vec<(&GoodFrame, f32)> {
    let mut all: Vec<f32> = frames.iter().map(|frame| frame.sharpness).collect();
    all.sort_by(f32::total_cmp);
    let sharper = all.get(((all.len().saturating_sub(1)) as f32 * SHARPER_THAN) as usize).copied().unwrap_or(0.0);
    let beside = |frame: &GoodFrame| if sharper > 0.0 { (frame.sharpness / sharper).min(1.0) } else { 1.0 };
    frames.iter().map(|frame| (frame, beside(frame))).filter(|(_, share)| *share >= SHARP).collect()
}

/// The places of at most `count` of `frames`: first the surest and sharpest, then again and again the one that is least like all that
/// were chosen. The first n of the answer are therefore the choice of n. `head`: that of the aggregator's embeddings.
pub fn spread(frames: &[(&GoodFrame, f32)], count: usize, head: &ScoreHead) -> Vec<usize> {
    let worth = |&place: &usize| frames[place].0.view.score * frames[place].1;
    let Some(first) = (0..frames.len()).max_by(|a, b| worth(a).total_cmp(&worth(b)).then(b.cmp(a))) else {
        return Vec::new();
    };
    let alike = |a: usize, b: usize| {
        head.logit(&frames[a].0.view.aggregation_embedding, &frames[b].0.view.aggregation_embedding)
    };
    let mut chosen = vec![first];
    let mut nearest: Vec<f32> = (0..frames.len()).map(|place| alike(place, first)).collect();
    while chosen.len() < count.min(frames.len()) {
        let left = (0..frames.len()).filter(|place| !chosen.contains(place));
        let Some(next) = left.min_by(|&a, &b| nearest[a].total_cmp(&nearest[b]).then(a.cmp(&b))) else { break };
        chosen.push(next);
        for (place, nearest) in nearest.iter_mut().enumerate() {
            *nearest = nearest.max(alike(place, next));
        }
    }
    chosen.truncate(count);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;
    use crate::seam::Detection;
    use std::time::Duration;

    fn frame(look: f32, score: f32, sharpness: f32) -> GoodFrame {
        let view = Detection {
            bounds: Rect::new(0.0, 0.0, 1.0, 1.0),
            class: 0,
            score,
            match_embedding: [0.0].into(),
            aggregation_embedding: [look].into(),
        };
        GoodFrame { captured: Duration::ZERO, view, sharpness }
    }

    fn head() -> ScoreHead {
        ScoreHead { weight: vec![-1.0], bias: 1.0 }
    }

    #[test]
    fn the_surest_comes_first_and_then_what_differs_most() {
        let frames = [
            frame(0.0, 0.7, 9.0),
            frame(0.1, 0.9, 9.0),
            frame(5.0, 0.6, 9.0),
            frame(9.0, 0.6, 6.0),
            frame(8.9, 0.6, 1.0),
        ];
        let sharp = sharp(&frames);
        assert_eq!(sharp.len(), 4, "the last is blurred");
        let passed = [
            frame(0.0, 0.7, 3.0),
            frame(0.0, 0.7, 4.0),
            frame(0.0, 0.7, 90.0),
            frame(0.0, 0.7, 3.5),
            frame(0.0, 0.7, 3.6),
        ];
        assert_eq!(super::sharp(&passed).len(), 5, "one frame in which somebody passes by spoils no other");
        assert_eq!(spread(&sharp, 3, &head()), [1, 3, 2]);
        assert_eq!(spread(&sharp, 2, &head()), [1, 3], "fewer are the first of more");
        assert_eq!(spread(&sharp, 9, &head()).len(), 4);
        assert!(spread(&[], 3, &head()).is_empty() && spread(&sharp, 0, &head()).is_empty());
    }
}
