//! Motion-JPEG: a sequence of JPEG files, plain or in a container. Damaged frames are skipped and counted.

use super::jpeg::{Extent, START, decode_jpeg, extent, find_start};
use super::{Damage, Source, recorded};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Frame;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes read at a time.
const CHUNK: usize = 1 << 18;
/// The longest accepted frame, bytes.
pub const MAX_FRAME: usize = 64 << 20;

/// One frame as it is stored.
pub enum Piece {
    Frame(Vec<u8>),
    /// The error: "is cut short".
    Damaged(&'static str),
}

/// The encoded frames of a file.
pub trait Pieces: Send {
    fn next(&mut self) -> io::Result<Option<Piece>>;
}

pub struct MotionJpeg {
    /// Name for errors.
    name: String,
    pieces: Box<dyn Pieces>,
    /// Number of frames, including damaged ones.
    frames: u64,
    damage: Damage,
}

impl MotionJpeg {
    /// Opens a plain sequence of JPEG files. Bytes between them are skipped.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Fault::io(Kind::Input, "open", path, error))?;
        Ok(MotionJpeg::plain(file, &path.display().to_string()))
    }

    /// As [`MotionJpeg::open`], from any reader.
    pub fn plain(file: impl Read + Send + 'static, name: &str) -> Self {
        MotionJpeg::new(Box::new(Plain { file, bytes: Vec::new(), ended: false }), name)
    }

    /// From the frames of a container.
    pub fn new(pieces: Box<dyn Pieces>, name: &str) -> Self {
        MotionJpeg { name: name.into(), pieces, frames: 0, damage: Damage::default() }
    }

    fn decode(&self, piece: Piece) -> Result<Frame> {
        let name = format!("frame {} of {}", self.frames, self.name);
        match piece {
            Piece::Frame(bytes) => Ok(recorded(self.frames, decode_jpeg(&bytes, &name)?)),
            Piece::Damaged(how) => Err(Fault::new(Kind::Input, format!("{name} {how}"))),
        }
    }
}

impl Source for MotionJpeg {
    fn next(&mut self) -> Result<Option<Frame>> {
        let unreadable = |name: &str, error| Fault::io(Kind::Input, "read", Path::new(name), error);
        while let Some(piece) = self.pieces.next().map_err(|error| unreadable(&self.name, error))? {
            let frame = self.decode(piece);
            self.frames += 1;
            if let Some(frame) = self.damage.sort_out(frame)? {
                return Ok(Some(frame));
            }
        }
        if self.frames == self.damage.count {
            return Err(self.damage.nothing_left(&self.name, "motion-JPEG frame"));
        }
        Ok(None)
    }

    fn corrupt(&self) -> u64 {
        self.damage.count
    }

    fn damage(&self) -> Option<String> {
        self.damage.words()
    }
}

/// A plain sequence of JPEG files.
struct Plain<R> {
    file: R,
    bytes: Vec<u8>,
    ended: bool,
}

impl<R: Read> Plain<R> {
    fn read_more(&mut self) -> io::Result<()> {
        let before = self.bytes.len();
        let limit = CHUNK.max(before) as u64;
        self.file.by_ref().take(limit).read_to_end(&mut self.bytes)?;
        self.ended = self.bytes.len() == before;
        Ok(())
    }

    /// The frame at `start` and its end; `None` until it is complete.
    fn piece(&self, start: usize) -> Option<(Piece, usize)> {
        let bytes = &self.bytes[start..];
        match extent(bytes) {
            Extent::Whole(length) => Some((Piece::Frame(bytes[..length].to_vec()), start + length)),
            Extent::Cut(length) => Some((Piece::Damaged("is cut short"), start + length)),
            Extent::Open if bytes.len() > MAX_FRAME => Some((Piece::Damaged("has no end"), start + START.len())),
            Extent::Open if self.ended => Some((Piece::Damaged("is cut short"), self.bytes.len())),
            Extent::Open => None,
        }
    }
}

