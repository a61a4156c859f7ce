//! Decodes picture files (JPEG, PNG, WebP) within size limits. Applies the EXIF orientation and composites transparency
//! on white.

use super::alpha::on_white;
use super::jpeg::{START, jpeg_length, with_tables};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::geometry::Size;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

/// The longest accepted side, pixels.
pub const MAX_SIDE: usize = 16_384;
/// Maximum number of pixels: 64 million, 192 MB as RGB.
pub const MAX_PIXELS: usize = 64_000_000;
/// The largest accepted file: the largest picture as uncompressed 16-bit RGBA. Bytes.
const MAX_BYTES: u64 = 8 * MAX_PIXELS as u64;
/// The accepted formats.
pub const FORMATS: [ImageFormat; 3] = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP];

/// Reads and decodes a picture file.
pub fn read_picture(path: &Path) -> Result<Picture> {
    let unreadable = |error| Fault::io(Kind::Input, "read", path, error);
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        let text = format!("cannot read the picture {}: it is larger than {} MiB", path.display(), MAX_BYTES >> 20);
        return Err(Fault::new(Kind::Input, text).cure("save it smaller"));
    }
    decode_picture(&bytes, &path.display().to_string())
}

/// Decodes a picture file's bytes. `name` identifies it in errors.
///
/// # Errors
/// [`Kind::Input`]: not a JPEG, PNG or WebP; damaged or truncated; no pixels or too many.
pub fn decode_picture(bytes: &[u8], name: &str) -> Result<Picture> {
    let fault = |text: String| Fault::new(Kind::Input, format!("cannot read the picture {name}: {text}"));
    if bytes.is_empty() {
        return Err(fault("the file is empty".into()).cure("copy it again"));
    }
    let format = image::guess_format(bytes).ok().filter(|format| FORMATS.contains(format));
    let Some(format) = format else {
        return Err(fault("it is not a JPEG, PNG or WebP file".into()).cure("convert it to one of these"));
    };
    if bytes.starts_with(&START) && jpeg_length(bytes).is_none() {
        return Err(fault("the file is cut short".into()).cure("copy it again"));
    }
    let damaged = |error: image::ImageError| fault(error.to_string()).cure("copy or save it again");
    let bytes = with_tables(bytes);
    let mut reader = ImageReader::with_format(Cursor::new(&*bytes), format);
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
    let size = Size::new(decoded.width() as usize, decoded.height() as usize);
    let transparent = decoded.color().has_alpha();
    let rgb = if transparent { on_white(decoded.into_rgba8().as_raw()) } else { decoded.into_rgb8().into_raw() };
    Ok(Picture::new(size, rgb))
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
    fn every_format_is_read_and_truncated_files_are_refused() {
        for format in FORMATS {
            let bytes = encoded(format);
            assert_eq!(decode_picture(&bytes, "p").unwrap().size(), Size::new(40, 30), "{format:?}");
            for part in [1, 4, 9, 10] {
                let fault = decode_picture(&bytes[..bytes.len() * part / 11], "p").unwrap_err();
                assert_eq!(fault.kind(), Kind::Input, "{format:?} cut to {part}/11: {fault}");
            }
        }
    }

    fn shown(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, format).unwrap();
        decode_picture(&bytes.into_inner(), "p").unwrap().rgb().to_vec()
    }

    #[test]
    fn transparent_pixels_are_white_whatever_their_colour() {
        use image::{GrayAlphaImage, ImageBuffer, LumaA, Rgba, RgbaImage};
        // Hidden magenta, opaque grey, half black.
        let rgba = [[255, 0, 255, 0], [90, 90, 90, 255], [0, 0, 0, 128]];
        let expected = [255, 255, 255, 90, 90, 90, 127, 127, 127];
        let eight = RgbaImage::from_fn(3, 1, |x, _| Rgba(rgba[x as usize]));
        assert_eq!(shown(eight.clone(), ImageFormat::Png), expected);
        assert_eq!(shown(eight, ImageFormat::WebP), expected);
        let wide = |channel: u8| u16::from(channel) * 257;
        let sixteen: ImageBuffer<Rgba<u16>, Vec<u16>> =
            ImageBuffer::from_fn(3, 1, |x, _| Rgba(rgba[x as usize].map(wide)));
        assert_eq!(shown(sixteen, ImageFormat::Png), expected);
        let grey = |x: usize| [rgba[x][1], rgba[x][3]];
        let grey_alpha = GrayAlphaImage::from_fn(3, 1, |x, _| LumaA(grey(x as usize)));
        assert_eq!(shown(grey_alpha, ImageFormat::Png), expected);
        let grey_alpha: ImageBuffer<LumaA<u16>, Vec<u16>> =
            ImageBuffer::from_fn(3, 1, |x, _| LumaA(grey(x as usize).map(wide)));
        assert_eq!(shown(grey_alpha, ImageFormat::Png), expected);
    }

    /// A PNG of one row, from its chunks after the signature.
    fn png(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        for (name, body) in chunks.iter().chain([&(b"IEND", &[][..])]) {
            bytes.extend((body.len() as u32).to_be_bytes());
            let checked = [&name[..], body].concat();
            bytes.extend(&checked);
            bytes.extend(crc32(&checked).to_be_bytes());
        }
        bytes
    }

    #[test]
    fn a_transparent_entry_of_a_palette_and_a_colour_key_are_white() {
        let row = |pixels: &[u8]| miniz_oxide::deflate::compress_to_vec_zlib(&[&[0], pixels].concat(), 6);
        let palette = png(&[
            (b"IHDR", &[0, 0, 0, 3, 0, 0, 0, 1, 8, 3, 0, 0, 0]),
            (b"PLTE", &[255, 0, 255, 90, 90, 90, 0, 0, 0]),
            (b"tRNS", &[0, 255, 128]),
            (b"IDAT", &row(&[0, 1, 2])),
        ]);
        let shown = decode_picture(&palette, "palette").unwrap();
        assert_eq!(shown.rgb(), [255, 255, 255, 90, 90, 90, 127, 127, 127]);
        let key = png(&[
            (b"IHDR", &[0, 0, 0, 2, 0, 0, 0, 1, 8, 2, 0, 0, 0]),
            (b"tRNS", &[0, 255, 0, 0, 0, 255]),
            (b"IDAT", &row(&[255, 0, 255, 90, 90, 90])),
        ]);
        assert_eq!(decode_picture(&key, "key").unwrap().rgb(), [255, 255, 255, 90, 90, 90]);
    }

    #[test]
    fn a_still_without_huffman_tables_is_read() {
        let whole = crate::capture::jpeg::samples::jpeg(40);
        let without = crate::capture::jpeg::samples::without_tables(&whole);
        assert_eq!(decode_picture(&without, "without").unwrap(), decode_picture(&whole, "whole").unwrap());
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
