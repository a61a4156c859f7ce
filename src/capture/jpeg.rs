//! JPEG: finds the end of an image in a byte stream, adds missing Huffman tables, decodes one frame.

use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::geometry::Size;
use std::borrow::Cow;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// The first bytes of every JPEG: start of image, and the next marker's first byte.
pub const START: [u8; 3] = [0xff, 0xd8, 0xff];

/// Length of the JPEG at the start of a byte sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Complete: number of bytes including the end-of-image marker.
    Whole(usize),
    /// Truncated: another JPEG starts at this offset.
    Cut(usize),
    /// Not complete yet.
    Open,
}

/// Finds the end of the JPEG at the start of `bytes`. Walks the markers one by one, so thumbnails in headers do not
/// count.
pub fn extent(bytes: &[u8]) -> Extent {
    walk(bytes).unwrap_or(Extent::Open)
}

/// Length of the JPEG at the start of `bytes`; `None` if it is truncated or not a JPEG.
pub fn jpeg_length(bytes: &[u8]) -> Option<usize> {
    match extent(bytes) {
        Extent::Whole(length) => Some(length),
        Extent::Cut(_) | Extent::Open => None,
    }
}

fn walk(bytes: &[u8]) -> Option<Extent> {
    if !bytes.starts_with(&START) {
        return None;
    }
    let mut at = 2;
    loop {
        while *bytes.get(at)? != 0xff {
            at += 1;
        }
        let marker = *bytes.get(at + 1)?;
        match marker {
            0xd9 => return Some(Extent::Whole(at + 2)),
            0xd8 if *bytes.get(at + 2)? == 0xff => return Some(Extent::Cut(at)),
            // Fill bytes, stuffed zeros and restart markers occur between entropy-coded bytes.
            0xff => at += 1,
            0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
            _ => {
                let length = u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]);
                let end = at + 2 + usize::from(length).max(2);
                // Application segments may hold a thumbnail. In any other segment, or across its end, a start marker
                // belongs to the next JPEG.
                let until = (end + START.len() - 1).min(bytes.len());
                if !(0xe0..=0xef).contains(&marker)
                    && let Some(start) = find_start(&bytes[at + 2..until])
                {
                    return Some(Extent::Cut(at + 2 + start));
                }
                at = end;
            }
        }
    }
}

/// Offset of the first JPEG in `bytes`.
pub fn find_start(bytes: &[u8]) -> Option<usize> {
    bytes.windows(START.len()).position(|window| window == START)
}

/// Makes a JPEG decodable on its own. Motion-JPEG, from cameras and in files, omits the standard Huffman tables. The
/// marker that AVI files use for this makes the decoder add them.
pub fn with_tables(bytes: &[u8]) -> Cow<'_, [u8]> {
    const LEFT_OUT: [u8; 10] = [0xff, 0xe0, 0x00, 0x08, b'A', b'V', b'I', b'1', 0, 0];
    if !lacks_tables(bytes) {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned([&bytes[..2], &LEFT_OUT, &bytes[2..]].concat())
}

/// Whether a baseline JPEG reaches its first scan without a Huffman table.
fn lacks_tables(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&START) {
        return false;
    }
    let mut at = 2;
    while let Some([0xff, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            0xff => {
                at += 1;
                continue;
            }
            // A Huffman table (c4), or a type that does not use the standard tables: progressive, lossless, arithmetic.
            0xc2..=0xcf => return false,
            0xda => return true,
            _ => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
        }
    }
    false
}

