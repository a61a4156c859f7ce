//! Depthwise convolution: one 3x3 or 5x5 kernel per channel, stride 1 or 2.

use crate::dispatch::on;
use crate::tile::Vector;
use crate::{Block, Buffer, Clamp, LANES, Level, blocks, pack_bias};
use fearless_simd::Simd;
use fearless_simd::prelude::*;
use std::ops::Range;

/// Places of a row computed together.
const PLACES: usize = 4;
/// Side of the largest kernel.
const LONGEST: usize = 5;

/// Sizes of a depthwise convolution; pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepthwiseShape {
    pub channels: usize,
    /// Kernel side, 3 or 5.
    pub side: usize,
    /// 1 or 2, for both axes.
    pub stride: usize,
    /// Zero padding above and to the left. The padding below and to the right follows from the sizes.
    pub before: [usize; 2],
    pub input: [usize; 2],
    pub output: [usize; 2],
}

/// A planned depthwise convolution with bias and clamp.
#[derive(Clone, Debug)]
pub struct Depthwise {
    level: Level,
    shape: DepthwiseShape,
    /// For each block of channels: side x side blocks.
    weights: Buffer,
    bias: Buffer,
    clamp: Clamp,
    /// One zero row, as long as a row of the input: the padding above and below.
    zeros: Buffer,
}

impl DepthwiseShape {
    /// Multiply-adds of one run.
    pub fn products(&self) -> usize {
        self.channels * self.side * self.side * self.output[0] * self.output[1]
    }
}

impl Depthwise {
    /// `weights`: channels x side x side; `bias`: one value per channel.
    pub fn new(level: Level, shape: DepthwiseShape, weights: &[f32], bias: &[f32], clamp: Clamp) -> Self {
        let (taps, count) = (shape.side * shape.side, blocks(shape.channels));
        let mut packed = Buffer::zeros(count * taps);
        for (at, value) in weights.iter().enumerate() {
            let (channel, tap) = (at / taps, at % taps);
            packed[channel / LANES * taps + tap][channel % LANES] = *value;
        }
        let zeros = Buffer::zeros(shape.input[1]);
        Depthwise { level, shape, weights: packed, bias: pack_bias(bias, count), clamp, zeros }
    }

    pub fn shape(&self) -> &DepthwiseShape {
        &self.shape
    }

    /// Computes the whole map.
    pub fn run(&self, input: &[Block], output: &mut [Block]) {
        let (from, to) = (self.shape.input[0] * self.shape.input[1], self.shape.output[0] * self.shape.output[1]);
        let planes = input.chunks_exact(from).zip(output.chunks_exact_mut(to));
        for (block, (plane, output)) in planes.enumerate() {
            self.run_rows(block, 0..self.shape.output[0], output, |row| {
                usize::try_from(row)
                    .ok()
                    .filter(|row| *row < self.shape.input[0])
                    .map(|row| &plane[row * self.shape.input[1]..])
            });
        }
    }

    /// Computes the output rows `rows` of one block of channels, in order. `source` returns a row of the input, or
    /// `None` outside the input.
    #[inline]
    pub(crate) fn run_rows<'a>(
        &'a self,
        block: usize,
        rows: Range<usize>,
        output: &mut [Block],
        source: impl Fn(isize) -> Option<&'a [Block]>,
    ) {
        let width = self.shape.input[1];
        for (row, output) in rows.zip(output.chunks_exact_mut(self.shape.output[1])) {
            let first = (row * self.shape.stride) as isize - self.shape.before[0] as isize;
            let mut sources: [&[Block]; LONGEST] = [&self.zeros; LONGEST];
            for (down, slot) in sources.iter_mut().enumerate().take(self.shape.side) {
                if let Some(row) = source(first + down as isize) {
                    *slot = &row[..width];
                }
            }
            on!(self.level, simd => self.row(simd, block, &sources, output));
        }
    }

    #[inline(always)]
    fn row<S: Simd>(&self, simd: S, block: usize, rows: &[&[Block]; LONGEST], output: &mut [Block]) {
        match (self.shape.side, self.shape.stride) {
            (3, 1) => self.row_of::<S, 3, 9, 1, 6>(simd, block, rows, output),
            (3, _) => self.row_of::<S, 3, 9, 2, 9>(simd, block, rows, output),
            (_, 1) => self.row_of::<S, 5, 25, 1, 8>(simd, block, rows, output),
            (_, _) => self.row_of::<S, 5, 25, 2, 11>(simd, block, rows, output),
        }
    }

    /// `COLUMNS`: input places that a tile reads per row, (`PLACES` - 1) `STRIDE` + `SIDE`.
    #[inline(always)]
    fn row_of<S: Simd, const SIDE: usize, const TAPS: usize, const STRIDE: usize, const COLUMNS: usize>(
        &self,
        simd: S,
        block: usize,
        rows: &[&[Block]; LONGEST],
        output: &mut [Block],
    ) {
        let [low, high] = self.clamp.map(|limit| Vector::splat(simd, limit));
        let Some(weights) = self.weights[block * TAPS..].first_chunk::<TAPS>() else { return };
        let bias = Vector::from_slice(simd, &self.bias[block]);
        let count = output.len();
        for start in (0..count).step_by(PLACES) {
            // The last tile overlaps its neighbour, or extends past the end of a row shorter than a tile.
            let start = start.min(count.saturating_sub(PLACES));
            let first = (start * STRIDE) as isize - self.shape.before[1] as isize;
            // Inside the row the compiler knows that every column exists; only tiles at its ends ask for each.
            let inside = usize::try_from(first).ok().filter(|first| first + COLUMNS <= rows[0].len());
            let sums = match inside {
                Some(first) => sum::<S, SIDE, STRIDE, COLUMNS>(simd, bias, weights, |down| {
                    let columns = rows[down].get(first..)?.first_chunk::<COLUMNS>()?;
                    Some(std::array::from_fn(|c| Vector::from_slice(simd, &columns[c])))
                }),
                None => sum::<S, SIDE, STRIDE, COLUMNS>(simd, bias, weights, |down| {
                    Some(std::array::from_fn(|c| column(simd, rows[down], first + c as isize)))
                }),
            };
            for (sum, output) in sums.into_iter().zip(&mut output[start..]) {
                sum.max(low).min(high).store_slice(output);
            }
        }
    }
}

/// Sums of one tile. `columns` returns the `COLUMNS` places that the tile reads of a row under the kernel.
#[inline(always)]
fn sum<S: Simd, const SIDE: usize, const STRIDE: usize, const COLUMNS: usize>(
    simd: S,
    bias: Vector<S>,
    weights: &[Block],
    columns: impl Fn(usize) -> Option<[Vector<S>; COLUMNS]>,
) -> [Vector<S>; PLACES] {
    let mut sums = [bias; PLACES];
    for (down, weights) in weights.chunks_exact(SIDE).enumerate() {
        let Some(columns) = columns(down) else { continue };
        for across in 0..SIDE {
            let weight = Vector::from_slice(simd, &weights[across]);
            for place in 0..PLACES {
                sums[place] = columns[place * STRIDE + across].mul_add(weight, sums[place]);
            }
        }
    }
    sums
}

/// One place of a row, zero outside it.
#[inline(always)]
fn column<S: Simd>(simd: S, row: &[Block], at: isize) -> Vector<S> {
    match usize::try_from(at).ok().and_then(|at| row.get(at)) {
        Some(value) => Vector::from_slice(simd, value),
        None => Vector::splat(simd, 0.0),
    }
}
