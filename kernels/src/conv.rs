//! Direct convolution of blocked maps: pointwise, or any kernel size at stride 1 or 2.

use crate::dispatch::{is_wide, wide_or_narrow};
use crate::tile::{Sums, Vector, add_products, places_a_tile};
use crate::{Block, Buffer, Clamp, LANES, Level, blocks, pack_bias};
use fearless_simd::Simd;
use fearless_simd::prelude::*;
use std::ops::Range;

/// Sizes of a convolution; pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: [usize; 2],
    /// 1 or 2, for both axes.
    pub stride: usize,
    /// Zero padding above and to the left. The padding below and to the right follows from the sizes.
    pub before: [usize; 2],
    pub input: [usize; 2],
    pub output: [usize; 2],
}

impl ConvShape {
    /// Multiply-adds of one run.
    pub fn products(&self) -> usize {
        let volume = |pair: [usize; 2]| pair[0] * pair[1];
        self.inputs * self.outputs * volume(self.kernel) * volume(self.output)
    }

    /// Height and width of the padded input.
    fn padded(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.output[axis] - 1) * self.stride + self.kernel[axis])
    }

    fn reads_zeros(&self) -> bool {
        let padded = self.padded();
        self.before != [0, 0] || padded[0] > self.input[0] || padded[1] > self.input[1]
    }

    /// Whether each output place reads only the same place of the input.
    pub(crate) fn is_flat(&self) -> bool {
        self.kernel == [1, 1] && self.stride == 1 && self.input == self.output && !self.reads_zeros()
    }
}

/// A planned convolution: bias, optional residual sum, clamp.
#[derive(Clone, Debug)]
pub struct Conv {
    shape: ConvShape,
    level: Level,
    /// Blocks of output channels in a tile.
    width: usize,
    /// For each panel of output channels, each place of the kernel and each input channel: `width` blocks.
    weights: Buffer,
    bias: Buffer,
    clamp: Clamp,
}

/// Input planes, one per block of channels.
#[derive(Clone, Copy)]
struct Source<'a> {
    blocks: &'a [Block],
    row: usize,
    plane: usize,
}

/// The part of the output to write: its row 0, column 0 is at `start` in each plane of `blocks`.
struct Target<'a> {
    blocks: &'a mut [Block],
    /// Added before the clamp; same layout as `blocks`.
    residual: Option<&'a [Block]>,
    row: usize,
    plane: usize,
    start: usize,
}

/// Blocks of input channels summed in registers before they are added to the total.
const PIECE: usize = 4;
/// Bytes of input per pass over the weights; must fit in the cache.
const STRIP: usize = 192 << 10;

impl Conv {
    /// `weights`: outputs x inputs x kernel height x kernel width; `bias`: one value per output channel.
    pub fn new(level: Level, shape: ConvShape, weights: &[f32], bias: &[f32], clamp: Clamp) -> Self {
        let taps = shape.kernel[0] * shape.kernel[1];
        let count = blocks(shape.outputs);
        let width =
            if is_wide(level) { [4, 3, 2].into_iter().find(|w| count.is_multiple_of(*w)).unwrap_or(1) } else { 1 };
        let mut packed = Buffer::zeros(count * taps * shape.inputs);
        for (at, value) in weights.iter().enumerate() {
            let (output, input, tap) = (at / (shape.inputs * taps), at / taps % shape.inputs, at % taps);
            let block = output / LANES;
            let row = (block / width * taps + tap) * shape.inputs + input;
            packed[row * width + block % width][output % LANES] = *value;
        }
        Conv { shape, level, width, weights: packed, bias: pack_bias(bias, count), clamp }
    }

    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Number of blocks in the output.
    pub fn output_blocks(&self) -> usize {
        self.bias.len() * self.shape.output[0] * self.shape.output[1]
    }

    /// Computes the whole map. `residual` has the layout of `output` and is added before the clamp.
    pub fn run(&self, input: &[Block], residual: Option<&[Block]>, scratch: &mut Buffer, output: &mut [Block]) {
        let ConvShape { input: [height, width], output: [rows, columns], .. } = self.shape;
        if self.shape.is_flat() {
            let places = rows * columns;
            return self.run_places(input, places, 0..places, residual, output, places, 0);
        }
        let source = if self.shape.reads_zeros() {
            let [padded, across] = self.shape.padded();
            self.pad(input, scratch);
            Source { blocks: scratch, row: across, plane: padded * across }
        } else {
            Source { blocks: input, row: width, plane: height * width }
        };
        let mut target = Target { blocks: output, residual, row: columns, plane: rows * columns, start: 0 };
        let bytes = source.row * self.shape.stride * blocks(self.shape.inputs) * size_of::<Block>();
        let strip = (STRIP / bytes).max(1);
        for first in (0..rows).step_by(strip) {
            self.run_tiles(source, first..rows.min(first + strip), 0..columns, &mut target);
        }
    }

