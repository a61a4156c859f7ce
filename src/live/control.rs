//! Values and messages that the threads of the mirror act on: messages to the supervisor, and values with one writer
//! each. [`super::status`] is only reported; nothing acts on it.

use crate::fault::Result;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// The stages, in the order in which they are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Capture,
    Recognize,
    Match,
    Render,
}

impl Stage {
    pub const ALL: [Stage; 4] = [Stage::Capture, Stage::Recognize, Stage::Match, Stage::Render];

    /// Name in the log and of the thread.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Capture => "capture",
            Stage::Recognize => "recognize",
            Stage::Match => "match",
            Stage::Render => "render",
        }
    }

    /// Whether a thread of this name belongs to the stage.
    pub fn owns(self, thread: &str) -> bool {
        thread == self.name() || self == Stage::Recognize && thread.starts_with("frame-")
    }
}

/// Why a stage ended without a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageEnd {
    /// It was cancelled.
    Cancelled,
    /// Nothing left to do: the recording is over, or the window was closed.
    Finished,
}

/// A message from a stage to the supervisor.
#[derive(Debug)]
pub enum StageMessage {
    /// A stage's thread has ended. `generation` is the number of its start.
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

/// Phase of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing has been recognized or shown yet.
    #[default]
    Starting,
    Running,
    Stopping,
}

/// A person seen within this time may return at any moment.
const GIVES_WAY_AFTER: Duration = Duration::from_secs(5);

/// Values that threads act on. Times are measured on the program's clock.
#[derive(Debug, Default)]
pub struct Control {
    /// Written by the supervisor.
    phase: AtomicU8,
    throttle_level: AtomicU32,
    /// Written by the capture stage.
    camera_away: AtomicBool,
    camera_openings: AtomicU32,
    unshown_since: Moment,
    /// Written by the recognize stage.
    person_seen: Moment,
    /// Written by the match stage.
    importing: AtomicBool,
    /// Written by the render stage.
    dark: AtomicBool,
    last_present: Moment,
    /// Each written by its stage.
    heartbeats: [Moment; Stage::ALL.len()],
}

impl Control {
    /// Current phase.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Starting,
            1 => Phase::Running,
            _ => Phase::Stopping,
        }
    }

    /// Only the supervisor does.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    /// Each level halves the number of recognized frames; 0: all frames.
    pub fn throttle_level(&self) -> u32 {
        self.throttle_level.load(Ordering::Relaxed)
    }

    /// 0: all frames are recognized.
    pub fn set_throttle_level(&self, level: u32) {
        self.throttle_level.store(level, Ordering::Relaxed);
    }

    /// Whether there is no camera picture, so that persons cannot be seen.
    pub fn is_camera_away(&self) -> bool {
        self.camera_away.load(Ordering::Relaxed)
    }

    /// Records whether there is a camera picture.
    pub fn set_camera_away(&self, away: bool) {
        self.camera_away.store(away, Ordering::Relaxed);
    }

    /// Counts an attempt to open a camera and returns its number, which distinguishes its frames from earlier ones.
    pub fn open_camera(&self) -> u32 {
        self.camera_openings.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Number of the latest attempt to open a camera.
    pub fn camera_opening(&self) -> u32 {
        self.camera_openings.load(Ordering::SeqCst)
    }

    /// Whether the screen is dark.
    pub fn is_dark(&self) -> bool {
        self.dark.load(Ordering::Relaxed)
    }

    /// Records whether the screen is dark.
    pub fn set_dark(&self, dark: bool) {
        self.dark.store(dark, Ordering::Relaxed);
    }

    /// Records that a person is present.
    pub fn person_seen(&self, now: Duration) {
        self.person_seen.set(now);
    }

    /// Time since a person was last seen, or since the program's start.
    pub fn unseen(&self, now: Duration) -> Duration {
        now.saturating_sub(self.person_seen.get().unwrap_or_default())
    }

    /// Whether an import into the catalogue is running.
    pub fn set_importing(&self, importing: bool) {
        self.importing.store(importing, Ordering::Relaxed);
    }

    /// Whether recognition yields the processor to an import: no person was seen for a while.
    pub fn gives_way(&self, now: Duration) -> bool {
        self.importing.load(Ordering::Relaxed) && self.unseen(now) >= GIVES_WAY_AFTER
    }

    /// Records that a stage makes progress.
    pub fn heartbeat(&self, stage: Stage, now: Duration) {
        self.heartbeats[stage as usize].set(now);
    }

    /// When the stage last made progress; zero: never.
    pub fn last_heartbeat(&self, stage: Stage) -> Duration {
        self.heartbeats[stage as usize].get().unwrap_or_default()
    }

    /// Records that a frame has arrived and waits to be shown.
    pub fn captured(&self, now: Duration) {
        if self.unshown_since.get().is_none() {
            self.unshown_since.set(now);
        }
    }

    /// Records that the panel got a picture. `fresh`: it contains a new frame.
    pub fn presented(&self, now: Duration, fresh: bool) {
        self.last_present.set(now);
        if fresh {
            self.unshown_since.clear();
        }
    }

    /// When the panel last got a picture.
    pub fn last_present(&self) -> Option<Duration> {
        self.last_present.get()
    }

    /// Time since which a frame has been waiting to be shown.
    pub fn unshown_since(&self) -> Option<Duration> {
        self.unshown_since.get()
    }
}

/// A time in milliseconds, written by one thread and read by others; 0: not set.
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
