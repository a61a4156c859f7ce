//! What the running program reports of itself: counters and a few words. Stages write without waiting; the page, the metrics and
//! the service manager read a [`Report`].

use super::stages::stage::Stage;
use crate::frame::Picture;
use crate::metrics::{Counter, Gauge, Histogram, StageHistograms};
use crate::pipeline::track_matches::MatchesByTrack;
use crate::pipeline::tracking::TrackUpdate;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

/// Everything that is counted. Times are the program's clock, milliseconds; 0 is "not yet".
#[derive(Debug, Default)]
pub struct Status {
    pub phase: Shared<Phase>,
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
    /// Another process has changed the catalogue.
    pub catalogue_changed: Shared<bool>,
    pub newest_picture: Shared<Option<Arc<Picture>>>,
    pub newest_tracks: Shared<Option<Arc<TrackUpdate>>>,
    pub newest_matches: Shared<Arc<MatchesByTrack>>,

    pub frames: Counter,
    /// Times that a camera was opened or tried to be: the frames of each are another scene.
    pub cameras: Counter,
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
    pub products: Gauge,
    /// Frames that are being recognized.
    pub in_work: Gauge,
    /// Recognized frames per second, thousandths.
    pub millirate: Gauge,
    /// 1 while the screen is dark.
    pub dark: Gauge,
    /// Each level halves the recognized frames.
    pub throttle: Gauge,
    /// The hottest place, thousandths of a degree Celsius; 0: the machine does not tell.
    pub millidegrees: Gauge,
    last_seen: Gauge,
    last_frame: Gauge,
    last_present: Gauge,
    unshown_since: Gauge,
    beats: [Gauge; Stage::ALL.len()],
    pub stages: StageHistograms,
}

impl Status {
    pub fn heartbeat(&self, stage: Stage, now: Duration) {
        self.beats[stage as usize].set(millis(now));
    }

    pub fn last_beat(&self, stage: Stage) -> Duration {
        Duration::from_millis(self.beats[stage as usize].get())
    }

    /// A frame came from the camera.
    pub fn frame(&self, now: Duration) {
        self.frames.count();
        self.last_frame.set(millis(now));
        if self.unshown_since().is_none() {
            self.unshown_since.set(millis(now));
        }
    }

    /// A screen was shown; `fresh`: with a camera picture that was not on the last one.
    pub fn present(&self, now: Duration, fresh: bool) {
        self.presented.count();
        self.last_present.set(millis(now));
        if fresh {
            self.unshown_since.set(0);
        }
    }

    /// Somebody is there.
    pub fn seen(&self, now: Duration) {
        self.last_seen.set(millis(now));
    }

    /// How long nobody was seen; from the program's start on where nobody ever was.
    pub fn unseen(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_millis(self.last_seen.get()))
    }

    pub fn last_frame(&self) -> Option<Duration> {
        moment(&self.last_frame)
    }

    pub fn last_present(&self) -> Option<Duration> {
        moment(&self.last_present)
    }

    /// Since when a camera picture has been waiting to be shown.
    pub fn unshown_since(&self) -> Option<Duration> {
        moment(&self.unshown_since)
    }

    /// What is wrong, for people; empty when all is well.
    pub fn reasons(&self) -> Vec<String> {
        let camera = self.camera_fault.get().map(|fault| format!("camera: {fault}"));
        let screen = self.screen_fault.get().map(|fault| format!("screen: {fault}"));
        let reload = self.reload_fault.get().map(|fault| format!("reload: {fault}"));
        let engine = self.engine_fault.get().map(|fault| format!("network: {fault}"));
        let board = self.starved.get().into_iter().chain(self.throttled.get());
        camera.into_iter().chain(screen).chain(reload).chain(engine).chain(board).collect()
    }
}

fn millis(now: Duration) -> u64 {
    // 0 says "not yet".
    (now.as_millis() as u64).max(1)
}

fn moment(gauge: &Gauge) -> Option<Duration> {
    Some(gauge.get()).filter(|millis| *millis > 0).map(Duration::from_millis)
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
    pub frames_per_second: f32,
    /// How long ago the panel was given a picture.
    pub last_present_age_seconds: Option<f64>,
    pub products: u64,
    pub in_work: u64,
    pub screen_dark: bool,
    /// Each level halves the recognized frames; 0 is all of them.
    pub throttle_level: u64,
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
        let (status, now) = (&self.status, self.clock.now());
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
            ("throttled_by_heat", status.throttled_by_heat.get()),
            ("throttled_by_power", status.throttled_by_power.get()),
        ];
        Report {
            phase: status.phase.get(),
            reasons: status.reasons(),
            uptime_seconds: now.as_secs_f64(),
            summary: status.summary.get(),
            network: status.network.get(),
            fallback: status.fallback.get(),
            building: status.building.get(),
            camera: status.camera.get(),
            garments: tracks.as_ref().map_or(0, |tracks| tracks.garments.len()),
            frames_per_second: tracks.map_or(0.0, |_| status.millirate.get() as f32 / 1e3),
            last_present_age_seconds: status.last_present().map(|then| now.saturating_sub(then).as_secs_f64()),
            products: status.products.get(),
            in_work: status.in_work.get(),
            screen_dark: status.dark.get() > 0,
            throttle_level: status.throttle.get(),
            temperature_celsius: Some(status.millidegrees.get()).filter(|heat| *heat > 0).map(|heat| heat as f64 / 1e3),
            counters: counters.into_iter().collect(),
            stages: status.stages.snapshot(),
        }
    }
}
