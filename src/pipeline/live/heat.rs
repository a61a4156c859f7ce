//! A board that gets too hot, or draws too much current, recognises fewer frames, before it slows everything down by itself: the
//! mirror's picture goes on as before. Pure, save [`Reading::take`].
//!
//! Recognition rests in proportion to its work, so that the same steps fit any board and any network.

use crate::machine::{self, Zone};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So far below the board's own limit it is time, degrees.
const BEFORE: f64 = 5.0;
/// So far below that it is cool again, degrees.
const COOL: f64 = 8.0;
/// A step shows in the temperature after so long.
const STEP: Duration = Duration::from_secs(10);
/// Each level halves the work.
const MOST: u32 = 3;
/// Even so a frame is recognised as often as this.
const LONGEST_REST: Duration = Duration::from_secs(2);
/// While the screen is dark, a worker takes a frame as often as this: enough to see somebody come.
const WATCH: Duration = Duration::from_millis(500);

/// Where to look, and what is too hot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeatSettings {
    /// Degrees Celsius; `None`: as the board says.
    pub limit: Option<u32>,
    pub sysfs: PathBuf,
}

/// What the system tells at one moment.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub zones: Vec<Zone>,
    /// How often the board has drawn too much current since it was started.
    pub overcurrents: u64,
}

impl Reading {
    /// Reads sysfs.
    pub fn take(sysfs: &Path) -> Self {
        Reading { zones: machine::zones(sysfs), overcurrents: machine::overcurrents(sysfs) }
    }
}

/// How much less is recognised, and why.
#[derive(Debug, Default)]
pub struct Throttle {
    level: u32,
    moved: Option<Duration>,
    overcurrents: Option<u64>,
    reason: Option<String>,
}

impl Throttle {
    /// Takes a reading in. True where the level has changed.
    pub fn judge(&mut self, now: Duration, reading: &Reading, limit: Option<u32>) -> bool {
        let before = self.overcurrents.replace(reading.overcurrents);
        let current = before.is_some_and(|before| reading.overcurrents > before);
        let limit = |zone: &Zone| limit.map(f64::from).or(zone.slows_at.map(|degrees| degrees - BEFORE));
        let above = |zone: &Zone| limit(zone).map(|limit| zone.celsius - limit);
        let worst = reading.zones.iter().max_by(|a, b| key(above(a)).total_cmp(&key(above(b))));
        let excess = worst.and_then(above);
        let hot = excess.is_some_and(|degrees| degrees >= 0.0);
        let cool = excess.is_none_or(|degrees| degrees < -COOL) && !current;
        if self.moved.is_some_and(|moved| now.saturating_sub(moved) < STEP) {
            // An event of current is not forgotten while a step takes effect.
            self.overcurrents = before.or(self.overcurrents);
            return false;
        }
        let level = match () {
            _ if hot || current => (self.level + 1).min(MOST),
            _ if cool => self.level.saturating_sub(1),
            _ => self.level,
        };
        if level == self.level {
            return false;
        }
        if level > self.level {
            self.reason = worst.filter(|_| hot).map(|zone| {
                let limit = limit(zone).unwrap_or(zone.celsius);
                format!("heat: {} has {:.0} °C, the limit is {limit:.0} °C", zone.name, zone.celsius)
            });
        }
        (self.level, self.moved) = (level, Some(now));
        true
    }

    /// Each level halves the work; 0 is all of it.
    pub fn level(&self) -> u32 {
        self.level
    }

    /// Why less is recognised, in words.
    pub fn reason(&self) -> Option<String> {
        let cause = self.reason.as_deref().unwrap_or("power: the board has drawn too much current");
        (self.level > 0).then(|| format!("{cause}; recognition works 1/{} of the time", 1 << self.level))
    }
}

fn key(above: Option<f64>) -> f64 {
    above.unwrap_or(f64::NEG_INFINITY)
}

/// How long a worker rests after a frame that took `spent`.
pub fn rest(level: u32, dark: bool, spent: Duration) -> Duration {
    let heat = (spent * ((1 << level.min(MOST)) - 1)).min(LONGEST_REST);
    if dark { heat.max(WATCH.saturating_sub(spent)) } else { heat }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(celsius: f64, overcurrents: u64) -> Reading {
        let zone = Zone { name: "cpu-thermal".into(), celsius, slows_at: Some(99.0) };
        let lukewarm = Zone { name: "board".into(), celsius: 60.0, slows_at: None };
        Reading { zones: vec![lukewarm, zone], overcurrents }
    }

    /// The levels after these temperatures, `apart` seconds from each other.
    fn levels(apart: u64, degrees: &[f64]) -> Vec<u32> {
        let mut throttle = Throttle::default();
        let steps = degrees.iter().zip(1..);
        steps
            .map(|(degrees, step)| {
                throttle.judge(Duration::from_secs(apart * step), &reading(*degrees, 0), None);
                throttle.level()
            })
            .collect()
    }

    #[test]
    fn heat_lowers_the_rate_step_by_step_and_does_not_flicker_at_the_limit() {
        assert_eq!(levels(10, &[93.0, 94.0, 93.0, 87.0, 94.5, 90.0, 85.9, 85.0, 60.0]), [0, 1, 1, 1, 2, 2, 1, 0, 0]);
        assert_eq!(levels(10, &[98.0; 6]), [1, 2, 3, 3, 3, 3]);
        assert_eq!(levels(4, &[98.0; 6]), [1, 1, 1, 2, 2, 2], "a step needs time to show");
    }

    #[test]
    fn the_reason_names_place_and_limit() {
        let mut throttle = Throttle::default();
        assert!(throttle.judge(Duration::ZERO, &reading(95.0, 0), None));
        let words = "heat: cpu-thermal has 95 °C, the limit is 94 °C; recognition works 1/2 of the time";
        assert_eq!(throttle.reason().as_deref(), Some(words));
        let mut throttle = Throttle::default();
        assert!(throttle.judge(Duration::ZERO, &reading(70.0, 0), Some(65)), "the configured limit goes first");
        assert!(throttle.reason().unwrap().contains("limit is 65"));
    }

    #[test]
    fn too_much_current_counts_from_the_first_reading_on() {
        let mut throttle = Throttle::default();
        assert!(!throttle.judge(Duration::from_secs(1), &reading(50.0, 7), None));
        assert!(throttle.judge(Duration::from_secs(2), &reading(50.0, 8), None));
        assert!(throttle.reason().unwrap().starts_with("power: "));
        assert!(!throttle.judge(Duration::from_secs(5), &reading(50.0, 9), None), "a step needs time to show");
        assert!(throttle.judge(Duration::from_secs(12), &reading(50.0, 9), None), "what happened meanwhile counts");
        assert_eq!(throttle.level(), 2);
        assert!(throttle.judge(Duration::from_secs(22), &reading(50.0, 9), None));
        assert_eq!(throttle.level(), 1);
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
