//! Motion-JPEG: one JPEG after another, plain or inside an AVI file. What stands between two JPEGs is passed over.

use super::jpeg::{START, decode_jpeg, jpeg_length};
use super::{Source, recorded};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Frame;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes read at a time.
const CHUNK: usize = 1 << 18;
/// No single frame is longer, bytes.
const MAX_FRAME: usize = 64 << 20;
/// Where an AVI file's first frame must have begun, bytes.
const MAX_HEADER: u64 = 1 << 20;

pub struct MotionJpeg {
    path: PathBuf,
    file: File,
    bytes: Vec<u8>,
    ended: bool,
    frames: u64,
}

/// Whether the container at `path` holds JPEG frames near its start.
pub fn holds_jpeg(path: &Path) -> Result<bool> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_HEADER).read_to_end(&mut bytes))
        .map_err(|error| Fault::io(Kind::Input, "read", path, error))?;
    Ok(find_start(&bytes).is_some())
}

impl MotionJpeg {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Fault::io(Kind::Input, "open", path, error))?;
        Ok(MotionJpeg { path: path.into(), file, bytes: Vec::new(), ended: false, frames: 0 })
    }

    fn read_more(&mut self) -> Result<()> {
        let before = self.bytes.len();
        let limit = CHUNK.max(before) as u64;
        Read::by_ref(&mut self.file)
            .take(limit)
            .read_to_end(&mut self.bytes)
            .map_err(|error| Fault::io(Kind::Input, "read", &self.path, error))?;
        self.ended = self.bytes.len() == before;
        Ok(())
    }

    fn fault(&self, text: &str) -> Fault {
        let text = format!("cannot read the clip {}: {text}", self.path.display());
        Fault::new(Kind::Input, text).cure("copy or record it again")
    }

    fn at_end(&self, start: Option<usize>) -> Result<Option<Frame>> {
        match (start, self.frames) {
            (Some(_), frame) => Err(self.fault(&format!("it is cut short in frame {frame}"))),
            (None, 0) => Err(self.fault("there is no motion-JPEG frame in it")),
            (None, _) => Ok(None),
        }
    }
}

impl Source for MotionJpeg {
    fn next(&mut self) -> Result<Option<Frame>> {
        loop {
            let start = find_start(&self.bytes);
            if let Some(start) = start
                && let Some(length) = jpeg_length(&self.bytes[start..])
            {
                let name = format!("frame {} of {}", self.frames, self.path.display());
                let picture = decode_jpeg(&self.bytes[start..start + length], &name)?;
                self.bytes.drain(..start + length);
                self.frames += 1;
                return Ok(Some(recorded(self.frames - 1, picture)));
            }
            if self.ended {
                return self.at_end(start);
            }
            if self.bytes.len() > MAX_FRAME {
                return Err(self.fault(&format!("frame {} has no end", self.frames)));
            }
            if start.is_none() {
                // A start may lie across two reads: keep its first bytes.
                self.bytes.drain(..self.bytes.len().saturating_sub(START.len() - 1));
            }
            self.read_more()?;
        }
    }
}

fn find_start(bytes: &[u8]) -> Option<usize> {
    bytes.windows(START.len()).position(|window| window == START)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn clip(frames: u8, between: &[u8]) -> Vec<u8> {
        let mut bytes = between.to_vec();
        for shade in 0..frames {
            let picture = image::RgbImage::from_pixel(16, 8, image::Rgb([shade * 40; 3]));
            image::codecs::jpeg::JpegEncoder::new(&mut bytes).encode_image(&picture).unwrap();
            bytes.extend_from_slice(between);
        }
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Frame>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut source = MotionJpeg::open(file.path())?;
        let mut frames = Vec::new();
        while let Some(frame) = source.next()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn frames_come_in_order_with_or_without_a_container() {
        for between in [&b""[..], b"00dc\x10\x00\x00\x00"] {
            let frames = read(&clip(5, between)).unwrap();
            assert_eq!(frames.len(), 5);
            for (shade, frame) in frames.iter().enumerate() {
                assert_eq!(frame.meta.sequence, shade as u64);
                assert!(frame.picture.rgb()[0].abs_diff(40 * shade as u8) < 3);
            }
        }
    }

    #[test]
    fn a_cut_clip_names_the_frame() {
        let bytes = clip(3, b"");
        let fault = read(&bytes[..bytes.len() - 9]).unwrap_err();
        assert_eq!(fault.kind(), Kind::Input);
        assert!(fault.to_string().contains("cut short in frame 2"), "{fault}");
        assert!(read(b"no jpeg at all").unwrap_err().to_string().contains("no motion-JPEG frame"));
    }
}
