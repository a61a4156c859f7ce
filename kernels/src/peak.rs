//! The processor's peak multiply-add rate, to compare kernels with.

use crate::dispatch::wide_or_narrow;
use crate::tile::Vector;
use crate::{LANES, Level};
use fearless_simd::Simd;
use fearless_simd::prelude::*;
use std::hint::black_box;

/// Runs only multiply-adds in registers, `rounds` for each sum, and returns their number.
pub fn peak_products(level: Level, rounds: usize) -> usize {
    let mut count = 0;
    wide_or_narrow!(level, simd => count = fused::<_, 24>(simd, rounds), count = fused::<_, 6>(simd, rounds));
    count
}

#[inline(always)]
fn fused<S: Simd, const SUMS: usize>(simd: S, rounds: usize) -> usize {
    let factor = Vector::from_slice(simd, &black_box([0.999; LANES]));
    let offset = Vector::from_slice(simd, &black_box([0.001; LANES]));
    let mut sums: [Vector<S>; SUMS] = [offset; SUMS];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = sum.mul_add(factor, offset);
        }
    }
    let mut all = [[0.0; LANES]; SUMS];
    for (sum, slot) in sums.iter().zip(&mut all) {
        sum.store_slice(slot);
    }
    black_box(all);
    rounds * SUMS * LANES
}
