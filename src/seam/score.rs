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
}
