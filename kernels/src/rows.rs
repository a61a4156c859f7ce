//! Row-major matrix products, for a head's fully connected layers.

use crate::dispatch::{is_wide, wide_or_narrow};
use crate::tile::{Sums, Vector};
use crate::{Block, Buffer, Clamp, LANES, Level, blocks};
use fearless_simd::Simd;
use fearless_simd::prelude::*;

/// A planned product: rows of `inputs` values times a matrix, plus a bias, clamped.
#[derive(Clone, Debug)]
pub struct Rows {
    level: Level,
    inputs: usize,
    outputs: usize,
    /// Blocks of outputs in a tile.
    width: usize,
    /// For each panel of outputs and each input: `width` blocks.
    weights: Buffer,
    bias: Buffer,
    clamp: Clamp,
}

/// Where rows start: row r at `start` + r / `group` * `jump` + r % `group` * inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowPlaces {
    pub start: usize,
    pub group: usize,
    pub jump: usize,
}

impl RowPlaces {
    /// Contiguous rows.
    pub const DENSE: RowPlaces = RowPlaces { start: 0, group: usize::MAX, jump: 0 };
}

/// Inputs summed in registers before they are added to the output. A panel's weights for them stay in the cache, and
/// summing in pieces limits rounding errors.
const PIECE: usize = 256;
/// Bytes of rows per pass over the weights; must fit in the cache.
const STRIP: usize = 512 << 10;

impl Rows {
    /// `weights`: inputs x outputs, row-major; `bias`: one value per output.
    pub fn new(level: Level, [inputs, outputs]: [usize; 2], weights: &[f32], bias: &[f32], clamp: Clamp) -> Self {
        let width = if is_wide(level) {
            [4, 3, 2].into_iter().find(|w| blocks(outputs).is_multiple_of(*w)).unwrap_or(1)
        } else {
            1
        };
        let count = blocks(outputs);
        let mut packed = Buffer::zeros(count * inputs);
        for (at, value) in weights.iter().enumerate() {
            let (input, output) = (at / outputs, at % outputs);
            let block = output / LANES;
            packed[(block / width * inputs + input) * width + block % width][output % LANES] = *value;
        }
        Rows { level, inputs, outputs, width, weights: packed, bias: crate::pack_bias(bias, count), clamp }
    }

    /// Inputs and outputs of a row.
    pub fn shape(&self) -> [usize; 2] {
        [self.inputs, self.outputs]
    }

    /// Whether it is the matrix alone, without bias and clamp.
    pub fn is_linear(&self) -> bool {
        self.clamp == crate::UNCLAMPED && self.bias.values().iter().all(|value| *value == 0.0)
    }

    /// Computes `count` rows. With `add`, the previous values of `output` are added before the clamp.
    pub fn run(&self, input: &[f32], places: RowPlaces, count: usize, add: bool, output: &mut [f32]) {
        let strip = (STRIP / (4 * self.inputs.min(PIECE))).next_multiple_of(24);
        for first in (0..count).step_by(strip) {
            let rows = first..count.min(first + strip);
            wide_or_narrow!(self.level, simd => match self.width {
                4 => self.strip::<_, 6, 4>(simd, input, places, rows, add, output),
                3 => self.strip::<_, 8, 3>(simd, input, places, rows, add, output),
                2 => self.strip::<_, 8, 2>(simd, input, places, rows, add, output),
                _ => self.strip::<_, 8, 1>(simd, input, places, rows, add, output),
            }, self.strip::<_, 6, 1>(simd, input, places, rows, add, output));
        }
    }

    #[inline(always)]
    fn strip<S: Simd, const PLACES: usize, const WIDTH: usize>(
        &self,
        simd: S,
        input: &[f32],
        places: RowPlaces,
        rows: std::ops::Range<usize>,
        add: bool,
        output: &mut [f32],
    ) {
        simd.vectorize(
            #[inline(always)]
            || {
                let (panels, _) = self.weights.as_chunks::<WIDTH>();
                for (panel, weights) in panels.chunks_exact(self.inputs).enumerate() {
                    for (piece, weights) in weights.chunks(PIECE).enumerate() {
                        let part = Part {
                            panel,
                            first: piece * PIECE,
                            weights,
                            add: add || piece > 0,
                            bias: piece == 0,
                            last: (piece + 1) * PIECE >= self.inputs,
                        };
                        let mut row = rows.start;
                        while row + PLACES <= rows.end {
                            self.tile::<S, PLACES, WIDTH>(simd, input, places, row, &part, output);
                            row += PLACES;
                        }
                        while row + 2 <= rows.end {
                            self.tile::<S, 2, WIDTH>(simd, input, places, row, &part, output);
                            row += 2;
                        }
                        if row < rows.end {
                            self.tile::<S, 1, WIDTH>(simd, input, places, row, &part, output);
                        }
                    }
                }
            },
        );
    }

