//! `vetrina run`: the appliance, from camera to screen, until it is stopped.

use super::places;
use crate::catalogue::ReleaseMark;
use crate::clock;
use crate::config::{Config, DEFAULT_PATH};
use crate::events::{EventSettings, EventSinks};
use crate::fault::{Fault, Kind, Result};
use crate::live::{Links, Live, LiveSettings};
use crate::machine;
use crate::pipeline::import;
use crate::shutdown::{Request, Signals, Token};
use crate::sync::fleet::Heartbeat;
use crate::sync::{Follower, SyncStatus};
use crate::tail::Tail;
use crate::web::{Server, WebSettings};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::Builder;

/// Run the mirror until SIGTERM; SIGHUP reads configuration and catalogue again
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
}

/// `tail`: the last lines of the log, for the page.
pub fn run(args: &RunArgs, tail: Arc<Tail>) -> Result<()> {
    let mut signals = Signals::take_over()?;
    while run_one_model(args, &tail, &mut signals)? {
        log::warn!("beginning anew, with the model that the release brought");
    }
    Ok(())
}

/// Runs until the end (false), or until the hub's release brings another model (true).
fn run_one_model(args: &RunArgs, tail: &Arc<Tail>, signals: &mut Signals) -> Result<bool> {
    let config = Config::load(&args.config)?;
    if let Err(fault) = clock::check_time_zone() {
        log::warn!("{fault}");
    }
    let settings = live_settings(&config)?;
    let web = config.web(&settings.model, &args.config);
    let follower = follower(&config, &settings)?;
    let events = config.events();
    let (path, started) = (args.config.clone(), (web.clone(), events.clone()));
    let reread = move || reread(&path, &started);
    let live = Live::start(settings, Arc::new(reread))?;
    // Dropped at the end of this function, after the stages.
    let _sinks = EventSinks::start(&events, &live.links())?;
    let _server = web.map(|settings| Server::start(&settings, live.links(), tail.clone())).transpose()?;
    let token = Token::new();
    let (wish, wishes) = channel();
    if let Some(follower) = follower {
        follow(follower, &token, live.links(), ReleaseWatch { seen: config.release().cloned(), wish })?;
    }
    let ended = live.run(|patience| wishes.try_recv().ok().or_else(|| signals.wait(patience)));
    token.cancel();
    ended
}

/// Notices what a new release brings beside products.
struct ReleaseWatch {
    seen: Option<ReleaseMark>,
    wish: Sender<Request>,
}

impl ReleaseWatch {
    fn observe(&mut self, release: Option<&ReleaseMark>) {
        let Some(release) = release else { return };
        let brought = |mark: &ReleaseMark| (mark.model_folder.clone(), mark.configuration.clone());
        let (model, configuration) = self.seen.as_ref().map(brought).unwrap_or_default();
        // Nobody hears it where the mirror is about to end.
        if release.model_folder != model {
            let _ = self.wish.send(Request::Restart);
        } else if release.configuration != configuration {
            let _ = self.wish.send(Request::Reload);
        }
        self.seen = Some(release.clone());
    }
}

/// Follows the hub's releases; `None` if `[sync]` names no hub.
fn follower(config: &Config, settings: &LiveSettings) -> Result<Option<Follower>> {
    if config.sync.source.is_none() {
        return Ok(None);
    }
    config.sync(import::model_stamp(&settings.model)?).map(Follower::new).transpose()
}

/// Runs the follower on a thread with lower priority than the mirror's stages. It is not joined at the end: its work is
/// one transaction.
fn follow(follower: Follower, token: &Token, links: Arc<Links>, mut watch: ReleaseWatch) -> Result<()> {
    links.status.sync.set(Some(follower.status().clone()));
    let token = token.clone();
    let run = move || {
        machine::step_back();
        let observe = |status: &SyncStatus| {
            watch.observe(status.release.as_ref());
            drop(links.status.sync.set(Some(status.clone())));
        };
        follower.run(&token, || heartbeat(&links), observe);
    };
    let spawned = Builder::new().name("sync".into()).spawn(run);
    spawned
        .map(drop)
        .map_err(|error| Fault::new(Kind::Unavailable, "cannot start the thread that follows the hub").cause(error))
}

/// The mirror's state, reported to its hub.
fn heartbeat(links: &Links) -> Heartbeat {
    let report = links.report();
    Heartbeat {
        version: env!("CARGO_PKG_VERSION").into(),
        release: None,
        uptime_seconds: report.uptime_seconds,
        frames_per_second: report.frames_per_second,
        temperature_celsius: report.temperature_celsius,
        answers: report.counters.get("answers").copied().unwrap_or(0),
        reasons: report.reasons,
    }
}

/// Reads the configuration again. The page and the event sinks keep the settings that they `started` with.
fn reread(path: &Path, started: &(Option<WebSettings>, EventSettings)) -> Result<LiveSettings> {
    let config = Config::load(path)?;
    let settings = live_settings(&config)?;
    if (config.web(&settings.model, path), config.events()) != *started {
        log::warn!(
            "changes under [web], [stats], [webhook], [mqtt], [privacy], in catalogue.images or in \
             catalogue.max_removals take effect after a restart"
        );
    }
    Ok(settings)
}

fn live_settings(config: &Config) -> Result<LiveSettings> {
    Ok(config.live(&places::model(&config.model.folder)?))
}
