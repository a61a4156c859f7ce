//! Locates files shipped with the program: models and the demo shop.

use crate::fault::{Fault, Kind, Result};
use std::path::PathBuf;

/// The model used by default.
pub const DEFAULT_MODEL: &str = "models/compact";

/// Path of a shipped file or folder, given its path in the repository: beside the installed program, or in the source
/// tree.
pub fn shipped(name: &str) -> Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.join("share/vetrina")));
    let places = [
        std::env::var_os("VETRINA_SHARE").map(PathBuf::from),
        beside,
        Some(PathBuf::from(env!("CARGO_MANIFEST_DIR"))),
        Some(PathBuf::from("/usr/share/vetrina")),
    ];
    let found = places.into_iter().flatten().map(|place| place.join(name)).find(|path| path.exists());
    found.ok_or_else(|| {
        let text = format!("cannot find {name}, which is shipped with vetrina");
        Fault::new(Kind::Unavailable, text).cure("set VETRINA_SHARE to the folder that contains it")
    })
}

/// The named model folder, or the shipped one.
pub fn model(named: &Option<PathBuf>) -> Result<PathBuf> {
    named.clone().map_or_else(|| shipped(DEFAULT_MODEL), Ok)
}
