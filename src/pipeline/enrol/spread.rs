//! Of many good views of one garment the few that differ most: front, back and sides look different, ten frames of a person who
//! stands still do not.

use super::good_frame::GoodFrame;
use crate::seam::ScoreHead;

/// Beside the sharpest frame of a garment one that is less sharp than this is blurred: somebody moved. Share.
const SHARP: f32 = 0.5;

/// The frames that are sharp beside the sharpest, each with its sharpness beside it, 0 to 1.
pub fn sharp(frames: &[GoodFrame]) -> Vec<(&GoodFrame, f32)> {
    let best = frames.iter().map(|frame| frame.sharpness).fold(0.0, f32::max);
    let beside = |frame: &GoodFrame| if best > 0.0 { frame.sharpness / best } else { 1.0 };
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
        assert_eq!(spread(&sharp, 3, &head()), [1, 3, 2]);
        assert_eq!(spread(&sharp, 2, &head()), [1, 3], "fewer are the first of more");
        assert_eq!(spread(&sharp, 9, &head()).len(), 4);
        assert!(spread(&[], 3, &head()).is_empty() && spread(&sharp, 0, &head()).is_empty());
    }
}