/// Decodes one frame of a motion-JPEG stream, with or without Huffman tables. `name` identifies it in errors.
///
/// # Errors
/// [`Kind::Input`]: damaged, or larger than the maximum picture size.
pub fn decode_jpeg(bytes: &[u8], name: &str) -> Result<Picture> {
    let options = DecoderOptions::default()
        .set_max_width(super::MAX_SIDE)
        .set_max_height(super::MAX_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let damaged = |error: zune_jpeg::errors::DecodeErrors| {
        Fault::new(Kind::Input, format!("cannot decode {name}")).cause(error.to_string()).cure("copy it again")
    };
    let bytes = with_tables(bytes);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&*bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let size = decoder.info().map(|info| Size::new(info.width.into(), info.height.into()));
    if size.is_some_and(|size| size.width * size.height > super::MAX_PIXELS) {
        return Err(Fault::new(Kind::Input, format!("cannot decode {name}: it has too many pixels")));
    }
    let rgb = decoder.decode().map_err(damaged)?;
    match size {
        Some(size) if rgb.len() == 3 * size.width * size.height && !rgb.is_empty() => Ok(Picture::new(size, rgb)),
        _ => Err(Fault::new(Kind::Input, format!("cannot decode {name}: its size does not fit its data"))),
    }
}

/// JPEG files for tests.
#[cfg(test)]
pub mod samples {
    /// A square picture.
    pub fn jpeg(side: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = image::RgbImage::from_fn(side, side, |x, y| image::Rgb([x as u8, y as u8, 7]));
        image::codecs::jpeg::JpegEncoder::new(&mut bytes).encode_image(&picture).unwrap();
        bytes
    }

    /// A JPEG without its Huffman tables.
    pub fn without_tables(whole: &[u8]) -> Vec<u8> {
        let mut without = whole[..2].to_vec();
        let mut at = 2;
        while whole[at + 1] != 0xda {
            let end = at + 2 + usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]]));
            if whole[at + 1] != 0xc4 {
                without.extend_from_slice(&whole[at..end]);
            }
            at = end;
        }
        without.extend_from_slice(&whole[at..]);
        assert!(without.len() + 400 < whole.len(), "the tables are gone");
        without
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{jpeg, without_tables};
    use super::*;

    #[test]
    fn a_jpeg_ends_at_its_own_end_marker() {
        let mut bytes = jpeg(33);
        let length = bytes.len();
        bytes.extend_from_slice(&jpeg(8));
        assert_eq!(jpeg_length(&bytes), Some(length));
    }

    #[test]
    fn a_cut_jpeg_has_no_length() {
        let bytes = jpeg(33);
        for cut in 0..bytes.len() {
            assert_eq!(jpeg_length(&bytes[..cut]), None, "cut at {cut}");
        }
    }

    #[test]
    fn a_cut_jpeg_ends_where_the_next_begins() {
        let bytes = jpeg(33);
        let cut = &bytes[..bytes.len() - 20];
        assert_eq!(extent(&[cut, &bytes].concat()), Extent::Cut(cut.len()));
        assert_eq!(extent(cut), Extent::Open);
        // A thumbnail in a header is a JPEG itself, but not the end of this one.
        let thumbnail = [&[0xff, 0xd8, 0xff, 0xe1, 0, 10][..], &[0xff, 0xd8, 0xff, 0xdb, 0, 0, 0xff, 0xd9]].concat();
        let nested = [&thumbnail[..], &bytes[2..]].concat();
        assert_eq!(extent(&nested), Extent::Whole(nested.len()));
    }

    #[test]
    fn a_frame_without_huffman_tables_decodes_like_one_with_them() {
        let whole = jpeg(40);
        let without = without_tables(&whole);
        assert!(matches!(with_tables(&whole), Cow::Borrowed(_)));
        let expected = decode_jpeg(&whole, "whole").unwrap();
        assert_eq!(decode_jpeg(&without, "without").unwrap(), expected);
    }

    #[test]
    fn a_frame_decodes_to_its_size() {
        assert_eq!(decode_jpeg(&jpeg(24), "frame 0").unwrap().size(), Size::new(24, 24));
        assert_eq!(decode_jpeg(b"nothing", "frame 0").unwrap_err().kind(), Kind::Input);
    }
}