    #[inline(always)]
    fn tile<S: Simd, const PLACES: usize, const WIDTH: usize>(
        &self,
        simd: S,
        input: &[f32],
        places: RowPlaces,
        row: usize,
        part: &Part<WIDTH>,
        output: &mut [f32],
    ) {
        let lines: [&[f32]; PLACES] = std::array::from_fn(|place| {
            let row = row + place;
            let start = places.start + row / places.group * places.jump + row % places.group * self.inputs;
            &input[start + part.first..][..part.weights.len()]
        });
        let mut sums: Sums<S, PLACES, WIDTH> = [[Vector::splat(simd, 0.0); WIDTH]; PLACES];
        let (whole, rest) = part.weights.as_chunks::<LANES>();
        let blocks: [&[Block]; PLACES] = std::array::from_fn(|place| lines[place].as_chunks().0);
        for (block, weights) in whole.iter().enumerate() {
            let values: [&Block; PLACES] = std::array::from_fn(|place| &blocks[place][block]);
            for channel in 0..LANES {
                let weights: [Vector<S>; WIDTH] =
                    std::array::from_fn(|v| Vector::from_slice(simd, &weights[channel][v]));
                for place in 0..PLACES {
                    let value = Vector::splat(simd, values[place][channel]);
                    for v in 0..WIDTH {
                        sums[place][v] = value.mul_add(weights[v], sums[place][v]);
                    }
                }
            }
        }
        for (channel, weights) in rest.iter().enumerate() {
            for place in 0..PLACES {
                let value = Vector::splat(simd, lines[place][whole.len() * LANES + channel]);
                for v in 0..WIDTH {
                    sums[place][v] = value.mul_add(Vector::from_slice(simd, &weights[v]), sums[place][v]);
                }
            }
        }
        self.store(simd, &sums, row, part, output);
    }

    #[inline(always)]
    fn store<S: Simd, const PLACES: usize, const WIDTH: usize>(
        &self,
        simd: S,
        sums: &Sums<S, PLACES, WIDTH>,
        row: usize,
        part: &Part<WIDTH>,
        output: &mut [f32],
    ) {
        let limits = if part.last { self.clamp } else { crate::UNCLAMPED };
        let [low, high] = limits.map(|limit| Vector::splat(simd, limit));
        // Via memory, so that the branches below do not force the sums out of their registers.
        let mut tile = [[[0.0; LANES]; WIDTH]; PLACES];
        for place in 0..PLACES {
            for v in 0..WIDTH {
                sums[place][v].store_slice(&mut tile[place][v]);
            }
        }
        for (place, sums) in tile.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                let block = part.panel * WIDTH + v;
                let count = self.outputs.saturating_sub(block * LANES).min(LANES);
                let output = &mut output[(row + place) * self.outputs + block * LANES..][..count];
                let mut before = [0.0; LANES];
                if part.add {
                    before[..count].copy_from_slice(output);
                }
                let mut sum = Vector::from_slice(simd, sum) + Vector::from_slice(simd, &before);
                if part.bias {
                    sum += Vector::from_slice(simd, &self.bias[block]);
                }
                let sum = sum.max(low).min(high);
                match output.first_chunk_mut::<LANES>() {
                    Some(output) => sum.store_slice(output),
                    None => output.copy_from_slice(&sum.as_slice()[..count]),
                }
            }
        }
    }
}

/// One piece of a panel: its weights, and whether bias or clamp apply.
struct Part<'a, const WIDTH: usize> {
    panel: usize,
    /// Index of the first input.
    first: usize,
    weights: &'a [[Block; WIDTH]],
    add: bool,
    bias: bool,
    last: bool,
}
