//! The main thread: starts the stages, handles signals, checks progress, and stops everything in order.

use super::notify::Notifier;
use super::stall::{Heartbeats, StallDetector, StallVerdict};
use crate::clock::{Clock, SystemClock};
use crate::fault::{Fault, Kind, Result};
use crate::live::control::{Phase, Stage, StageEnd, StageMessage};
use crate::live::input;
use crate::live::jobs::engine_build;
use crate::live::load::{self, Loaded};
use crate::live::policy::throttle::{Cause, Throttle};
use crate::live::stages::stage::{RunningStage, StageContext};
use crate::live::stages::{capture, matching, recognize, render};
use crate::live::{Links, LiveSettings};
use crate::machine::{self, Board};
use crate::network::Backend;
use crate::pipeline::close_ups::{CLOSE_UPS_A_FRAME, CloseUps};
use crate::pipeline::matcher::Matcher;
use crate::pipeline::presenter::status_text;
use crate::pipeline::recognizer::Recognizer;
use crate::pipeline::tracking::TrackingStage;
use crate::shutdown::{Request, Token};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant, SystemTime};

/// Interval of the main loop.
const ROUND: Duration = Duration::from_millis(200);
/// Interval at which the board's temperature is read.
const BOARD_READ_INTERVAL: Duration = Duration::from_secs(2);
/// Time in which all stages must end.
const STOP_TIMEOUT: Duration = Duration::from_millis(1800);
/// A stage that fails again within this time ends the program.
const RESTART_FORGIVEN_AFTER: Duration = Duration::from_secs(3600);

/// Reads the configuration again.
pub type Reread = Arc<dyn Fn() -> Result<LiveSettings> + Send + Sync>;

/// The running mirror.
pub struct Live {
    links: Arc<Links>,
    settings: LiveSettings,
    reread: Reread,
    running: BTreeMap<Stage, RunningStage>,
    generations: u32,
    restarted: BTreeMap<Stage, Duration>,
    messages: (Sender<StageMessage>, Receiver<StageMessage>),
    loading: Option<Receiver<Result<Loaded>>>,
    recognizer: Option<Recognizer>,
    /// Result of the running engine build.
    building: Option<Receiver<Result<Recognizer>>>,
    /// Cancels running jobs.
    cancel_jobs: Token,
    reloading: Option<Receiver<Result<Reloaded>>>,
    /// A reload was requested during a reload that may have read the old configuration.
    reload_again: bool,
    /// Another process has changed the catalogue since it was loaded.
    catalogue_changed: bool,
    notifier: Notifier,
    watchdog_fed: Option<Duration>,
    stall_detector: StallDetector,
    throttle: Throttle,
    board_read: Option<Duration>,
    theme_written: Option<SystemTime>,
}

/// A valid configuration and its catalogue.
struct Reloaded {
    settings: LiveSettings,
    matcher: Matcher,
}

