//! All other clips, decoded by the program `ffmpeg`. Undecodable frames are skipped and reported.

use super::pam;
use super::program::{FFMPEG, Format, Program, ProgramStep};
use super::{Source, recorded, skipped};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Frame;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Clip {
    path: PathBuf,
    program: Program,
    frames: u64,
    /// ffmpeg failed before the end of the clip.
    broken_off: bool,
}

impl Clip {
    /// `rate`: frames per second. `None`: every recorded frame.
    pub fn open(path: &Path, rate: Option<u32>) -> Result<Self> {
        let mut command = Command::new("ffmpeg");
        command.args(FFMPEG).arg("-i");
        // ffmpeg cannot mistake an absolute path for an option or a protocol.
        command.arg(std::path::absolute(path).unwrap_or_else(|_| path.into()));
        if rate.is_none() {
            command.args(["-vsync", "passthrough"]);
        }
        command.args(pam::output_arguments(rate.map(|rate| format!("fps={rate}"))));
        let program = Program::start("ffmpeg", command, Format::Pam).map_err(|error| no_ffmpeg(path, error))?;
        Ok(Clip { path: path.into(), program, frames: 0, broken_off: false })
    }

    /// The pipe has closed: the end of the clip, or ffmpeg failed. Earlier frames remain valid.
    fn end(&mut self) -> Result<Option<Frame>> {
        let status = self.program.wait().map_err(|error| Fault::io(Kind::Input, "read", &self.path, error))?;
        let fault = |kind, text: &str| {
            Fault::new(
                kind,
                format!("cannot read the clip {} beyond frame {}: {text}", self.path.display(), self.frames),
            )
        };
        if status.code().is_none() {
            return Err(fault(Kind::Unavailable, &format!("ffmpeg was killed ({status})")));
        }
        if self.frames == 0 {
            return Err(no_clip(&self.path, self.program.said.last.as_deref()));
        }
        self.broken_off = !status.success();
        Ok(None)
    }
}

/// `said`: ffmpeg's last line, which may begin with the absolute path.
fn no_clip(path: &Path, said: Option<&str>) -> Fault {
    let why = said.map_or("no video", |said| said.rsplit_once(": ").map_or(said, |(_, why)| why));
    Fault::new(Kind::Input, format!("{} is neither a picture nor a clip: ffmpeg finds {why:?}", path.display()))
        .cure("give a JPEG, PNG or WebP picture, a folder of them, or a clip that ffmpeg can play")
}

fn no_ffmpeg(path: &Path, error: io::Error) -> Fault {
    let text = format!("cannot read the clip {}: the program ffmpeg is needed for it", path.display());
    Fault::new(Kind::Unavailable, text)
        .cause(error)
        .cure("install ffmpeg, or give motion-JPEG (.mjpg) or a folder of pictures")
}

impl Source for Clip {
    fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            match self.program.step()? {
                ProgramStep::Picture(picture) => {
                    self.frames += 1;
                    return Ok(Some(recorded(self.frames - 1, picture)));
                }
                ProgramStep::NotYet => {}
                ProgramStep::End => return self.end(),
            }
        }
    }

    fn corrupt(&self) -> u64 {
        self.program.said.lost
    }

    fn damage(&self) -> Option<String> {
        let said = &self.program.said;
        match (&said.last, self.broken_off, said.lost) {
            (None, false, _) => None,
            (None, true, _) => Some(format!("it ends early, after frame {}", self.frames)),
            (Some(last), true, _) => Some(format!("it ends early, after frame {}; ffmpeg says: {last}", self.frames)),
            (Some(last), false, 0) => Some(format!("it is damaged; ffmpeg says: {last}")),
            (Some(last), false, lost) => Some(format!("{}; ffmpeg says: {last}", skipped(lost))),
        }
    }
}
