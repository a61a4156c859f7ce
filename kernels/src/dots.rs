//! Products of two small matrices that both change every run, so that packing them would not pay.

use crate::dispatch::on;
use crate::tile::Vector;
use crate::{LANES, Level};
use fearless_simd::Simd;
use fearless_simd::prelude::*;

/// `output`[i, j] = row i of `rows` times row j of `columns`. Each row has `length` values.
pub fn dots(level: Level, length: usize, rows: &[f32], columns: &[f32], output: &mut [f32]) {
    let count = columns.len() / length;
    for (row, output) in rows.chunks_exact(length).zip(output.chunks_exact_mut(count)) {
        on!(level, simd => for (column, slot) in columns.chunks_exact(length).zip(output) {
            *slot = dot(simd, row, column);
        });
    }
}

#[inline(always)]
fn dot<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sum = Vector::splat(simd, 0.0);
    for (a, b) in a.iter().zip(b) {
        sum = Vector::from_slice(simd, a).mul_add(Vector::from_slice(simd, b), sum);
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sum.as_slice().iter().sum::<f32>() + rest
}
