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
    /// For each column of the place its two pixels, one after the other from the lowest byte.
    pairs: Vec<u64>,
    /// Two rows of the picture, scaled across: the ones that the next row of the place lies between. Here red is the lowest byte, as in
    /// the picture.
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
            pairs: vec![0; width],
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
            self.take_pairs(above);
            across(self.level, &self.pairs, &self.weights, &mut self.above);
        }
        if self.loaded.1 != below {
            self.take_pairs(below);
            across(self.level, &self.pairs, &self.weights, &mut self.below);
        }
        self.loaded = (above, below);
    }

    /// Takes from row `y` of the picture the two pixels for each column of the place.
    fn take_pairs(&mut self, y: usize) {
        let row = &self.picture.row(y)[3 * self.seen.start..3 * self.seen.end];
        let (copy, rest) = self.row.split_at_mut(row.len());
        copy.copy_from_slice(row);
        // The picture's last pixel has itself beside it.
        if let (Some(last), Some(beside)) = (row.last_chunk::<3>(), rest.first_chunk_mut::<3>()) {
            *beside = *last;
        }
        let bytes = &self.row[..];
        let (fours, rest) = self.pairs.as_chunks_mut::<4>();
        let (firsts, firsts_of_rest) = self.firsts.as_chunks::<4>();
        // Four at a time, whose reads do not wait for each other: this loop takes a third of the scaling.
        for (pairs, firsts) in fours.iter_mut().zip(firsts) {
            take(bytes, firsts, pairs);
        }
        take(bytes, firsts_of_rest, rest);
    }
}

/// Eight bytes of a row from each of these places on: two pixels, and what is behind them.
#[inline(always)]
fn take(row: &[u8], firsts: &[u32], pairs: &mut [u64]) {
    for (pair, first) in pairs.iter_mut().zip(firsts) {
        let first = *first as usize;
        let Some(Ok(two)) = row.get(first..first + 8).map(<[u8; 8]>::try_from) else { break };
        *pair = u64::from_le_bytes(two);
    }
}

/// Mixes the two pixels of each column.
fn across(level: Level, pairs: &[u64], weights: &[u32], out: &mut [u32]) {
    let pixels = out.iter_mut().zip(pairs.iter().zip(weights));
    let pixel = |two: u64| (two & 0xff_ffff) as u32;
    dispatch!(level, _simd => pixels.for_each(|(out, (two, weight))| *out = mix(pixel(*two), pixel(*two >> 24), *weight)));
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
