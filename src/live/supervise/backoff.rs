//! Exponential back-off: the wait doubles with each attempt up to a limit, and is reset after a success.

use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    limit: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits `first`, then twice as long each time, at most `limit`.
    pub fn new(first: Duration, limit: Duration) -> Self {
        Backoff { first, limit, next: first }
    }

    /// The wait before the next attempt.
    pub fn wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (2 * self.next).min(self.limit);
        wait
    }

    /// Resets the wait after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_limit_and_are_reset() {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(1));
        let mut waits = || backoff.wait().as_millis();
        assert_eq!([waits(), waits(), waits(), waits()], [250, 500, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.wait(), Duration::from_millis(250));
    }
}
