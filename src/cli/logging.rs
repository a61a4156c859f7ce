//! Logs to stderr, with the priority prefixes of journald if it is connected.

use crate::tail::Tail;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::io::Write;
use std::sync::Arc;

struct Stderr {
    journald: bool,
    tail: Arc<Tail>,
}

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("vetrina")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let (priority, word) = match record.level() {
            Level::Error => (3, "error"),
            Level::Warn => (4, "warning"),
            Level::Info => (6, "info"),
            Level::Debug | Level::Trace => (7, "debug"),
        };
        self.tail.add(word, &record.args().to_string());
        let line = if self.journald {
            format!("<{priority}>{}\n", record.args())
        } else {
            format!("{word}: {}\n", record.args())
        };
        // A full disk or a closed pipe must not stop the mirror; `eprintln` would panic.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Starts logging at level `otherwise`, or at the level in `VETRINA_LOG` (error, warn, info, debug). Returns the buffer
/// of the last lines.
pub fn start(otherwise: LevelFilter) -> Arc<Tail> {
    let tail = Arc::new(Tail::default());
    let level = std::env::var("VETRINA_LOG").ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let logger = Stderr { journald: std::env::var_os("JOURNAL_STREAM").is_some(), tail: tail.clone() };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        log::set_max_level(level);
    }
    tail
}
