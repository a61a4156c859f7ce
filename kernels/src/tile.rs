//! The innermost product: a few places times a few blocks of output channels, held in registers.

use crate::{Block, LANES};
use fearless_simd::prelude::*;
use fearless_simd::{Simd, f32x16};

/// A block in a register, or in as many as the instruction set needs.
pub(crate) type Vector<S> = f32x16<S>;

/// `PLACES` x `WIDTH` blocks of sums.
pub(crate) type Sums<S, const PLACES: usize, const WIDTH: usize> = [[Vector<S>; WIDTH]; PLACES];

/// Adds the products of one block of input channels, as many of them as there are weights. `input` begins with the first place;
/// the next is `STRIDE` blocks further.
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

/// Tile sizes for rows of `length` places: the one with the least work, tiles at the end overlapping their neighbours.
pub(crate) fn places_a_tile(sizes: &[usize], length: usize, width: usize) -> usize {
    // What a tile costs beside its products, in products.
    const OVERHEAD: usize = 2;
    let cost = |places: &usize| length.div_ceil(*places) * (places * width + OVERHEAD);
    sizes.iter().copied().filter(|places| *places <= length).min_by_key(cost).unwrap_or(1)
}
