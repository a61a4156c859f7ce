//! Weighted sums of places of a feature map: one bin of RoIAlign.

use crate::dispatch::on;
use crate::tile::Vector;
use crate::{LANES, Level};
use fearless_simd::Simd;
use fearless_simd::prelude::*;

/// A feature map of `places` places, blocked or with channels last.
#[derive(Clone, Copy, Debug)]
pub struct Map<'a> {
    pub data: &'a [f32],
    pub channels: usize,
    pub places: usize,
    pub blocked: bool,
}

/// Channel groups summed in registers together.
const GROUPS: usize = 4;

impl Map<'_> {
    /// Offset of the channels from `channel` on in the first place, and the stride to the next place.
    #[inline(always)]
    fn group(&self, channel: usize) -> (usize, usize) {
        if self.blocked { (channel * self.places, LANES) } else { (channel, self.channels) }
    }

    /// `output` (one value per channel) = sum of the places, each times its weight.
    pub fn weighted_sum(&self, level: Level, taps: &[(usize, f32)], output: &mut [f32]) {
        on!(level, simd => self.sum(simd, taps, output));
    }

    #[inline(always)]
    fn sum<S: Simd>(&self, simd: S, taps: &[(usize, f32)], output: &mut [f32]) {
        let whole = self.channels / LANES * LANES;
        let mut channel = 0;
        while channel + GROUPS * LANES <= whole {
            self.groups::<S, GROUPS>(simd, taps, channel, &mut output[channel..]);
            channel += GROUPS * LANES;
        }
        while channel < whole {
            self.groups::<S, 1>(simd, taps, channel, &mut output[channel..]);
            channel += LANES;
        }
        if channel == self.channels {
            return;
        }
        if self.blocked {
            // The last block is complete in memory, but its values past the last channel are not ours.
            let mut last = [0.0; LANES];
            self.groups::<S, 1>(simd, taps, channel, &mut last);
            let rest = &mut output[channel..];
            rest.copy_from_slice(&last[..rest.len()]);
        } else if let Some(start) = self.channels.checked_sub(LANES) {
            self.groups::<S, 1>(simd, taps, start, &mut output[start..]);
        } else {
            for (channel, slot) in output.iter_mut().enumerate() {
                *slot = taps.iter().map(|(place, weight)| self.data[place * self.channels + channel] * weight).sum();
            }
        }
    }

    #[inline(always)]
    fn groups<S: Simd, const COUNT: usize>(&self, simd: S, taps: &[(usize, f32)], channel: usize, output: &mut [f32]) {
        let places: [(usize, usize); COUNT] = std::array::from_fn(|group| self.group(channel + group * LANES));
        let mut sums = [Vector::splat(simd, 0.0); COUNT];
        for (place, weight) in taps {
            let weight = Vector::splat(simd, *weight);
            for (sum, (start, pitch)) in sums.iter_mut().zip(places) {
                let at = start + place * pitch;
                *sum = Vector::from_slice(simd, &self.data[at..at + LANES]).mul_add(weight, *sum);
            }
        }
        for (sum, output) in sums.iter().zip(output.chunks_exact_mut(LANES)) {
            sum.store_slice(output);
        }
    }
}
