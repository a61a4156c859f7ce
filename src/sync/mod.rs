//! The mirror's side of a chain: follows the releases that a hub publishes for its shop, from any web server or folder. Off unless
//! `[sync]` names a source.
//!
//! [`manifest`] is what a hub signs, [`source`] fetches it and the files that it names, [`follower`] polls, checks, and puts a new
//! release into the catalogue, where the running mirror notices the change like any other. [`fleet`] says to a hub how the mirror
//! is. Nothing of what is seen leaves the device here: there is no message for it.

pub mod fleet;
pub mod follower;
pub mod manifest;
pub mod source;

pub use follower::{Follower, PollOutcome, SyncSettings, SyncStatus};
pub use manifest::{ReleaseManifest, ReleaseObject};
