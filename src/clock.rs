//! Time as a value that can be simulated: whoever waits or measures asks a [`Clock`], so that tests of waiting do not wait. And the
//! time of day, for what the shop's hours decide.

use crate::shutdown::Token;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Tells the time since it began, and waits.
pub trait Clock: Send + Sync {
    /// Time since this clock began. Never goes back.
    fn now(&self) -> Duration;

    /// Waits for `duration`, or until `token` is cancelled. Says whether it was.
    fn wait(&self, token: &Token, duration: Duration) -> bool;

    /// Waits until the clock shows `moment`, as [`Clock::wait`] does.
    fn wait_until(&self, token: &Token, moment: Duration) -> bool {
        self.wait(token, moment.saturating_sub(self.now()))
    }
}

/// Minutes since midnight, as the clock on the wall has it: by the system's time zone, or that of `TZ`.
pub fn minute_of_day() -> u16 {
    let time = jiff::Zoned::now().time();
    60 * time.hour() as u16 + time.minute() as u16
}

/// The time of day as people read it: `14:03:12`.
pub fn time_of_day() -> String {
    jiff::Zoned::now().strftime("%H:%M:%S").to_string()
}

/// The machine's steady clock.
#[derive(Debug)]
pub struct SystemClock {
    began: Instant,
}

impl SystemClock {
    /// Begins now.
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

/// A clock that stands still until it is told otherwise; waiting on it takes no time and moves it on.
#[derive(Debug, Default)]
pub struct SimulatedClock {
    now: Mutex<Duration>,
}

impl SimulatedClock {
    /// Moves the clock on.
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
    fn the_system_clock_stops_waiting_when_cancelled() {
        let (clock, token) = (SystemClock::start(), Token::new());
        token.cancel();
        assert!(clock.wait(&token, Duration::from_secs(3600)));
        let before = clock.now();
        assert!(clock.now() >= before);
    }
}
