//! The innermost product: a few places times a few blocks of output channels, in registers.

use crate::{Block, LANES};
use fearless_simd::prelude::*;
use fearless_simd::{Simd, f32x16};

/// One block, in one register or as many as the instruction set needs.
pub(crate) type Vector<S> = f32x16<S>;

/// `PLACES` x `WIDTH` blocks of sums.
pub(crate) type Sums<S, const PLACES: usize, const WIDTH: usize> = [[Vector<S>; WIDTH]; PLACES];

/// Adds the products of one block of input channels; the number of channels is the number of weights. `input` begins at
/// the first place; the next place is `STRIDE` blocks further.
#[inline(always)]
pub(crate) fn add_products<S: Simd, const PLACES: usize, const WIDTH: usize, const STRIDE: usize>(
    simd: S,
    sums: &mut Sums<S, PLACES, WIDTH>,
    input: &[Block],
    weights: &[[Block; WIDTH]],
) {
    let input = &input[..(PLACES - 1) * STRIDE + 1];
    for (channel, weights) in weights.iter().enumerate().take(LANES) {
        let weights: [Vector<S>; WIDTH] = std::array::from_fn(|v| Vector::from_slice(simd, &weights[v]));
        for place in 0..PLACES {
            let value = Vector::splat(simd, input[place * STRIDE][channel]);
            for v in 0..WIDTH {
                sums[place][v] = value.mul_add(weights[v], sums[place][v]);
            }
        }
    }
}

/// Chooses the tile size with the least work for rows of `length` places. The last tile overlaps its neighbour.
pub(crate) fn places_a_tile(sizes: &[usize], length: usize, width: usize) -> usize {
    // Fixed cost of a tile, in products.
    const OVERHEAD: usize = 2;
    let cost = |places: &usize| length.div_ceil(*places) * (places * width + OVERHEAD);
    sizes.iter().copied().filter(|places| *places <= length).min_by_key(cost).unwrap_or(1)
}