    /// Pointwise only: computes the input places `places` (planes `plane` blocks apart) and writes them from place
    /// `start` of an output whose planes are `output_plane` blocks apart.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn run_places(
        &self,
        input: &[Block],
        plane: usize,
        places: Range<usize>,
        residual: Option<&[Block]>,
        output: &mut [Block],
        output_plane: usize,
        start: usize,
    ) {
        let source = Source { blocks: &input[places.start..], row: 0, plane };
        let mut target = Target { blocks: output, residual, row: 0, plane: output_plane, start };
        let count = places.len();
        let strip = (STRIP / 2 / (blocks(self.shape.inputs) * size_of::<Block>())).next_multiple_of(24);
        for first in (0..count).step_by(strip) {
            self.run_tiles(source, 0..1, first..count.min(first + strip), &mut target);
        }
    }

    /// Copies the input into `scratch` with zero padding.
    fn pad(&self, input: &[Block], scratch: &mut Buffer) {
        let ConvShape { input: [height, width], before: [top, left], .. } = self.shape;
        let [rows, columns] = self.shape.padded();
        let planes = blocks(self.shape.inputs);
        scratch.resize(planes * rows * columns);
        scratch.fill([0.0; LANES]);
        let (deep, wide) = (height.min(rows - top), width.min(columns - left));
        for (from, to) in input.chunks_exact(height * width).zip(scratch.chunks_exact_mut(rows * columns)) {
            for y in 0..deep {
                to[(y + top) * columns + left..][..wide].copy_from_slice(&from[y * width..][..wide]);
            }
        }
    }

    fn run_tiles(&self, source: Source, rows: Range<usize>, columns: Range<usize>, target: &mut Target) {
        wide_or_narrow!(self.level, simd =>
            self.wide(simd, source, rows, columns, target),
            self.narrow(simd, source, rows, columns, target));
    }

    #[inline(always)]
    fn wide<S: Simd>(&self, s: S, source: Source, rows: Range<usize>, columns: Range<usize>, target: &mut Target) {
        let sizes: &[usize] = match self.width {
            4 => &[6, 4],
            3 => &[8, 4],
            2 => &[12, 8, 4],
            _ => &[16, 8, 4],
        };
        let places = places_a_tile(sizes, columns.len(), self.width);
        match (self.width, places, self.shape.stride) {
            (4, 6, 1) => self.tiles::<S, 6, 4, 1>(s, source, rows, columns, target),
            (4, 4, 1) => self.tiles::<S, 4, 4, 1>(s, source, rows, columns, target),
            (4, 6, _) => self.tiles::<S, 6, 4, 2>(s, source, rows, columns, target),
            (4, 4, _) => self.tiles::<S, 4, 4, 2>(s, source, rows, columns, target),
            (3, 8, 1) => self.tiles::<S, 8, 3, 1>(s, source, rows, columns, target),
            (3, 4, 1) => self.tiles::<S, 4, 3, 1>(s, source, rows, columns, target),
            (2, 12, 1) => self.tiles::<S, 12, 2, 1>(s, source, rows, columns, target),
            (2, 8, 1) => self.tiles::<S, 8, 2, 1>(s, source, rows, columns, target),
            (2, 4, 1) => self.tiles::<S, 4, 2, 1>(s, source, rows, columns, target),
            (1, 16, 1) => self.tiles::<S, 16, 1, 1>(s, source, rows, columns, target),
            (1, 8, 1) => self.tiles::<S, 8, 1, 1>(s, source, rows, columns, target),
            (1, 4, 1) => self.tiles::<S, 4, 1, 1>(s, source, rows, columns, target),
            (4, _, stride) => self.single::<S, 4>(s, stride, source, rows, columns, target),
            (3, _, stride) => self.single::<S, 3>(s, stride, source, rows, columns, target),
            (2, _, stride) => self.single::<S, 2>(s, stride, source, rows, columns, target),
            (_, _, stride) => self.single::<S, 1>(s, stride, source, rows, columns, target),
        }
    }

    #[inline(always)]
    fn narrow<S: Simd>(&self, s: S, source: Source, rows: Range<usize>, columns: Range<usize>, target: &mut Target) {
        match (places_a_tile(&[6, 4], columns.len(), 1), self.shape.stride) {
            (6, 1) => self.tiles::<S, 6, 1, 1>(s, source, rows, columns, target),
            (4, 1) => self.tiles::<S, 4, 1, 1>(s, source, rows, columns, target),
            (6, _) => self.tiles::<S, 6, 1, 2>(s, source, rows, columns, target),
            (4, _) => self.tiles::<S, 4, 1, 2>(s, source, rows, columns, target),
            (_, stride) => self.single::<S, 1>(s, stride, source, rows, columns, target),
        }
    }

    /// One place at a time: for maps too small for tiles, and for strides that our networks do not use at that width.
    #[inline(always)]
    fn single<S: Simd, const WIDTH: usize>(
        &self,
        simd: S,
        stride: usize,
        source: Source,
        rows: Range<usize>,
        columns: Range<usize>,
        target: &mut Target,
    ) {
        let _ = stride;
        self.tiles::<S, 1, WIDTH, 1>(simd, source, rows, columns, target);
    }

    #[inline(always)]
    fn tiles<S: Simd, const PLACES: usize, const WIDTH: usize, const STRIDE: usize>(
        &self,
        simd: S,
        source: Source,
        rows: Range<usize>,
        columns: Range<usize>,
        target: &mut Target,
    ) {
        simd.vectorize(
            #[inline(always)]
            || {
                let (panels, _) = self.weights.as_chunks::<WIDTH>();
                let length = self.shape.kernel[0] * self.shape.kernel[1] * self.shape.inputs;
                for (panel, weights) in panels.chunks_exact(length).enumerate() {
                    for row in rows.clone() {
                        for column in columns.clone().step_by(PLACES) {
                            let column = column.min(columns.end - PLACES);
                            self.tile::<S, PLACES, WIDTH, STRIDE>(simd, source, panel, weights, [row, column], target);
                        }
                    }
                }
            },
        );
    }

    #[inline(always)]
    fn tile<S: Simd, const PLACES: usize, const WIDTH: usize, const STRIDE: usize>(
        &self,
        simd: S,
        source: Source,
        panel: usize,
        weights: &[[Block; WIDTH]],
        [row, column]: [usize; 2],
        target: &mut Target,
    ) {
        let mut sums: Sums<S, PLACES, WIDTH> =
            [std::array::from_fn(|v| Vector::from_slice(simd, &self.bias[panel * WIDTH + v])); PLACES];
        let start = target.start + row * target.row + column;
        let first: [usize; WIDTH] = std::array::from_fn(|v| (panel * WIDTH + v) * target.plane + start);
        if let Some(residual) = target.residual {
            for v in 0..WIDTH {
                let residual = &residual[first[v]..][..PLACES];
                for place in 0..PLACES {
                    sums[place][v] += Vector::from_slice(simd, &residual[place]);
                }
            }
        }
        let stride = self.shape.stride;
        // Long f32 sums lose precision: sum in pieces, then add the pieces.
        let mut total = [[[0.0; LANES]; WIDTH]; PLACES];
        let (mut pieces, mut summed) = (0, 0);
        for (tap, weights) in weights.chunks_exact(self.shape.inputs).enumerate() {
            let (down, across) = (tap / self.shape.kernel[1], tap % self.shape.kernel[1]);
            let start = (row * stride + down) * source.row + column * stride + across;
            let mut input = &source.blocks[start..];
            let (whole, rest) = weights.as_chunks::<LANES>();
            for piece in whole.chunks(PIECE) {
                if summed + piece.len() > PIECE {
                    move_sums(simd, &mut sums, &mut total);
                    (pieces, summed) = (pieces + 1, 0);
                }
                summed += piece.len();
                for weights in piece {
                    add_products::<S, PLACES, WIDTH, STRIDE>(simd, &mut sums, input, weights);
                    input = input.get(source.plane..).unwrap_or(&[]);
                }
            }
            if !rest.is_empty() {
                add_products::<S, PLACES, WIDTH, STRIDE>(simd, &mut sums, input, rest);
            }
        }
        if pieces > 0 {
            for place in 0..PLACES {
                for v in 0..WIDTH {
                    sums[place][v] += Vector::from_slice(simd, &total[place][v]);
                }
            }
        }
        let [low, high] = self.clamp.map(|limit| Vector::splat(simd, limit));
        for v in 0..WIDTH {
            let output = &mut target.blocks[first[v]..][..PLACES];
            for place in 0..PLACES {
                sums[place][v].max(low).min(high).store_slice(&mut output[place]);
            }
        }
    }
}

/// Adds the sums to `total` and resets them to zero.
#[inline(always)]
fn move_sums<S: Simd, const PLACES: usize, const WIDTH: usize>(
    simd: S,
    sums: &mut Sums<S, PLACES, WIDTH>,
    total: &mut [[Block; WIDTH]; PLACES],
) {
    for place in 0..PLACES {
        for v in 0..WIDTH {
            let sum = Vector::from_slice(simd, &total[place][v]) + sums[place][v];
            sum.store_slice(&mut total[place][v]);
            sums[place][v] = Vector::splat(simd, 0.0);
        }
    }
}
