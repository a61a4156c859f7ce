//! Where frames come from: cameras, pictures, folders of pictures, motion-JPEG clips, and every other clip through `ffmpeg`.
//!
//! Nothing here knows what is in a picture. [`open`] takes what a user writes on the command line; [`camera::open`] takes a
//! camera's URI, and gives frames at the speed at which a camera would.

pub mod camera;
mod child;
mod clip;
mod folder;
mod jpeg;
mod location;
mod mjpeg;
mod pattern;
mod picture;
mod replay;
pub mod v4l2;
mod yuv;

pub use jpeg::jpeg_length;
pub use picture::{MAX_PIXELS, MAX_SIDE, decode_picture, read_picture};

use crate::fault::{Fault, Kind, Result};
use crate::frame::{Frame, FrameMeta, Picture};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Frames a second that a recorded input is taken to have: about what a mirror recognizes.
pub const RECORDED_RATE: u32 = 15;

/// How long [`Source::step`] waits.
pub const PATIENCE: Duration = Duration::from_millis(200);

/// What one step of a source came to.
#[derive(Debug)]
pub enum Step {
    Frame(Frame),
    /// Nothing yet: ask again.
    NotYet,
    End,
}

/// Gives frames until there are no more.
pub trait Source: Send {
    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// [`Kind::Input`] where the input is damaged: the frames before stand.
    fn next(&mut self) -> Result<Option<Frame>>;

    /// As [`Source::next`], but a source that waits for something outside comes back after [`PATIENCE`] at the latest, so that
    /// who drives it can see to other things.
    fn step(&mut self) -> Result<Step> {
        Ok(self.next()?.map_or(Step::End, Step::Frame))
    }

    /// How long the newest frame has been under way in here: decoding it, turning it. Its capture is so much earlier.
    fn spent(&self) -> Duration {
        Duration::ZERO
    }

    /// Frames that came damaged and were dropped.
    fn corrupt(&self) -> u64 {
        0
    }

    /// How many frames there are, where that is known beforehand.
    fn frames(&self) -> Option<usize> {
        None
    }
}

/// Opens a picture, a folder of pictures or a clip: a path, or `file://` and a path.
pub fn open(input: &str) -> Result<Box<dyn Source>> {
    open_path(&local_path(input)?, Some(RECORDED_RATE))
}

/// As [`open`], but every frame of a clip as it was recorded, so that frames have the numbers that annotations give them.
pub fn open_every_frame(input: &str) -> Result<Box<dyn Source>> {
    open_path(&local_path(input)?, None)
}

fn open_path(path: &Path, rate: Option<u32>) -> Result<Box<dyn Source>> {
    let meta = std::fs::metadata(path).map_err(|error| Fault::io(Kind::Input, "open", path, error))?;
    if meta.is_dir() {
        return Ok(Box::new(folder::Folder::open(path)?));
    }
    let head = head(path)?;
    let name = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    match (name.as_str(), head.as_slice()) {
        (_, []) => Err(Fault::new(Kind::Input, format!("{} is empty", path.display())).cure("copy it again")),
        ("mjpg" | "mjpeg", _) => Ok(Box::new(mjpeg::MotionJpeg::open(path)?)),
        (_, [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', ..]) if mjpeg::holds_jpeg(path)? => {
            Ok(Box::new(mjpeg::MotionJpeg::open(path)?))
        }
        ("jpg" | "jpeg" | "png" | "webp", _) => Ok(Box::new(Still { path: Some(path.into()) })),
        _ if image::guess_format(&head).is_ok_and(|format| picture::FORMATS.contains(&format)) => {
            Ok(Box::new(Still { path: Some(path.into()) }))
        }
        _ => Ok(Box::new(clip::Clip::open(path, rate)?)),
    }
}

fn local_path(input: &str) -> Result<PathBuf> {
    match input.split_once("://") {
        None => Ok(PathBuf::from(input)),
        Some(("file", path)) => Ok(PathBuf::from(path)),
        Some((scheme, _)) => Err(Fault::new(Kind::Usage, format!("cannot open {input}: no source is called {scheme}"))
            .cure("give a picture, a folder of pictures or a clip")),
    }
}

fn head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(64).read_to_end(&mut head))
        .map_err(|error| Fault::io(Kind::Input, "read", path, error))?;
    Ok(head)
}

/// One picture as a source of one frame.
struct Still {
    path: Option<PathBuf>,
}

impl Source for Still {
    fn next(&mut self) -> Result<Option<Frame>> {
        self.path.take().map(|path| Ok(recorded(0, read_picture(&path)?))).transpose()
    }

    fn frames(&self) -> Option<usize> {
        Some(1)
    }
}

/// Frame number `sequence` of a recording, at [`RECORDED_RATE`].
fn recorded(sequence: u64, picture: Picture) -> Frame {
    let captured = Duration::from_secs(sequence) / RECORDED_RATE;
    Frame { meta: FrameMeta { source: 0, sequence, captured }, picture: Arc::new(picture) }
}
