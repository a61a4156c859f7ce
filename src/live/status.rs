//! What the running program reports of itself: counters and a few words. Stages write without waiting; the page, the metrics and
//! the service manager read a [`Report`].

use super::control::Phase;
use crate::frame::Picture;
use crate::metrics::{Counter, Gauge, Histogram, StageHistograms};
use crate::pipeline::track_matches::MatchesByTrack;
use crate::pipeline::tracking::TrackUpdate;
use crate::sync::SyncStatus;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A rate of frames that came longer ago is none any more.
const RATE_HOLDS: Duration = Duration::from_secs(10);

/// A value that several threads read and one now and then replaces.
#[derive(Debug, Default)]
pub struct Shared<T>(Mutex<T>);

impl<T: Clone> Shared<T> {
    pub fn get(&self) -> T {
        self.lock().clone()
    }

    /// Replaces it. The old value is given back, so that it is dropped outside the lock.
    pub fn set(&self, value: T) -> T {
        std::mem::replace(&mut *self.lock(), value)
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was tracked longer ago is not there any more: recognition stands still, or there is no camera. A throttled one takes half as long.
const GONE: Duration = Duration::from_secs(5);

/// Everything that is counted and said. Nothing in the program acts on it: that is [`super::control`].
#[derive(Debug, Default)]
pub struct Status {
    /// Why there are no frames; `None` while they come.
    pub camera_fault: Shared<Option<String>>,
    /// Why nobody sees the screen; `None` while it is there.
    pub screen_fault: Shared<Option<String>>,
    /// What the camera is and what it gives: "clip.mjpg: 640x480".
    pub camera: Shared<String>,
    /// Why the last reload was refused.
    pub reload_fault: Shared<Option<String>>,
    /// Which stage stalls because other programs have the processor, for people.
    pub starved: Shared<Option<String>>,
    /// Why less is recognized than could be: heat, current.
    pub throttled: Shared<Option<String>>,
    /// What the network runs on.
    pub network: Shared<String>,
    /// Why it is the CPU although TensorRT is preferred.
    pub fallback: Shared<Option<String>>,
    /// Why the engines that were asked for are not there.
    pub engine_fault: Shared<Option<String>>,
    /// How far the engines are that are being built.
    pub building: Shared<Option<String>>,
    /// "compact on the CPU, 72 products"
    pub summary: Shared<String>,
    /// Which release of a hub is searched, and what its last poll said; `None` where no hub is followed.
    pub sync: Shared<Option<SyncStatus>>,
    pub newest_picture: Shared<Option<Arc<Picture>>>,
    pub newest_tracks: Shared<Option<Arc<TrackUpdate>>>,
    pub newest_matches: Shared<Arc<MatchesByTrack>>,

    pub frames: Counter,
    pub corrupt_frames: Counter,
    pub reconnects: Counter,
    pub recognized: Counter,
    pub recognition_faults: Counter,
    pub queries: Counter,
    pub answers: Counter,
    pub presented: Counter,
    pub restarts: Counter,
    pub reloads: Counter,
    /// Steps by which less was recognized, by what made them.
    pub throttled_by_heat: Counter,
    pub throttled_by_power: Counter,
    /// Events that the webhook's receiver took, and tries that failed.
    pub webhook_deliveries: Counter,
    pub webhook_failures: Counter,
    /// Messages that were handed to the MQTT broker.
    pub mqtt_messages: Counter,
    pub products: Gauge,
    /// Frames that are being recognized.
    pub in_work: Gauge,
    /// Recognized frames a second, thousandths; 0 before it is known. See [`Status::rate`].
    pub millirate: Gauge,
    /// The hottest place, thousandths of a degree Celsius; 0: the machine does not tell.
    pub millidegrees: Gauge,
    pub stages: StageHistograms,
}

impl Status {
    /// Recognized frames a second; `None` before that is known, and where the last frame was long ago.
    pub fn rate(&self, now: Duration) -> Option<f32> {
        let newest = self.newest_tracks.get()?.meta.captured;
        let holds = now.saturating_sub(newest) <= RATE_HOLDS;
        Some(self.millirate.get()).filter(|rate| *rate > 0 && holds).map(|rate| rate as f32 / 1e3)
    }

    /// What is wrong, for people; empty when all is well.
    pub fn reasons(&self) -> Vec<String> {
        let camera = self.camera_fault.get().map(|fault| format!("camera: {fault}"));
        let screen = self.screen_fault.get().map(|fault| format!("screen: {fault}"));
        let reload = self.reload_fault.get().map(|fault| format!("reload: {fault}"));
        let engine = self.engine_fault.get().map(|fault| format!("network: {fault}"));
        let sync = self.sync.get().filter(|sync| sync.is_refused).and_then(|sync| sync.fault);
        let sync = sync.map(|fault| format!("catalogue: {fault}"));
        let board = self.starved.get().into_iter().chain(self.throttled.get());
        camera.into_iter().chain(screen).chain(reload).chain(engine).chain(sync).chain(board).collect()
    }
}

/// The status at one moment, for people and for monitoring.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub phase: Phase,
    /// What is wrong; empty when all is well.
    pub reasons: Vec<String>,
    pub uptime_seconds: f64,
    pub summary: String,
    /// What the network runs on.
    pub network: String,
    /// Why it is the CPU although TensorRT is preferred.
    pub fallback: Option<String>,
    /// How far the engines are that are being built.
    pub building: Option<String>,
    pub camera: String,
    pub garments: usize,
    /// `None` before it is known.
    pub frames_per_second: Option<f32>,
    /// How long ago the panel was given a picture.
    pub last_present_age_seconds: Option<f64>,
    pub products: u64,
    pub in_work: u64,
    pub screen_dark: bool,
    /// Each level halves the recognized frames; 0 is all of them.
    pub throttle_level: u32,
    /// The hottest place, where the machine tells.
    pub temperature_celsius: Option<f64>,
    /// By name, as in `/metrics`.
    pub counters: BTreeMap<&'static str, u64>,
    #[serde(skip)]
    pub stages: BTreeMap<&'static str, Histogram>,
}

impl Report {
    /// Whether the mirror does all that it can.
    pub fn is_well(&self) -> bool {
        self.phase == Phase::Running && self.reasons.is_empty()
    }
}

impl super::Links {
    /// What is tracked now; `None` where nothing has been recognized for a while.
    pub fn tracked_now(&self) -> Option<Arc<TrackUpdate>> {
        let now = self.clock.now();
        self.status.newest_tracks.get().filter(|tracks| now.saturating_sub(tracks.meta.captured) <= GONE)
    }