impl<R: Read + Send> Pieces for Plain<R> {
    fn next(&mut self) -> io::Result<Option<Piece>> {
        loop {
            match find_start(&self.bytes) {
                Some(start) => {
                    if let Some((piece, end)) = self.piece(start) {
                        self.bytes.drain(..end);
                        return Ok(Some(piece));
                    }
                }
                None if self.ended => return Ok(None),
                // A start marker may span two reads: keep its first bytes.
                None => drop(self.bytes.drain(..self.bytes.len().saturating_sub(START.len() - 1))),
            }
            self.read_more()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of uniform brightness.
    fn frame(shade: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = image::RgbImage::from_pixel(16, 8, image::Rgb([shade * 40; 3]));
        image::codecs::jpeg::JpegEncoder::new(&mut bytes).encode_image(&picture).unwrap();
        bytes
    }

    fn read(mut source: MotionJpeg) -> Result<(Vec<Frame>, MotionJpeg)> {
        let mut frames = Vec::new();
        while let Some(frame) = source.next()? {
            frames.push(frame);
        }
        Ok((frames, source))
    }

    /// Number and brightness of each frame.
    type Shades = Vec<(u64, u8)>;

    /// The frames of a plain clip, and the damage report.
    fn plain(bytes: Vec<u8>) -> Result<(Shades, Option<String>)> {
        let (frames, source) = read(MotionJpeg::plain(io::Cursor::new(bytes), "clip"))?;
        let shade = |frame: &Frame| (frame.picture.rgb()[0] + 20) / 40;
        Ok((frames.iter().map(|frame| (frame.meta.sequence, shade(frame))).collect(), source.damage()))
    }

    #[test]
    fn frames_are_read_in_order_despite_bytes_between() {
        for between in [&b""[..], b"--boundary\r\n\r\n"] {
            let bytes = (0..5).flat_map(|shade| [between, &frame(shade)].concat()).collect();
            let expected = (0..5).map(|shade| (shade.into(), shade)).collect();
            assert_eq!(plain(bytes).unwrap(), (expected, None));
        }
    }

    #[test]
    fn a_damaged_frame_is_skipped_and_reported() {
        let whole: Vec<Vec<u8>> = (0..4).map(frame).collect();
        let cut = &whole[1][..whole[1].len() - 9];
        // Truncated in the middle of the clip: the next frame is not lost.
        let (frames, said) = plain([&whole[0], cut, &whole[2], &whole[3]].concat()).unwrap();
        assert_eq!(frames, [(0, 0), (2, 2), (3, 3)]);
        assert_eq!(said.unwrap(), "1 damaged frame was skipped: frame 1 of clip is cut short");
        // Truncated at the end, as in a recording when the disk is full.
        let (frames, said) = plain([&whole[0], &whole[2], &whole[1][..60]].concat()).unwrap();
        assert_eq!(frames, [(0, 0), (1, 2)]);
        assert!(said.unwrap().contains("frame 2 of clip is cut short"));
        // An invalid marker.
        let mut wrong = whole[1].clone();
        let header = wrong.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        wrong[header + 4] = 77;
        let (frames, said) = plain([&whole[0][..], &wrong, &wrong, &whole[2]].concat()).unwrap();
        assert_eq!(frames, [(0, 0), (3, 2)]);
        let said = said.unwrap();
        assert!(said.starts_with("2 damaged frames were skipped; the first: cannot decode frame 1 of clip"), "{said}");
    }

    #[test]
    fn a_clip_without_a_whole_frame_is_refused() {
        let fault = plain(frame(1)[..60].to_vec()).unwrap_err();
        assert_eq!(fault.kind(), Kind::Input);
        assert!(fault.to_string().contains("frame 0 of clip is cut short"), "{fault}");
        assert!(plain(b"no jpeg at all".to_vec()).unwrap_err().to_string().contains("no motion-JPEG frame"));
    }
}
