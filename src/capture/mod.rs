//! Sources of frames: cameras, pictures, folders of pictures, motion-JPEG clips, and all other clips through `ffmpeg`.
//!
//! [`open`] takes a path from the command line. [`camera::open`] takes a camera's URI and delivers frames at a camera's
//! rate.

mod alpha;
mod avi;
pub mod camera;
mod child;
mod clip;
mod folder;
mod jpeg;
mod location;
pub mod mask;
mod mjpeg;
mod pam;
mod pattern;
mod picture;
mod program;
mod replay;
pub mod v4l2;
mod yuv;

pub use jpeg::{decode_jpeg, jpeg_length, with_tables};
pub use picture::{MAX_PIXELS, MAX_SIDE, decode_picture, read_picture};

use crate::fault::{Fault, Kind, Result};
use crate::frame::{Frame, FrameMeta, Picture};
use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Frame rate assumed for recordings: about the rate at which a mirror recognizes.
pub const RECORDED_RATE: u32 = 15;

/// Maximum wait of [`Source::step`].
pub const PATIENCE: Duration = Duration::from_millis(200);

/// The result of one step of a source.
#[derive(Debug)]
pub enum Step {
    Frame(Frame),
    /// No frame yet: call again.
    NotYet,
    End,
}

/// A sequence of frames.
pub trait Source: Send {
    /// Returns the next frame, or `None` at the end. Damaged frames of a recording are skipped: see [`Source::damage`].
    ///
    /// # Errors
    /// [`Kind::Input`] if no frame of the input can be used, or reading fails. Earlier frames remain valid.
    fn next(&mut self) -> Result<Option<Frame>>;

    /// As [`Source::next`], but a source that waits for a device or program returns after [`PATIENCE`] at the latest, so that the
    /// caller can do other work.
    fn step(&mut self) -> Result<Step> {
        Ok(self.next()?.map_or(Step::End, Step::Frame))
    }

    /// Time spent to decode and rotate the latest frame: it was captured that much earlier.
    fn spent(&self) -> Duration {
        Duration::ZERO
    }

    /// Number of damaged frames dropped.
    fn corrupt(&self) -> u64 {
        0
    }

    /// One sentence about the damage so far; `None` if there is none.
    fn damage(&self) -> Option<String> {
        None
    }

    /// The number of frames, if it is known in advance.
    fn frames(&self) -> Option<usize> {
        None
    }
}

/// Opens a picture, a folder of pictures or a clip: a path, or `file://` and a path. Damage is logged at its end.
pub fn open(input: &str) -> Result<Box<dyn Source>> {
    open_reported(input, Some(RECORDED_RATE))
}

/// As [`open`], but with every recorded frame of a clip, so that frame numbers match those of annotations.
pub fn open_every_frame(input: &str) -> Result<Box<dyn Source>> {
    open_reported(input, None)
}

fn open_reported(input: &str, rate: Option<u32>) -> Result<Box<dyn Source>> {
    let source = open_path(&local_path(input)?, rate)?;
    Ok(Box::new(Reported { source, input: input.into(), said: false }))
}

fn open_path(path: &Path, rate: Option<u32>) -> Result<Box<dyn Source>> {
    let meta = std::fs::metadata(path).map_err(|error| Fault::io(Kind::Input, "open", path, error))?;
    if meta.is_dir() {
        return Ok(Box::new(folder::Folder::open(path)?));
    }
    let head = head(path)?;
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    if head.is_empty() {
        return Err(Fault::new(Kind::Input, format!("{} is empty", path.display())).cure("copy it again"));
    }
    // The content decides. The extension only distinguishes a JPEG picture from a motion-JPEG clip.
    if avi::is_avi(&head) {
        return open_avi(path, rate);
    }
    if matches!(ending.as_str(), "mjpg" | "mjpeg") {
        return Ok(Box::new(mjpeg::MotionJpeg::open(path)?));
    }
    let known = image::guess_format(&head).is_ok_and(|format| picture::FORMATS.contains(&format));
    if known || matches!(ending.as_str(), "jpg" | "jpeg" | "png" | "webp") {
        return Ok(Box::new(Still { path: Some(path.into()) }));
    }
    Ok(Box::new(clip::Clip::open(path, rate)?))
}