    /// The status now.
    pub fn report(&self) -> Report {
        let (status, control, now) = (&self.status, &self.control, self.clock.now());
        let tracks = self.tracked_now();
        let counters = [
            ("frames", status.frames.get()),
            ("frames_skipped", self.to_recognize.skipped()),
            ("frames_not_shown", self.to_render.skipped()),
            ("frames_corrupt", status.corrupt_frames.get()),
            ("camera_reconnects", status.reconnects.get()),
            ("frames_recognised", status.recognized.get()),
            ("recognition_faults", status.recognition_faults.get()),
            ("queries", status.queries.get()),
            ("queries_skipped", self.queries.skipped()),
            ("answers", status.answers.get()),
            ("screens_presented", status.presented.get()),
            ("stage_restarts", status.restarts.get()),
            ("reloads", status.reloads.get()),
            ("events", self.events.published()),
            ("events_lost", self.events.lost()),
            ("webhook_deliveries", status.webhook_deliveries.get()),
            ("webhook_failures", status.webhook_failures.get()),
            ("mqtt_messages", status.mqtt_messages.get()),
            ("throttled_by_heat", status.throttled_by_heat.get()),
            ("throttled_by_power", status.throttled_by_power.get()),
        ];
        Report {
            phase: control.phase(),
            reasons: status.reasons(),
            uptime_seconds: now.as_secs_f64(),
            summary: status.summary.get(),
            network: status.network.get(),
            fallback: status.fallback.get(),
            building: status.building.get(),
            camera: status.camera.get(),
            garments: tracks.as_ref().map_or(0, |tracks| tracks.garments.len()),
            frames_per_second: tracks.and_then(|_| status.rate(now)),
            last_present_age_seconds: control.last_present().map(|then| now.saturating_sub(then).as_secs_f64()),
            products: status.products.get(),
            in_work: status.in_work.get(),
            screen_dark: control.is_dark(),
            throttle_level: control.throttle_level(),
            temperature_celsius: Some(status.millidegrees.get()).filter(|heat| *heat > 0).map(|heat| heat as f64 / 1e3),
            counters: counters.into_iter().collect(),
            stages: status.stages.snapshot(),
        }
    }
}
