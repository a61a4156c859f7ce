//! A line of a code as a camera sees it, out of focus as it may be.

use super::symbol::{Digit, bars};
use std::array::from_fn;
use std::ops::Range;

/// Where the first bar begins, how wide a module is and how wide an edge, pixels.
#[derive(Clone, Copy)]
pub(super) struct Geometry {
    pub(super) start: f32,
    pub(super) module: f32,
    pub(super) edge: f32,
}

impl Geometry {
    /// How much of a pixel lies beyond this module, 0 to 1.
    fn beyond(&self, module: f32, pixel: usize) -> f32 {
        let x = pixel as f32 + 0.5 - self.start - module * self.module;
        let t = (x / self.edge + 0.5).clamp(0.0, 1.0);
        t * t * (3.0 - 2.0 * t)
    }

    /// How dark a bar between these modules makes a pixel, 0 to 1.
    pub(super) fn shade(&self, [from, to]: [f32; 2], pixel: usize) -> f32 {
        self.beyond(from, pixel) - self.beyond(to, pixel)
    }

    /// The pixels between these modules and so many more, of a line of this length.
    pub(super) fn pixels(&self, [from, to]: [f32; 2], more: f32, length: usize) -> Range<usize> {
        let pixel = |x: f32| (self.start + x).clamp(0.0, length as f32) as usize;
        pixel(from * self.module - more)..pixel(to * self.module + more + 1.0)
    }
}

/// A line as a camera would see it: 0 is paper, 1 ink.
pub(super) struct Drawing {
    geometry: Geometry,
    pub(super) levels: Vec<f32>,
}

impl Drawing {
    pub(super) fn new(geometry: Geometry, length: usize) -> Self {
        Drawing { geometry, levels: vec![0.0; length] }
    }

    /// Draws a bar between these modules, so dark.
    pub(super) fn add(&mut self, bar: [f32; 2], dark: f32) {
        for x in self.geometry.pixels(bar, self.geometry.edge, self.levels.len()) {
            self.levels[x] += dark * self.geometry.shade(bar, x);
        }
    }

    pub(super) fn add_digit(&mut self, begin: f32, digit: Digit, dark: f32) {
        bars(digit).into_iter().for_each(|[from, to]| self.add([begin + from, begin + to], dark));
    }

    /// How dark ink is in what was seen.
    pub(super) fn ink(&self, darkness: &[f32]) -> f32 {
        let (dot, norm) =
            self.levels.iter().zip(darkness).fold((0.0, 1e-6), |(dot, norm), (a, b)| (dot + a * b, norm + a * a));
        dot / norm
    }

    /// The digit of these sets with which the drawing is nearest.
    pub(super) fn nearest_digit(&self, darkness: &[f32], ink: f32, begin: f32, sets: Range<usize>) -> Option<Digit> {
        let pixels = self.geometry.pixels([begin, begin + 7.0], self.geometry.edge, darkness.len());
        // What lies beyond each module is the same for all digits.
        let beyond = |x: usize| -> [f32; 8] { from_fn(|module| self.geometry.beyond(begin + module as f32, x)) };
        let seen: Vec<(f32, [f32; 8])> = pixels.map(|x| (darkness[x] - ink * self.levels[x], beyond(x))).collect();
        let error = |digit: Digit| -> f32 {
            let [[a, b], [c, d]] = bars(digit).map(|bar| bar.map(|module| module as usize));
            seen.iter()
                .map(|(rest, beyond)| (rest - ink * (beyond[a] - beyond[b] + beyond[c] - beyond[d])).powi(2))
                .sum()
        };
        let possible = sets.flat_map(|set| (0..10).map(move |digit| (digit, set)));
        possible.map(|digit| (error(digit), digit)).min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, digit)| digit)
    }
}

pub(super) fn mean(levels: &[f32]) -> f32 {
    levels.iter().sum::<f32>() / levels.len() as f32
}
