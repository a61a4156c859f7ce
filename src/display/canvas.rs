//! Pixels in memory as XRGB8888, the format of every panel. An embedded-graphics [`DrawTarget`], plus the operations that read
//! existing pixels: anti-aliased masks, and the scaled camera picture of [`Canvas::mirror_picture`].

use super::mirror::Mirror;
use super::pixel::{mix, packed};
use super::scaling::RowScaler;
use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::geometry::Size;
use embedded_graphics::Pixel;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{DrawTarget, OriginDimensions, Point};
use embedded_graphics::primitives::Rectangle;
use fearless_simd::{Level, dispatch};
use std::convert::Infallible;
use std::ops::Range;

/// A picture to draw on; initially black.
#[derive(Clone)]
pub struct Canvas {
    size: Size,
    pixels: Vec<u32>,
    /// The processor's instruction set, for the loops over pixels.
    level: Level,
}

impl Canvas {
    pub fn new(size: Size) -> Self {
        Canvas { size, pixels: vec![0; size.width * size.height], level: Level::new() }
    }

    pub fn size(&self) -> Size {
        self.size
    }

    /// Row by row, `0x00RRGGBB`: XRGB8888 on a little-endian machine.
    pub fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    /// The colour at (x, y), which must lie inside.
    pub fn pixel(&self, x: usize, y: usize) -> Rgb888 {
        let [_, r, g, b] = self.pixels[y * self.size.width + x].to_be_bytes();
        Rgb888::new(r, g, b)
    }

    /// Fills the canvas with one colour.
    pub fn fill(&mut self, colour: Rgb888) {
        self.pixels.fill(packed(colour));
    }

    /// A copy as an RGB picture.
    pub fn to_picture(&self) -> Picture {
        let rgb = self.pixels.iter().flat_map(|pixel| pixel.to_be_bytes().into_iter().skip(1)).collect();
        Picture::new(self.size, rgb)
    }

    /// A fault unless the canvas has `size`.
    pub fn expect_size(&self, size: Size) -> Result<()> {
        if self.size == size {
            return Ok(());
        }
        let Size { width, height } = self.size;
        let text = format!("cannot show a {width}x{height} canvas on a {}x{} panel", size.width, size.height);
        Err(Fault::new(Kind::Internal, text))
    }

    /// Mixes `colour` in: `mask` holds coverage, row by row, `width` bytes each, 255 for full; its top left is at (x, y).
    pub fn blend_mask(&mut self, x: i32, y: i32, width: usize, mask: &[u8], colour: Rgb888) {
        if width == 0 {
            return;
        }
        let columns = self.clip_columns(x, width);
        let (colour, skip) = (packed(colour), (columns.start as i32 - x).max(0) as usize);
        for (row, coverage) in mask.chunks_exact(width).enumerate() {
            let Some(start) = self.row_start(y + row as i32) else { continue };
            let pixels = &mut self.pixels[start + columns.start..start + columns.end];
            let coverage = &coverage[skip.min(width)..];
            dispatch!(self.level, _simd => blend_covered(pixels, coverage, colour));
        }
    }

    /// Mixes `colour` into one row from `columns`, with one opacity from 0 to 256 for all of them.
    pub fn blend_row(&mut self, y: i32, columns: Range<i32>, colour: Rgb888, opacity: u32) {
        let columns = self.clip_columns(columns.start, (columns.end - columns.start).max(0) as usize);
        let Some(start) = self.row_start(y) else { return };
        let colour = packed(colour);
        let pixels = &mut self.pixels[start + columns.start..start + columns.end];
        match opacity {
            0 => {}
            1..256 => pixels.iter_mut().for_each(|pixel| *pixel = mix(*pixel, colour, opacity)),
            _ => pixels.fill(colour),
        }
    }

    /// Mixes `colour` into one pixel; `opacity` from 0 to 1. Pixels outside the canvas are ignored.
    pub fn blend(&mut self, x: i32, y: i32, colour: Rgb888, opacity: f32) {
        if x < 0 || x as usize >= self.size.width {
            return;
        }
        let Some(start) = self.row_start(y) else { return };
        let pixel = &mut self.pixels[start + x as usize];
        *pixel = mix(*pixel, packed(colour), (opacity * 256.0) as u32);
    }

