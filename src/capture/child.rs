//! Cameras that another program reads: network cameras through `ffmpeg`, a Jetson board's own through `gst-launch-1.0`. It writes
//! pictures into a pipe and is ended when nobody wants them any more.

use super::location::{CameraSettings, shown};
use super::v4l2::wait_readable;
use super::{MAX_PIXELS, PATIENCE, Source, Step, yuv};
use crate::fault::{Fault, Kind, Result};
use crate::frame::{Frame, FrameMeta, Picture};
use crate::geometry::Size;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::io::{self, ErrorKind, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Bytes read at a time.
const CHUNK: usize = 1 << 18;
/// Of what the program says, the last so many bytes are kept.
const WORDS: usize = 2048;
/// A PPM header is shorter.
const MAX_HEADER: usize = 64;

/// How the pictures follow one another in the pipe.
enum Format {
    /// Each with a header that tells its size.
    Ppm,
    /// Without any header.
    Nv12(Size),
}

/// A running program, and what has come from it.
pub struct ChildCamera {
    name: &'static str,
    child: Child,
    pipe: ChildStdout,
    talk: ChildStderr,
    format: Format,
    bytes: Vec<u8>,
    words: Vec<u8>,
    /// What the program may say and we may not repeat, and what is said instead.
    secret: Option<(String, String)>,
    given: u64,
}

/// A network camera.
pub fn rtsp(uri: &str, settings: &CameraSettings) -> Result<ChildCamera> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-fflags", "nobuffer", "-flags", "low_delay", "-rtsp_transport", "tcp"]);
    command.args(["-timeout", "5000000", "-i", uri, "-an", "-r", &settings.rate.to_string()]);
    command.args(["-f", "image2pipe", "-c:v", "ppm", "-"]);
    let mut camera = ChildCamera::start("ffmpeg", command, Format::Ppm, "install ffmpeg (`apt install ffmpeg`)")?;
    camera.secret = Some((uri.to_owned(), shown(uri)));
    Ok(camera)
}

/// A camera on the board's own connector, through its image processor.
pub fn csi(number: u32, settings: &CameraSettings) -> Result<ChildCamera> {
    let Size { width, height } = settings.size;
    // Both sides even, as the format wants it.
    let size = Size::new(width.next_multiple_of(2), height.next_multiple_of(2));
    let pipeline = format!(
        "nvarguscamerasrc sensor-id={number} ! \
         video/x-raw(memory:NVMM),width={w},height={h},framerate={rate}/1 ! nvvidconv ! \
         video/x-raw,format=NV12,width={w},height={h} ! queue leaky=downstream max-size-buffers=2 ! fdsink fd=3",
        w = size.width,
        h = size.height,
        rate = settings.rate,
    );
    ChildCamera::gstreamer(&pipeline, size)
}

impl ChildCamera {
    /// The pictures go to the program's third channel: the camera's libraries talk on the first.
    fn gstreamer(pipeline: &str, size: Size) -> Result<Self> {
        let mut command = Command::new("sh");
        // Words of the pipeline stand as arguments, so that nothing in them is the shell's.
        command.args(["-c", "exec 3>&1 1>&2; exec gst-launch-1.0 -q \"$@\"", "sh"]);
        command.args(pipeline.split_whitespace());
        ChildCamera::start("gst-launch-1.0", command, Format::Nv12(size), "install GStreamer (`gstreamer1.0-tools`)")
    }

    fn start(name: &'static str, mut command: Command, format: Format, cure: &str) -> Result<Self> {
        let fail = |error: io::Error| {
            Fault::new(Kind::Unavailable, format!("cannot start {name}, which reads the camera"))
                .cause(error)
                .cure(cure)
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(fail)?;
        let (Some(pipe), Some(talk)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Fault::new(Kind::Internal, format!("{name} was started without pipes")));
        };
        for flags in [never_wait(&pipe), never_wait(&talk)] {
            flags.map_err(fail)?;
        }
        Ok(ChildCamera {
            name,
            child,
            pipe,
            talk,
            format,
            bytes: Vec::new(),
            words: Vec::new(),
            secret: None,
            given: 0,
        })
    }

    /// The next whole picture among the bytes that have come.
    fn picture(&mut self) -> Result<Option<Picture>> {
        let (start, size, length) = match self.format {
            Format::Nv12(size) => (0, size, size.width * size.height * 3 / 2),
            Format::Ppm => match ppm_header(&self.bytes) {
                Ok(Some((start, size))) => (start, size, 3 * size.width * size.height),
                Ok(None) => return Ok(None),
                Err(text) => return Err(Fault::new(Kind::Unavailable, format!("{} {text}", self.name))),
            },
        };
        let Some(bytes) = self.bytes.get(start..start + length) else { return Ok(None) };
        let picture = match self.format {
            Format::Nv12(size) => yuv::nv12(bytes, size, size.width),
            Format::Ppm => Some(Picture::new(size, bytes.to_vec())),
        };
        self.bytes.drain(..start + length);
        Ok(picture)
    }

