//! Status of the running program: counters and messages. Stages write without waiting; the page, the metrics and the
//! service manager read a [`Report`].

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

/// A rate is dropped if the last frame is older than this.
const RATE_HOLDS: Duration = Duration::from_secs(10);

/// A value read by several threads and replaced occasionally.
#[derive(Debug, Default)]
pub struct Shared<T>(Mutex<T>);

impl<T: Clone> Shared<T> {
    /// A copy of the value.
    pub fn get(&self) -> T {
        self.lock().clone()
    }

    /// Replaces the value and returns the old one, so that it is dropped outside the lock.
    pub fn set(&self, value: T) -> T {
        std::mem::replace(&mut *self.lock(), value)
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tracks older than this are no longer reported: recognition stands still, or there is no camera. A throttled mirror
/// needs half as long.
const GONE: Duration = Duration::from_secs(5);

/// All counters and messages. Nothing in the program acts on them: that is [`super::control`].
#[derive(Debug, Default)]
pub struct Status {
    /// Why there are no frames; `None` if there are.
    pub camera_fault: Shared<Option<String>>,
    /// Why the screen cannot be seen; `None` if it can.
    pub screen_fault: Shared<Option<String>>,
    /// The camera and its format: "clip.mjpg: 640x480".
    pub camera: Shared<String>,
    /// Why the catalogue's file cannot be read; `None` if it can. What is in memory serves on.
    pub catalogue_fault: Shared<Option<String>>,
    /// Why the last reload was refused.
    pub reload_fault: Shared<Option<String>>,
    /// The stage that waits for the processor because other programs use it, as a message.
    pub starved: Shared<Option<String>>,
    /// Why recognition is throttled: heat, power.
    pub throttled: Shared<Option<String>>,
    /// Backend of the network.
    pub network: Shared<String>,
    /// Why the CPU is used although TensorRT is preferred.
    pub fallback: Shared<Option<String>>,
    /// Why the requested engines are not available.
    pub engine_fault: Shared<Option<String>>,
    /// Progress of the engine build.
    pub building: Shared<Option<String>>,
    /// For example "compact on the CPU, 72 products".
    pub summary: Shared<String>,
    /// The hub's release in use and the result of the last poll; `None` without a hub.
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
    /// How often the catalogue's file was looked at for changes, and they were taken over.
    pub catalogue_checks: Counter,
    /// Steps of throttling, by cause.
    pub throttled_by_heat: Counter,
    pub throttled_by_power: Counter,
    /// Events accepted by the webhook's receiver, and failed attempts.
    pub webhook_deliveries: Counter,
    pub webhook_failures: Counter,
    /// Messages sent to the MQTT broker.
    pub mqtt_messages: Counter,
    pub products: Gauge,
    /// Frames being recognized.
    pub in_work: Gauge,
    /// Recognized frames per second, in thousandths; 0: not known yet. See [`Status::rate`].
    pub millirate: Gauge,
    /// Highest temperature, in thousandths of a degree Celsius; 0: not reported.
    pub millidegrees: Gauge,
    pub stages: StageHistograms,
}

impl Status {
    /// Recognized frames per second; `None` if not known yet, or if the last frame is too old.
    pub fn rate(&self, now: Duration) -> Option<f32> {
        let newest = self.newest_tracks.get()?.meta.captured;
        let holds = now.saturating_sub(newest) <= RATE_HOLDS;
        Some(self.millirate.get()).filter(|rate| *rate > 0 && holds).map(|rate| rate as f32 / 1e3)
    }

    /// What is wrong, as messages; empty if all is well.
    pub fn reasons(&self) -> Vec<String> {
        let camera = self.camera_fault.get().map(|fault| format!("camera: {fault}"));
        let screen = self.screen_fault.get().map(|fault| format!("screen: {fault}"));
        let reload = self.reload_fault.get().map(|fault| format!("reload: {fault}"));
        let engine = self.engine_fault.get().map(|fault| format!("network: {fault}"));
        let sync = self.sync.get().filter(|sync| sync.is_refused).and_then(|sync| sync.fault);
        let catalogue = self.catalogue_fault.get().or(sync).map(|fault| format!("catalogue: {fault}"));
        let board = self.starved.get().into_iter().chain(self.throttled.get());
        camera.into_iter().chain(screen).chain(reload).chain(engine).chain(catalogue).chain(board).collect()
    }
}

/// Snapshot of the status, for people and monitoring.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub phase: Phase,
    /// What is wrong; empty if all is well.
    pub reasons: Vec<String>,
    pub uptime_seconds: f64,
    pub summary: String,
    /// Backend of the network.
    pub network: String,
    /// Why the CPU is used although TensorRT is preferred.
    pub fallback: Option<String>,
    /// Progress of the engine build.
    pub building: Option<String>,
    pub camera: String,
    pub garments: usize,
    /// `None` if not known yet.
    pub frames_per_second: Option<f32>,
    /// Time since the panel last got a picture.
    pub last_present_age_seconds: Option<f64>,
    pub products: u64,
    pub in_work: u64,
    pub screen_dark: bool,
    /// Each level halves the number of recognized frames; 0: all frames.
    pub throttle_level: u32,
    /// Highest temperature, if reported.
    pub temperature_celsius: Option<f64>,
    /// By their names in `/metrics`.
    pub counters: BTreeMap<&'static str, u64>,
    #[serde(skip)]
    pub stages: BTreeMap<&'static str, Histogram>,
}

impl Report {
    /// Whether the mirror works without restrictions.
    pub fn is_well(&self) -> bool {
        self.phase == Phase::Running && self.reasons.is_empty()
    }
}

impl super::Links {
    /// Current tracks; `None` if nothing has been recognized for a while, or since another camera was opened: boxes in the picture
    /// of the one before do not fit this one's.
    pub fn tracked_now(&self) -> Option<Arc<TrackUpdate>> {
        let (now, source) = (self.clock.now(), self.control.camera_opening());
        let is_current =
            |tracks: &TrackUpdate| tracks.meta.source == source && now.saturating_sub(tracks.meta.captured) <= GONE;
        self.status.newest_tracks.get().filter(|tracks| is_current(tracks))
    }

    /// Takes a snapshot.
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
            ("catalogue_checks", status.catalogue_checks.get()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SimulatedClock};
    use crate::config::Config;
    use crate::frame::FrameMeta;
    use crate::live::Links;
    use std::path::Path;

    #[test]
    fn tracks_and_rate_are_dropped_while_recognition_stands_still() {
        let clock = Arc::new(SimulatedClock::default());
        let links = Links::new(&Config::default().live(Path::new("model")), clock.clone());
        clock.advance(Duration::from_secs(60));
        let meta = FrameMeta { source: 0, sequence: 9, captured: clock.now() };
        links.status.newest_tracks.set(Some(Arc::new(TrackUpdate { meta, generation: 1, garments: Vec::new() })));
        links.status.millirate.set(12_000);
        assert!(links.tracked_now().is_some());
        links.control.open_camera();
        assert!(links.tracked_now().is_none(), "boxes of the camera before");
        let meta = FrameMeta { source: 1, ..meta };
        links.status.newest_tracks.set(Some(Arc::new(TrackUpdate { meta, generation: 1, garments: Vec::new() })));
        assert_eq!(links.report().frames_per_second, Some(12.0));
        clock.advance(GONE + Duration::from_millis(1));
        assert!(links.tracked_now().is_none());
        clock.advance(RATE_HOLDS);
        assert_eq!((links.report().frames_per_second, links.status.rate(clock.now())), (None, None));
    }
}
