//! A place between two threads where a new value displaces the oldest one that nobody took: who is slow sees the newest, and
//! nobody waits for who is slow. What was displaced is counted.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The place. Share it in an `Arc`; it may have several takers, each value goes to one of them.
#[derive(Debug)]
pub struct Latest<T> {
    place: Mutex<Place<T>>,
    changed: Condvar,
    room: usize,
}

#[derive(Debug)]
struct Place<T> {
    values: VecDeque<T>,
    skipped: u64,
    closed: bool,
}

/// What [`Latest::take`] came back with.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<T> {
    Value(T),
    /// Nothing came within the time.
    Nothing,
    /// Nothing more will come.
    Closed,
}

impl<T> Default for Latest<T> {
    /// Room for one value: the newest.
    fn default() -> Self {
        Latest::with_room(1)
    }
}

impl<T> Latest<T> {
    /// Room for several values, which are taken oldest first.
    pub fn with_room(room: usize) -> Self {
        let place = Place { values: VecDeque::with_capacity(room), skipped: 0, closed: false };
        Latest { place: Mutex::new(place), changed: Condvar::new(), room: room.max(1) }
    }

    /// Puts a value there. Says whether another was displaced by it. Never waits for a taker.
    pub fn put(&self, value: T) -> bool {
        let mut place = self.lock();
        let displaced = if place.values.len() == self.room { place.values.pop_front() } else { None };
        place.skipped += u64::from(displaced.is_some());
        place.values.push_back(value);
        // Freeing what was displaced may take time: not under the lock.
        drop(place);
        self.changed.notify_one();
        displaced.is_some()
    }

    /// Takes a value that is there, if one is.
    pub fn take_now(&self) -> Option<T> {
        self.lock().values.pop_front()
    }

    /// Takes a value, waiting for one at most `patience`. What was put before the place was closed is still given.
    pub fn take(&self, patience: Duration) -> Taken<T> {
        let deadline = Instant::now() + patience;
        let mut place = self.lock();
        loop {
            if let Some(value) = place.values.pop_front() {
                return Taken::Value(value);
            }
            if place.closed {
                return Taken::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::Nothing;
            }
            place = self.changed.wait_timeout(place, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// No more values: takers that wait are woken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Values that were displaced before anybody took them.
    pub fn skipped(&self) -> u64 {
        self.lock().skipped
    }

    /// Values that wait to be taken.
    pub fn waiting(&self) -> usize {
        self.lock().values.len()
    }

    fn lock(&self) -> MutexGuard<'_, Place<T>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_newest_wins_and_the_others_are_counted() {
        let latest = Latest::default();
        assert!(!latest.put(1));
        assert!(latest.put(2) && latest.put(3));
        assert_eq!(latest.take(LONG), Taken::Value(3));
        assert_eq!(latest.take_now(), None);
        assert_eq!(latest.skipped(), 2);
        assert_eq!(latest.take(Duration::ZERO), Taken::Nothing);
    }

    #[test]
    fn with_more_room_the_oldest_goes_first() {
        let latest = Latest::with_room(2);
        assert_eq!([1, 2, 3].map(|value| latest.put(value)), [false, false, true]);
        assert_eq!(latest.waiting(), 2);
        assert_eq!((latest.take_now(), latest.take_now(), latest.take_now()), (Some(2), Some(3), None));
    }

    #[test]
    fn a_closed_place_gives_its_last_value_and_wakes_who_waits() {
        let latest = Arc::new(Latest::default());
        let taker = latest.clone();
        let thread = std::thread::spawn(move || (taker.take(LONG), taker.take(LONG)));
        latest.put("last");
        latest.close();
        assert_eq!(thread.join().unwrap(), (Taken::Value("last"), Taken::Closed));
    }

    #[test]
    fn nothing_is_lost_uncounted_between_threads() {
        let latest = Arc::new(Latest::default());
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
