//! A child process that writes pictures into a pipe. No read waits longer than [`PATIENCE`].

use super::v4l2::wait_readable;
use super::{PATIENCE, pam, yuv};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::geometry::Size;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use std::io::{self, ErrorKind, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

/// Bytes read at a time.
const CHUNK: usize = 1 << 18;
/// The longest part of a message that is kept, bytes.
const LINE: usize = 1024;

/// ffmpeg's first arguments: no terminal; errors only, repeated ones too.
pub const FFMPEG: [&str; 3] = ["-nostdin", "-v", "repeat+error"];
/// ffmpeg's messages for a packet that could not be decoded, by version.
const LOST: [&str; 2] = ["Error while decoding stream", "Error submitting packet to decoder"];

/// The format of the pictures in the pipe.
pub enum Format {
    Pam,
    /// Without any header.
    Nv12(Size),
}

/// The result of one step.
pub enum ProgramStep {
    Picture(Picture),
    NotYet,
    /// The program has closed its pipe.
    End,
}

/// A running program and its output so far. Dropping it ends the program.
pub struct Program {
    name: &'static str,
    child: Child,
    pipe: ChildStdout,
    stderr: ChildStderr,
    format: Format,
    bytes: Vec<u8>,
    pub said: Said,
}

/// A summary of the program's stderr.
#[derive(Default)]
pub struct Said {
    /// Its last line.
    pub last: Option<String>,
    /// Packets that could not be decoded.
    pub lost: u64,
    /// An incomplete line.
    begun: Vec<u8>,
}

impl Program {
    /// # Errors
    /// That of the system: the program is not installed.
    pub fn start(name: &'static str, mut command: Command, format: Format) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (Some(pipe), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::Error::other("it was started without pipes"));
        };
        set_nonblocking(&pipe)?;
        set_nonblocking(&stderr)?;
        Ok(Program { name, child, pipe, stderr, format, bytes: Vec::new(), said: Said::default() })
    }

    /// The next picture, if it arrives within [`PATIENCE`].
    ///
    /// # Errors
    /// [`Kind::Unavailable`]: the output is not a picture.
    pub fn step(&mut self) -> Result<ProgramStep> {
        self.listen();
        if let Some(picture) = self.picture()? {
            return Ok(ProgramStep::Picture(picture));
        }
        let more =
            wait_readable(&self.pipe, PATIENCE).and_then(|ready| if ready { self.read_more() } else { Ok(true) });
        Ok(if matches!(more, Ok(true)) { ProgramStep::NotYet } else { ProgramStep::End })
    }

    /// Waits for the program to end, after [`ProgramStep::End`], and reads its last messages.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait();
        self.listen();
        self.said.finish();
        status
    }

    /// Ends the program.
    pub fn end(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.wait();
    }

    /// The next complete picture in the buffer.
    fn picture(&mut self) -> Result<Option<Picture>> {
        let fault = |text| Fault::new(Kind::Unavailable, format!("{} {text}", self.name));
        let (picture, end) = match self.format {
            Format::Nv12(size) => {
                let end = size.width * size.height * 3 / 2;
                let Some(bytes) = self.bytes.get(..end) else { return Ok(None) };
                (yuv::nv12(bytes, size, size.width), end)
            }
            Format::Pam => {
                let Some(header) = pam::Header::parse(&self.bytes).map_err(fault)? else { return Ok(None) };
                let end = header.length + header.body();
                let Some(body) = self.bytes.get(header.length..end) else { return Ok(None) };
                (Some(header.picture(body.to_vec())), end)
            }
        };
        self.bytes.drain(..end);
        Ok(picture)
    }

    /// Reads what is available. False at the end.
    fn read_more(&mut self) -> io::Result<bool> {
        let read = Read::by_ref(&mut self.pipe).take(CHUNK as u64).read_to_end(&mut self.bytes);
        match read {
            Ok(count) => Ok(count > 0),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Reads stderr, so that its pipe never fills.
    fn listen(&mut self) {
        let mut words = [0; 512];
        while let Ok(count @ 1..) = self.stderr.read(&mut words) {
            self.said.hear(&words[..count]);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

impl Said {
    fn hear(&mut self, words: &[u8]) {
        for piece in words.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE.saturating_sub(self.begun.len()).min(piece.len());
            self.begun.extend_from_slice(&piece[..room]);
            if piece.ends_with(b"\n") {
                self.finish();
            }
        }
    }

    /// Ends the current line.
    fn finish(&mut self) {
        let bytes = std::mem::take(&mut self.begun);
        let text = String::from_utf8_lossy(&bytes);
        let line = without_address(text.trim());
        self.lost += u64::from(LOST.iter().any(|words| line.contains(words)));
        if !line.is_empty() {
            self.last = Some(line.to_owned());
        }
    }
}

/// "[h264 @ 0x55d0c1b4c0] no frame!" without the prefix in brackets.
fn without_address(line: &str) -> &str {
    let after = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    after.filter(|(source, _)| source.contains(" @ 0x")).map_or(line, |(_, words)| words)
}

fn set_nonblocking(file: &impl std::os::fd::AsFd) -> io::Result<()> {
    let flags = fcntl_getfl(file)?;
    Ok(fcntl_setfl(file, flags | OFlags::NONBLOCK)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, format: Format) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program::start("the program", command, format).unwrap()
    }

    fn all(program: &mut Program) -> Vec<Picture> {
        let mut pictures = Vec::new();
        loop {
            match program.step().unwrap() {
                ProgramStep::Picture(picture) => pictures.push(picture),
                ProgramStep::NotYet => {}
                ProgramStep::End => return pictures,
            }
        }
    }

    #[test]
    fn pictures_arrive_in_pieces_and_many_messages_do_not_block() {
        let head = "P7\\nWIDTH 1\\nHEIGHT 1\\nDEPTH 3\\nMAXVAL 255\\nTUPLTYPE RGB\\nENDHDR\\n";
        let talk = "i=0; while [ $i -lt 3000 ]; do echo '[dec @ 0x1] Error while decoding stream #0:0: damaged'; \
                    i=$((i+1)); done >&2";
        let script = format!("printf '{head}ab'; printf 'c{head}'; {talk}; printf 'xyz'; printf 'no route' >&2");
        let mut program = shell(&script, Format::Pam);
        let pictures: Vec<Vec<u8>> = all(&mut program).iter().map(|picture| picture.rgb().to_vec()).collect();
        assert_eq!(pictures, [b"abc", b"xyz"]);
        assert!(program.wait().unwrap().success());
        assert_eq!((program.said.last.as_deref(), program.said.lost), (Some("no route"), 3000));
    }

    #[test]
    fn output_that_is_not_a_picture_is_a_fault() {
        let mut program = shell("echo 'not a picture'; exec sleep 600", Format::Pam);
        let fault = loop {
            match program.step() {
                Ok(_) => {}
                Err(fault) => break fault,
            }
        };
        assert!(fault.to_string().contains("the program sends no pictures"), "{fault}");
    }

    #[test]
    fn a_silent_program_is_not_waited_for_and_is_killed() {
        let mut program = shell("exec sleep 600", Format::Nv12(Size::new(2, 2)));
        assert!(matches!(program.step().unwrap(), ProgramStep::NotYet));
        let process = format!("/proc/{}", program.child.id());
        drop(program);
        assert!(!std::path::Path::new(&process).exists());
    }
}
