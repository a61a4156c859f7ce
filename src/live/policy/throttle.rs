//! Reduces recognition when the board is too hot or short of power: before the board throttles itself, or once it does.
//! The mirror's picture keeps its rate. Pure functions.
//!
//! Workers rest in proportion to their work, so the same levels fit any board and network.

use crate::machine::{Board, Zone};
use std::path::PathBuf;
use std::time::Duration;

/// Throttling starts this many degrees below the board's own limit.
const BEFORE: f64 = 5.0;
/// Throttling ends this many degrees below the start.
const COOL: f64 = 8.0;
/// Time until a change of level shows in the temperature.
const STEP: Duration = Duration::from_secs(10);
/// Each level halves the work.
const MOST: u32 = 3;
/// Maximum rest: at any level, a frame is recognized at least this often.
const LONGEST_REST: Duration = Duration::from_secs(2);
/// Rest between frames while the screen is dark: short enough to notice a person.
const WATCH: Duration = Duration::from_millis(500);

/// Source and limit of the temperature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeatSettings {
    /// Degrees Celsius; `None`: the board's own limit.
    pub limit: Option<u32>,
    pub sysfs: PathBuf,
}

/// Cause of throttling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Heat,
    Power,
}

/// The present level and its reason.
#[derive(Debug, Default)]
pub struct Throttle {
    level: u32,
    moved: Option<Duration>,
    before: Option<Board>,
    reason: Option<(Cause, String)>,
}

impl Throttle {
    /// Evaluates a reading of the board. Returns whether the level changed. `limit`: configured limit, degrees Celsius.
    pub fn judge(&mut self, now: Duration, board: &Board, limit: Option<u32>) -> bool {
        if self.moved.is_some_and(|moved| now.saturating_sub(moved) < STEP) {
            // Wait until the last change shows; counters are compared afterwards.
            return false;
        }
        let before = self.before.replace(board.clone()).unwrap_or_else(|| board.clone());
        let (excess, hot) = hottest(board, limit);
        let reason = hot.or_else(|| braked(board, &before));
        let cool = excess.is_none_or(|degrees| degrees < -COOL);
        let level = match &reason {
            Some(_) => (self.level + 1).min(MOST),
            None if cool => self.level.saturating_sub(1),
            None => self.level,
        };
        if level == self.level {
            return false;
        }
        (self.level, self.moved) = (level, Some(now));
        self.reason = reason.or(self.reason.take());
        true
    }

    /// Each level halves the work; 0: full rate.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Cause of throttling; `None` at level 0.
    pub fn cause(&self) -> Option<Cause> {
        self.reason.as_ref().filter(|_| self.level > 0).map(|(cause, _)| *cause)
    }

    /// Reason for throttling, as a message.
    pub fn reason(&self) -> Option<String> {
        let (cause, words) = self.reason.as_ref().filter(|_| self.level > 0)?;
        let cause = match cause {
            Cause::Heat => "heat",
            Cause::Power => "power",
        };
        Some(format!("{cause}: {words}; recognition runs 1/{} of the time", 1 << self.level))
    }
}

/// Degrees of the hottest zone above its limit (negative below), and the reason if it is above.
fn hottest(board: &Board, limit: Option<u32>) -> (Option<f64>, Option<(Cause, String)>) {
    let limit = |zone: &Zone| limit.map(f64::from).or(zone.slows_at.map(|degrees| degrees - BEFORE));
    let above = |zone: &Zone| limit(zone).map(|limit| zone.celsius - limit);
    let worst = board.zones.iter().max_by(|a, b| key(above(a)).total_cmp(&key(above(b))));
    let words = worst.filter(|zone| above(zone).is_some_and(|degrees| degrees >= 0.0)).map(|zone| {
        let limit = limit(zone).unwrap_or(zone.celsius);
        let words = format!("{} has {:.0} °C, the limit is {limit:.0} °C", zone.name, zone.celsius);
        (Cause::Heat, words)
    });
    (worst.and_then(above), words)
}

/// Why the board throttles itself now, or has since `before`.
fn braked(board: &Board, before: &Board) -> Option<(Cause, String)> {
    let rose = |now: Option<u64>, then: Option<u64>| now.zip(then).is_some_and(|(now, then)| now > then);
    if let Some(brake) = board.braking() {
        return Some((Cause::Heat, format!("{} slows the board down", brake.name)));
    }
    let (cause, words) = match () {
        _ if rose(board.slowdowns, before.slowdowns) => (Cause::Heat, "the processor was throttled"),
        _ if board.low_voltage == Some(true) => (Cause::Power, "the voltage of the board is too low"),
        _ if rose(board.overcurrents, before.overcurrents) => (Cause::Power, "the board has drawn too much current"),
        _ => return None,
    };
    Some((cause, words.into()))
}

fn key(above: Option<f64>) -> f64 {
    above.unwrap_or(f64::NEG_INFINITY)
}

