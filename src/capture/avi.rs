//! AVI files: the video codec, and the chunks that hold its frames.
//!
//! A file consists of chunks: a name of four letters, a length, and that many bytes, padded to an even number. `RIFF` and `LIST`
//! chunks contain others. Their length is ignored: a recorder that was interrupted never wrote it.

use super::mjpeg::{MAX_FRAME, Piece, Pieces};
use std::io::{self, BufReader, Read};

/// The longest accepted file header, bytes.
const MAX_HEADER: usize = 1 << 20;
/// The longest accepted stream header or format, bytes.
const MAX_FORMAT: u32 = 1 << 16;

/// The first video stream: its number and codec tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Video {
    pub stream: u8,
    pub codec: [u8; 4],
}

impl Video {
    /// Whether its frames are JPEG files.
    pub fn is_jpeg(&self) -> bool {
        [b"MJPG", b"JPEG"].iter().any(|name| self.codec.eq_ignore_ascii_case(*name))
    }
}

/// Whether `head` is the beginning of an AVI file.
pub fn is_avi(head: &[u8]) -> bool {
    head.starts_with(b"RIFF") && head.get(8..12) == Some(b"AVI ")
}

/// The first video stream that the file's header lists; `None` if there is none.
pub fn video(header: impl Read) -> Option<Video> {
    let mut chunks = Chunks { reader: header.take(MAX_HEADER as u64) };
    let (mut streams, mut is_video) = (0u8, false);
    while let Ok(Some(chunk)) = chunks.next() {
        match &chunk.name {
            b"strh" => {
                let body = chunks.body(chunk).ok()?;
                streams = streams.checked_add(1)?;
                is_video = body.starts_with(b"vids");
            }
            b"strf" if is_video => {
                let codec = chunks.body(chunk).ok()?.get(16..20)?.try_into().ok()?;
                return Some(Video { stream: streams.checked_sub(1)?, codec });
            }
            b"movi" => return None,
            _ if chunk.is_list() => {}
            _ => chunks.pass(chunk).ok()?,
        }
    }
    None
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    /// For a list, its type.
    name: [u8; 4],
    list: bool,
    length: u32,
}

impl Chunk {
    fn is_list(&self) -> bool {
        self.list
    }

    /// Whether it is a frame of stream `number`: "00dc", "00db".
    fn is_frame(&self, number: u8) -> bool {
        let [tens, ones, rest @ ..] = self.name;
        [tens, ones] == [b'0' + number / 10 % 10, b'0' + number % 10] && [b"dc", b"db"].contains(&&rest)
    }

    fn padded(&self) -> u64 {
        u64::from(self.length) + u64::from(self.length % 2)
    }
}

/// The chunks of a file, one after the other.
struct Chunks<R> {
    reader: R,
}

impl<R: Read> Chunks<R> {
    /// Reads the next chunk's header; reading that of a list enters it. `None` at the end.
    fn next(&mut self) -> io::Result<Option<Chunk>> {
        let mut name = [0; 4];
        if !self.fill(&mut name)? {
            return Ok(None);
        }
        // After damage: search for the next four letters that may be a name.
        while !name.iter().all(|letter| letter.is_ascii_graphic() || *letter == b' ') {
            name.rotate_left(1);
            if !self.fill(&mut name[3..])? {
                return Ok(None);
            }
        }
        let mut length = [0; 4];
        let list = [b"RIFF", b"LIST"].contains(&&name);
        if !self.fill(&mut length)? || list && !self.fill(&mut name)? {
            return Ok(None);
        }
        Ok(Some(Chunk { name, list, length: u32::from_le_bytes(length) }))
    }

    /// False if the file ends before `buffer` is full.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        match self.reader.read_exact(buffer) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The bytes of a short chunk; fewer at the end of the file.
    fn body(&mut self, chunk: Chunk) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if chunk.length > MAX_FORMAT {
            return Ok(bytes);
        }
        self.reader.by_ref().take(chunk.padded()).read_to_end(&mut bytes)?;
        bytes.truncate(chunk.length as usize);
        Ok(bytes)
    }

    fn pass(&mut self, chunk: Chunk) -> io::Result<()> {
        io::copy(&mut self.reader.by_ref().take(chunk.padded()), &mut io::sink()).map(drop)
    }
}

/// The frames of an AVI file.
pub struct Frames<R> {
    chunks: Chunks<BufReader<R>>,
    stream: u8,
}

impl<R: Read> Frames<R> {
    /// Reads the frames of `video` from `file`.
    pub fn new(file: R, video: Video) -> Self {
        Frames { chunks: Chunks { reader: BufReader::with_capacity(1 << 18, file) }, stream: video.stream }
    }
}

