//! The digits of a code along a line: those whose drawing is nearest to what is seen. `darkness` is what is seen, 0 paper and 1 ink.

use super::drawing::{Drawing, Geometry, mean};
use super::symbol::{Digit, Symbol};

impl Symbol {
    /// Squared difference where guard bars are, and of how many pixels.
    pub(super) fn guard_error(self, darkness: &[f32], geometry: Geometry, guarded: [f32; 2]) -> (f32, usize) {
        let pixels = geometry.pixels(guarded, 0.0, darkness.len());
        let bars = self.guards().into_iter().filter(|bar| (guarded[0]..guarded[1]).contains(bar));
        let drawn = |x: usize| bars.clone().map(|bar| geometry.shade([bar, bar + 1.0], x)).sum::<f32>();
        (pixels.clone().map(|x| (darkness[x] - drawn(x)).powi(2)).sum(), pixels.len())
    }

    /// These digits, better read in a geometry that suits them better, and the share of the variance that their drawing leaves.
    pub(super) fn refine(self, darkness: &[f32], mut geometry: Geometry, mut digits: Vec<Digit>) -> (f32, Vec<Digit>) {
        for _ in 0..2 {
            geometry = self.refined(darkness, geometry, &digits);
            digits = self.digits(darkness, geometry);
        }
        (self.left_over(darkness, geometry, &digits), digits)
    }

    /// The digits whose drawing is nearest: each in turn beside the others, until none changes.
    pub(super) fn digits(self, darkness: &[f32], geometry: Geometry) -> Vec<Digit> {
        let mut drawing = Drawing::new(geometry, darkness.len());
        self.guards().iter().for_each(|bar| drawing.add([*bar, bar + 1.0], 1.0));
        // A digit that is not known yet is grey.
        let whole = |at: usize| [self.begin(at), self.begin(at) + 7.0];
        (0..2 * self.half).for_each(|at| drawing.add(whole(at), 0.5));
        let mut chosen: Vec<Option<Digit>> = vec![None; 2 * self.half];
        for _ in 0..4 {
            let before = chosen.clone();
            let ink = drawing.ink(darkness);
            for (at, digit) in chosen.iter_mut().enumerate() {
                match *digit {
                    None => drawing.add(whole(at), -0.5),
                    Some(digit) => drawing.add_digit(self.begin(at), digit, -1.0),
                }
                *digit = drawing.nearest_digit(darkness, ink, self.begin(at), self.sets(at));
                digit.iter().for_each(|digit| drawing.add_digit(self.begin(at), *digit, 1.0));
            }
            if chosen == before {
                break;
            }
        }
        chosen.into_iter().flatten().collect()
    }

    /// The geometry that suits these digits best, near another one.
    fn refined(self, darkness: &[f32], from: Geometry, digits: &[Digit]) -> Geometry {
        let error = |geometry: Geometry| self.left_over(darkness, geometry, digits);
        let mut best = (error(from), from);
        for step in [0.5, 0.5, 0.25, 0.25, 0.12, 0.12] {
            let Geometry { start, module, edge } = best.1;
            let wider = step / self.modules();
            let near = [
                Geometry { start: start - step, module: module + wider, edge },
                Geometry { start: start + step, module: module - wider, edge },
                Geometry { start, module: module + wider, edge },
                Geometry { start, module: module - wider, edge },
                Geometry { start, module, edge: edge + 2.0 * step },
                Geometry { start, module, edge: (edge - 2.0 * step).max(1.0) },
            ];
            for geometry in near {
                let error = error(geometry);
                if error < best.0 {
                    best = (error, geometry);
                }
            }
        }
        best.1
    }

    /// The share of the variance that the drawing of these digits leaves, 0 to 1.
    pub(super) fn left_over(self, darkness: &[f32], geometry: Geometry, digits: &[Digit]) -> f32 {
        let mut drawing = Drawing::new(geometry, darkness.len());
        self.guards().iter().for_each(|bar| drawing.add([*bar, bar + 1.0], 1.0));
        digits.iter().enumerate().for_each(|(at, digit)| drawing.add_digit(self.begin(at), *digit, 1.0));
        let (ink, mean) = (drawing.ink(darkness), mean(darkness));
        let variance: f32 = darkness.iter().map(|seen| (seen - mean).powi(2)).sum();
        let error: f32 = drawing.levels.iter().zip(darkness).map(|(drawn, seen)| (seen - ink * drawn).powi(2)).sum();
        error / variance
    }
}
