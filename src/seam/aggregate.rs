//! A window of embeddings as input of the aggregation graph (docs/seam.md §7).

use super::Embedding;
use crate::tensor::Tensor;

/// A window, ready to be aggregated.
pub enum Sequence {
    /// No observation.
    Empty,
    /// One observation is its own aggregate; no graph needed.
    Single(Embedding),
    /// T x embedding, T > 1: input of the graph.
    Several(Tensor),
}

/// Packs a window. The oldest observation comes first.
pub fn sequence(window: &[Embedding]) -> Sequence {
    match window {
        [] => Sequence::Empty,
        [one] => Sequence::Single(one.clone()),
        several => {
            let data: Vec<f32> = several.iter().flat_map(|embedding| embedding.iter().copied()).collect();
            let columns = data.len() / several.len();
            Sequence::Several(Tensor::new([several.len(), columns], data))
        }
    }
}
