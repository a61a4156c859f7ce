//! The last lines of the log in memory, for operators without a shell.

use crate::clock::time_of_day;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of lines kept.
const KEPT: usize = 200;
/// Maximum length of a line in bytes.
const LONGEST: usize = 2000;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TailLine {
    /// Counts all lines, from 1.
    pub number: u64,
    /// Local time of day.
    pub time: String,
    /// "error", "warning", "info", "debug".
    pub level: &'static str,
    pub text: String,
}

/// The last lines.
#[derive(Debug, Default)]
pub struct Tail {
    lines: Mutex<VecDeque<TailLine>>,
}

impl Tail {
    /// Adds a line; the oldest goes.
    pub fn add(&self, level: &'static str, text: &str) {
        let end = text.floor_char_boundary(LONGEST);
        let (time, text) = (time_of_day(), text[..end].to_owned());
        let mut lines = self.lock();
        let number = lines.back().map_or(1, |line| line.number + 1);
        lines.push_back(TailLine { number, time, level, text });
        if lines.len() > KEPT {
            lines.pop_front();
        }
    }

    /// Oldest first.
    pub fn lines(&self) -> Vec<TailLine> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<TailLine>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_and_long_ones_are_cut() {
        let tail = Tail::default();
        for number in 1..=KEPT + 3 {
            tail.add("info", &format!("line {number}"));
        }
        tail.add("error", &"\u{e4}".repeat(LONGEST));
        let lines = tail.lines();
        assert_eq!((lines.len(), lines[0].text.as_str(), lines[0].number), (KEPT, "line 5", 5));
        let last = &lines[KEPT - 1];
        assert_eq!((last.number, last.text.len(), last.level), (KEPT as u64 + 4, LONGEST, "error"));
        assert_eq!(last.time.len(), "14:03:12".len());
    }
}
