//! Finding the end of a JPEG in a stream of bytes, and decoding one frame.

use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::geometry::Size;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// The first bytes of every JPEG: start of image, and the next marker's first byte.
pub const START: [u8; 3] = [0xff, 0xd8, 0xff];

/// The length of the JPEG that `bytes` begins with, to the end of its end-of-image marker; `None` where it is cut short
/// or no JPEG. Thumbnails inside its headers do not count: the markers are walked one by one.
pub fn jpeg_length(bytes: &[u8]) -> Option<usize> {
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
            0xd9 => return Some(at + 2),
            // Fill bytes, stuffed zeros and restart markers stand between the entropy-coded bytes.
            0xff => at += 1,
            0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
            _ => {
                let length = u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]);
                at += 2 + usize::from(length).max(2);
            }
        }
    }
}

/// A camera's JPEG frame, made complete: cameras leave the Huffman tables out, since they are always the same. The marker by which
/// AVI files tell so makes the decoder fill in those that are missing.
pub fn with_tables(bytes: &[u8]) -> Vec<u8> {
    const LEFT_OUT: [u8; 10] = [0xff, 0xe0, 0x00, 0x08, b'A', b'V', b'I', b'1', 0, 0];
    let after_start = bytes.len().min(2);
    [&bytes[..after_start], &LEFT_OUT, &bytes[after_start..]].concat()
}

/// Decodes one frame of a motion-JPEG stream. `name` says which, for the error.
pub fn decode_jpeg(bytes: &[u8], name: &str) -> Result<Picture> {
    let options = DecoderOptions::default()
        .set_max_width(super::MAX_SIDE)
        .set_max_height(super::MAX_SIDE)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let damaged = |error: zune_jpeg::errors::DecodeErrors| {
        Fault::new(Kind::Input, format!("cannot decode {name}")).cause(error.to_string()).cure("copy it again")
    };
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(damaged)?;
    let size = decoder.info().map(|info| Size::new(info.width.into(), info.height.into()));
    let rgb = decoder.decode().map_err(damaged)?;
    match size {
        Some(size) if rgb.len() == 3 * size.width * size.height && !rgb.is_empty() => Ok(Picture::new(size, rgb)),
        _ => Err(Fault::new(Kind::Input, format!("cannot decode {name}: its size does not fit its data"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(side: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = image::RgbImage::from_fn(side, side, |x, y| image::Rgb([x as u8, y as u8, 7]));
        image::codecs::jpeg::JpegEncoder::new(&mut bytes).encode_image(&picture).unwrap();
        bytes
    }

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
    fn a_frame_without_huffman_tables_decodes_as_with_them() {
        let whole = jpeg(40);
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
        let expected = decode_jpeg(&whole, "whole").unwrap();
        assert_eq!(decode_jpeg(&with_tables(&without), "without").unwrap(), expected);
        assert_eq!(decode_jpeg(&with_tables(&whole), "whole").unwrap(), expected);
    }

    #[test]
    fn a_frame_decodes_to_its_size() {
        assert_eq!(decode_jpeg(&jpeg(24), "frame 0").unwrap().size(), Size::new(24, 24));
        assert_eq!(decode_jpeg(b"nothing", "frame 0").unwrap_err().kind(), Kind::Input);
    }
}
