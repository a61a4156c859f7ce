//! What the threads of the mirror tell one another and act on: messages to the supervisor, and values that have one writer each.
//! [`super::status`] is for observation only; nothing acts on it.

use crate::fault::Result;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// The stages, in the order in which they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Capture,
    Recognize,
    Match,
    Render,
}

impl Stage {
    pub const ALL: [Stage; 4] = [Stage::Capture, Stage::Recognize, Stage::Match, Stage::Render];

    /// Its name, in the log and as its thread's.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Capture => "capture",
            Stage::Recognize => "recognize",
            Stage::Match => "match",
            Stage::Render => "render",
        }
    }

    /// Whether a thread of this name works for it.
    pub fn owns(self, thread: &str) -> bool {
        thread == self.name() || self == Stage::Recognize && thread.starts_with("frame-")
    }
}

/// A stage's end without a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageEnd {
    /// It was told to end.
    Cancelled,
    /// There is nothing more to do: the recording is over, the window was closed.
    Finished,
}

/// A message from a stage to the supervisor.
#[derive(Debug)]
pub enum StageMessage {
    /// A stage's thread has ended. `generation` counts the starts of stages.
    Ended { stage: Stage, generation: u32, result: Result<StageEnd> },
    /// Another process has changed the catalogue's file.
    CatalogueChanged,
}

/// What a shopper, or the operator, does at the mirror. From the input device to the render stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ShopperAction {
    NextGarment,
    PreviousGarment,
    /// The next product that is like the featured garment.
    NextProduct,
    /// A touch, in shares of the panel from its top left.
    Touch {
        x: f32,
        y: f32,
    },
    CallStaff,
    /// The operator's lines on or off.
    ToggleOperator,
}

/// Where the program is between its start and its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing has been recognized or shown yet.
    #[default]
    Starting,
    Running,
    Stopping,
}

/// Whoever was seen within this time may come back at once.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(5);

/// Values that threads act on. Times are the program's clock.
#[derive(Debug, Default)]
pub struct Control {
    /// By the supervisor.
    phase: AtomicU8,
    throttle_level: AtomicU32,
    /// By the capture stage.
    camera_away: AtomicBool,
    camera_openings: AtomicU32,
    unshown_since: Moment,
    /// By the recognize stage.
    person_seen: Moment,
    /// By the match stage.
    importing: AtomicBool,
    /// By the render stage.
    dark: AtomicBool,
    last_present: Moment,
    /// By every stage its own.
    heartbeats: [Moment; Stage::ALL.len()],
}

impl Control {
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Starting,
            1 => Phase::Running,
            _ => Phase::Stopping,
        }
    }

    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    /// Each level halves the recognized frames; 0 is all of them.
    pub fn throttle_level(&self) -> u32 {
        self.throttle_level.load(Ordering::Relaxed)
    }

    pub fn set_throttle_level(&self, level: u32) {
        self.throttle_level.store(level, Ordering::Relaxed);
    }

    /// Whether there is no camera picture to see people in.
    pub fn is_camera_away(&self) -> bool {
        self.camera_away.load(Ordering::Relaxed)
    }

    pub fn set_camera_away(&self, away: bool) {
        self.camera_away.store(away, Ordering::Relaxed);
    }

    /// A camera is opened, or tried to: the number of this opening, by which its frames can be told from earlier ones.
    pub fn open_camera(&self) -> u32 {
        self.camera_openings.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The number of the newest opening of a camera.
    pub fn camera_opening(&self) -> u32 {
        self.camera_openings.load(Ordering::SeqCst)
    }

    /// Whether the screen is dark.
    pub fn is_dark(&self) -> bool {
        self.dark.load(Ordering::Relaxed)
    }

    pub fn set_dark(&self, dark: bool) {
        self.dark.store(dark, Ordering::Relaxed);
    }

    /// A person is there.
    pub fn person_seen(&self, now: Duration) {
        self.person_seen.set(now);
    }

    /// How long no person was seen; since the program's start where none ever was.
    pub fn unseen(&self, now: Duration) -> Duration {
        now.saturating_sub(self.person_seen.get().unwrap_or_default())
    }

    /// Whether an import into the catalogue is under way.
    pub fn set_importing(&self, importing: bool) {
        self.importing.store(importing, Ordering::Relaxed);
    }

    /// Whether the processor is left to an import: nobody was seen for a while.
    pub fn gives_way(&self, now: Duration) -> bool {
        self.importing.load(Ordering::Relaxed) && self.unseen(now) >= GIVES_WAY_AFTER
    }

    /// The stage makes progress.
    pub fn heartbeat(&self, stage: Stage, now: Duration) {
        self.heartbeats[stage as usize].set(now);
    }

    pub fn last_heartbeat(&self, stage: Stage) -> Duration {
        self.heartbeats[stage as usize].get().unwrap_or_default()
    }

    /// A frame came from the camera, and waits to be shown.
    pub fn captured(&self, now: Duration) {
        if self.unshown_since.get().is_none() {
            self.unshown_since.set(now);
        }
    }

    /// The panel was given a picture; `fresh`: with a frame that was not on the last one.
    pub fn presented(&self, now: Duration, fresh: bool) {
        self.last_present.set(now);
        if fresh {
            self.unshown_since.clear();
        }
    }

    pub fn last_present(&self) -> Option<Duration> {
        self.last_present.get()
    }

    /// Since when a frame has been waiting to be shown.
    pub fn unshown_since(&self) -> Option<Duration> {
        self.unshown_since.get()
    }
}

/// A time that one thread sets and others read: milliseconds, 0 for "not yet".
#[derive(Debug, Default)]
struct Moment(AtomicU64);

impl Moment {
    fn set(&self, time: Duration) {
        self.0.store((time.as_millis() as u64).max(1), Ordering::Relaxed);
    }

    fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn get(&self) -> Option<Duration> {
        Some(self.0.load(Ordering::Relaxed)).filter(|millis| *millis > 0).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_gets_the_processor_while_nobody_is_there() {
        let control = Control::default();
        let at = Duration::from_secs;
        assert!(!control.gives_way(at(100)), "there is none");
        control.set_importing(true);
        assert!(control.gives_way(at(100)));
        control.person_seen(at(101));
        assert!(!control.gives_way(at(101)) && !control.gives_way(at(105)));
        assert!(control.gives_way(at(106)));
        control.set_importing(false);
        assert!(!control.gives_way(at(200)));
    }
}
