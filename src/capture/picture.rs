//! Picture files: JPEG, PNG and WebP, upright as their EXIF orientation says, within limits.

use super::jpeg::{START, jpeg_length};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::geometry::Size;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;
use std::path::Path;

/// Longest side of a picture that is read, pixels.
pub const MAX_SIDE: usize = 16_384;
/// Most pixels of a picture that is read: 64 million, 192 MB as RGB.
pub const MAX_PIXELS: usize = 64_000_000;
/// What a picture may be.
pub const FORMATS: [ImageFormat; 3] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP];

/// Reads and decodes a picture file.
pub fn read_picture(path: &Path) -> Result<Picture> {
    let bytes = std::fs::read(path).map_err(|error| Fault::io(Kind::Input, "read", path, error))?;
    decode_picture(&bytes, &path.display().to_string())
}

/// Decodes a picture from its file's bytes. `name` says which, for the error.
///
/// # Errors
/// [`Kind::Input`]: not a JPEG, PNG or WebP; damaged or cut short; no pixels, or too many.
pub fn decode_picture(bytes: &[u8], name: &str) -> Result<Picture> {
    let fault = |text: String| Fault::new(Kind::Input, format!("cannot read the picture {name}: {text}"));
    if bytes.is_empty() {
        return Err(fault("the file is empty".into()).cure("copy it again"));
    }
    let format = image::guess_format(bytes).ok().filter(|format| FORMATS.contains(format));
    let Some(format) = format else {
        return Err(fault("it is no JPEG, PNG or WebP".into()).cure("save it as one of these"));
    };
    if bytes.starts_with(&START) && jpeg_length(bytes).is_none() {
        return Err(fault("the file is cut short".into()).cure("copy it again"));
    }
    let damaged = |error: image::ImageError| fault(error.to_string()).cure("copy or save it again");
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits());
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let size = Size::new(width as usize, height as usize);
    if size.width == 0 || size.height == 0 {
        return Err(fault(format!("it is {width}x{height} pixels")));
    }
    if size.width > MAX_SIDE || size.height > MAX_SIDE || size.width * size.height > MAX_PIXELS {
        let text = format!("{width}x{height} pixels are too many");
        return Err(fault(text).cure(format!("make it smaller: sides to {MAX_SIDE}, {MAX_PIXELS} pixels in all")));
    }
    let orientation = decoder.orientation().map_err(damaged)?;
    let mut decoded = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    decoded.apply_orientation(orientation);
    let rgb = decoded.into_rgb8();
    let size = Size::new(rgb.width() as usize, rgb.height() as usize);
    Ok(Picture::new(size, rgb.into_raw()))
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    // 16-bit RGBA of the largest picture, with room for the decoder's own buffers.
    limits.max_alloc = Some(10 * MAX_PIXELS as u64);
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let picture = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([(x * 6) as u8, (y * 8) as u8, 99]));
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn every_format_is_read_and_every_cut_is_refused() {
        for format in FORMATS {
            let bytes = encoded(format);
            assert_eq!(decode_picture(&bytes, "p").unwrap().size(), Size::new(40, 30), "{format:?}");
            for part in [1, 4, 9, 10] {
                let fault = decode_picture(&bytes[..bytes.len() * part / 11], "p").unwrap_err();
                assert_eq!(fault.kind(), Kind::Input, "{format:?} cut to {part}/11: {fault}");
            }
        }
    }

    #[test]
    fn a_huge_picture_is_refused_by_its_header() {
        let mut bytes = encoded(ImageFormat::Png);
        bytes[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
        let crc = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        let fault = decode_picture(&bytes, "big.png").unwrap_err().to_string();
        assert!(fault.contains("20000x20000") && fault.contains("too many"), "{fault}");
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        !crc
    }
}