/// Motion-JPEG is decoded here, every other codec by ffmpeg.
fn open_avi(path: &Path, rate: Option<u32>) -> Result<Box<dyn Source>> {
    let unreadable = |error| Fault::io(Kind::Input, "open", path, error);
    let video = avi::video(BufReader::new(File::open(path).map_err(unreadable)?));
    if let Some(video) = video.filter(avi::Video::is_jpeg) {
        let file = File::open(path).map_err(unreadable)?;
        return Ok(Box::new(mjpeg::MotionJpeg::new(
            Box::new(avi::Frames::new(file, video)),
            &path.display().to_string(),
        )));
    }
    Ok(Box::new(clip::Clip::open(path, rate)?))
}

/// A motion-JPEG clip from its bytes, plain or in an AVI file.
pub fn motion_jpeg(bytes: Vec<u8>, name: &str) -> Box<dyn Source> {
    let video = if avi::is_avi(&bytes) { avi::video(&bytes[..]) } else { None };
    let file = Cursor::new(bytes);
    Box::new(match video {
        Some(video) => mjpeg::MotionJpeg::new(Box::new(avi::Frames::new(file, video)), name),
        None => mjpeg::MotionJpeg::plain(file, name),
    })
}

fn local_path(input: &str) -> Result<PathBuf> {
    match input.split_once("://") {
        None => Ok(PathBuf::from(input)),
        Some(("file", path)) => Ok(PathBuf::from(path)),
        Some((scheme, _)) => Err(Fault::new(Kind::Usage, format!("cannot open {input}: unknown scheme {scheme}"))
            .cure("name a picture, a folder of pictures or a clip")),
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

/// Logs the damage of a recording once, at its end.
struct Reported {
    source: Box<dyn Source>,
    input: String,
    said: bool,
}

impl Source for Reported {
    fn next(&mut self) -> Result<Option<Frame>> {
        let frame = self.source.next()?;
        if frame.is_none() && !self.said {
            self.said = true;
            if let Some(words) = self.source.damage() {
                log::warn!("{}: {words}", self.input);
            }
        }
        Ok(frame)
    }

    fn corrupt(&self) -> u64 {
        self.source.corrupt()
    }

    fn damage(&self) -> Option<String> {
        self.source.damage()
    }

    fn frames(&self) -> Option<usize> {
        self.source.frames()
    }
}

/// The damaged frames of a recording: how many, and what is wrong with the first.
#[derive(Debug, Default)]
struct Damage {
    count: u64,
    first: Option<String>,
}

impl Damage {
    /// Returns the frame, or `None` if it is damaged, which is counted. Errors outside the frame itself remain errors.
    fn sort_out<T>(&mut self, frame: Result<T>) -> Result<Option<T>> {
        match frame {
            Ok(frame) => Ok(Some(frame)),
            Err(fault) if fault.kind() == Kind::Input => {
                self.count += 1;
                self.first.get_or_insert_with(|| fault.to_string());
                Ok(None)
            }
            Err(fault) => Err(fault),
        }
    }

    fn words(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        let before = if self.count == 1 { ":" } else { "; the first:" };
        Some(format!("{}{before} {first}", skipped(self.count)))
    }

    /// The fault of a recording in which every `what` is damaged.
    fn nothing_left(&self, name: &str, what: &str) -> Fault {
        let text = match &self.first {
            Some(first) => format!("cannot read {name}: every {what} in it is damaged; the first: {first}"),
            None => format!("cannot read {name}: it contains no {what}"),
        };
        Fault::new(Kind::Input, text).cure("copy or record it again")
    }
}

/// "2 damaged frames were skipped"
fn skipped(frames: u64) -> String {
    if frames == 1 { "1 damaged frame was skipped".into() } else { format!("{frames} damaged frames were skipped") }
}
