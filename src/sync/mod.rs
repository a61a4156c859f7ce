//! The mirror's side of a chain: follows the releases that a hub publishes for its shop, from any web server or folder. Off unless
//! `[sync]` names a source.
//!
//! [`manifest`] is what a hub signs, [`source`] fetches it and the files that it names, [`follower`] polls, checks, and puts a new
//! release into the catalogue, where the running mirror notices the change like any other; [`mod@model_folder`] keeps the model that it
//! brings. [`fleet`] says to a hub how the mirror
//! is. [`other_shops`] asks the hub which other shops sell what a shopper wears, only where the configuration says so and staff ask.
//! No message of these can hold a picture.

pub mod fleet;
pub mod follower;
pub mod manifest;
pub mod model_folder;
pub mod other_shops;
pub mod source;

pub use follower::{Follower, PollOutcome, SyncSettings, SyncStatus};
pub use manifest::{ReleaseManifest, ReleaseObject};
