//! A network's first convolution: few planar channels in, a blocked map out.

use crate::dispatch::{is_wide, wide_or_narrow};
use crate::tile::Vector;
use crate::{Block, Buffer, Clamp, ConvShape, LANES, Level, blocks, pack_bias};
use fearless_simd::Simd;
use fearless_simd::prelude::*;

/// A planned convolution of a planar picture (channels x height x width), stride 2, kernel 3x3 or 7x7.
#[derive(Clone, Debug)]
pub struct Stem {
    level: Level,
    shape: ConvShape,
    /// Blocks of output channels in a tile.
    width: usize,
    /// For each panel of output channels, each input channel and each place of the kernel: `width` blocks.
    weights: Buffer,
    bias: Buffer,
    clamp: Clamp,
}

/// The only stride supported.
const STRIDE: usize = 2;

impl Stem {
    /// Whether this operator supports `shape`.
    pub fn fits(shape: &ConvShape) -> bool {
        let square = shape.kernel[0] == shape.kernel[1] && matches!(shape.kernel[0], 3 | 7);
        square && shape.inputs <= 4 && shape.stride == STRIDE
    }

    /// `weights`: outputs x inputs x side x side; `bias`: one value per output channel.
    pub fn new(level: Level, shape: ConvShape, weights: &[f32], bias: &[f32], clamp: Clamp) -> Self {
        let count = blocks(shape.outputs);
        let width = if is_wide(level) && count.is_multiple_of(2) { 2 } else { 1 };
        let taps = shape.inputs * shape.kernel[0] * shape.kernel[1];
        let mut packed = Buffer::zeros(count * taps);
        for (at, value) in weights.iter().enumerate() {
            let (output, tap) = (at / taps, at % taps);
            let block = output / LANES;
            packed[(block / width * taps + tap) * width + block % width][output % LANES] = *value;
        }
        Stem { level, shape, width, weights: packed, bias: pack_bias(bias, count), clamp }
    }

    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Convolves the whole picture.
    pub fn run(&self, input: &[f32], scratch: &mut Buffer, output: &mut [Block]) {
        let ConvShape { inputs, kernel: [side, _], output: [rows, columns], .. } = self.shape;
        // Rows under the kernel, each with padding and room for a tile that extends past the end.
        let pitch = (STRIDE * columns + side + 2 * 8 * STRIDE).next_multiple_of(LANES);
        scratch.resize(inputs * side * pitch / LANES);
        scratch.fill([0.0; LANES]);
        for row in 0..rows {
            let lines = scratch.values_mut();
            self.fill(input, row, pitch, lines);
            wide_or_narrow!(self.level, simd => match (side, self.width) {
                (3, 2) => self.row::<_, 3, 8, 2>(simd, lines, pitch, row, output),
                (3, _) => self.row::<_, 3, 8, 1>(simd, lines, pitch, row, output),
                (_, 2) => self.row::<_, 7, 8, 2>(simd, lines, pitch, row, output),
                (_, _) => self.row::<_, 7, 8, 1>(simd, lines, pitch, row, output),
            }, match side {
                3 => self.row::<_, 3, 6, 1>(simd, lines, pitch, row, output),
                _ => self.row::<_, 7, 6, 1>(simd, lines, pitch, row, output),
            });
        }
    }

    /// Copies the picture rows that one output row reads: channel by channel, top to bottom.
    fn fill(&self, input: &[f32], row: usize, pitch: usize, lines: &mut [f32]) {
        let ConvShape { kernel: [side, _], before: [top, left], input: [height, width], .. } = self.shape;
        let wide = width.min(pitch - left);
        for (line, slot) in lines.chunks_exact_mut(pitch).enumerate() {
            let slot = &mut slot[left..left + wide];
            match (row * STRIDE + line % side).checked_sub(top).filter(|y| *y < height) {
                Some(y) => slot.copy_from_slice(&input[(line / side * height + y) * width..][..wide]),
                None => slot.fill(0.0),
            }
        }
    }

    #[inline(always)]
    fn row<S: Simd, const SIDE: usize, const PLACES: usize, const WIDTH: usize>(
        &self,
        simd: S,
        lines: &[f32],
        pitch: usize,
        row: usize,
        output: &mut [Block],
    ) {
        let [rows, columns] = self.shape.output;
        let [low, high] = self.clamp.map(|limit| Vector::splat(simd, limit));
        let (weights, _) = self.weights.as_chunks::<WIDTH>();
        let taps = self.shape.inputs * SIDE * SIDE;
        for (panel, weights) in weights.chunks_exact(taps).enumerate() {
            let (weights, _) = weights.as_chunks::<SIDE>();
            for start in (0..columns).step_by(PLACES) {
                let bias = |v: usize| Vector::from_slice(simd, &self.bias[panel * WIDTH + v]);
                let mut sums: [[Vector<S>; WIDTH]; PLACES] = [std::array::from_fn(bias); PLACES];
                for (line, weights) in lines.chunks_exact(pitch).zip(weights) {
                    let line = &line[STRIDE * start..][..(PLACES - 1) * STRIDE + SIDE];
                    for (across, weights) in weights.iter().enumerate() {
                        let weights: [Vector<S>; WIDTH] =
                            std::array::from_fn(|v| Vector::from_slice(simd, &weights[v]));
                        for place in 0..PLACES {
                            let value = Vector::splat(simd, line[place * STRIDE + across]);
                            for v in 0..WIDTH {
                                sums[place][v] = value.mul_add(weights[v], sums[place][v]);
                            }
                        }
                    }
                }
                for v in 0..WIDTH {
                    let plane = (panel * WIDTH + v) * rows * columns + row * columns;
                    let output = &mut output[plane + start..plane + columns];
                    for (sums, output) in sums.iter().zip(output) {
                        sums[v].max(low).min(high).store_slice(output);
                    }
                }
            }
        }
    }
}
