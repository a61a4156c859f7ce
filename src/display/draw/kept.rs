//! Caches between drawings: the last column of cards, product pictures at their displayed size, QR codes. Of the latter two, entries
//! unused for a while are dropped.

use super::whole;
use crate::display::canvas::Canvas;
use crate::display::qr;
use crate::display::scene::{Garment, Scene, StatusLine};
use crate::frame::Picture;
use crate::geometry::{Panel, Rect, Size};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{DrawTarget, Point};
use embedded_graphics::primitives::Rectangle;
use std::collections::HashMap;
use std::sync::Arc;

/// Drawings after which an unused entry is dropped.
const PATIENCE: u64 = 300;
/// The most entries that are kept.
const MOST: usize = 128;

/// A code as [`qr::encode`] gives it.
type Code = Vec<Vec<bool>>;

/// A picture, and it at the size shown.
type Thumbnail = (Arc<Picture>, Canvas);

struct CacheEntry<T> {
    value: T,
    used: u64,
}

#[derive(Default)]
pub struct Kept {
    now: u64,
    /// By the picture's address and displayed size. The picture is held as well, so that its address is not reused.
    thumbnails: HashMap<(usize, Size), CacheEntry<Thumbnail>>,
    codes: HashMap<String, CacheEntry<Option<Code>>>,
    /// The last screen with a column of cards, and what the column shows.
    column: Option<(ColumnContent, Canvas)>,
}

/// All that the drawing of a column of cards depends on.
#[derive(PartialEq)]
pub struct ColumnContent {
    /// Without the camera picture, the garments' places on it, and the operator's lines.
    scene: Scene,
    /// The camera picture's place.
    stage: Option<Rect<Panel>>,
    diagonal: Option<f32>,
}

impl ColumnContent {
    pub fn of(scene: &Scene, stage: Option<Rect<Panel>>, diagonal: Option<f32>) -> Self {
        let nowhere = Rect::new(0.0, 0.0, 0.0, 0.0);
        let column_part = |seen: &Garment| Garment { bounds: nowhere, label: String::new(), ..*seen };
        let garments = scene.garments.iter().map(column_part).collect();
        let status = StatusLine::default();
        let scene = Scene { camera: None, view: None, garments, status, operator: false, ..scene.clone() };
        ColumnContent { scene, stage, diagonal }
    }
}

impl Kept {
    /// Copies the parts `around` the camera picture from the last drawing, if that showed the same. False where it did not.
    pub fn copy_column(&self, content: &ColumnContent, around: &[Rect<Panel>], canvas: &mut Canvas) -> bool {
        let same = |(kept, drawn): &&(ColumnContent, Canvas)| kept == content && drawn.size() == canvas.size();
        let Some((_, drawn)) = self.column.as_ref().filter(same) else { return false };
        for part in around {
            canvas.copy_area(drawn, &whole(*part));
        }
        true
    }

    /// Keeps the parts of `canvas` that lie `around` the camera picture and show `content`.
    pub fn keep_column(&mut self, content: ColumnContent, around: &[Rect<Panel>], canvas: &Canvas) {
        let kept = self.column.take().map(|(_, drawn)| drawn).filter(|drawn| drawn.size() == canvas.size());
        let mut drawn = kept.unwrap_or_else(|| Canvas::new(canvas.size()));
        for part in around {
            drawn.copy_area(canvas, &whole(*part));
        }
        self.column = Some((content, drawn));
    }

    pub fn begin(&mut self) {
        self.now += 1;
    }

    pub fn end(&mut self) {
        forget(&mut self.thumbnails, self.now);
        forget(&mut self.codes, self.now);
    }

    /// `picture` in a tile of the size of `place`; `None` where either is empty.
    pub fn thumbnail(&mut self, picture: &Arc<Picture>, place: Rect<Panel>) -> Option<&Canvas> {
        let size = Size::new(place.width().max(0.0) as usize, place.height().max(0.0) as usize);
        if size.width * size.height == 0 || picture.size().width * picture.size().height == 0 {
            return None;
        }
        let key = (Arc::as_ptr(picture) as usize, size);
        let make = || CacheEntry { value: (picture.clone(), contain(picture, size)), used: 0 };
        let entry = self.thumbnails.entry(key).or_insert_with(make);
        entry.used = self.now;
        Some(&entry.value.1)
    }

