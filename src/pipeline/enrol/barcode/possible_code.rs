//! What lies between two bright margins of a line: mostly no code, which is told from it by little work.

use super::drawing::{Geometry, mean};
use super::symbol::{Symbol, is_checked};
use std::ops::Range;

/// Widths of an edge from sharp to far out of focus, pixels.
const EDGES: [f32; 4] = [1.4, 2.4, 3.4, 4.6];
/// The outer bars begin so far inside the bright margins' ends, pixels.
const INSIDE: [f32; 9] = [-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5];
/// Ink differs from paper by more, grey levels.
const LEAST_INK: f32 = 12.0;
/// Geometries that are read in full: those whose guard bars fit best.
const TRIED: usize = 4;
/// Mean squared difference at the guard bars beyond which nothing is read; of codes that were read the largest was 0.15.
const MOST_GUARD_ERROR: f32 = 0.16;
/// The same at the outer ones alone, which are six of its eleven modules: with more the middle ones could not make up for it.
const MOST_OUTER_ERROR: f32 = MOST_GUARD_ERROR * 11.0 / 6.0;
/// Changes between dark and light that a code shows at least, however blurred: 6 of codes that were read.
const LEAST_CHANGES: usize = 6;
/// And how many more than its bars have edges: 1 of codes that were read.
const MORE_CHANGES: usize = 4;
/// How dark its pixels are, 0 paper and 1 ink on average: of codes that were read -0.21 to 1.29.
const DARKNESS: Range<f32> = -0.3..1.5;
/// And its digits, where they begin roughly: 0.15 to 0.90. Most of what lies between two bright places is neither.
const DIGIT_DARKNESS: Range<f32> = 0.1..0.95;
/// Share of a line's variance that the drawing may leave, and before its geometry is refined: 0.20 of codes that were read.
const MOST_LEFT: f32 = 0.1;
const MOST_LEFT_ROUGHLY: f32 = 0.25;

/// What lies between two margins of a line and may be a code.
pub(super) struct PossibleCode {
    symbol: Symbol,
    /// How dark each pixel is, also a little into the margins: 0 is paper, about 1 ink.
    darkness: Vec<f32>,
    /// Of these the ones between the margins.
    inside: Range<usize>,
    /// The narrower margin, modules.
    pub(super) margin: f32,
}

impl PossibleCode {
    /// `None`: it cannot be this code.
    pub(super) fn between(symbol: Symbol, line: &[f32], left: &Range<usize>, right: &Range<usize>) -> Option<Self> {
        let paper = [
            mean(&line[left.end.saturating_sub(5).max(left.start)..left.end]),
            mean(&line[right.start..(right.start + 5).min(right.end)]),
        ];
        let length = (right.start - left.end) as f32;
        let first = left.end.saturating_sub(8);
        // Light may fall from one side.
        let dark = |x: usize| {
            let share = ((x as f32 - left.end as f32) / length).clamp(0.0, 1.0);
            paper[0] + share * (paper[1] - paper[0]) - line[x]
        };
        let levels: Vec<f32> = (first..(right.start + 8).min(line.len())).map(dark).collect();
        // About half of the modules are ink.
        let ink = 2.0 * levels.iter().sum::<f32>() / length;
        let code = PossibleCode {
            symbol,
            darkness: levels.iter().map(|level| level / ink).collect(),
            inside: left.end - first..right.start - first,
            margin: left.len().min(right.len()) as f32 * symbol.modules() / length,
        };
        (ink > LEAST_INK && code.is_like_a_code()).then_some(code)
    }