impl<R: Read + Send> Pieces for Frames<R> {
    fn next(&mut self) -> io::Result<Option<Piece>> {
        while let Some(chunk) = self.chunks.next()? {
            if chunk.is_list() {
                continue;
            }
            if !chunk.is_frame(self.stream) {
                self.chunks.pass(chunk)?;
                continue;
            }
            // An empty chunk repeats the previous frame.
            if chunk.length == 0 {
                continue;
            }
            if chunk.length as usize > MAX_FRAME {
                return Ok(Some(Piece::Damaged("has an invalid length")));
            }
            let mut bytes = Vec::new();
            self.chunks.reader.by_ref().take(chunk.padded()).read_to_end(&mut bytes)?;
            if bytes.len() < chunk.length as usize {
                return Ok(Some(Piece::Damaged("is cut short")));
            }
            bytes.truncate(chunk.length as usize);
            return Ok(Some(Piece::Frame(bytes)));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &str, body: &[u8]) -> Vec<u8> {
        let padding: &[u8] = if body.len() % 2 == 1 { &[0] } else { &[] };
        [name.as_bytes(), &(body.len() as u32).to_le_bytes(), body, padding].concat()
    }

    fn list(kind: &str, name: &str, chunks: &[Vec<u8>]) -> Vec<u8> {
        chunk(kind, &[name.as_bytes(), &chunks.concat()].concat())
    }

    fn stream(kind: &str, codec: &[u8; 4]) -> Vec<u8> {
        let format = [&[40, 0, 0, 0][..], &[0; 12], codec, &[0; 20]].concat();
        list("LIST", "strl", &[chunk("strh", &[kind.as_bytes(), &[0; 52]].concat()), chunk("strf", &format)])
    }

    /// An AVI file with a sound stream first, so that the frames belong to stream 1. `between` is sound.
    fn avi(codec: &[u8; 4], frames: &[Vec<u8>], between: &[u8]) -> Vec<u8> {
        let header =
            list("LIST", "hdrl", &[chunk("avih", &[0; 56]), stream("auds", b"\x01\0\0\0"), stream("vids", codec)]);
        let data: Vec<Vec<u8>> =
            frames.iter().flat_map(|frame| [chunk("00wb", between), chunk("01dc", frame)]).collect();
        list("RIFF", "AVI ", &[header, chunk("JUNK", &[0; 7]), list("LIST", "movi", &data), chunk("idx1", &[1; 16])])
    }

    fn pieces(bytes: &[u8]) -> Vec<String> {
        let mut frames = Frames::new(bytes, video(bytes).unwrap());
        let mut pieces = Vec::new();
        while let Some(piece) = frames.next().unwrap() {
            pieces.push(match piece {
                Piece::Frame(bytes) => String::from_utf8(bytes).unwrap(),
                Piece::Damaged(why) => why.into(),
            });
        }
        pieces
    }

    #[test]
    fn the_codec_comes_from_the_format_and_not_from_bytes_in_the_data() {
        let bytes = avi(b"xvid", &[vec![0xff, 0xd8, 0xff, 0xe0]], b"");
        assert_eq!(video(&bytes[..]), Some(Video { stream: 1, codec: *b"xvid" }));
        assert!(!video(&bytes[..]).unwrap().is_jpeg());
        assert!(video(&avi(b"mjpg", &[], b"")[..]).unwrap().is_jpeg());
        let named = bytes.windows(4).position(|window| window == b"xvid").unwrap();
        for cut in 0..bytes.len() {
            assert_eq!(video(&bytes[..cut]).is_some(), cut >= named + 4, "{cut}");
        }
    }

    #[test]
    fn only_chunks_of_the_video_stream_are_frames() {
        let frames = [b"one".to_vec(), b"".to_vec(), b"three".to_vec()];
        let bytes = avi(b"MJPG", &frames, &[0xff, 0xd8, 0xff]);
        assert_eq!(pieces(&bytes), ["one", "three"]);
        let second = bytes.windows(5).position(|window| window == b"three").unwrap();
        assert_eq!(pieces(&bytes[..second + 4]), ["one", "is cut short"]);
    }

    #[test]
    fn damage_between_chunks_is_skipped_and_an_invalid_length_is_reported() {
        let frames = [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()];
        let mut bytes = avi(b"MJPG", &frames, b"");
        let second = bytes.windows(3).position(|window| window == b"two").unwrap();
        bytes[second - 4..second].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(pieces(&bytes), ["one", "has an invalid length", "three"]);
        // Not a valid chunk name any more.
        bytes[second - 8] = 0;
        assert_eq!(pieces(&bytes), ["one", "three"]);
    }

    #[test]
    fn an_avi_file_gives_its_frames_with_or_without_tables() {
        use crate::capture::jpeg::samples;
        let frames = vec![samples::jpeg(16), samples::jpeg(24)];
        let bare: Vec<Vec<u8>> = frames.iter().map(|frame| samples::without_tables(frame)).collect();
        // Sound that looks like the start of a frame.
        let sound = frames[0][..50].to_vec();
        for frames in [frames, bare] {
            let mut source = crate::capture::motion_jpeg(avi(b"MJPG", &frames, &sound), "clip");
            let sizes = [(); 2].map(|()| source.next().unwrap().unwrap().picture.size().width);
            assert_eq!(sizes, [16, 24]);
            assert!(source.next().unwrap().is_none() && source.damage().is_none());
        }
    }
}
