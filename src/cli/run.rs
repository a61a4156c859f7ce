//! `vetrina run`: the appliance, from camera to screen, until it is stopped.

use super::places;
use crate::clock;
use crate::config::{Config, DEFAULT_PATH};
use crate::fault::Result;
use crate::live::{Live, LiveSettings};
use crate::shutdown::Signals;
use crate::tail::Tail;
use crate::web::{Server, WebSettings};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Run the mirror until SIGTERM; SIGHUP reads configuration and catalogue again
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
}

/// `tail`: the last lines of the log, for the page.
pub fn run(args: &RunArgs, tail: Arc<Tail>) -> Result<()> {
    let config = Config::load(&args.config)?;
    if let Err(fault) = clock::check_time_zone() {
        log::warn!("{fault}");
    }
    let settings = live_settings(&config)?;
    let web = config.web(&settings.model);
    let mut signals = Signals::take_over()?;
    let (path, started) = (args.config.clone(), web.clone());
    let reread = move || reread(&path, started.as_ref());
    let live = Live::start(settings, Arc::new(reread))?;
    // Dropped at the end of this function, after the stages.
    let _server = web.map(|settings| Server::start(&settings, live.links(), tail)).transpose()?;
    live.run(|patience| signals.wait(patience))
}

/// Reads the configuration again. The page keeps the settings that it `started` with.
fn reread(path: &Path, started: Option<&WebSettings>) -> Result<LiveSettings> {
    let config = Config::load(path)?;
    let settings = live_settings(&config)?;
    if config.web(&settings.model).as_ref() != started {
        log::warn!("changes under [web] or in catalogue.images take effect after a restart");
    }
    Ok(settings)
}

fn live_settings(config: &Config) -> Result<LiveSettings> {
    Ok(config.live(&places::model(&config.model.folder)?))
}
