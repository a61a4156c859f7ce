//! 3x3 convolution at stride 1 by Winograd's F(4x4, 3x3): 36 products for 16 places instead of 144.
//!
//! Tiles of 6x6 places, 4 apart, are transformed, multiplied as 36 pointwise convolutions (one per place of the tile)
//! and transformed back to 4x4 places.

use crate::conv::{Conv, ConvShape};
use crate::dispatch::on;
use crate::tile::Vector;
use crate::{Block, Buffer, Clamp, Level, UNCLAMPED, blocks, pack_bias};
use fearless_simd::Simd;
use fearless_simd::prelude::*;
use std::ops::Range;

/// Side of a transformed tile.
const TILE: usize = 6;
/// Side of an output tile.
const STEP: usize = 4;

/// Interpolation points besides 0 and infinity: plus and minus these two. They have the same ratio as the usual 1 and
/// 2, but smaller squares: intermediate values stay smaller, and the error is about that of the direct sum instead of
/// 2.5 times it.
const NEAR: f32 = std::f32::consts::FRAC_1_SQRT_2;
const FAR: f32 = std::f32::consts::SQRT_2;
/// Their squares.
const NEAR_2: f32 = 0.5;
const FAR_2: f32 = 2.0;

/// A planned 3x3 convolution at stride 1.
#[derive(Clone, Debug)]
pub struct Winograd {
    level: Level,
    shape: ConvShape,
    /// One pointwise product per place of a tile.
    products: Vec<Conv>,
    bias: Buffer,
    clamp: Clamp,
    /// Tiles that pass through all three steps together.
    batch: usize,
}

/// Bytes of transformed input per batch; must fit in the cache.
const BATCH: usize = 768 << 10;

impl Winograd {
    /// `weights`: outputs x inputs x 3 x 3; `bias`: one value per output channel. `shape` must have kernel 3x3, stride
    /// 1.
    pub fn new(level: Level, shape: ConvShape, weights: &[f32], bias: &[f32], clamp: Clamp) -> Self {
        let a_tile = TILE * TILE * blocks(shape.inputs) * size_of::<Block>();
        let batch = (BATCH / a_tile).next_multiple_of(12);
        let flat = ConvShape { kernel: [1, 1], before: [0, 0], input: [1, batch], output: [1, batch], ..shape };
        let (kernels, _) = weights.as_chunks::<9>();
        let products = (0..TILE * TILE).map(|place| {
            let transformed: Vec<f32> = kernels.iter().map(|kernel| transform_kernel(kernel, place)).collect();
            Conv::new(level, flat, &transformed, &[], UNCLAMPED)
        });
        let (products, bias) = (products.collect(), pack_bias(bias, blocks(shape.outputs)));
        Winograd { level, shape, products, bias, clamp, batch }
    }

    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// Tiles of one map: rows and columns of them.
    fn tiles(&self) -> [usize; 2] {
        self.shape.output.map(|side| side.div_ceil(STEP))
    }

    /// Number of the map that a tile is of, and the tile's first place in the output.
    fn place(&self, tile: usize) -> (usize, [usize; 2]) {
        let [down, across] = self.tiles();
        let within = tile % (down * across);
        (tile / (down * across), [within / across * STEP, within % across * STEP])
    }

    /// Computes whole maps, as many as `output` holds, one after the other.
    pub fn run(&self, input: &[Block], scratch: &mut Buffer, output: &mut [Block]) {
        let (inputs, outputs) = (blocks(self.shape.inputs), blocks(self.shape.outputs));
        let ([height, width], [down, across]) = (self.shape.output, self.tiles());
        let all = output.len() / (outputs * height * width) * down * across;
        let pitch = self.batch.min(all);
        let length = TILE * TILE * pitch;
        scratch.resize(length * (inputs + outputs));
        let (tiles, sums) = scratch.split_at_mut(length * inputs);
        for first in (0..all).step_by(self.batch) {
            let count = self.batch.min(all - first);
            on!(self.level, simd => self.transform_input(simd, input, first..first + count, tiles, pitch));
            let planes = tiles.chunks_exact(pitch * inputs).zip(sums.chunks_exact_mut(pitch * outputs));
            for (product, (from, to)) in self.products.iter().zip(planes) {
                product.run_places(from, pitch, 0..count, None, to, pitch, 0);
            }
            on!(self.level, simd => self.transform_output(simd, sums, pitch, first..first + count, output));
        }
    }

