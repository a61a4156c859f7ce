//! A bounded queue between two threads: when full, a new value displaces the oldest. A slow reader gets the newest
//! values, and writers never wait. Displaced values are counted.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The queue. Share it in an `Arc`. With several readers, each value goes to one of them.
#[derive(Debug)]
pub struct DropOldestQueue<T> {
    state: Mutex<QueueState<T>>,
    changed: Condvar,
    room: usize,
}

#[derive(Debug)]
struct QueueState<T> {
    values: VecDeque<T>,
    skipped: u64,
    closed: bool,
}

/// Result of [`DropOldestQueue::take`].
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<T> {
    Value(T),
    /// No value arrived in time.
    Nothing,
    /// The queue is closed and empty.
    Closed,
}

impl<T> Default for DropOldestQueue<T> {
    /// Capacity 1: the newest value.
    fn default() -> Self {
        DropOldestQueue::with_room(1)
    }
}

impl<T> DropOldestQueue<T> {
    /// Capacity `room`; values are taken oldest first.
    pub fn with_room(room: usize) -> Self {
        let state = QueueState { values: VecDeque::with_capacity(room), skipped: 0, closed: false };
        DropOldestQueue { state: Mutex::new(state), changed: Condvar::new(), room: room.max(1) }
    }

    /// Adds a value. Returns whether it displaced another. Never waits for a reader.
    pub fn put(&self, value: T) -> bool {
        let mut state = self.lock();
        let displaced = if state.values.len() == self.room { state.values.pop_front() } else { None };
        state.skipped += u64::from(displaced.is_some());
        state.values.push_back(value);
        // Dropping the displaced value may take time: not under the lock.
        drop(state);
        self.changed.notify_one();
        displaced.is_some()
    }

    /// Takes a value if there is one.
    pub fn take_now(&self) -> Option<T> {
        self.lock().values.pop_front()
    }

    /// Takes a value; waits at most `patience`. Values put before the queue was closed are still returned.
    pub fn take(&self, patience: Duration) -> Taken<T> {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            if let Some(value) = state.values.pop_front() {
                return Taken::Value(value);
            }
            if state.closed {
                return Taken::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::Nothing;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Closes the queue and wakes waiting readers.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Number of displaced values.
    pub fn skipped(&self) -> u64 {
        self.lock().skipped
    }

    /// Number of values in the queue.
    pub fn waiting(&self) -> usize {
        self.lock().values.len()
    }

    fn lock(&self) -> MutexGuard<'_, QueueState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_newest_wins_and_the_others_are_counted() {
        let latest = DropOldestQueue::default();
        assert!(!latest.put(1));
        assert!(latest.put(2) && latest.put(3));
        assert_eq!(latest.take(LONG), Taken::Value(3));
        assert_eq!(latest.take_now(), None);
        assert_eq!(latest.skipped(), 2);
        assert_eq!(latest.take(Duration::ZERO), Taken::Nothing);
    }

    #[test]
    fn with_more_room_the_oldest_goes_first() {
        let latest = DropOldestQueue::with_room(2);
        assert_eq!([1, 2, 3].map(|value| latest.put(value)), [false, false, true]);
        assert_eq!(latest.waiting(), 2);
        assert_eq!((latest.take_now(), latest.take_now(), latest.take_now()), (Some(2), Some(3), None));
    }

    #[test]
    fn a_closed_queue_returns_its_last_value_and_wakes_readers() {
        let latest = Arc::new(DropOldestQueue::default());
        let taker = latest.clone();
        let thread = std::thread::spawn(move || (taker.take(LONG), taker.take(LONG)));
        latest.put("last");
        latest.close();
        assert_eq!(thread.join().unwrap(), (Taken::Value("last"), Taken::Closed));
    }

    #[test]
    fn nothing_is_lost_uncounted_between_threads() {
        let latest = Arc::new(DropOldestQueue::default());
        let taker = latest.clone();
        let thread = std::thread::spawn(move || {
            let mut taken = Vec::new();
            while let Taken::Value(value) = taker.take(LONG) {
                taken.push(value);
            }
            taken
        });
        for value in 0..10_000u64 {
            latest.put(value);
        }
        latest.close();
        let taken = thread.join().unwrap();
        assert!(taken.is_sorted() && taken.last() == Some(&9_999));
        assert_eq!(taken.len() as u64 + latest.skipped(), 10_000);
    }
}