    /// Whether it changes between dark and light as a code does, and its digits are neither dark nor bright.
    fn is_like_a_code(&self) -> bool {
        let inside = &self.darkness[self.inside.clone()];
        let is_dark = |level: f32| level > 0.5;
        let changes = inside.windows(2).filter(|pair| is_dark(pair[0]) != is_dark(pair[1])).count();
        let Range { start, end } = self.inside;
        // Blur takes about a pixel of each margin.
        let geometry = self.geometry(start as f32 + 1.0, end as f32 - 1.0, EDGES[0]);
        let digit = |at: usize| {
            let begin = self.symbol.begin(at);
            mean(&self.darkness[geometry.pixels([begin, begin + 7.0], 0.0, self.darkness.len())])
        };
        (LEAST_CHANGES..=self.symbol.edges() + MORE_CHANGES).contains(&changes)
            && inside.iter().all(|level| DARKNESS.contains(level))
            && (0..2 * self.symbol.half).all(|at| DIGIT_DARKNESS.contains(&digit(at)))
    }

    fn geometry(&self, start: f32, end: f32, edge: f32) -> Geometry {
        Geometry { start, module: (end - start) / self.symbol.modules(), edge }
    }

    pub(super) fn mirrored(&self) -> Self {
        let length = self.darkness.len();
        let darkness = self.darkness.iter().rev().copied().collect();
        PossibleCode { darkness, inside: length - self.inside.end..length - self.inside.start, ..*self }
    }

    /// The share of the variance that the drawing leaves, and the number, read from left to right.
    pub(super) fn number(&self) -> Option<(f32, String)> {
        let roughly = self.geometries().into_iter().map(|geometry| {
            let digits = self.symbol.digits(&self.darkness, geometry);
            (self.symbol.left_over(&self.darkness, geometry, &digits), geometry, digits)
        });
        let roughly: Vec<_> = roughly.collect();
        if roughly.iter().all(|(left_over, ..)| *left_over > MOST_LEFT_ROUGHLY) {
            return None;
        }
        let refined =
            roughly.into_iter().map(|(_, geometry, digits)| self.symbol.refine(&self.darkness, geometry, digits));
        let (left_over, digits) = refined.min_by(|a, b| a.0.total_cmp(&b.0))?;
        let number = self.symbol.number(&digits)?;
        (left_over < MOST_LEFT && is_checked(&number)).then_some((left_over, number))
    }

    /// The few geometries in which the guard bars fit best.
    pub(super) fn geometries(&self) -> Vec<Geometry> {
        let mut fitting: Vec<(f32, Geometry)> = EDGES.iter().flat_map(|edge| self.geometries_with(*edge)).collect();
        fitting.sort_by(|a, b| a.0.total_cmp(&b.0));
        fitting.into_iter().take(TRIED).map(|(_, geometry)| geometry).collect()
    }

    /// Geometries of an edge in which the guard bars fit, with their mean squared difference.
    fn geometries_with(&self, edge: f32) -> Vec<(f32, Geometry)> {
        let [start, end] = [self.inside.start as f32, self.inside.end as f32];
        let guarded = self.symbol.guarded();
        let error = |geometry, guarded| self.symbol.guard_error(&self.darkness, geometry, guarded);
        // The outer bars first, each alone: how wide a module is hardly matters there, and mostly neither fits.
        let left = INSIDE.map(|inside| error(self.geometry(start + inside, end, edge), guarded[0]));
        let right = INSIDE.map(|inside| error(self.geometry(start, end - inside, edge), guarded[2]));
        let mut fitting = Vec::new();
        for (from, left) in INSIDE.iter().zip(left) {
            for (to, right) in INSIDE.iter().zip(right) {
                if left.0 + right.0 > MOST_OUTER_ERROR * (left.1 + right.1) as f32 {
                    continue;
                }
                let geometry = self.geometry(start + from, end - to, edge);
                let parts = guarded.map(|modules| error(geometry, modules));
                let (sum, count) = parts.iter().fold((0.0, 0), |(sum, count), part| (sum + part.0, count + part.1));
                fitting.push((sum / count.max(1) as f32, geometry));
            }
        }
        fitting.retain(|(error, _)| *error < MOST_GUARD_ERROR);
        fitting
    }
}
