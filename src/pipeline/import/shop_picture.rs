//! A shop's picture to what the catalogue keeps of it: the descriptors of its product, and a thumbnail.

use crate::capture::decode_picture;
use crate::catalogue::ShopPicture;
use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::metrics::StageTimes;
use crate::pipeline::recognizer::Recognizer;
use crate::seam::{Region, is_detail};
use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};
use std::path::Path;

/// A shop's picture with a shorter side is none of a product, but an icon or a placeholder. Pixels.
const LEAST_SIDE: usize = 32;
/// Long side of a thumbnail, pixels.
const THUMBNAIL_SIDE: u32 = 480;
const THUMBNAIL_QUALITY: u8 = 85;

/// Embeds the product of a shop picture: the largest box, as docs/seam.md §9 has it, of `region` where that is known.
///
/// # Errors
/// [`Kind::Input`]: the bytes are no picture, it is too small to show a product, or no garment is found in it.
pub fn shop_picture(
    recognizer: &mut Recognizer,
    bytes: &[u8],
    path: &Path,
    region: Option<Region>,
) -> Result<ShopPicture> {
    let picture = decode_picture(bytes, &path.display().to_string())?;
    require_large_enough(&picture, path)?;
    let found = recognizer.recognize_product(&picture, region, &mut StageTimes::default())?;
    let Some(detection) = found else {
        let text = format!("no garment is found in {}", path.display());
        return Err(Fault::new(Kind::Input, text).cure("use a picture that shows the whole product, large and alone"));
    };
    let detail = is_detail(detection.bounds, picture.size());
    Ok(ShopPicture { detection, detail, thumbnail_jpeg: thumbnail(&picture)? })
}

fn require_large_enough(picture: &Picture, path: &Path) -> Result<()> {
    let size = picture.size();
    if size.width.min(size.height) >= LEAST_SIDE {
        return Ok(());
    }
    let text = format!("{} is {}x{} pixels: too small to show a product", path.display(), size.width, size.height);
    Err(Fault::new(Kind::Input, text).cure(format!("use a picture of at least {LEAST_SIDE} pixels a side")))
}

/// The picture as a JPEG of at most [`THUMBNAIL_SIDE`] pixels.
fn thumbnail(picture: &Picture) -> Result<Vec<u8>> {
    let size = picture.size();
    let fault = |error: &dyn std::fmt::Display| Fault::new(Kind::Internal, format!("cannot make a thumbnail: {error}"));
    let rgb = RgbImage::from_raw(size.width as u32, size.height as u32, picture.rgb().to_vec())
        .ok_or_else(|| fault(&"the picture's size does not fit"))?;
    let image = DynamicImage::ImageRgb8(rgb);
    let small = if size.width.max(size.height) as u32 > THUMBNAIL_SIDE {
        image.resize(THUMBNAIL_SIDE, THUMBNAIL_SIDE, FilterType::Triangle)
    } else {
        image
    };
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, THUMBNAIL_QUALITY)
        .encode_image(&small)
        .map_err(|error| fault(&error))?;
    Ok(jpeg)
}