    /// Copies `tile`, already of the final size, to (x, y).
    pub fn copy(&mut self, x: i32, y: i32, tile: &Canvas) {
        let columns = self.clip_columns(x, tile.size.width);
        if columns.is_empty() {
            return;
        }
        let skip = (columns.start as i32 - x) as usize;
        for (row, from) in tile.pixels.chunks_exact(tile.size.width.max(1)).enumerate() {
            let Some(start) = self.row_start(y + row as i32) else { continue };
            self.pixels[start + columns.start..start + columns.end].copy_from_slice(&from[skip..skip + columns.len()]);
        }
    }

    /// Copies the pixels of `area` from a canvas of the same size; the parts of it that lie outside are ignored.
    pub fn copy_area(&mut self, from: &Canvas, area: &Rectangle) {
        let (columns, rows) = self.clip(area);
        for y in rows {
            let row = y * self.size.width + columns.start..y * self.size.width + columns.end;
            if let Some(from) = from.pixels.get(row.clone()) {
                self.pixels[row].copy_from_slice(from);
            }
        }
    }

    /// Draws the mirrored camera picture in its place, interpolated, at `light` 256ths of its brightness.
    pub fn mirror_picture(&mut self, picture: &Picture, mirror: &Mirror, light: u32) {
        let place = mirror.target();
        let columns = self.clip_columns(place.x1.round() as i32, place.width().round() as usize);
        let mut rows = RowScaler::new(picture, mirror, columns.clone());
        for y in place.y1.round() as i32..place.y2.round() as i32 {
            let Some(start) = self.row_start(y) else { continue };
            rows.row(y, light, &mut self.pixels[start + columns.start..start + columns.end]);
        }
    }

    fn row_start(&self, y: i32) -> Option<usize> {
        (y >= 0 && (y as usize) < self.size.height).then(|| y as usize * self.size.width)
    }

    /// The part of `width` columns from `x` that lies inside; an empty range if none does.
    fn clip_columns(&self, x: i32, width: usize) -> Range<usize> {
        let limit = self.size.width as i64;
        let start = i64::from(x).clamp(0, limit);
        let end = (i64::from(x) + width as i64).clamp(start, limit);
        start as usize..end as usize
    }

    fn clip(&self, area: &Rectangle) -> (Range<usize>, Range<usize>) {
        let columns = self.clip_columns(area.top_left.x, area.size.width as usize);
        let limit = self.size.height as i64;
        let top = i64::from(area.top_left.y).clamp(0, limit);
        let bottom = (i64::from(area.top_left.y) + i64::from(area.size.height)).clamp(top, limit);
        (columns, top as usize..bottom as usize)
    }
}

/// Mixes `colour` into a row by how much of each pixel is covered, 255 for all of it.
#[inline(always)]
fn blend_covered(pixels: &mut [u32], coverage: &[u8], colour: u32) {
    for (pixels, coverage) in pixels.chunks_mut(8).zip(coverage.chunks(8)) {
        // Most of a line's box is ground.
        if *coverage == [0; 8] {
            continue;
        }
        for (pixel, alpha) in pixels.iter_mut().zip(coverage) {
            *pixel = mix(*pixel, colour, u32::from(*alpha) + u32::from(*alpha >> 7));
        }
    }
}

impl std::fmt::Debug for Canvas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Canvas({}x{})", self.size.width, self.size.height)
    }
}

