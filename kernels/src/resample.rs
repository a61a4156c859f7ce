//! Resampling of interleaved RGB rows to a network's input: sums of blocks, and the two passes of bilinear interpolation.

use crate::Level;
use crate::dispatch::on;
use fearless_simd::Simd;

/// Adds the values of `row` to `sums`, which is as long.
pub fn add_row(level: Level, row: &[u8], sums: &mut [u32]) {
    on!(level, simd => add_bytes(simd, row, sums));
}

#[inline(always)]
fn add_bytes<S: Simd>(_: S, row: &[u8], sums: &mut [u32]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += u32::from(*value);
    }
}

/// `wide[i]` = the sum of `count` values of `sums`, 3 apart, from `sums[i]` on: of neighbouring pixels' values of one channel. Only as many are written as
/// have all their terms.
pub fn add_neighbours(level: Level, sums: &[u32], count: usize, wide: &mut [u32]) {
    on!(level, simd => add_shifted(simd, sums, count, wide));
}

#[inline(always)]
fn add_shifted<S: Simd>(_: S, sums: &[u32], count: usize, wide: &mut [u32]) {
    wide.fill(0);
    let whole = (sums.len() + 3).saturating_sub(3 * count).min(wide.len());
    for shift in 0..count {
        for (total, sum) in wide[..whole].iter_mut().zip(&sums[3 * shift..]) {
            *total += *sum;
        }
    }
}

/// Where one output column reads: a source pixel and the next one, and the weight of the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnTap {
    pub first: usize,
    pub weight: f32,
}

/// `output` = the row `above` times 1 - `weight`, plus the row `below` times `weight`; as many values as each row has.
pub fn blend_rows(level: Level, above: &[u8], below: &[u8], weight: f32, output: &mut [f32]) {
    on!(level, simd => blend(simd, above, below, weight, output));
}

#[inline(always)]
fn blend<S: Simd>(_: S, above: &[u8], below: &[u8], weight: f32, output: &mut [f32]) {
    for (value, (a, b)) in output.iter_mut().zip(above.iter().zip(below)) {
        *value = f32::from(*a) * (1.0 - weight) + f32::from(*b) * weight;
    }
}

/// One row of three planes, a value for each tap: interpolated from the interleaved `row`, then times `scale` plus `shift`, by channel. `row`
/// holds one pixel more than the picture has columns, so that the last one has a next one.
///
/// # Panics
/// When `row` ends before a tap's second pixel, or a plane's row is shorter than `taps`: the caller made all of them.
pub fn resample_row(
    level: Level,
    row: &[f32],
    taps: &[ColumnTap],
    [scale, shift]: [[f32; 3]; 2],
    planes: [&mut [f32]; 3],
) {
    on!(level, simd => resample(simd, row, taps, [scale, shift], planes));
}

#[inline(always)]
fn resample<S: Simd>(
    _: S,
    row: &[f32],
    taps: &[ColumnTap],
    [scale, shift]: [[f32; 3]; 2],
    [red, green, blue]: [&mut [f32]; 3],
) {
    let (red, green, blue) = (&mut red[..taps.len()], &mut green[..taps.len()], &mut blue[..taps.len()]);
    for (x, tap) in taps.iter().enumerate() {
        let pixels: &[f32] = &row[3 * tap.first..3 * tap.first + 6];
        let value = |channel: usize| {
            let mixed = pixels[channel] * (1.0 - tap.weight) + pixels[channel + 3] * tap.weight;
            mixed * scale[channel] + shift[channel]
        };
        (red[x], green[x], blue[x]) = (value(0), value(1), value(2));
    }
}
