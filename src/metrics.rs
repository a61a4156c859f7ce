//! How long each stage of a frame took. No domain words: a stage is a name.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Durations by stage name. `BTreeMap` over insertion order would sort the stages; the order of first use is kept instead.
#[derive(Clone, Debug, Default)]
pub struct StageTimes {
    order: Vec<&'static str>,
    samples: BTreeMap<&'static str, Vec<Duration>>,
}

impl StageTimes {
    /// Runs `work` and adds its duration to `stage`.
    pub fn time<T>(&mut self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let value = work();
        self.add(stage, start.elapsed());
        value
    }

    pub fn add(&mut self, stage: &'static str, duration: Duration) {
        if !self.samples.contains_key(stage) {
            self.order.push(stage);
        }
        self.samples.entry(stage).or_default().push(duration);
    }

    /// Takes over all samples of `other`.
    pub fn merge(&mut self, other: StageTimes) {
        for stage in &other.order {
            for duration in &other.samples[stage] {
                self.add(stage, *duration);
            }
        }
    }

    /// One summary a stage, in order of first use.
    pub fn summaries(&self) -> Vec<StageSummary> {
        self.order.iter().map(|&stage| StageSummary::of(stage, &self.samples[stage])).collect()
    }
}

/// Median and 95th percentile of a stage's durations.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSummary {
    pub stage: &'static str,
    pub count: usize,
    pub median: Duration,
    pub p95: Duration,
}

impl StageSummary {
    fn of(stage: &'static str, samples: &[Duration]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let at = |quantile: f64| sorted[((sorted.len() - 1) as f64 * quantile).round() as usize];
        StageSummary { stage, count: sorted.len(), median: at(0.5), p95: at(0.95) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_keep_the_order_of_first_use() {
        let mut times = StageTimes::default();
        for ms in [5, 1, 3] {
            times.add("trunk", Duration::from_millis(ms));
        }
        times.add("letterbox", Duration::from_millis(9));
        let summaries = times.summaries();
        assert_eq!(summaries[0].stage, "trunk");
        assert_eq!(summaries[0].median, Duration::from_millis(3));
        assert_eq!(summaries[0].p95, Duration::from_millis(5));
        assert_eq!(summaries[1].stage, "letterbox");
    }
}
