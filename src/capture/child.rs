//! Cameras read by another program: network cameras by `ffmpeg`, a Jetson board's CSI cameras by `gst-launch-1.0`.

use super::location::{CameraSettings, shown};
use super::pam;
use super::program::{FFMPEG, Format, Program, ProgramStep};
use super::{Source, Step};
use crate::fault::{Fault, Kind, Result};
use crate::frame::{Frame, FrameMeta};
use crate::geometry::Size;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// A camera that a running program reads.
pub struct ChildCamera {
    name: &'static str,
    program: Program,
    /// Text to hide in the program's messages, and its replacement.
    secret: Option<(String, String)>,
    given: u64,
}

/// A network camera.
pub fn rtsp(uri: &str, settings: &CameraSettings) -> Result<ChildCamera> {
    let mut command = Command::new("ffmpeg");
    command.args(FFMPEG).args(["-fflags", "nobuffer", "-flags", "low_delay", "-rtsp_transport", "tcp"]);
    command.args(["-timeout", "5000000", "-i", uri, "-r", &settings.rate.to_string()]);
    command.args(pam::output_arguments(None));
    let mut camera = ChildCamera::start("ffmpeg", command, Format::Pam, "install ffmpeg (`apt install ffmpeg`)")?;
    camera.secret = Some((uri.to_owned(), shown(uri)));
    Ok(camera)
}

/// A CSI camera, through the board's image processor.
pub fn csi(number: u32, settings: &CameraSettings) -> Result<ChildCamera> {
    let Size { width, height } = settings.size;
    // NV12 needs even sides.
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
    /// Pictures go to file descriptor 3: the camera's libraries print to stdout.
    fn gstreamer(pipeline: &str, size: Size) -> Result<Self> {
        let mut command = Command::new("sh");
        // The pipeline is passed as arguments, so that the shell interprets none of it.
        command.args(["-c", "exec 3>&1 1>&2; exec gst-launch-1.0 -q \"$@\"", "sh"]);
        command.args(pipeline.split_whitespace());
        ChildCamera::start("gst-launch-1.0", command, Format::Nv12(size), "install GStreamer (`gstreamer1.0-tools`)")
    }

    fn start(name: &'static str, command: Command, format: Format, cure: &str) -> Result<Self> {
        let program = Program::start(name, command, format).map_err(|error| {
            Fault::new(Kind::Unavailable, format!("cannot start {name}, which reads the camera"))
                .cause(error)
                .cure(cure)
        })?;
        Ok(ChildCamera { name, program, secret: None, given: 0 })
    }

    /// The program has ended: its last message says why.
    fn ended(&mut self) -> Fault {
        self.program.end();
        let mut last = self.program.said.last.clone().unwrap_or_else(|| "no message".into());
        if let Some((secret, instead)) = &self.secret {
            last = last.replace(secret, instead);
        }
        Fault::new(Kind::Unavailable, format!("{} sends no more frames: {last}", self.name))
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
        match self.program.step()? {
            ProgramStep::Picture(picture) => {
                let meta = FrameMeta { source: 0, sequence: self.given, captured: Duration::ZERO };
                self.given += 1;
                Ok(Step::Frame(Frame { meta, picture: Arc::new(picture) }))
            }
            ProgramStep::NotYet => Ok(Step::NotYet),
            ProgramStep::End => Err(self.ended()),
        }
    }

    fn corrupt(&self) -> u64 {
        self.program.said.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_quotes_the_message_and_hides_the_password() {
        let mut command = Command::new("sh");
        command.args(["-c", "printf 'abcdef'; echo '[rtsp @ 0x5f] rtsp://me:secret@door/1: no route' >&2"]);
        let mut camera = ChildCamera::start("the program", command, Format::Nv12(Size::new(2, 2)), "").unwrap();
        camera.secret = Some(("rtsp://me:secret@door/1".into(), shown("rtsp://me:secret@door/1")));
        assert_eq!(camera.next().unwrap().unwrap().meta.sequence, 0);
        let fault = camera.next().unwrap_err().to_string();
        assert!(fault.contains("no more frames: rtsp://door/1: no route"), "{fault}");
    }
}
