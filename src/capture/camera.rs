//! Opens a source by its URI: a camera, a clip or a folder played like a camera, or a test picture.

use super::mask::Masked;
use super::pattern::Pattern;
use super::replay::{Replay, Upright};
use super::v4l2::V4l2;
use super::{Source, child};
use crate::clock::Clock;
use crate::fault::{Fault, Kind, Result};
use crate::frame::Turn;
use crate::shutdown::Token;
use std::sync::Arc;

pub use super::mask::MaskRegion;

pub use super::location::{CameraSettings, Location, PixelFormat, is_network, shown};

/// The fault of a camera that opens and then sends no frame.
pub fn silent() -> Fault {
    Fault::new(Kind::Unavailable, "the camera opens but sends no frame").cure("plug it into another port")
}

/// Opens what `settings` names. Waiting for a frame's time ends when `token` is cancelled.
///
/// # Errors
/// [`Kind::Usage`] for an unknown URI. Any other kind: the device or file cannot be opened now; trying again later may help.
pub fn open(settings: &CameraSettings, clock: &Arc<dyn Clock>, token: &Token) -> Result<Box<dyn Source>> {
    let source: Box<dyn Source> = match Location::parse(&settings.source)? {
        Location::File { path, looped, rate } => {
            Box::new(Replay::open(&path, looped, rate, clock.clone(), token.clone())?)
        }
        Location::V4l2(path) => Box::new(V4l2::open(&path, settings)?),
        Location::Csi(number) => Box::new(child::csi(number, settings)?),
        Location::Rtsp => Box::new(child::rtsp(&settings.source, settings)?),
        Location::Test => Box::new(Pattern::new(settings.size, settings.rate, clock.clone(), token.clone())),
    };
    let source = if settings.turn == Turn::None && !settings.mirrored {
        source
    } else {
        Box::new(Upright::new(source, settings.turn, settings.mirrored))
    };
    Ok(if settings.mask.is_empty() { source } else { Box::new(Masked::new(source, settings.mask.clone())) })
}