impl Live {
    /// Starts camera and screen; loads model and catalogue meanwhile.
    pub fn start(settings: LiveSettings, reread: Reread) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
        let links = Arc::new(Links::new(&settings, clock));
        let wanted = settings.clone();
        let mut live = Live {
            links,
            reread,
            running: BTreeMap::new(),
            generations: 0,
            restarted: BTreeMap::new(),
            messages: channel(),
            loading: Some(load::in_background(move || load::everything(&wanted))?),
            recognizer: None,
            building: None,
            cancel_jobs: Token::new(),
            reloading: None,
            reload_again: false,
            catalogue_changed: false,
            notifier: Notifier::from_environment(),
            watchdog_fed: None,
            stall_detector: StallDetector::default(),
            throttle: Throttle::default(),
            board_read: None,
            theme_written: None,
            settings,
        };
        live.start_render()?;
        live.run_stage(Stage::Capture, capture::run)?;
        if let Some(device) = live.settings.input.clone() {
            input::listen(device, live.links.clone(), live.cancel_jobs.clone())?;
        }
        Ok(live)
    }

    /// Shared state, for the web page and for measurements.
    pub fn links(&self) -> Arc<Links> {
        self.links.clone()
    }

    /// Runs until a signal, the end of a recording, a closed window, or a fault that a restart did not cure. `requests`
    /// waits for a request, at most for the given time. Whether it ended to begin anew ([`Request::Restart`]).
    pub fn run(mut self, mut requests: impl FnMut(Duration) -> Option<Request>) -> Result<bool> {
        let result = loop {
            match requests(ROUND) {
                Some(Request::Stop) => break Ok(false),
                Some(Request::Restart) => break Ok(true),
                Some(Request::Reload) => self.reload(self.reread.clone()),
                None => {}
            }
            match self.round() {
                Ok(true) => {}
                Ok(false) => break Ok(false),
                Err(fault) => break Err(fault),
            }
        };
        if !matches!(result, Ok(true)) {
            self.notifier.stopping();
        }
        self.stop();
        result
    }

    /// Notices that the theme's file was written: it is read as after SIGHUP.
    fn watch_theme(&mut self) {
        let Some(path) = &self.settings.theme_file else { return };
        let written = std::fs::metadata(path).and_then(|file| file.modified()).ok();
        let before = std::mem::replace(&mut self.theme_written, written);
        if written.is_some() && before.is_some() && written != before {
            log::info!("the theme {} has changed", path.display());
            self.reload(self.reread.clone());
        }
    }

    /// One round of checks. Returns false if there is nothing left to do.
    fn round(&mut self) -> Result<bool> {
        self.loaded()?;
        self.built()?;
        self.reloaded();
        self.watch_theme();
        if self.reload_again && self.recognizer.is_some() && self.reloading.is_none() {
            self.reload_again = false;
            self.reload(self.reread.clone());
        }
        if self.catalogue_changed && self.reloading.is_none() {
            self.catalogue_changed = false;
            log::info!("the catalogue has changed: reloading");
            let settings = self.settings.clone();
            self.reload(Arc::new(move || Ok(settings.clone())));
        }
        while let Ok(message) = self.messages.1.try_recv() {
            match message {
                StageMessage::CatalogueChanged => self.catalogue_changed = true,
                StageMessage::Ended { stage, generation, result } => {
                    if !self.after(stage, generation, result)? {
                        return Ok(false);
                    }
                }
            }
        }
        let pulse = Heartbeats::read(&self.links, |stage| self.running.contains_key(&stage));
        match self.stall_detector.judge(&pulse, self.settings.stall, machine::threads) {
            StallVerdict::Well => self.report_starvation(None),
            StallVerdict::Starved(stage) => self.report_starvation(Some(stage)),
            StallVerdict::Stuck(stage) => {
                let text = format!("the stage {} is stuck: no progress for {:?}", stage.name(), self.settings.stall);
                self.restart(stage, Fault::new(Kind::Internal, text))?;
            }
        }
        self.adjust_throttle(pulse.now);
        self.report(&pulse);
        Ok(true)
    }

    /// Logs and shows which stage waits for the processor.
    fn report_starvation(&self, stage: Option<Stage>) {
        let words = stage.map(|stage| {
            format!("starved: the stage {} waits for the processor, which other programs use; end them", stage.name())
        });
        let before = self.links.status.starved.set(words.clone());
        match words {
            Some(words) if before.as_ref() != Some(&words) => log::warn!("{words}"),
            None if before.is_some() => log::info!("no stage waits for the processor any more"),
            _ => {}
        }
    }

    /// Adjusts the throttling level to the board's temperature and power.
    fn adjust_throttle(&mut self, now: Duration) {
        if self.board_read.is_some_and(|read| now.saturating_sub(read) < BOARD_READ_INTERVAL) {
            return;
        }
        self.board_read = Some(now);
        let (status, settings) = (&self.links.status, &self.settings.heat);
        let board = Board::read(&settings.sysfs);
        status.millidegrees.set((1e3 * board.hottest().unwrap_or(0.0).max(0.0)) as u64);
        let level = self.throttle.level();
        if !self.throttle.judge(now, &board, settings.limit) {
            return;
        }
        match self.throttle.cause().filter(|_| self.throttle.level() > level) {
            Some(Cause::Heat) => status.throttled_by_heat.count(),
            Some(Cause::Power) => status.throttled_by_power.count(),
            None => {}
        }
        let reason = self.throttle.reason();
        match &reason {
            Some(reason) => log::warn!("{reason}"),
            None => log::info!("the board has recovered: recognition is back at full rate"),
        }
        self.links.control.set_throttle_level(self.throttle.level());
        status.throttled.set(reason);
    }

    /// Model and catalogue are loaded: starts recognition.
    fn loaded(&mut self) -> Result<()> {
        let Some(loading) = &self.loading else { return Ok(()) };
        let Loaded { recognizer, matcher, unbuilt } = match loading.try_recv() {
            Ok(result) => result?,
            Err(TryRecvError::Empty) => return Ok(()),
            Err(TryRecvError::Disconnected) => {
                return Err(Fault::new(Kind::Internal, "the loading thread ended without a result"));
            }
        };
        self.loading = None;
        self.summarise(&recognizer, matcher.products());
        self.recognizer = Some(recognizer);
        if unbuilt {
            let (settings, links, token) = (self.settings.clone(), self.links.clone(), self.cancel_jobs.clone());
            self.building = Some(load::in_background(move || engine_build::build(&settings, &links, &token))?);
        }
        self.start_recognize()?;
        self.run_stage(Stage::Match, move |context| matching::run(context, matcher))
    }

    /// The engine build has ended: switches recognition to the engines. If the build failed, it stays on the CPU and
    /// the status says why.
    fn built(&mut self) -> Result<()> {
        let Some(result) = self.building.as_ref().and_then(|building| building.try_recv().ok()) else { return Ok(()) };
        self.building = None;
        let recognizer = match result {
            Ok(recognizer) => recognizer.at_most(self.settings.max_detections),
            Err(fault) => {
                log::error!("staying on the CPU: {fault}");
                let status = &self.links.status;
                match self.settings.engines.backend {
                    Backend::TensorRt => status.engine_fault.set(Some(fault.to_string())),
                    _ => status.fallback.set(Some(fault.to_string())),
                };
                return Ok(());
            }
        };
        self.summarise(&recognizer, self.links.status.products.get() as usize);
        self.recognizer = Some(recognizer);
        if let Some(old) = self.running.remove(&Stage::Recognize) {
            old.cancel();
        }
        self.start_recognize()
    }

    fn summarise(&self, recognizer: &Recognizer, products: usize) {
        let runs_on = recognizer.runs_on();
        let text = status_text(&recognizer.manifest().name, &runs_on.name, products);
        log::info!("{text}");
        let status = &self.links.status;
        status.network.set(runs_on.name.clone());
        status.fallback.set(runs_on.fallback.clone());
        status.summary.set(text);
    }

    fn run_stage(
        &mut self,
        stage: Stage,
        body: impl FnOnce(&StageContext) -> Result<StageEnd> + Send + 'static,
    ) -> Result<()> {
        self.generations += 1;
        let running = RunningStage::start(stage, self.generations, &self.links, self.messages.0.clone(), body)?;
        self.running.insert(stage, running);
        Ok(())
    }

    fn start_render(&mut self) -> Result<()> {
        let (panel, rate) = (self.settings.panel.clone(), self.settings.rate);
        self.run_stage(Stage::Render, move |context| render::run(context, &panel, rate))
    }

    fn start_recognize(&mut self) -> Result<()> {
        let Some(recognizer) = &self.recognizer else { return Ok(()) };
        let workers = load::workers(&self.settings, recognizer);
        // The generation that the new stage will have: higher than any before.
        let generation = self.generations + 1;
        let tracking = TrackingStage::new(
            generation,
            recognizer.aggregator(),
            CloseUps::new(recognizer, CLOSE_UPS_A_FRAME),
            self.settings.pipeline.max_garments,
        );
        self.run_stage(Stage::Recognize, move |context| recognize::run(context, workers, tracking))
    }

    fn start_match(&mut self) -> Result<()> {
        let Some(recognizer) = &self.recognizer else { return Ok(()) };
        let (settings, manifest) = (self.settings.clone(), recognizer.manifest().clone());
        self.run_stage(Stage::Match, move |context| matching::run(context, load::matcher(&settings, &manifest)?))
    }

    /// Handles the end of a stage. Returns false if the program must end.
    fn after(&mut self, stage: Stage, generation: u32, result: Result<StageEnd>) -> Result<bool> {
        if self.running.get(&stage).is_none_or(|running| running.generation != generation) {
            return Ok(true);
        }
        match result {
            Ok(StageEnd::Finished) => Ok(false),
            Ok(StageEnd::Cancelled) => Ok(true),
            Err(fault) if self.links.control.phase() == Phase::Starting => Err(fault),
            Err(fault) => self.restart(stage, fault).map(|()| true),
        }
    }

    /// Restarts a stage and abandons a stuck thread. The second failure within an hour is final.
    fn restart(&mut self, stage: Stage, fault: Fault) -> Result<()> {
        let now = self.links.clock.now();
        if let Some(old) = self.running.remove(&stage) {
            old.cancel();
        }
        if self.restarted.get(&stage).is_some_and(|then| now.saturating_sub(*then) < RESTART_FORGIVEN_AFTER) {
            log::error!("the stage {} failed again after a restart", stage.name());
            return Err(fault);
        }
        log::error!("{fault}; the stage {} is restarted", stage.name());
        self.restarted.insert(stage, now);
        self.links.status.restarts.count();
        match stage {
            Stage::Capture => self.run_stage(stage, capture::run),
            Stage::Recognize => self.start_recognize(),
            Stage::Match => self.start_match(),
            Stage::Render => self.start_render(),
        }
    }

    /// Loads settings and catalogue in the background. The mirror keeps the old ones meanwhile.
    fn reload(&mut self, reread: Reread) {
        let Some(recognizer) = self.recognizer.as_ref().filter(|_| self.reloading.is_none()) else {
            self.reload_again = true;
            return;
        };
        let manifest = recognizer.manifest().clone();
        let work = move || {
            let settings = reread()?;
            let matcher = load::matcher(&settings, &manifest)?;
            Ok(Reloaded { settings, matcher })
        };
        match load::in_background(work) {
            Ok(receiver) => self.reloading = Some(receiver),
            Err(fault) => self.refuse(&fault),
        }
    }

    fn reloaded(&mut self) {
        let Some(result) = self.reloading.as_ref().and_then(|reloading| reloading.try_recv().ok()) else { return };
        self.reloading = None;
        let Reloaded { settings, matcher } = match result {
            Ok(reloaded) => reloaded,
            Err(fault) => return self.refuse(&fault),
        };
        if let Some(name) = self.settings.needs_restart(&settings) {
            log::warn!("changes under [{name}] take effect after a restart");
        }
        self.links.adopt(&settings);
        self.settings = LiveSettings {
            camera: settings.camera,
            catalogue: settings.catalogue,
            pipeline: settings.pipeline,
            blank: settings.blank,
            heat: settings.heat,
            ..self.settings.clone()
        };
        if let Some(recognizer) = &self.recognizer {
            self.summarise(recognizer, matcher.products());
        }
        self.links.matchers.put(matcher);
        self.links.status.reload_fault.set(None);
        self.links.status.reloads.count();
        log::info!("reloaded");
    }

    fn refuse(&mut self, fault: &Fault) {
        log::error!("reload refused, keeping the old configuration: {fault}");
        self.links.status.reload_fault.set(Some(fault.to_string()));
    }

    /// Reports to the service manager.
    fn report(&mut self, pulse: &Heartbeats) {
        let status = &self.links.status;
        if self.links.control.phase() == Phase::Starting && self.recognizer.is_some() && pulse.last_present.is_some() {
            self.links.control.set_phase(Phase::Running);
            log::info!("running");
            self.notifier.ready();
        }
        let due = |interval| self.watchdog_fed.is_none_or(|fed| pulse.now.saturating_sub(fed) >= interval);
        if self.notifier.interval().is_some_and(due) && pulse.progresses(self.settings.stall) {
            self.notifier.alive();
            self.watchdog_fed = Some(pulse.now);
        }
        let words = status.reasons().into_iter().next().unwrap_or_else(|| status.summary.get());
        self.notifier.status(&words);
    }

    /// Tells every stage to end and waits for each, in the order of a frame's path.
    fn stop(&mut self) {
        self.links.control.set_phase(Phase::Stopping);
        self.cancel_jobs.cancel();
        for running in self.running.values() {
            running.cancel();
        }
        self.links.to_recognize.close();
        self.links.queries.close();
        let deadline = Instant::now() + STOP_TIMEOUT;
        for (stage, running) in &self.running {
            while !running.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            if !running.is_finished() {
                log::warn!("the stage {} did not end in time and is left behind", stage.name());
            }
        }
        self.links.end_observation();
        log::info!("stopped");
    }
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;
