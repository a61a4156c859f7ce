//! The pipeline on several threads, from a camera to a screen, for weeks.
//!
//! | thread | owns | hands on |
//! |---|---|---|
//! | capture ([`stages::capture`]) | the camera | frames to recognize and render: the newest wins |
//! | recognize, frame-0, frame-1, ... ([`stages::recognize`]) | tracker, windows, engines | tracked garments to render, full windows to match |
//! | match ([`stages::matching`]) | catalogue and index | matches to render |
//! | render ([`stages::render`]) | the panel | pixels |
//! | main ([`supervise::supervisor`]) | signals, watchdog | |
//!
//! No thread waits for a slower one. They are connected by [`DropOldestQueue`]s: a new value displaces the oldest, and
//! [`status`] counts every displacement. [`supervise::stall`] determines which stage is stuck; the supervisor restarts
//! it once. [`shoppers`] turns persons and matches into [`events`]. [`policy`] decides when the screen is dark and how
//! much is recognized; [`jobs`] are child processes.

pub mod control;
pub mod enrol_desk;
pub mod events;
pub mod input;
pub mod jobs;
pub mod load;
pub mod policy;
pub mod recent_answers;
pub mod shoppers;
mod speech;
pub mod stages;
pub mod status;
pub mod supervise;

pub use control::Phase;
pub use status::{Report, Status};
pub use supervise::supervisor::Live;

use self::control::{Control, ShopperAction};
use self::enrol_desk::EnrolDesk;
use self::events::EventBus;
use self::recent_answers::RecentAnswers;
use self::shoppers::{SeenGarment, ShopperWatch};
use crate::capture::camera::CameraSettings;
use crate::clock::Clock;
use crate::display::draw::Look;
use crate::display::open::PanelSettings;
use crate::drop_oldest::DropOldestQueue;
use crate::frame::Frame;
use crate::network::EngineSettings;
use crate::pipeline::matcher::Matcher;
use crate::pipeline::settings::PipelineSettings;
use crate::pipeline::track_matches::MatchesByTrack;
use crate::pipeline::tracking::{GarmentQuery, TrackUpdate};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Maximum number of queries waiting for the match stage: a few frames' worth.
const QUERIES: usize = 8;
/// What a shopper does between two pictures.
const ACTIONS: usize = 8;

/// Settings of the live pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveSettings {
    pub camera: CameraSettings,
    pub panel: PanelSettings,
    /// Maximum number of frames per second on the panel.
    pub rate: u32,
    pub look: Arc<Look>,
    /// The theme file, watched for changes; its content is in `look` and in the texts.
    pub theme_file: Option<PathBuf>,
    /// Keys or a touch screen, `/dev/input/event0`; `None`: none.
    pub input: Option<PathBuf>,
    /// Model folder.
    pub model: PathBuf,
    /// Maximum number of detections per frame that are embedded.
    pub max_detections: usize,
    /// Number of frame workers; 0: one per core, at most four.
    pub workers: usize,
    /// Backend of the network.
    pub engines: EngineSettings,
    /// Catalogue file.
    pub catalogue: PathBuf,
    pub pipeline: PipelineSettings,
    /// Staff may see what the camera saw of the last garments.
    pub staff_crops: bool,
    /// A stage without progress for this long counts as stuck.
    pub stall: Duration,
    pub blank: policy::blank::BlankSettings,
    pub heat: policy::throttle::HeatSettings,
}

impl LiveSettings {
    /// The first difference in `new` that needs a restart of the program, as a configuration key.
    pub fn needs_restart(&self, new: &LiveSettings) -> Option<&'static str> {
        let changes = [
            ("screen", self.panel != new.panel || self.rate != new.rate || self.input != new.input),
            (
                "model",
                self.model != new.model
                    || self.max_detections != new.max_detections
                    || self.workers != new.workers
                    || self.engines != new.engines,
            ),
            ("watchdog", self.stall != new.stall),
        ];
        changes.into_iter().find_map(|(name, changed)| changed.then_some(name))
    }
}

