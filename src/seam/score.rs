//! The match score of two embeddings (docs/seam.md §6).

use super::proposals::sigmoid;

/// Comparison of one head's embeddings: logit = weight . (a - b)^2 + bias, elementwise square.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreHead {
    pub weight: Vec<f32>,
    pub bias: f32,
}

impl ScoreHead {
    /// The logit of two embeddings; symmetric.
    pub fn logit(&self, a: &[f32], b: &[f32]) -> f32 {
        let terms = self.weight.iter().zip(a.iter().zip(b));
        self.bias + terms.map(|(weight, (a, b))| weight * (a - b) * (a - b)).sum::<f32>()
    }

    /// The published score, 0 to 1. Rank by the logit: the score saturates.
    pub fn score(&self, a: &[f32], b: &[f32]) -> f32 {
        sigmoid(self.logit(a, b))
    }
    /// How much alike two embeddings are, 0 to 1: the share of the logit of equal ones that is left. Unlike the score it also tells
    /// apart garments of one picture, whose scores are nearly all 1. Where equal ones have no positive logit it is the score.
    pub fn likeness(&self, a: &[f32], b: &[f32]) -> f32 {
        let logit = self.logit(a, b);
        if self.bias > 0.0 { (logit / self.bias).clamp(0.0, 1.0) } else { sigmoid(logit) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_falls_where_the_score_stays_at_one() {
        let head = ScoreHead { weight: vec![-1.0], bias: 12.0 };
        let at = |distance: f32| (head.score(&[0.0], &[distance]), head.likeness(&[0.0], &[distance]));
        assert_eq!(at(0.0).1, 1.0);
        assert!(at(1.5).0 > 0.9999 && (at(1.5).1 - 9.75 / 12.0).abs() < 1e-6);
        assert_eq!(at(9.0).1, 0.0);
        let published = ScoreHead { weight: vec![-1.0], bias: -1.0 };
        assert_eq!(published.likeness(&[0.0], &[1.0]), published.score(&[0.0], &[1.0]));
    }
}
