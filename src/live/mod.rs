//! The pipeline on several threads, from a camera to a screen, for weeks.
//!
//! | thread | owns | hands on |
//! |---|---|---|
//! | capture ([`stages::capture`]) | the camera | frames to recognize and render: the newest wins |
//! | look, frame workers ([`stages::recognize`]) | tracker, windows, engines | followed garments to render, full windows to match |
//! | match ([`stages::matching`]) | catalogue and index | answers to render |
//! | show ([`stages::render`]) | the panel | pixels |
//! | main ([`supervise::supervisor`]) | signals, watchdog | |
//!
//! Nothing waits for something slower than itself: between the threads stand [`Latest`] places, where what is newer displaces
//! what is older, and each displacement is a counter in [`status`]. [`supervise::stall`] says which stage is stuck; the supervisor
//! starts it anew once. [`policy`] decides when the screen is dark and how much is recognized, [`jobs`] are child processes.

pub mod jobs;
pub mod load;
pub mod policy;
pub mod stages;
pub mod status;
pub mod supervise;

pub use status::{Phase, Report, Status};
pub use supervise::supervisor::Live;

use crate::capture::camera::CameraSettings;
use crate::clock::Clock;
use crate::display::open::PanelSettings;
use crate::drop_oldest::Latest;
use crate::frame::{Frame, FrameMeta};
use crate::network::EngineSettings;
use crate::pipeline::matcher::Matcher;
use crate::pipeline::sequential::{Answers, CoreSettings};
use crate::pipeline::tracking::{Followed, Query};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Questions that may wait for the catalogue: a few frames' worth.
const QUERIES: usize = 8;

/// Everything the live pipeline needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSettings {
    pub camera: CameraSettings,
    pub panel: PanelSettings,
    /// Pictures a second on the panel at most.
    pub rate: u32,
    /// Model folder.
    pub model: PathBuf,
    /// Garments that a frame is recognised with.
    pub detections: usize,
    /// Frame workers; 0 is one for each core, at most four.
    pub workers: usize,
    /// What the network runs on.
    pub engines: EngineSettings,
    /// Catalogue file.
    pub catalogue: PathBuf,
    pub core: CoreSettings,
    /// A stage without progress for so long is stuck.
    pub stall: Duration,
    pub blank: policy::blank::BlankSettings,
    pub heat: policy::throttle::HeatSettings,
}

impl LiveSettings {
    /// The first thing in `new` that needs a restart of the program, by its name in the configuration.
    pub fn needs_restart(&self, new: &LiveSettings) -> Option<&'static str> {
        let changes = [
            ("screen", self.panel != new.panel || self.rate != new.rate),
            (
                "model",
                self.model != new.model
                    || self.detections != new.detections
                    || self.workers != new.workers
                    || self.engines != new.engines,
            ),
            ("watchdog", self.stall != new.stall),
        ];
        changes.into_iter().find_map(|(name, changed)| changed.then_some(name))
    }
}

/// What was seen in the newest recognised frame.
#[derive(Clone, Debug)]
pub struct Sight {
    pub meta: FrameMeta,
    pub followed: Vec<Followed>,
}

/// What lies between the threads.
pub struct Links {
    pub clock: Arc<dyn Clock>,
    pub status: Status,
    /// What may change while it runs.
    current: Mutex<Current>,
    pub to_look: Latest<Frame>,
    pub to_show: Latest<Frame>,
    pub sights: Latest<Arc<Sight>>,
    pub queries: Latest<Query>,
    pub answers: Latest<Arc<Answers>>,
    /// A catalogue that takes the place of the one that is searched.
    pub matchers: Latest<Matcher>,
}

#[derive(Clone)]
struct Current {
    camera: CameraSettings,
    catalogue: PathBuf,
    core: CoreSettings,
    blank: policy::blank::BlankSettings,
}

impl Current {
    fn of(settings: &LiveSettings) -> Self {
        Current {
            camera: settings.camera.clone(),
            catalogue: settings.catalogue.clone(),
            core: settings.core.clone(),
            blank: settings.blank,
        }
    }
}

impl Links {
    pub fn new(settings: &LiveSettings, clock: Arc<dyn Clock>) -> Self {
        Links {
            clock,
            status: Status::default(),
            current: Mutex::new(Current::of(settings)),
            to_look: Latest::default(),
            to_show: Latest::default(),
            sights: Latest::default(),
            queries: Latest::with_room(QUERIES),
            answers: Latest::default(),
            matchers: Latest::default(),
        }
    }

    /// The camera as it is configured now.
    pub fn camera(&self) -> CameraSettings {
        self.current().camera.clone()
    }

    /// The shop's name and the counts as they are configured now.
    pub fn core(&self) -> CoreSettings {
        self.current().core.clone()
    }

    /// When the screen is dark, as it is configured now.
    pub fn blank(&self) -> policy::blank::BlankSettings {
        self.current().blank
    }

    /// The catalogue's file as it is configured now.
    pub fn catalogue(&self) -> PathBuf {
        self.current().catalogue.clone()
    }

    /// Takes over what may change while it runs.
    pub fn adopt(&self, settings: &LiveSettings) {
        *self.current() = Current::of(settings);
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