/// Shared by all threads: the queues between them, the settings, control values and status.
pub struct Links {
    pub clock: Arc<dyn Clock>,
    pub control: Control,
    pub status: Status,
    /// Shopper events, for their readers.
    pub events: EventBus,
    /// Written by the render stage, and at the end by the supervisor.
    shoppers: Mutex<ShopperWatch>,
    /// Settings that may change at run time.
    reloadable: Mutex<ReloadableSettings>,
    pub to_recognize: DropOldestQueue<Frame>,
    pub to_render: DropOldestQueue<Frame>,
    pub track_updates: DropOldestQueue<Arc<TrackUpdate>>,
    pub queries: DropOldestQueue<GarmentQuery>,
    pub matches: DropOldestQueue<Arc<MatchesByTrack>>,
    /// A newly loaded catalogue that replaces the current one.
    pub matchers: DropOldestQueue<Matcher>,
    /// What shoppers do at the input device.
    pub actions: DropOldestQueue<ShopperAction>,
    pub enrol: EnrolDesk,
    pub answers: RecentAnswers,
}

#[derive(Clone)]
struct ReloadableSettings {
    camera: CameraSettings,
    catalogue: PathBuf,
    pipeline: PipelineSettings,
    look: Arc<Look>,
    blank: policy::blank::BlankSettings,
}

impl ReloadableSettings {
    fn of(settings: &LiveSettings) -> Self {
        ReloadableSettings {
            camera: settings.camera.clone(),
            catalogue: settings.catalogue.clone(),
            pipeline: settings.pipeline.clone(),
            look: settings.look.clone(),
            blank: settings.blank,
        }
    }
}

impl Links {
    /// Empty queues, for these settings.
    pub fn new(settings: &LiveSettings, clock: Arc<dyn Clock>) -> Self {
        Links {
            clock,
            control: Control::default(),
            status: Status::default(),
            events: EventBus::default(),
            shoppers: Mutex::default(),
            reloadable: Mutex::new(ReloadableSettings::of(settings)),
            to_recognize: DropOldestQueue::default(),
            to_render: DropOldestQueue::default(),
            track_updates: DropOldestQueue::default(),
            queries: DropOldestQueue::with_room(QUERIES),
            matches: DropOldestQueue::default(),
            matchers: DropOldestQueue::default(),
            actions: DropOldestQueue::with_room(ACTIONS),
            enrol: EnrolDesk::default(),
            answers: RecentAnswers::new(settings.staff_crops),
        }
    }

    /// Current camera settings.
    pub fn camera(&self) -> CameraSettings {
        self.reloadable().camera.clone()
    }

    /// Current shop name and limits.
    pub fn pipeline(&self) -> PipelineSettings {
        self.reloadable().pipeline.clone()
    }

    /// Current look of the screen; the same value until a reload changes it.
    pub fn look(&self) -> Arc<Look> {
        self.reloadable().look.clone()
    }

    /// Current settings of the dark screen.
    pub fn blank(&self) -> policy::blank::BlankSettings {
        self.reloadable().blank
    }

    /// Current catalogue file.
    pub fn catalogue(&self) -> PathBuf {
        self.reloadable().catalogue.clone()
    }

    /// Processes the tracks and matches of `now`, and publishes the new events.
    pub fn observe(&self, now: Duration, seen: &[SeenGarment]) {
        self.publish(|shoppers| shoppers.update(now, seen));
    }

    /// All persons have left, since the program ends: publishes this.
    pub fn end_observation(&self) {
        let now = self.clock.now();
        self.publish(|shoppers| shoppers.end(now));
    }

    fn publish(&self, happenings: impl FnOnce(&mut ShopperWatch) -> Vec<events::Happening>) {
        // Held until they are published, so that events stay in order.
        let mut shoppers = self.shoppers.lock().unwrap_or_else(PoisonError::into_inner);
        happenings(&mut shoppers).into_iter().for_each(|happening| self.events.publish(happening));
    }

    /// Adopts the settings that may change at run time.
    pub fn adopt(&self, settings: &LiveSettings) {
        *self.reloadable() = ReloadableSettings::of(settings);
    }

    fn reloadable(&self) -> MutexGuard<'_, ReloadableSettings> {
        self.reloadable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
