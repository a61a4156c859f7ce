//! Time that can be simulated: code that waits or measures uses a [`Clock`], so that its tests need not wait. Also the
//! time of day, for opening hours.

use crate::fault::{Fault, Kind, Result};
use crate::shutdown::Token;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Measures the time since its start, and waits.
pub trait Clock: Send + Sync {
    /// Time since the clock's start. Monotonic.
    fn now(&self) -> Duration;

    /// Waits for `duration`, or until `token` is cancelled. Returns whether it was cancelled.
    fn wait(&self, token: &Token, duration: Duration) -> bool;

    /// Waits until the clock shows `moment`, as [`Clock::wait`] does.
    fn wait_until(&self, token: &Token, moment: Duration) -> bool {
        self.wait(token, moment.saturating_sub(self.now()))
    }
}

/// Checks that the time zone named by `TZ` is known. Without `TZ` the system's time zone applies, or UTC if it has none.
///
/// # Errors
/// [`Kind::Usage`]: it is unknown; the time of day is UTC.
pub fn check_time_zone() -> Result<()> {
    let named = std::env::var_os("TZ").filter(|name| !name.is_empty());
    match (named, TimeZone::try_system()) {
        (Some(name), Err(error)) => {
            let text = format!("the time zone TZ={} is unknown on this machine: UTC is used", name.to_string_lossy());
            Err(Fault::new(Kind::Usage, text).cause(error).cure("set a name such as Europe/Zurich, and install tzdata"))
        }
        _ => Ok(()),
    }
}

/// Minutes since midnight, local time: in the time zone of `TZ` or of the system.
pub fn minute_of_day() -> u16 {
    let time = jiff::Zoned::now().time();
    60 * time.hour() as u16 + time.minute() as u16
}

/// The local time of day: `14:03:12`.
pub fn time_of_day() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S").to_string()
}

/// A point in UTC, in milliseconds. Written as `2026-11-27T18:30:00.25Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct UtcTime {
    /// Since 1970.
    milliseconds: i64,
}

impl UtcTime {
    /// The system's time.
    pub fn now() -> Self {
        UtcTime { milliseconds: Timestamp::now().as_millisecond() }
    }

    /// From seconds since 1970.
    pub fn from_second(second: i64) -> Self {
        UtcTime { milliseconds: second.saturating_mul(1000) }
    }

    /// Seconds since 1970.
    pub fn second(self) -> i64 {
        self.milliseconds.div_euclid(1000)
    }

    /// Truncated to whole seconds.
    pub fn whole_second(self) -> Self {
        UtcTime::from_second(self.second())
    }

    /// Day and time of day in the time zone of `TZ` or of the system: `2026-11-27 19:30`.
    pub fn local(self) -> String {
        let time = Timestamp::from_millisecond(self.milliseconds).unwrap_or_default();
        time.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Timestamp::from_millisecond(self.milliseconds).unwrap_or_default().fmt(f)
    }
}

impl FromStr for UtcTime {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let time: Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
        Ok(UtcTime { milliseconds: time.as_millisecond() })
    }
}

impl TryFrom<String> for UtcTime {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<UtcTime> for String {
    fn from(time: UtcTime) -> String {
        time.to_string()
    }
}

/// The system's monotonic clock.
#[derive(Debug)]
pub struct SystemClock {
    began: Instant,
}

impl SystemClock {
    /// Starts now.
    pub fn start() -> Self {
        SystemClock { began: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn wait(&self, token: &Token, duration: Duration) -> bool {
        token.wait(duration)
    }
}

/// A clock for tests: it advances only when told to, or by waiting, which returns immediately.
#[derive(Debug, Default)]
pub struct SimulatedClock {
    now: Mutex<Duration>,
}

impl SimulatedClock {
    /// Advances the clock.
    pub fn advance(&self, duration: Duration) {
        *self.lock() += duration;
    }

    fn lock(&self) -> MutexGuard<'_, Duration> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Duration {
        *self.lock()
    }

    fn wait(&self, token: &Token, duration: Duration) -> bool {
        if token.is_cancelled() {
            return true;
        }
        self.advance(duration);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_wait_moves_the_clock_and_nothing_else_does() {
        let (clock, token) = (SimulatedClock::default(), Token::new());
        assert!(!clock.wait(&token, Duration::from_secs(3600)));
        assert!(!clock.wait_until(&token, Duration::from_secs(10)));
        assert_eq!(clock.now(), Duration::from_secs(3600));
        token.cancel();
        assert!(clock.wait(&token, Duration::from_secs(1)));
        assert_eq!(clock.now(), Duration::from_secs(3600));
    }

    #[test]
    fn a_time_is_written_as_it_is_read() {
        let time: UtcTime = "2026-11-27T18:30:00.25Z".parse().unwrap();
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-11-27T18:30:00.25Z\"");
        assert_eq!(serde_json::from_str::<UtcTime>("\"2026-11-27T19:30:00.25+01:00\"").unwrap(), time);
        assert_eq!(time.whole_second().to_string(), "2026-11-27T18:30:00Z");
        assert!(serde_json::from_str::<UtcTime>("\"yesterday\"").is_err());
    }

    #[test]
    fn the_system_clock_stops_waiting_when_cancelled() {
        let (clock, token) = (SystemClock::start(), Token::new());
        token.cancel();
        assert!(clock.wait(&token, Duration::from_secs(3600)));
        let before = clock.now();
        assert!(clock.now() >= before);
    }
}