/// Rest of a worker after a frame that took `spent`. `watch_only`: only to notice a person.
pub fn rest(level: u32, watch_only: bool, spent: Duration) -> Duration {
    let heat = (spent * ((1 << level.min(MOST)) - 1)).min(LONGEST_REST);
    if watch_only { heat.max(WATCH.saturating_sub(spent)) } else { heat }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Brake;

    fn board(celsius: f64, overcurrents: u64) -> Board {
        let zone = Zone { name: "cpu-thermal".into(), celsius, slows_at: Some(99.0) };
        let lukewarm = Zone { name: "board".into(), celsius: 60.0, slows_at: None };
        Board { zones: vec![lukewarm, zone], overcurrents: Some(overcurrents), ..Board::default() }
    }

    /// The levels after these temperatures, read every `apart` seconds.
    fn levels(apart: u64, degrees: &[f64]) -> Vec<u32> {
        let mut throttle = Throttle::default();
        let steps = degrees.iter().zip(1..);
        steps
            .map(|(degrees, step)| {
                throttle.judge(Duration::from_secs(apart * step), &board(*degrees, 0), None);
                throttle.level()
            })
            .collect()
    }

    #[test]
    fn heat_lowers_the_rate_stepwise_with_hysteresis() {
        assert_eq!(levels(10, &[93.0, 94.0, 93.0, 87.0, 94.5, 90.0, 85.9, 85.0, 60.0]), [0, 1, 1, 1, 2, 2, 1, 0, 0]);
        assert_eq!(levels(10, &[98.0; 6]), [1, 2, 3, 3, 3, 3]);
        assert_eq!(levels(4, &[98.0; 6]), [1, 1, 1, 2, 2, 2], "a step takes time to show");
    }

    #[test]
    fn the_reason_names_zone_and_limit() {
        let mut throttle = Throttle::default();
        assert!(throttle.judge(Duration::ZERO, &board(95.0, 0), None));
        let words = "heat: cpu-thermal has 95 °C, the limit is 94 °C; recognition runs 1/2 of the time";
        assert_eq!(throttle.reason().as_deref(), Some(words));
        let mut throttle = Throttle::default();
        assert!(throttle.judge(Duration::ZERO, &board(70.0, 0), Some(65)), "the configured limit goes first");
        assert!(throttle.reason().unwrap().contains("limit is 65"));
    }

    #[test]
    fn overcurrents_count_from_the_first_reading() {
        let mut throttle = Throttle::default();
        assert!(!throttle.judge(Duration::from_secs(1), &board(50.0, 7), None));
        assert!(throttle.judge(Duration::from_secs(2), &board(50.0, 8), None));
        assert!(throttle.reason().unwrap().starts_with("power: "));
        assert!(!throttle.judge(Duration::from_secs(5), &board(50.0, 9), None), "a step takes time to show");
        assert!(throttle.judge(Duration::from_secs(12), &board(50.0, 9), None), "what happened meanwhile counts");
        assert_eq!(throttle.level(), 2);
        assert!(throttle.judge(Duration::from_secs(22), &board(50.0, 9), None));
        assert_eq!(throttle.level(), 1);
    }

    #[test]
    fn a_throttling_board_lowers_the_rate_until_it_recovers() {
        let braked =
            |steps| Board { brakes: vec![Brake { name: "gpu-throttle-alert".into(), steps }], ..board(50.0, 0) };
        let mut throttle = Throttle::default();
        assert!(!throttle.judge(Duration::from_secs(1), &braked(0), None));
        assert!(throttle.judge(Duration::from_secs(2), &braked(1), None));
        let words = "heat: gpu-throttle-alert slows the board down; recognition runs 1/2 of the time";
        assert_eq!((throttle.cause(), throttle.reason().as_deref()), (Some(Cause::Heat), Some(words)));
        assert!(throttle.judge(Duration::from_secs(12), &braked(0), None), "the board has recovered");
        assert_eq!((throttle.level(), throttle.cause(), throttle.reason()), (0, None, None));
    }

    #[test]
    fn throttled_cores_are_heat_and_low_voltage_is_power() {
        let mut throttle = Throttle::default();
        let slow = |slowdowns| Board { slowdowns: Some(slowdowns), ..Board::default() };
        assert!(!throttle.judge(Duration::from_secs(1), &slow(40), None), "what was before does not count");
        assert!(throttle.judge(Duration::from_secs(2), &slow(41), None));
        assert!(throttle.reason().unwrap().starts_with("heat: the processor was throttled"));
        let mut throttle = Throttle::default();
        let low = Board { low_voltage: Some(true), ..Board::default() };
        assert!(throttle.judge(Duration::from_secs(1), &low, None));
        assert!(throttle.reason().unwrap().starts_with("power: the voltage of the board is too low"));
        assert_eq!(throttle.cause(), Some(Cause::Power));
    }

    #[test]
    fn rest_is_in_proportion_to_work() {
        let spent = Duration::from_millis(40);
        assert_eq!([0, 1, 2, 3].map(|level| rest(level, false, spent).as_millis()), [0, 40, 120, 280]);
        assert_eq!(rest(3, false, Duration::from_secs(5)), LONGEST_REST);
        assert_eq!(rest(0, true, spent).as_millis(), 460);
        assert_eq!(rest(0, true, Duration::from_secs(1)), Duration::ZERO);
    }
}
