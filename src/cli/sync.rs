//! `vetrina sync`: the catalogue of a hub, by hand; and joining a hub's fleet.

use super::places;
use super::table::{json, print};
use crate::config::{Config, DEFAULT_PATH};
use crate::fault::{Fault, Kind, Result};
use crate::pipeline::import;
use crate::sync::{Follower, PollOutcome, fleet};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Follow a hub's catalogue: fetch the newest release once, or join the hub's fleet
#[derive(Args, Clone, Debug)]
pub struct SyncArgs {
    #[command(subcommand)]
    pub command: SyncCommand,
}

#[derive(Subcommand, Clone, Debug)]
pub enum SyncCommand {
    /// Ask for a new release once, and take it over; `vetrina run` does this by itself where `sync.source` is set
    Once(OnceArgs),
    /// Join a hub's fleet with the one-time code that `vetrina hub enrol` printed; the mirror then has a key of its own
    Join(JoinArgs),
}

#[derive(Args, Clone, Debug)]
pub struct OnceArgs {
    /// Configuration file, with `sync.source`
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Debug)]
pub struct JoinArgs {
    /// Address of the hub, such as `https://hub.example`
    pub hub: String,
    /// The code
    pub code: String,
    /// Configuration file; the key is kept beside its catalogue
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
}

pub fn run(args: &SyncArgs) -> Result<()> {
    match &args.command {
        SyncCommand::Once(args) => once(args),
        SyncCommand::Join(args) => join(args),
    }
}

fn once(args: &OnceArgs) -> Result<()> {
    let config = Config::load(&args.config)?;
    let stamp = import::model_stamp(&places::model(&config.model.folder)?)?;
    let settings = config.sync(stamp).ok_or_else(|| {
        Fault::new(Kind::Usage, format!("{} names no hub", args.config.display())).cure("set sync.source and sync.key")
    })?;
    let mut follower = Follower::new(settings)?;
    let outcome = follower.poll()?;
    if let Err(fault) = follower.share() {
        log::warn!("worn views stay here for now: {fault}");
    }
    if args.json {
        return print(&json(&outcome)?);
    }
    print(&match outcome {
        PollOutcome::Current { release } => format!("release {release} is here already"),
        PollOutcome::Updated { release, added, updated, removed, whole, bytes } => {
            let how = if whole { "whole" } else { "what has changed" };
            format!("release {release}: {added} added, {updated} updated, {removed} removed ({how}, {bytes} bytes)")
        }
    })
}

fn join(args: &JoinArgs) -> Result<()> {
    let config = Config::load(&args.config)?;
    let membership = fleet::join(&args.hub, &args.code, &config.catalogue.file)?;
    print(&format!("joined {} as {}", membership.hub, membership.mirror))
}
