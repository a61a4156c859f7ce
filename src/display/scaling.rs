//! Scales the camera picture, mirrored and interpolated: the larger part of the work for a screen. The loops over pixels are compiled
//! once for each instruction set and chosen when they run.

use super::mirror::Mirror;
use super::pixel::{mix, weighted};
use crate::frame::Picture;
use crate::geometry::{Camera, Panel, Rect};
use fearless_simd::{Level, dispatch};
use std::ops::Range;

/// Gives the rows of the place that a picture is scaled to, one after the other from the top.
pub struct RowScaler<'a> {
    picture: &'a Picture,
    mirror: &'a Mirror,
    /// Of the picture's pixels across, those that are seen.
    seen: Range<usize>,
    /// For each column of the place: the first of its two pixels, counted in bytes from the start of `seen`, and the second's weight in
    /// 256ths.
    firsts: Vec<u32>,
    weights: Vec<u32>,
    /// What is seen of one row of the picture, with room to read eight bytes from each pixel.
    row: Vec<u8>,
    /// Its two pixels for each column of the place. Here and in the scaled rows red is the lowest byte, as in the picture.
    left: Vec<u32>,
    right: Vec<u32>,
    /// Two rows of the picture, scaled across: the ones that the next row of the place lies between.
    above: Vec<u32>,
    below: Vec<u32>,
    loaded: (usize, usize),
    level: Level,
}

impl<'a> RowScaler<'a> {
    /// For these columns of the panel.
    pub fn new(picture: &'a Picture, mirror: &'a Mirror, columns: Range<usize>) -> Self {
        let width = columns.len();
        let taps: Vec<(usize, u32)> = columns.map(|x| tap(column(mirror, x), picture.size().width)).collect();
        let start = taps.iter().map(|(first, _)| *first).min().unwrap_or(0);
        let last = taps.iter().map(|(first, _)| *first + 1).max().unwrap_or(0);
        RowScaler {
            picture,
            mirror,
            seen: start..(last + 1).min(picture.size().width),
            firsts: taps.iter().map(|(first, _)| 3 * (first - start) as u32).collect(),
            weights: taps.iter().map(|(_, weight)| *weight).collect(),
            row: vec![0; 3 * (last + 1 - start) + 2],
            left: vec![0; width],
            right: vec![0; width],
            above: vec![0; width],
            below: vec![0; width],
            loaded: (usize::MAX, usize::MAX),
            level: Level::new(),
        }
    }

    /// The row `y` of the panel, at `light` 256ths of its brightness, into `out`, which has a pixel for each column.
    pub fn row(&mut self, y: i32, light: u32, out: &mut [u32]) {
        let centre = Rect::<Panel>::new(0.0, y as f32 + 0.5, 0.0, y as f32 + 0.5);
        let height = self.picture.size().height;
        let (above, weight) = tap(self.mirror.to_camera(centre).y1, height);
        self.load(above, (above + 1).min(height.saturating_sub(1)));
        let (a, b) = (((256 - weight) * light) >> 8, (weight * light) >> 8);
        let (above, below) = (&self.above[..], &self.below[..]);
        let pixels = out.iter_mut().zip(above.iter().zip(below));
        dispatch!(self.level, _simd => pixels.for_each(|(out, (above, below))| *out = red_first(weighted(*above, a, *below, b))));
    }

    /// Going down the panel, a row of the picture is used several times, then handed up.
    fn load(&mut self, above: usize, below: usize) {
        if self.loaded.1 == above && self.loaded.0 != above {
            std::mem::swap(&mut self.above, &mut self.below);
            self.loaded = (above, usize::MAX);
        }
        if self.loaded.0 != above {
            self.scale_across(above);
            std::mem::swap(&mut self.above, &mut self.left);
        }
        if self.loaded.1 != below {
            self.scale_across(below);
            std::mem::swap(&mut self.below, &mut self.left);
        }
        self.loaded = (above, below);
    }

    /// Scales row `y` of the picture across, into `left`.
    fn scale_across(&mut self, y: usize) {
        let row = &self.picture.row(y)[3 * self.seen.start..3 * self.seen.end];
        let (copy, rest) = self.row.split_at_mut(row.len());
        copy.copy_from_slice(row);
        // The picture's last pixel has itself beside it.
        if let (Some(last), Some(beside)) = (row.last_chunk::<3>(), rest.first_chunk_mut::<3>()) {
            *beside = *last;
        }
        let bytes = &self.row[..];
        for ((left, right), first) in self.left.iter_mut().zip(&mut self.right).zip(&self.firsts) {
            // One check of bounds: this loop takes half of the time of a drawing.
            let first = *first as usize;
            let Some(Ok(two)) = bytes.get(first..first + 8).map(<[u8; 8]>::try_from) else { continue };
            let two = u64::from_le_bytes(two);
            (*left, *right) = ((two & 0xff_ffff) as u32, (two >> 24 & 0xff_ffff) as u32);
        }
        let (left, right, weights) = (&mut self.left[..], &self.right[..], &self.weights[..]);
        let pixels = left.iter_mut().zip(right.iter().zip(weights));
        dispatch!(self.level, _simd => pixels.for_each(|(left, (right, weight))| *left = mix(*left, *right, *weight)));
    }
}

/// A pixel whose lowest byte is red, as the canvas has it: red above blue.
#[inline(always)]
fn red_first(pixel: u32) -> u32 {
    pixel.swap_bytes() >> 8
}

/// Where the middle of a column of the panel lies across the picture.
fn column(mirror: &Mirror, x: usize) -> f32 {
    let centre = Rect::<Panel>::new(x as f32 + 0.5, 0.0, x as f32 + 0.5, 0.0);
    let at: Rect<Camera> = mirror.to_camera(centre);
    at.x1
}

/// The first of the two pixels around coordinate `at` along an axis of `length` pixels, and the second's weight in 256ths.
fn tap(at: f32, length: usize) -> (usize, u32) {
    let last = length.saturating_sub(1);
    let at = (at - 0.5).clamp(0.0, last as f32);
    let first = (at as usize).min(last);
    (first, ((at - first as f32) * 256.0) as u32)
}
