//! Durations of processing stages, and counters. Independent of the domain: a stage is a name.

use nix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Durations by stage name, in the order of first use.
#[derive(Clone, Debug, Default)]
pub struct StageTimes {
    measure: Measure,
    order: Vec<&'static str>,
    samples: BTreeMap<&'static str, Vec<Duration>>,
}

/// The clock that measures a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// Elapsed time.
    #[default]
    Elapsed,
    /// Processor time of this thread, hardly affected by other load. Only for stages that run on one thread without waiting.
    Processor,
}

impl Measure {
    /// A moment; only differences between moments of one thread are meaningful.
    pub fn now(self) -> Duration {
        let id = match self {
            Measure::Elapsed => ClockId::CLOCK_MONOTONIC,
            Measure::Processor => ClockId::CLOCK_THREAD_CPUTIME_ID,
        };
        // Linux has both clocks since 2.6.12.
        clock_gettime(id).map(Duration::from).unwrap_or_default()
    }
}

impl StageTimes {
    /// No samples yet, for stages measured by this clock.
    pub fn by(measure: Measure) -> Self {
        StageTimes { measure, ..StageTimes::default() }
    }

    /// Runs `work` and adds its duration to `stage`.
    pub fn time<T>(&mut self, stage: &'static str, work: impl FnOnce() -> T) -> T {
        let start = self.measure.now();
        let value = work();
        self.add(stage, self.measure.now().saturating_sub(start));
        value
    }

    /// Adds one run of a stage.
    pub fn add(&mut self, stage: &'static str, duration: Duration) {
        if !self.samples.contains_key(stage) {
            self.order.push(stage);
        }
        self.samples.entry(stage).or_default().push(duration);
    }

    /// Adds all samples of `other`.
    pub fn merge(&mut self, other: StageTimes) {
        for stage in &other.order {
            for duration in &other.samples[stage] {
                self.add(stage, *duration);
            }
        }
    }

    /// All samples with their stages.
    pub fn samples(&self) -> impl Iterator<Item = (&'static str, Duration)> + '_ {
        self.samples.iter().flat_map(|(stage, durations)| durations.iter().map(|duration| (*stage, *duration)))
    }

    /// One summary per stage, in the order of first use.
    pub fn summaries(&self) -> Vec<StageSummary> {
        self.order.iter().map(|&stage| StageSummary::of(stage, &self.samples[stage])).collect()
    }
}

/// Minimum, median, 95th and 99th percentile of a stage's durations.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSummary {
    pub stage: &'static str,
    pub count: usize,
    pub least: Duration,
    pub median: Duration,
    pub p95: Duration,
    pub p99: Duration,
}

impl StageSummary {
    fn of(stage: &'static str, samples: &[Duration]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let at = |quantile: f64| sorted[((sorted.len() - 1) as f64 * quantile).round() as usize];
        StageSummary { stage, count: sorted.len(), least: at(0.0), median: at(0.5), p95: at(0.95), p99: at(0.99) }
    }
}

/// A number that only increases, shared between threads without locks.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `count` more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Counts one more.
    pub fn count(&self) {
        self.add(1);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down, shared between threads without locks.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the buckets in seconds. One more bucket holds everything above.
pub const BOUNDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Number of durations per bucket: constant memory for a program that runs for weeks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// One count for each of [`BOUNDS`], then one for everything above.
    pub counts: [u64; BOUNDS.len() + 1],
    pub sum: Duration,
}

impl Histogram {
    /// Counts one duration.
    pub fn add(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        self.counts[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        self.sum += duration;
    }

    /// Number of durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Upper bound in seconds of the bucket that contains this quantile; `None` without durations.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(BOUNDS.get(place).copied().unwrap_or(f64::INFINITY))
    }
}

/// Histograms by stage, shared between threads. Adding takes a lock for less than a microsecond.
#[derive(Debug, Default)]
pub struct StageHistograms(Mutex<Gathered>);

#[derive(Debug, Default)]
struct Gathered {
    histograms: BTreeMap<&'static str, Histogram>,
    /// All samples of some stages, if requested.
    kept: Option<(&'static [&'static str], StageTimes)>,
}

impl Gathered {
    fn add(&mut self, stage: &'static str, duration: Duration) {
        self.histograms.entry(stage).or_default().add(duration);
        if let Some((_, times)) = self.kept.as_mut().filter(|(stages, _)| stages.contains(&stage)) {
            times.add(stage, duration);
        }
    }
}

impl StageHistograms {
    /// Adds one run of a stage.
    pub fn add(&self, stage: &'static str, duration: Duration) {
        self.lock().add(stage, duration);
    }

    /// Adds all samples of `times`.
    pub fn merge(&self, times: &StageTimes) {
        let mut gathered = self.lock();
        for (stage, duration) in times.samples() {
            gathered.add(stage, duration);
        }
    }

    /// From now on also keeps every sample of these stages: 16 bytes each.
    pub fn keep(&self, stages: &'static [&'static str]) {
        self.lock().kept = Some((stages, StageTimes::default()));
    }

    /// Returns the kept samples and stops keeping them.
    pub fn take_kept(&self) -> StageTimes {
        self.lock().kept.take().map(|(_, times)| times).unwrap_or_default()
    }

    /// A copy of everything, by stage.
    pub fn snapshot(&self) -> BTreeMap<&'static str, Histogram> {
        self.lock().histograms.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_one_bucket() {
        let histograms = StageHistograms::default();
        for ms in [1, 1, 2, 30, 60_000] {
            histograms.add("trunk", Duration::from_millis(ms));
        }
        let trunk = &histograms.snapshot()["trunk"];
        assert_eq!((trunk.counts[0], trunk.counts[1], trunk.counts[5], trunk.counts[BOUNDS.len()]), (2, 1, 1, 1));
        assert_eq!((trunk.count(), trunk.sum), (5, Duration::from_millis(60_034)));
        assert_eq!((trunk.quantile(0.5), trunk.quantile(1.0)), (Some(0.0025), Some(f64::INFINITY)));
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn samples_of_requested_stages_are_kept_from_then_on() {
        let histograms = StageHistograms::default();
        let add =
            |stages: &[&'static str]| stages.iter().for_each(|stage| histograms.add(stage, Duration::from_millis(3)));
        add(&["trunk", "draw"]);
        histograms.keep(&["trunk", "search"]);
        add(&["trunk", "draw", "trunk"]);
        let kept = histograms.take_kept().summaries();
        assert_eq!(kept.iter().map(|stage| (stage.stage, stage.count)).collect::<Vec<_>>(), [("trunk", 2)]);
        assert_eq!(histograms.snapshot()["trunk"].count(), 3);
        add(&["trunk"]);
        assert!(histograms.take_kept().summaries().is_empty());
    }

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