    /// The code for `link`.
    pub fn code(&mut self, link: &str) -> Option<&Code> {
        if !self.codes.contains_key(link) {
            self.codes.insert(link.to_owned(), CacheEntry { value: qr::encode(link), used: 0 });
        }
        let entry = self.codes.get_mut(link)?;
        entry.used = self.now;
        entry.value.as_ref()
    }
}

fn forget<K, T>(kept: &mut HashMap<K, CacheEntry<T>>, now: u64) {
    let patience = if kept.len() > MOST { 0 } else { PATIENCE };
    kept.retain(|_, entry| entry.used + patience >= now);
}

/// The whole picture as large as it goes in `size`; what is left takes the colour of the picture's corners.
fn contain(picture: &Picture, size: Size) -> Canvas {
    let small = fitted(picture, size);
    let Size { width, height } = small.size();
    let mut tile = Canvas::new(size);
    tile.fill(corner_colour(picture));
    tile.copy(((size.width - width) / 2) as i32, ((size.height - height) / 2) as i32, &small);
    tile
}

/// The whole picture, which is not empty, as large as it goes in `size`.
pub fn fitted(picture: &Picture, size: Size) -> Canvas {
    let from = picture.size();
    let scale = (size.width as f32 / from.width as f32).min(size.height as f32 / from.height as f32);
    let side = |length: usize, limit: usize| ((length as f32 * scale).round() as usize).clamp(1, limit);
    let (width, height) = (side(from.width, size.width), side(from.height, size.height));
    let mut small = Canvas::new(Size::new(width, height));
    let area = Rectangle::new(Point::zero(), (width as u32, height as u32).into());
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let span = |i: usize, count: usize, length: usize| {
        let start = i * length / count;
        start..((i + 1) * length).div_ceil(count).clamp(start + 1, length)
    };
    let Ok(()) = small.fill_contiguous(
        &area,
        pixels.map(|(x, y)| mean(picture, span(x, width, from.width), span(y, height, from.height))),
    );
    small
}

/// Mean over a block of pixels: the right way to make a picture smaller.
fn mean(picture: &Picture, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> Rgb888 {
    let count = (columns.len() * rows.len()) as u32;
    let mut sums = [0u32; 3];
    for y in rows {
        for pixel in picture.row(y)[3 * columns.start..3 * columns.end].chunks_exact(3) {
            sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u32::from(*value));
        }
    }
    let [r, g, b] = sums.map(|sum| ((sum + count / 2) / count) as u8);
    Rgb888::new(r, g, b)
}

fn corner_colour(picture: &Picture) -> Rgb888 {
    let Size { width, height } = picture.size();
    let corners = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)];
    let mut sums = [0u32; 3];
    for (x, y) in corners {
        let pixel = &picture.row(y)[3 * x..3 * x + 3];
        sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u32::from(*value));
    }
    let [r, g, b] = sums.map(|sum| (sum / 4) as u8);
    Rgb888::new(r, g, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_shows_the_whole_picture_on_its_own_ground() {
        let picture = Picture::filled(Size::new(30, 90), [10, 20, 30]);
        let tile = contain(&picture, Size::new(40, 40));
        assert!(tile.pixels().iter().all(|pixel| *pixel == 0x0a_141e));
        let halves = Picture::new(Size::new(2, 1), vec![0, 0, 0, 200, 200, 200]);
        assert_eq!(contain(&halves, Size::new(1, 1)).pixel(0, 0), Rgb888::new(100, 100, 100));
    }

    #[test]
    fn what_is_not_shown_any_more_is_forgotten() {
        let mut kept = Kept::default();
        let picture = Arc::new(Picture::filled(Size::new(4, 4), [9, 9, 9]));
        kept.thumbnail(&picture, Rect::new(0.0, 0.0, 8.0, 8.0)).expect("a tile");
        kept.code("https://vetrina.example").expect("a code");
        for _ in 0..=PATIENCE + 1 {
            kept.begin();
            kept.end();
        }
        assert_eq!(Arc::strong_count(&picture), 1);
        assert!(kept.codes.is_empty());
    }
}
