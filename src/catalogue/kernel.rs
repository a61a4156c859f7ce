//! Inner products of many rows with one query, as wide as the processor allows.
//!
//! `fearless_simd` compiles the loops below once for each level (SSE2 to AVX-512; NEON is aarch64's baseline) and chooses
//! when they run: a binary for any x86-64 uses what the machine has, without `unsafe` here. The float loop is thirty-two
//! separate sums without fused multiply-adds, added up in one order, so every machine gives the same bits.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f32x16, i8x64, i16x32, i32x16};

/// Lanes of one vector of floats; shorter registers are used in groups.
const LANES: usize = 16;

/// `out[r] = rows[r] . query` for 32-bit floats; `rows` is row-major with `query.len()` values a row.
pub fn dots_f32(rows: &[f32], query: &[f32], out: &mut [f32]) {
    debug_assert_eq!(rows.len(), query.len() * out.len());
    dispatch!(Level::new(), simd => all_f32(simd, rows, query, out));
}

/// `out[r] = codes[r] . query` in integers, exact as long as the sums fit 32 bits.
pub fn dots_i8(codes: &[i8], query: &[i16], out: &mut [i32]) {
    debug_assert_eq!(codes.len(), query.len() * out.len());
    dispatch!(Level::new(), simd => all_i8(simd, codes, query, out));
}

#[inline(always)]
fn all_f32<S: Simd>(simd: S, rows: &[f32], query: &[f32], out: &mut [f32]) {
    for (row, out) in rows.chunks_exact(query.len()).zip(out) {
        *out = dot_f32(simd, row, query);
    }
}

#[inline(always)]
fn all_i8<S: Simd>(simd: S, codes: &[i8], query: &[i16], out: &mut [i32]) {
    for (row, out) in codes.chunks_exact(query.len()).zip(out) {
        *out = dot_i8(simd, row, query);
    }
}

#[inline(always)]
fn dot_f32<S: Simd>(simd: S, row: &[f32], query: &[f32]) -> f32 {
    let (row_chunks, row_rest) = row.as_chunks::<{ 2 * LANES }>();
    let (query_chunks, query_rest) = query.as_chunks::<{ 2 * LANES }>();
    let mut low = f32x16::splat(simd, 0.0);
    let mut high = low;
    for (r, q) in row_chunks.iter().zip(query_chunks) {
        low += f32x16::from_slice(simd, &r[..LANES]) * f32x16::from_slice(simd, &q[..LANES]);
        high += f32x16::from_slice(simd, &r[LANES..]) * f32x16::from_slice(simd, &q[LANES..]);
    }
    let mut sums: [f32; LANES] = (low + high).into();
    for (place, (r, q)) in row_rest.iter().zip(query_rest).enumerate() {
        sums[place % LANES] += r * q;
    }
    // Halving keeps the order of additions the same everywhere.
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

#[inline(always)]
fn dot_i8<S: Simd>(simd: S, row: &[i8], query: &[i16]) -> i32 {
    let (row_chunks, row_rest) = row.as_chunks::<64>();
    let (query_chunks, query_rest) = query.as_chunks::<64>();
    let mut low = i32x16::splat(simd, 0);
    let mut high = low;
    for (r, q) in row_chunks.iter().zip(query_chunks) {
        let (first, second) = i8x64::from_slice(simd, r).widen();
        low += first.pairwise_dot_product(i16x32::from_slice(simd, &q[..32]));
        high += second.pairwise_dot_product(i16x32::from_slice(simd, &q[32..]));
    }
    let rest: i32 = row_rest.iter().zip(query_rest).map(|(&r, &q)| i32::from(r) * i32::from(q)).sum();
    (low + high).reduce_sum() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integer_products_are_exact(row in prop::collection::vec(-127i8..=127, 1..300), seed in any::<u64>()) {
            let query: Vec<i16> = (0..row.len()).map(|i| ((seed.rotate_left(i as u32) % 50001) as i32 - 25000) as i16).collect();
            let mut out = [0];
            dots_i8(&row, &query, &mut out);
            let expected: i64 = row.iter().zip(&query).map(|(&r, &q)| i64::from(r) * i64::from(q)).sum();
            prop_assert_eq!(i64::from(out[0]), expected);
        }

        #[test]
        fn float_products_are_near_the_exact_ones(values in prop::collection::vec((-4f32..4.0, -4f32..4.0), 1..300)) {
            let (row, query): (Vec<f32>, Vec<f32>) = values.into_iter().unzip();
            let mut out = [0.0];
            dots_f32(&row, &query, &mut out);
            let products = row.iter().zip(&query).map(|(&r, &q)| f64::from(r) * f64::from(q));
            let (sum, size) = products.fold((0.0, 0.0), |(sum, size), p: f64| (sum + p, size + p.abs()));
            prop_assert!((f64::from(out[0]) - sum).abs() <= 1e-5 * size + 1e-12);
        }
    }
}
