//! The viewers of the live picture: a few at a time. One that reads no pictures any more loses its place to the next one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A viewer that has not asked for a picture for this long is stuck; five are due each second.
const STUCK: Duration = Duration::from_secs(3);

/// All viewers.
#[derive(Debug)]
pub struct Viewers {
    most: usize,
    state: Mutex<WatchList>,
}

#[derive(Debug, Default)]
struct WatchList {
    /// Counts all viewers: no two have the same number.
    next: u64,
    /// Each viewer's number, and when it last asked for a picture.
    watching: Vec<(u64, Instant)>,
}

impl Viewers {
    /// At most `most` viewers at a time.
    pub fn new(most: usize) -> Self {
        Viewers { most, state: Mutex::default() }
    }

    /// A place for a viewer that comes `now`: a free one, or that of the viewer that has been stuck for longest.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Option<Viewer> {
        let mut state = self.lock();
        if state.watching.len() >= self.most {
            let (place, (_, asked)) = state.watching.iter().enumerate().min_by_key(|(_, (_, asked))| *asked)?;
            if now.saturating_duration_since(*asked) < STUCK {
                return None;
            }
            state.watching.swap_remove(place);
        }
        state.next += 1;
        let number = state.next;
        state.watching.push((number, now));
        Some(Viewer { viewers: self.clone(), number })
    }

    fn lock(&self) -> MutexGuard<'_, WatchList> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A viewer's place. It is free again when this is dropped.
#[derive(Debug)]
pub struct Viewer {
    viewers: Arc<Viewers>,
    number: u64,
}

impl Viewer {
    /// Says that the viewer asks for a picture `now`. False where its place was given to another.
    pub fn asks(&self, now: Instant) -> bool {
        let mut state = self.viewers.lock();
        let me = state.watching.iter_mut().find(|(number, _)| *number == self.number);
        me.map(|(_, asked)| *asked = now).is_some()
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.viewers.lock().watching.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_viewer_gives_its_place_up_and_one_who_watches_does_not() {
        let viewers = Arc::new(Viewers::new(2));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = viewers.admit(at(0)).unwrap();
        let second = viewers.admit(at(1)).unwrap();
        assert!(viewers.admit(at(2)).is_none(), "both have only come");
        assert!(first.asks(at(4)));
        let third = viewers.admit(at(4)).unwrap();
        assert!(!second.asks(at(5)), "its place is the third's");
        assert!(first.asks(at(5)) && third.asks(at(5)));
        drop(second);
        assert!(viewers.admit(at(6)).is_none(), "who lost its place frees none when it goes");
        drop(first);
        assert!(viewers.admit(at(6)).is_some());
    }
}