impl OriginDimensions for Canvas {
    fn size(&self) -> embedded_graphics::geometry::Size {
        embedded_graphics::geometry::Size::new(self.size.width as u32, self.size.height as u32)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> std::result::Result<(), Infallible>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        let (width, height) = (self.size.width as i32, self.size.height as i32);
        for Pixel(Point { x, y }, colour) in pixels {
            if (0..width).contains(&x) && (0..height).contains(&y) {
                self.pixels[y as usize * self.size.width + x as usize] = packed(colour);
            }
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, colour: Rgb888) -> std::result::Result<(), Infallible> {
        let (columns, rows) = self.clip(area);
        for y in rows {
            self.pixels[y * self.size.width..][columns.clone()].fill(packed(colour));
        }
        Ok(())
    }

    fn fill_contiguous<I>(&mut self, area: &Rectangle, colours: I) -> std::result::Result<(), Infallible>
    where
        I: IntoIterator<Item = Rgb888>,
    {
        let (columns, rows) = self.clip(area);
        let mut colours = colours.into_iter();
        for y in area.rows() {
            for x in area.columns() {
                let Some(colour) = colours.next() else { return Ok(()) };
                if columns.contains(&(x.max(0) as usize)) && x >= 0 && rows.contains(&(y.max(0) as usize)) && y >= 0 {
                    self.pixels[y as usize * self.size.width + x as usize] = packed(colour);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;
    use embedded_graphics::geometry::Size as Extent;
    use embedded_graphics::pixelcolor::RgbColor;

    fn colours(canvas: &Canvas) -> Vec<u32> {
        canvas.pixels().to_vec()
    }

    #[test]
    fn a_picture_of_the_places_size_is_mirrored_exactly() {
        let picture = Picture::new(Size::new(3, 2), (0..18).map(|i| i * 10).collect());
        let mut canvas = Canvas::new(Size::new(3, 2));
        let mirror = Mirror::cover(picture.size(), Rect::new(0.0, 0.0, 3.0, 2.0)).expect("not empty");
        canvas.mirror_picture(&picture, &mirror, 256);
        for y in 0..2 {
            for x in 0..3 {
                let from = &picture.row(y)[3 * (2 - x)..];
                assert_eq!(canvas.pixel(x, y), Rgb888::new(from[0], from[1], from[2]));
            }
        }
    }

    #[test]
    fn one_colour_stays_one_colour_at_any_scale_and_dims() {
        let picture = Picture::filled(Size::new(17, 9), [200, 100, 50]);
        for (width, height) in [(5, 50), (50, 5), (64, 64), (3, 3)] {
            let mut canvas = Canvas::new(Size::new(width, height));
            let mirror =
                Mirror::cover(picture.size(), Rect::new(0.0, 0.0, width as f32, height as f32)).expect("not empty");
            canvas.mirror_picture(&picture, &mirror, 256);
            assert!(canvas.pixels().iter().all(|pixel| *pixel == 0xc8_6432));
            canvas.mirror_picture(&picture, &mirror, 128);
            assert!(canvas.pixels().iter().all(|pixel| *pixel >> 16 == 99 || *pixel >> 16 == 100));
        }
    }

    #[test]
    fn masks_and_rows_reaching_over_every_edge_are_cut() {
        let mut canvas = Canvas::new(Size::new(4, 4));
        let white = Rgb888::WHITE;
        for (x, y) in [(-2, -2), (3, 3), (-9, 0), (9, 0), (0, -9), (0, 9)] {
            canvas.blend_mask(x, y, 3, &[255; 9], white);
            canvas.blend_row(y, x..x + 3, white, 256);
            canvas.blend(x, y, white, 1.0);
            canvas.copy(x, y, &Canvas::new(Size::new(3, 3)));
        }
        canvas.blend_mask(-1, -1, 3, &[255; 9], white);
        assert_eq!(canvas.pixels().iter().filter(|pixel| **pixel == 0xff_ffff).count(), 4);
    }

    #[test]
    fn half_coverage_is_half_way() {
        let mut canvas = Canvas::new(Size::new(1, 1));
        canvas.blend_mask(0, 0, 1, &[128], Rgb888::new(200, 100, 50));
        let pixel = canvas.pixel(0, 0);
        assert!(pixel.r().abs_diff(100) <= 1 && pixel.g().abs_diff(50) <= 1 && pixel.b().abs_diff(25) <= 1);
    }

    #[test]
    fn the_fast_fills_draw_what_single_pixels_draw() {
        for (x, y, w, h) in [(-2, -1, 5, 4), (2, 3, 9, 9), (0, 0, 6, 5), (-9, -9, 2, 2)] {
            let area = Rectangle::new(Point::new(x, y), Extent::new(w, h));
            let colour = |i: usize| Rgb888::new(i as u8, 2 * i as u8, 7);
            let (mut fast, mut slow) = (Canvas::new(Size::new(6, 5)), Canvas::new(Size::new(6, 5)));
            let Ok(()) = fast.fill_contiguous(&area, (0..(w * h) as usize).map(colour));
            let pixels = embedded_graphics::prelude::PointsIter::points(&area).enumerate();
            let Ok(()) = slow.draw_iter(pixels.map(|(i, point)| Pixel(point, colour(i))));
            assert_eq!(colours(&fast), colours(&slow));
            let Ok(()) = fast.fill_solid(&area, Rgb888::WHITE);
            let points = embedded_graphics::prelude::PointsIter::points(&area);
            let Ok(()) = slow.draw_iter(points.map(|point| Pixel(point, Rgb888::WHITE)));
            assert_eq!(colours(&fast), colours(&slow));
        }
    }
}
