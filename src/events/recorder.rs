//! Counts the events, and writes the counts a few seconds after the first that is not written: a power cut loses those seconds.

use super::PATIENCE;
use super::counts::{CountKind, CountSettings, CountStore, PendingCounts, hour_of};
use crate::clock::UtcTime;
use crate::fault::Result;
use crate::live::events::{EventReader, Happening, ShopperEvent};
use crate::shutdown::Token;
use std::time::{Duration, Instant};

/// Nothing waits longer to be written.
const WRITE_AFTER: Duration = Duration::from_secs(10);
/// A file that cannot be written is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(60);
/// Different counts that wait in memory at most, while the file cannot be written.
const MOST_PENDING: usize = 100_000;

/// Runs until it is cancelled; what is counted by then is written.
pub(super) fn run(settings: &CountSettings, reader: &EventReader, token: &Token) {
    let mut recorder = Recorder { settings, store: None, pending: PendingCounts::new(), due: None, forgotten: None };
    // Made at once, so that a file that cannot be written is in the log from the start.
    recorder.attempt();
    while !token.is_cancelled() {
        if let Some(event) = reader.take(PATIENCE) {
            recorder.count(&event);
        }
        if recorder.due.is_some_and(|due| Instant::now() >= due) {
            recorder.attempt();
        }
    }
    while let Some(event) = reader.take_now() {
        recorder.count(&event);
    }
    recorder.attempt();
}

struct Recorder<'a> {
    settings: &'a CountSettings,
    store: Option<CountStore>,
    pending: PendingCounts,
    /// When it is to be written.
    due: Option<Instant>,
    /// The hour in which old counts were last deleted.
    forgotten: Option<i64>,
}

impl Recorder<'_> {
    fn count(&mut self, event: &ShopperEvent) {
        let hour = hour_of(event.time);
        let (kind, product, count) = counts_of(&event.what);
        if self.pending.len() < MOST_PENDING {
            *self.pending.entry((hour, kind, product.to_owned())).or_default() += count;
        }
        self.due.get_or_insert_with(|| Instant::now() + WRITE_AFTER);
    }

    /// Writes what is pending; a failure is logged, and tried again later.
    fn attempt(&mut self) {
        self.due = None;
        if let Err(fault) = self.write() {
            log::warn!("{fault}");
            self.store = None;
            self.due = Some(Instant::now() + TRY_AGAIN);
        }
    }

    fn write(&mut self) -> Result<()> {
        let store = match &mut self.store {
            Some(store) => store,
            None => self.store.insert(CountStore::open(&self.settings.file)?),
        };
        if !self.pending.is_empty() {
            store.add(&self.pending)?;
            self.pending.clear();
        }
        let now = UtcTime::now();
        if self.forgotten != Some(hour_of(now)) {
            store.forget(now, self.settings.days)?;
            self.forgotten = Some(hour_of(now));
        }
        Ok(())
    }
}

/// What an event adds to the counts.
fn counts_of(what: &Happening) -> (CountKind, &str, u64) {
    match what {
        Happening::PersonCame { .. } => (CountKind::People, "", 1),
        Happening::PersonLeft { seconds, .. } => (CountKind::Dwell, "", (1e3 * seconds) as u64),
        Happening::GarmentMatched { product, .. } => (CountKind::Matched, product, 1),
        Happening::GarmentRefused { .. } => (CountKind::Refused, "", 1),
        Happening::ProductShown { product, .. } => (CountKind::Shown, product, 1),
        Happening::StaffCalled => (CountKind::StaffCalls, "", 1),
    }
}
