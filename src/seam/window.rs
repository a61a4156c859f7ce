//! The latest observations of one garment, to be fused into one embedding.

use super::{Detection, Embedding};
use crate::frame::FrameMeta;
use std::collections::VecDeque;
use std::time::Duration;

/// A detection with its frame.
#[derive(Clone, Debug)]
pub struct Observation {
    pub meta: FrameMeta,
    pub detection: Detection,
}

/// At most `capacity` observations, none older than `span` before the newest.
#[derive(Clone, Debug)]
pub struct Window {
    capacity: usize,
    span: Duration,
    observations: VecDeque<Observation>,
}

impl Window {
    /// Holds the last `capacity` observations that are no older than `span`.
    pub fn new(capacity: usize, span: Duration) -> Self {
        Window { capacity: capacity.max(1), span, observations: VecDeque::with_capacity(capacity) }
    }

    /// Adds the newest observation and drops those that no longer fit.
    pub fn push(&mut self, observation: Observation) {
        let newest = observation.meta.captured;
        self.observations.push_back(observation);
        while self.observations.len() > self.capacity
            || self.observations.front().is_some_and(|oldest| newest.saturating_sub(oldest.meta.captured) > self.span)
        {
            self.observations.pop_front();
        }
    }

    pub fn len(&self) -> usize {
        self.observations.len()
    }

    pub fn is_full(&self) -> bool {
        self.observations.len() >= self.capacity
    }

    pub fn is_empty(&self) -> bool {
        self.observations.is_empty()
    }

    /// Newest last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Observation> {
        self.observations.iter()
    }

    /// The newest observation.
    pub fn latest(&self) -> Option<&Observation> {
        self.observations.back()
    }

    /// The aggregation embeddings, oldest first.
    pub fn embeddings(&self) -> Vec<Embedding> {
        self.iter().map(|observation| observation.detection.aggregation_embedding.clone()).collect()
    }

    /// Mean detection score; 0 if empty.
    pub fn mean_score(&self) -> f32 {
        self.iter().map(|observation| observation.detection.score).sum::<f32>() / self.len().max(1) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn holds_the_last_within_its_span(steps in prop::collection::vec(0u64..700, 1..60), capacity in 1usize..12) {
            let span = Duration::from_millis(2000);
            let mut window = Window::new(capacity, span);
            let (mut now, mut all) = (0, Vec::new());
            for (sequence, step) in steps.into_iter().enumerate() {
                now += step;
                let captured = Duration::from_millis(now);
                all.push(captured);
                let detection = Detection {
                    bounds: Rect::new(0.0, 0.0, 1.0, 1.0), class: 0, score: 1.0,
                    match_embedding: [0.0].into(), aggregation_embedding: [0.0].into(),
                };
                window.push(Observation { meta: FrameMeta { source: 0, sequence: sequence as u64, captured }, detection });
                let recent = all.iter().rev().take(capacity).filter(|&&at| captured - at <= span).count();
                prop_assert_eq!(window.len(), recent);
                prop_assert_eq!(window.latest().map(|latest| latest.meta.captured), Some(captured));
            }
        }
    }
}
