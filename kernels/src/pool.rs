//! Pooling, and the upsampling of a feature pyramid.

use crate::dispatch::on;
use crate::tile::Vector;
use crate::{Block, Buffer, LANES, Level};
use fearless_simd::Simd;
use fearless_simd::prelude::*;

/// How a pool combines the places under its kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    Max,
    /// Sum divided by the size of the kernel, padding included.
    Mean,
    /// Sum divided by the number of kernel places inside the map.
    MeanInside,
}

/// A planned pool; pairs are (height, width).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    pub kind: PoolKind,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Padding above and to the left. The padding below and to the right follows from the sizes.
    pub before: [usize; 2],
    pub input: [usize; 2],
    pub output: [usize; 2],
}

impl Pool {
    /// Pools a blocked map.
    pub fn run_blocked(&self, level: Level, input: &[Block], output: &mut [Block]) {
        let (from, to) = (self.input[0] * self.input[1], self.output[0] * self.output[1]);
        for (plane, output) in input.chunks_exact(from).zip(output.chunks_exact_mut(to)) {
            on!(level, simd => self.plane(simd, plane, output));
        }
    }

    #[inline(always)]
    fn plane<S: Simd>(&self, simd: S, input: &[Block], output: &mut [Block]) {
        let start = if self.kind == PoolKind::Max { f32::NEG_INFINITY } else { 0.0 };
        for (place, output) in output.iter_mut().enumerate() {
            let rows = self.span(0, place / self.output[1]);
            let columns = self.span(1, place % self.output[1]);
            let mut sum = Vector::splat(simd, start);
            for row in rows.clone() {
                for value in &input[row * self.input[1]..][columns.clone()] {
                    let value = Vector::from_slice(simd, value);
                    sum = if self.kind == PoolKind::Max { sum.max(value) } else { sum + value };
                }
            }
            let share = self.share(rows.len() * columns.len());
            (sum * Vector::splat(simd, share)).store_slice(output);
        }
    }

    /// Pools `planes` planes of places of `channels` values each: a map with channels last, or planar with `channels` =
    /// 1.
    pub fn run_plain(&self, channels: usize, input: &[f32], scratch: &mut Buffer, output: &mut [f32]) {
        let (from, to) = (self.input[0] * self.input[1] * channels, self.output[0] * self.output[1] * channels);
        scratch.resize((self.input[1] * channels).div_ceil(LANES));
        let line = &mut scratch.values_mut()[..self.input[1] * channels];
        for (plane, output) in input.chunks_exact(from).zip(output.chunks_exact_mut(to)) {
            for (row, output) in output.chunks_exact_mut(self.output[1] * channels).enumerate() {
                self.row(channels, plane, row, line, output);
            }
        }
    }

    /// First along the columns, then along the row: both passes read neighbouring memory.
    fn row(&self, channels: usize, plane: &[f32], row: usize, line: &mut [f32], output: &mut [f32]) {
        let max = self.kind == PoolKind::Max;
        let join = |sum: &mut f32, value: &f32| *sum = if max { sum.max(*value) } else { *sum + value };
        let start = if max { f32::NEG_INFINITY } else { 0.0 };
        let rows = self.span(0, row);
        line.fill(start);
        for row in rows.clone() {
            let from = &plane[row * line.len()..][..line.len()];
            line.iter_mut().zip(from).for_each(|(sum, value)| join(sum, value));
        }
        for (column, output) in output.chunks_exact_mut(channels).enumerate() {
            let columns = self.span(1, column);
            output.fill(start);
            for place in line[columns.start * channels..columns.end * channels].chunks_exact(channels) {
                output.iter_mut().zip(place).for_each(|(sum, value)| join(sum, value));
            }
            let share = self.share(rows.len() * columns.len());
            output.iter_mut().for_each(|value| *value *= share);
        }
    }

    /// Range of input places that the kernel covers along an axis.
    fn span(&self, axis: usize, place: usize) -> std::ops::Range<usize> {
        let start = place * self.stride[axis];
        let end = (start + self.kernel[axis]).saturating_sub(self.before[axis]).min(self.input[axis]);
        start.saturating_sub(self.before[axis]).min(end)..end
    }

    fn share(&self, inside: usize) -> f32 {
        match self.kind {
            PoolKind::Max => 1.0,
            PoolKind::Mean => 1.0 / (self.kernel[0] * self.kernel[1]) as f32,
            PoolKind::MeanInside => 1.0 / inside.max(1) as f32,
        }
    }
}

/// Upsamples `coarse` by the integer `factors` (nearest neighbour) to `size` (height, width) and adds `fine` if given.
pub fn upsample_add(
    level: Level,
    size: [usize; 2],
    factors: [usize; 2],
    fine: Option<&[Block]>,
    coarse: &[Block],
    output: &mut [Block],
) {
    let small = [size[0] / factors[0], size[1] / factors[1]];
    let planes = coarse.chunks_exact(small[0] * small[1]).zip(output.chunks_exact_mut(size[0] * size[1]));
    for (block, (coarse, output)) in planes.enumerate() {
        let fine = fine.map(|fine| &fine[block * output.len()..][..output.len()]);
        on!(level, simd => for (row, output) in output.chunks_exact_mut(size[1]).enumerate() {
            let coarse = &coarse[row / factors[0] * small[1]..][..small[1]];
            let fine = fine.map(|fine| &fine[row * size[1]..][..size[1]]);
            upsample_row(simd, factors[1], fine, coarse, output);
        });
    }
}

#[inline(always)]
fn upsample_row<S: Simd>(simd: S, factor: usize, fine: Option<&[Block]>, coarse: &[Block], output: &mut [Block]) {
    for (at, (coarse, places)) in coarse.iter().zip(output.chunks_mut(factor)).enumerate() {
        let value = Vector::from_slice(simd, coarse);
        for (offset, output) in places.iter_mut().enumerate() {
            let fine =
                fine.map_or(Vector::splat(simd, 0.0), |fine| Vector::from_slice(simd, &fine[at * factor + offset]));
            (fine + value).store_slice(output);
        }
    }
}
