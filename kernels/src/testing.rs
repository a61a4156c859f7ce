//! Shared by the kernels' tests: pseudo-random values, and convolution by definition in f64.

use crate::{Block, Clamp, ConvShape, blocks, planar_to_blocked};

/// Values from -1 to 1, the same on every run.
pub fn noise(length: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

pub fn to_blocked(input: &[f32], channels: usize) -> Vec<Block> {
    let places = input.len() / channels;
    let mut output = vec![[f32::NAN; 16]; blocks(channels) * places];
    planar_to_blocked(places, input, &mut output);
    output
}

/// Grouped convolution: `shape.inputs` channels per group, `groups` groups.
pub fn convolve(
    shape: &ConvShape,
    groups: usize,
    input: &[f32],
    weights: &[f32],
    bias: &[f32],
    residual: Option<&[f32]>,
    clamp: Clamp,
) -> Vec<f64> {
    let ([height, width], [rows, columns], [deep, wide]) = (shape.input, shape.output, shape.kernel);
    let mut all = Vec::new();
    for output in 0..shape.outputs {
        let group = output / (shape.outputs / groups);
        for place in 0..rows * columns {
            let mut sum = f64::from(bias[output]);
            for channel in 0..shape.inputs {
                for tap in 0..deep * wide {
                    let y = (place / columns * shape.stride + tap / wide).checked_sub(shape.before[0]);
                    let x = (place % columns * shape.stride + tap % wide).checked_sub(shape.before[1]);
                    let (Some(y), Some(x)) = (y.filter(|y| *y < height), x.filter(|x| *x < width)) else { continue };
                    let value = input[((group * shape.inputs + channel) * height + y) * width + x];
                    let weight = weights[(output * shape.inputs + channel) * deep * wide + tap];
                    sum += f64::from(value) * f64::from(weight);
                }
            }
            sum += residual.map_or(0.0, |residual| f64::from(residual[output * rows * columns + place]));
            all.push(sum.clamp(f64::from(clamp[0]), f64::from(clamp[1])));
        }
    }
    all
}

/// Maximum absolute difference between a blocked and a planar map.
pub fn difference(found: &[Block], wanted: &[f64], places: usize) -> f64 {
    let at = |index: usize| {
        let (channel, place) = (index / places, index % places);
        f64::from(found[channel / 16 * places + place][channel % 16])
    };
    wanted
        .iter()
        .enumerate()
        .map(|(index, wanted)| (at(index) - wanted).abs())
        .fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a })
}