    /// Reads what is there. False at the end.
    fn read_more(&mut self) -> io::Result<bool> {
        let before = self.bytes.len();
        self.bytes.resize(before + CHUNK, 0);
        let read = self.pipe.read(&mut self.bytes[before..]);
        self.bytes.truncate(before + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(count) => Ok(count > 0),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Takes what the program says, so that its pipe never fills.
    fn listen(&mut self) {
        let mut words = [0; 512];
        while let Ok(count @ 1..) = self.talk.read(&mut words) {
            self.words.extend_from_slice(&words[..count]);
            let superfluous = self.words.len().saturating_sub(WORDS);
            self.words.drain(..superfluous);
        }
    }

    /// It has ended: why, in its own words.
    fn ended(&mut self) -> Fault {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.listen();
        let mut words = String::from_utf8_lossy(&self.words).into_owned();
        if let Some((secret, instead)) = &self.secret {
            words = words.replace(secret, instead);
        }
        let last = words.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or("without a word");
        Fault::new(Kind::Unavailable, format!("{} gives no more frames: {last}", self.name))
    }
}

impl Source for ChildCamera {
    fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Step::Frame(frame) = self.step()? {
                return Ok(Some(frame));
            }
        }
    }

    fn step(&mut self) -> Result<Step> {
        self.listen();
        if let Some(picture) = self.picture()? {
            let meta = FrameMeta { source: 0, sequence: self.given, captured: Duration::ZERO };
            self.given += 1;
            return Ok(Step::Frame(Frame { meta, picture: Arc::new(picture) }));
        }
        let more =
            wait_readable(&self.pipe, PATIENCE).and_then(|ready| if ready { self.read_more() } else { Ok(true) });
        match more {
            Ok(true) => Ok(Step::NotYet),
            Ok(false) | Err(_) => Err(self.ended()),
        }
    }
}

impl Drop for ChildCamera {
    fn drop(&mut self) {
        // One that has ended already is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn never_wait(file: &impl std::os::fd::AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(file)?;
    Ok(fcntl_setfl(file, flags | OFlags::NONBLOCK)?)
}

/// Length of a PPM's header and the picture's size; `None` while it is not whole.
fn ppm_header(bytes: &[u8]) -> std::result::Result<Option<(usize, Size)>, &'static str> {
    let head = &bytes[..bytes.len().min(MAX_HEADER)];
    let ends: Vec<usize> = (0..head.len()).filter(|at| head[*at] == b'\n').take(3).collect();
    let [_, _, end] = ends[..] else {
        return if head.len() == MAX_HEADER { Err("sends no pictures") } else { Ok(None) };
    };
    let text = std::str::from_utf8(&head[..end]).map_err(|_| "sends no pictures")?;
    let fields: Vec<&str> = text.split_whitespace().collect();
    let ["P6", width, height, "255"] = fields[..] else { return Err("sends no pictures") };
    match (width.parse::<usize>(), height.parse::<usize>()) {
        (Ok(width @ 1..), Ok(height @ 1..)) if width.saturating_mul(height) <= MAX_PIXELS => {
            Ok(Some((end + 1, Size::new(width, height))))
        }
        _ => Err("sends pictures of an unusual size"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, format: Format) -> ChildCamera {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        ChildCamera::start("the program", command, format, "").unwrap()
    }

    #[test]
    fn pictures_come_in_pieces_and_the_end_says_why() {
        let script = "printf 'P6\\n2 1\\n25'; printf '5\\nabcdefP6\\n1 1\\n255\\nxy'; printf 'z'; echo 'no route' >&2";
        let mut camera = shell(script, Format::Ppm);
        let first = camera.next().unwrap().unwrap();
        assert_eq!((first.picture.size(), first.picture.rgb()), (Size::new(2, 1), &b"abcdef"[..]));
        let second = camera.next().unwrap().unwrap();
        assert_eq!((second.meta.sequence, second.picture.rgb()), (1, &b"xyz"[..]));
        let fault = camera.next().unwrap_err().to_string();
        assert!(fault.contains("no more frames: no route"), "{fault}");
    }

    #[test]
    fn a_program_that_says_nothing_is_not_waited_for_and_is_ended() {
        let mut camera = shell("exec sleep 600", Format::Nv12(Size::new(2, 2)));
        assert!(matches!(camera.step().unwrap(), Step::NotYet));
        let process = format!("/proc/{}", camera.child.id());
        drop(camera);
        assert!(!std::path::Path::new(&process).exists());
    }

    #[test]
    fn headers_are_whole_or_waited_for_or_refused() {
        assert_eq!(ppm_header(b"P6\n3 2\n255\nab"), Ok(Some((11, Size::new(3, 2)))));
        for cut in 0..11 {
            assert_eq!(ppm_header(&b"P6\n3 2\n255\n"[..cut]), Ok(None), "{cut}");
        }
        for wrong in [&b"P5\n3 2\n255\n"[..], b"P6\n0 2\n255\n", b"P6\n99999 99999\n255\n", &[b'x'; 99]] {
            assert!(ppm_header(wrong).is_err());
        }
    }
}
