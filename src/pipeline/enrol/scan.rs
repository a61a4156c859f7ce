//! Reading a product's code before the camera: the bar code of its label, or a QR code with an id, the number of the label (GTIN), or the
//! product's page, as a price tag or the mirror's own screen shows it.

use super::barcode;
use crate::catalogue::{Catalogue, Product};
use crate::fault::Result;
use crate::frame::Picture;

/// QR codes are read at no more than this: pixels of the longer side.
const LONGEST: usize = 1280;

/// The texts of the QR codes in a picture, or else the number of a bar code; mirrored ones too.
pub fn codes(picture: &Picture) -> Vec<String> {
    let codes = qr_codes(picture);
    if codes.is_empty() { barcode::read(picture).into_iter().collect() } else { codes }
}

fn qr_codes(picture: &Picture) -> Vec<String> {
    let size = picture.size();
    let step = size.width.max(size.height).div_ceil(LONGEST).max(1);
    let (width, height) = (size.width / step, size.height / step);
    if width < 21 || height < 21 {
        return Vec::new();
    }
    let read = |mirrored: bool| {
        let level = |x: usize, y: usize| {
            let x = if mirrored { width - 1 - x } else { x } * step;
            let [red, green, blue] = [0, 1, 2].map(|channel| u16::from(picture.row(y * step)[3 * x + channel]));
            ((red + 2 * green + blue) / 4) as u8
        };
        let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(width, height, level);
        let found = prepared.detect_grids().into_iter().filter_map(|grid| grid.decode().ok());
        found.map(|(_, text)| text).collect::<Vec<String>>()
    };
    let codes = read(false);
    if codes.is_empty() { read(true) } else { codes }
}

/// The product that a code names: by its id or number, by its page, or by the last part of an address.
pub fn product(catalogue: &Catalogue, code: &str) -> Result<Option<Product>> {
    let code = code.trim();
    if let Some(detail) = catalogue.named(code)? {
        return Ok(Some(detail.product));
    }
    let mut products = catalogue.list()?.into_iter().map(|(product, _)| product);
    if let Some(product) = products.find(|product| product.link.as_deref() == Some(code)) {
        return Ok(Some(product));
    }
    let last = code.split(['?', '#']).next().and_then(|path| path.trim_end_matches('/').rsplit('/').next());
    Ok(last.map_or(Ok(None), |id| catalogue.named(id))?.map(|detail| detail.product))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;
    use qrcodegen::{QrCode, QrCodeEcc};

    /// A picture with a code in its middle, seven pixels a module.
    fn shown(text: &str, size: Size) -> Picture {
        let code = QrCode::encode_text(text, QrCodeEcc::Medium).unwrap();
        let side = code.size() * 7;
        let (left, top) = ((size.width as i32 - side) / 2, (size.height as i32 - side) / 2);
        let dark = |x: usize, y: usize| {
            let (x, y) = (x as i32 - left, y as i32 - top);
            (0..side).contains(&x) && (0..side).contains(&y) && code.get_module(x / 7, y / 7)
        };
        let level = |at: usize| if dark(at % size.width, at / size.width) { [30u8; 3] } else { [210; 3] };
        Picture::new(size, (0..size.width * size.height).flat_map(level).collect())
    }

    #[test]
    fn a_code_is_read_also_in_the_mirror() {
        let picture = shown("https://shop.example/p/V101", Size::new(640, 480));
        assert_eq!(codes(&picture), ["https://shop.example/p/V101"]);
        assert_eq!(codes(&picture.turned(crate::frame::Turn::None, true)), ["https://shop.example/p/V101"]);
        assert_eq!(codes(&Picture::filled(Size::new(640, 480), [200; 3])), Vec::<String>::new());
        assert_eq!(codes(&Picture::filled(Size::new(3, 3), [200; 3])), Vec::<String>::new());
    }
}
