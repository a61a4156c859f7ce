//! Row-major matrix products, for a head's fully connected layers.

use crate::dispatch::{is_wide, wide_or_narrow};
use crate::tile::{Sums, Vector, add_products};
use crate::{Block, Buffer, Clamp, LANES, Level, blocks};
use fearless_simd::Simd;
use fearless_simd::prelude::*;
use std::ops::Range;

/// A planned product: rows of `inputs` values times a matrix, plus a bias, clamped.
#[derive(Clone, Debug)]
pub struct Rows {
    level: Level,
    inputs: usize,
    outputs: usize,
    /// Blocks of outputs in a tile.
    width: usize,
    /// For each piece of the inputs, each panel of outputs and each input: `width` blocks.
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

    fn of(&self, row: usize, inputs: usize) -> usize {
        self.start + row / self.group * self.jump + row % self.group * inputs
    }
}

/// Inputs summed in registers before they are added to the sums so far. A panel's weights for them stay in the first
/// cache, and summing in pieces limits rounding errors.
const PIECE: usize = 256;
/// Bytes of rows per pass over the weights; must fit in the second cache.
const STRIP: usize = 256 << 10;

/// Rows that pass through all weights together.
struct Strip<'a> {
    input: &'a [f32],
    places: RowPlaces,
    rows: Range<usize>,
    /// Whether the previous values of the output are added.
    add: bool,
}

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
            let (piece, block) = (input / PIECE * PIECE, output / LANES);
            let length = PIECE.min(inputs - piece);
            let row = piece * (count / width) + block / width * length + input - piece;
            packed[row * width + block % width][output % LANES] = *value;
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
    pub fn run(
        &self,
        input: &[f32],
        places: RowPlaces,
        count: usize,
        add: bool,
        scratch: &mut Buffer,
        output: &mut [f32],
    ) {
        let rows = (STRIP / (4 * self.inputs.min(PIECE))).next_multiple_of(24);
        for first in (0..count).step_by(rows) {
            let strip = Strip { input, places, rows: first..count.min(first + rows), add };
            wide_or_narrow!(self.level, simd => match self.width {
                4 => self.strip::<_, 6, 4>(simd, &strip, scratch, output),
                3 => self.strip::<_, 8, 3>(simd, &strip, scratch, output),
                2 => self.strip::<_, 8, 2>(simd, &strip, scratch, output),
                _ => self.strip::<_, 8, 1>(simd, &strip, scratch, output),
            }, self.strip::<_, 6, 1>(simd, &strip, scratch, output));
        }
    }

    /// Piece by piece through all panels: the strip's rows of a piece stay in the cache, and each weight is read once.
    #[inline(always)]
    fn strip<S: Simd, const PLACES: usize, const WIDTH: usize>(
        &self,
        simd: S,
        strip: &Strip,
        scratch: &mut Buffer,
        output: &mut [f32],
    ) {
        let (rows, panels) = (strip.rows.len(), self.bias.len() / WIDTH);
        let kept = if self.inputs > PIECE { rows * self.bias.len() } else { 0 };
        scratch.resize(kept + rows * blocks(self.inputs.min(PIECE)));
        let (sums, packed) = scratch.split_at_mut(kept);
        let (weights, _) = self.weights.as_chunks::<WIDTH>();
        for (piece, weights) in weights.chunks(PIECE * panels).enumerate() {
            let (first, length) = (piece * PIECE, weights.len() / panels);
            simd.vectorize(
                #[inline(always)]
                || self.pack::<PLACES>(strip, first..first + length, packed),
            );
            for (panel, weights) in weights.chunks_exact(length).enumerate() {
                let part = Part { panel, weights, first: piece == 0, last: first + length == self.inputs };
                self.panel::<S, PLACES, WIDTH>(simd, strip, packed, &part, sums, output);
            }
        }
    }

    /// Copies a piece of each row: for each tile of rows and each block of inputs, the rows' blocks side by side.
    #[inline(always)]
    fn pack<const PLACES: usize>(&self, strip: &Strip, inputs: Range<usize>, to: &mut [Block]) {
        let length = blocks(inputs.len());
        for (row, places) in tiles::<PLACES>(strip.rows.len()) {
            for place in 0..places {
                let start = strip.places.of(strip.rows.start + row + place, self.inputs);
                let (whole, rest) = strip.input[start..][inputs.clone()].as_chunks();
                let mut slots = to[row * length + place..].iter_mut().step_by(places);
                for (block, slot) in whole.iter().zip(&mut slots) {
                    *slot = *block;
                }
                if let Some(slot) = slots.next().filter(|_| !rest.is_empty()) {
                    slot[..rest.len()].copy_from_slice(rest);
                }
            }
        }
    }

    #[inline(always)]
    fn panel<S: Simd, const PLACES: usize, const WIDTH: usize>(
        &self,
        simd: S,
        strip: &Strip,
        packed: &[Block],
        part: &Part<WIDTH>,
        sums: &mut [Block],
        output: &mut [f32],
    ) {
        simd.vectorize(
            #[inline(always)]
            || {
                for (row, places) in tiles::<PLACES>(strip.rows.len()) {
                    let packed = &packed[row * blocks(part.weights.len())..];
                    match places {
                        1 => {
                            let tile = tile::<S, 1, WIDTH>(simd, packed, part.weights);
                            self.store(simd, &tile, strip, row, part, sums, output);
                        }
                        2 => {
                            let tile = tile::<S, 2, WIDTH>(simd, packed, part.weights);
                            self.store(simd, &tile, strip, row, part, sums, output);
                        }
                        _ => {
                            let tile = tile::<S, PLACES, WIDTH>(simd, packed, part.weights);
                            self.store(simd, &tile, strip, row, part, sums, output);
                        }
                    }
                }
            },
        );
    }

    /// Adds a tile to the sums so far, or completes the output.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn store<S: Simd, const PLACES: usize, const WIDTH: usize>(
        &self,
        simd: S,
        tile: &[[Block; WIDTH]; PLACES],
        strip: &Strip,
        row: usize,
        part: &Part<WIDTH>,
        sums: &mut [Block],
        output: &mut [f32],
    ) {
        let [low, high] = self.clamp.map(|limit| Vector::splat(simd, limit));
        for (place, tile) in tile.iter().enumerate() {
            for (v, sum) in tile.iter().enumerate() {
                let block = part.panel * WIDTH + v;
                let kept = (part.panel * strip.rows.len() + row + place) * WIDTH + v;
                let count = self.outputs.saturating_sub(block * LANES).min(LANES);
                let output = &mut output[(strip.rows.start + row + place) * self.outputs + block * LANES..][..count];
                let mut before = if part.first { [0.0; LANES] } else { sums[kept] };
                if part.first && strip.add {
                    before[..count].copy_from_slice(output);
                }
                let mut sum = Vector::from_slice(simd, sum) + Vector::from_slice(simd, &before);
                if part.first {
                    sum += Vector::from_slice(simd, &self.bias[block]);
                }
                if !part.last {
                    sum.store_slice(&mut sums[kept]);
                    continue;
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

/// Tiles of `MOST` rows, then of two and of one: first row and number of rows of each.
#[inline(always)]
fn tiles<const MOST: usize>(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let (whole, pairs) = (rows / MOST * MOST, rows / MOST * MOST + rows % MOST / 2 * 2);
    let of = |range: Range<usize>, step: usize| range.step_by(step).map(move |row| (row, step));
    of(0..whole, MOST).chain(of(whole..pairs, 2)).chain(of(pairs..rows, 1))
}

/// The products of `PLACES` packed rows with a panel's weights.
#[inline(always)]
fn tile<S: Simd, const PLACES: usize, const WIDTH: usize>(
    simd: S,
    packed: &[Block],
    weights: &[[Block; WIDTH]],
) -> [[Block; WIDTH]; PLACES] {
    let mut sums: Sums<S, PLACES, WIDTH> = [[Vector::splat(simd, 0.0); WIDTH]; PLACES];
    for (input, weights) in packed.chunks_exact(PLACES).zip(weights.chunks(LANES)) {
        add_products::<S, PLACES, WIDTH, 1>(simd, &mut sums, input, weights);
    }
    // Via memory, so that the branches on what is stored do not force the sums out of their registers.
    let mut tile = [[[0.0; LANES]; WIDTH]; PLACES];
    for place in 0..PLACES {
        for v in 0..WIDTH {
            sums[place][v].store_slice(&mut tile[place][v]);
        }
    }
    tile
}

/// A panel of outputs for one piece of the inputs.
struct Part<'a, const WIDTH: usize> {
    panel: usize,
    weights: &'a [[Block; WIDTH]],
    /// The bias is added to the first piece, the clamp applied after the last.
    first: bool,
    last: bool,
}