    /// Transforms the input into `to`: places of a tile x blocks x `pitch` tiles.
    #[inline(always)]
    fn transform_input<S: Simd>(&self, s: S, input: &[Block], tiles: Range<usize>, to: &mut [Block], pitch: usize) {
        let ([height, width], [top, left]) = (self.shape.input, self.shape.before);
        let planes = blocks(self.shape.inputs);
        for block in 0..planes {
            for (at, tile) in tiles.clone().enumerate() {
                let (map, [y, x]) = self.place(tile);
                let plane = &input[(map * planes + block) * height * width..][..height * width];
                let mut tile = [[Vector::splat(s, 0.0); TILE]; TILE];
                for (row, values) in tile.iter_mut().enumerate() {
                    let Some(row) = (y + row).checked_sub(top).filter(|row| *row < height) else { continue };
                    let row = &plane[row * width..][..width];
                    for (column, value) in values.iter_mut().enumerate() {
                        if let Some(place) = (x + column).checked_sub(left).and_then(|column| row.get(column)) {
                            *value = Vector::from_slice(s, place);
                        }
                    }
                }
                for column in 0..TILE {
                    let values = transform(s, std::array::from_fn(|row| tile[row][column]));
                    for row in 0..TILE {
                        tile[row][column] = values[row];
                    }
                }
                for (row, values) in tile.iter().enumerate() {
                    for (column, value) in transform(s, *values).iter().enumerate() {
                        let place = row * TILE + column;
                        value.store_slice(&mut to[(place * planes + block) * pitch + at]);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn transform_output<S: Simd>(&self, s: S, sums: &[Block], pitch: usize, tiles: Range<usize>, output: &mut [Block]) {
        let [height, width] = self.shape.output;
        let planes = self.bias.len();
        let [low, high] = self.clamp.map(|limit| Vector::splat(s, limit));
        for block in 0..planes {
            let bias = Vector::from_slice(s, &self.bias[block]);
            for (at, tile) in tiles.clone().enumerate() {
                let (map, [y, x]) = self.place(tile);
                let plane = &mut output[(map * planes + block) * height * width..][..height * width];
                let mut tile = [[bias; TILE]; STEP];
                for column in 0..TILE {
                    let place = |row: usize| ((row * TILE + column) * planes + block) * pitch + at;
                    let values = gather(s, std::array::from_fn(|row| Vector::from_slice(s, &sums[place(row)])));
                    for row in 0..STEP {
                        tile[row][column] = values[row];
                    }
                }
                for (row, values) in tile.iter().enumerate().take(height - y) {
                    let output = &mut plane[(y + row) * width + x..(y + row + 1) * width];
                    for (value, output) in gather(s, *values).into_iter().zip(output) {
                        (value + bias).max(low).min(high).store_slice(output);
                    }
                }
            }
        }
    }
}

/// Transform of the kernel along one axis: a row of Winograd's matrix G.
fn kernel_row(place: usize) -> [f64; 3] {
    let (near, far) = (f64::from(NEAR), f64::from(FAR));
    let (near_2, far_2) = (f64::from(NEAR_2), f64::from(FAR_2));
    let of = |point: f64, divisor: f64| [1.0 / divisor, point / divisor, point * point / divisor];
    match place {
        0 => of(0.0, near_2 * far_2),
        1 => of(near, 2.0 * near_2 * (near_2 - far_2)),
        2 => of(-near, 2.0 * near_2 * (near_2 - far_2)),
        3 => of(far, 2.0 * far_2 * (far_2 - near_2)),
        4 => of(-far, 2.0 * far_2 * (far_2 - near_2)),
        _ => [0.0, 0.0, 1.0],
    }
}

/// Value of the transformed kernel at one place of the tile.
fn transform_kernel(kernel: &[f32; 9], place: usize) -> f32 {
    let (down, across) = (kernel_row(place / TILE), kernel_row(place % TILE));
    let of = |row: usize, column: usize| down[row] * across[column] * f64::from(kernel[row * 3 + column]);
    (0..9).map(|at| of(at / 3, at % 3)).sum::<f64>() as f32
}

/// Transform of the input along one axis.
#[inline(always)]
fn transform<S: Simd>(s: S, d: [Vector<S>; TILE]) -> [Vector<S>; TILE] {
    let [near, far, near_2, far_2] = [NEAR, FAR, -NEAR_2, -FAR_2].map(|value| Vector::splat(s, value));
    let [sum, product] = [-(NEAR_2 + FAR_2), NEAR_2 * FAR_2].map(|value| Vector::splat(s, value));
    let (even, odd) = (far_2.mul_add(d[2], d[4]), near * far_2.mul_add(d[1], d[3]));
    let (far_even, far_odd) = (near_2.mul_add(d[2], d[4]), far * near_2.mul_add(d[1], d[3]));
    [
        product.mul_add(d[0], sum.mul_add(d[2], d[4])),
        even + odd,
        even - odd,
        far_even + far_odd,
        far_even - far_odd,
        product.mul_add(d[1], sum.mul_add(d[3], d[5])),
    ]
}

/// Transform of the output along one axis.
#[inline(always)]
fn gather<S: Simd>(s: S, m: [Vector<S>; TILE]) -> [Vector<S>; STEP] {
    let [near, far, near_2, far_2] = [NEAR, FAR, NEAR_2, FAR_2].map(|value| Vector::splat(s, value));
    let (even, odd) = (m[1] + m[2], near * (m[1] - m[2]));
    let (far_even, far_odd) = (m[3] + m[4], far * (m[3] - m[4]));
    [
        m[0] + (even + far_even),
        odd + far_odd,
        near_2.mul_add(even, far_2 * far_even),
        near_2.mul_add(odd, far_2.mul_add(far_odd, m[5])),
    ]
}
