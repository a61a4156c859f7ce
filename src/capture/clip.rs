//! Every other clip, through the `ffmpeg` program: a child process that writes PPM pictures into a pipe.

use super::{MAX_PIXELS, Source, recorded};
use crate::fault::{Fault, Kind, Result};
use crate::frame::{Frame, Picture};
use crate::geometry::Size;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

pub struct Clip {
    path: PathBuf,
    child: Child,
    pictures: BufReader<ChildStdout>,
    frames: u64,
}

impl Clip {
    /// `rate`: frames a second that are wanted; `None`: every frame, as recorded.
    pub fn open(path: &Path, rate: Option<u32>) -> Result<Self> {
        let filter = rate
            .map_or(["-vsync".to_owned(), "passthrough".to_owned()], |rate| ["-vf".to_owned(), format!("fps={rate}")]);
        let mut child = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            // A path that begins with a dash or names a protocol is still a path.
            .arg(std::path::absolute(path).unwrap_or_else(|_| path.into()))
            .arg("-an")
            .args(filter)
            .args(["-f", "image2pipe", "-c:v", "ppm", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| no_ffmpeg(path, error))?;
        let Some(stdout) = child.stdout.take() else {
            return Err(Fault::new(Kind::Internal, "ffmpeg was started without a pipe"));
        };
        Ok(Clip { path: path.into(), child, pictures: BufReader::with_capacity(1 << 20, stdout), frames: 0 })
    }

    /// Nothing more comes: the end, or ffmpeg gave up and says why.
    fn end(&mut self) -> Result<Option<Frame>> {
        let mut words = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = stderr.by_ref().take(4096).read_to_string(&mut words);
        }
        let status = self.child.wait().map_err(|error| Fault::io(Kind::Input, "read", &self.path, error))?;
        let last = words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("").trim().to_owned();
        if status.success() && self.frames > 0 && last.is_empty() {
            return Ok(None);
        }
        let why = if last.is_empty() { "ffmpeg finds no picture in it".to_owned() } else { last };
        let text = format!("cannot read the clip {} beyond frame {}: {why}", self.path.display(), self.frames);
        Err(Fault::new(Kind::Input, text).cure("check that it is a picture or a clip that ffmpeg can play"))
    }
}

fn no_ffmpeg(path: &Path, error: io::Error) -> Fault {
    let text = format!("cannot read the clip {}: the program ffmpeg is needed for it", path.display());
    Fault::new(Kind::Unavailable, text)
        .cause(error)
        .cure("install ffmpeg, or give motion-JPEG (.mjpg) or a folder of pictures")
}

impl Source for Clip {
    fn next(&mut self) -> Result<Option<Frame>> {
        match read_ppm(&mut self.pictures) {
            Ok(Some(picture)) => {
                self.frames += 1;
                Ok(Some(recorded(self.frames - 1, picture)))
            }
            Ok(None) => self.end(),
            Err(error) => Err(Fault::io(Kind::Input, "read the clip", &self.path, error)),
        }
    }
}

impl Drop for Clip {
    fn drop(&mut self) {
        // An unfinished ffmpeg is not left behind; one that has ended already is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One binary PPM picture (P6, 8 bits); `None` at the end of the stream.
fn read_ppm(stream: &mut impl BufRead) -> io::Result<Option<Picture>> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("ffmpeg's picture {what}"));
    let mut fields = Vec::new();
    while fields.len() < 4 {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return if fields.is_empty() { Ok(None) } else { Err(bad("is cut short")) };
        }
        fields.extend(line.split_whitespace().map(str::to_owned));
    }
    let number = |text: &String| text.parse::<usize>().map_err(|_| bad("has a damaged header"));
    let (width, height) = (number(&fields[1])?, number(&fields[2])?);
    if fields[0] != "P6" || fields[3] != "255" || width == 0 || height == 0 || width.saturating_mul(height) > MAX_PIXELS
    {
        return Err(bad("has an unusual header"));
    }
    let mut rgb = vec![0; 3 * width * height];
    stream.read_exact(&mut rgb)?;
    Ok(Some(Picture::new(Size::new(width, height), rgb)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_follow_one_another() {
        let mut stream = &b"P6\n2 1\n255\nabcdefP6\n1 1\n255\nxyz"[..];
        assert_eq!(read_ppm(&mut stream).unwrap().unwrap().rgb(), b"abcdef");
        assert_eq!(read_ppm(&mut stream).unwrap().unwrap().rgb(), b"xyz");
        assert!(read_ppm(&mut stream).unwrap().is_none());
        assert!(read_ppm(&mut &b"P6\n2 9\n255\nabc"[..]).is_err());
        assert!(read_ppm(&mut &b"P5\n2 9\n255\nabc"[..]).is_err());
    }
}
