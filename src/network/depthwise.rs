//! A 3x3 convolution of each channel by itself, with what follows it: bias and the clamp of a ReLU.
//!
//! tract's own is vectorised on x86-64 only where a row's neighbours lie side by side: not at stride 2, and not in the last
//! few columns of a row, which on a network's small maps are most of it. Here each plane is first laid out with its border
//! of zeros and, at stride 2, with even and odd columns apart; then every output row is nine products of whole vectors. The
//! sums are in tract's order without fused multiply-adds, so the values are the same to the bit.

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch, f32x8, f32x16};
use tract_onnx::tract_core::internal::*;

/// Lanes of the widest vector that is used.
const MOST_LANES: usize = 16;
/// Places of a 3x3 kernel.
const TAPS: usize = 9;

/// The operator: input 1 x c x h x w, kernel of c x 9 values and bias of c values to 1 x c x out h x out w.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Depthwise {
    pub channels: usize,
    /// Height and width.
    pub input: [usize; 2],
    pub output: [usize; 2],
    /// 1 or 2, of both axes.
    pub stride: usize,
    /// Zeros above and to the left; those below and to the right follow from the sizes.
    pub before: [usize; 2],
    /// Bits of the least and the greatest value that are let through.
    clamp: [u32; 2],
}

/// One channel's numbers.
struct Channel {
    weights: [f32; TAPS],
    bias: f32,
    clamp: [f32; 2],
}

/// A plane as the sums read it: `phases` planes of `rows` x `pitch` chunks, whose borders stay zero.
struct Padded {
    values: Vec<f32>,
    rows: usize,
    pitch: usize,
}

impl Depthwise {
    pub fn new(channels: usize, input: [usize; 2], output: [usize; 2], stride: usize, before: [usize; 2]) -> Self {
        let clamp = [f32::NEG_INFINITY.to_bits(), f32::INFINITY.to_bits()];
        Depthwise { channels, input, output, stride, before, clamp }
    }

    /// The same, followed by a limit from below.
    pub fn at_least(mut self, least: f32) -> Self {
        let [low, high] = self.clamp.map(f32::from_bits);
        self.clamp = [low.max(least).to_bits(), high.max(least).to_bits()];
        self
    }

    /// The same, followed by a limit from above.
    pub fn at_most(mut self, most: f32) -> Self {
        let [low, high] = self.clamp.map(f32::from_bits);
        self.clamp = [low.min(most).to_bits(), high.min(most).to_bits()];
        self
    }

    /// Runs all channels; the slices have the lengths that the sizes say.
    fn run(&self, input: &[f32], kernel: &[f32], bias: &[f32], output: &mut [f32]) {
        dispatch!(Level::new(), simd => self.run_on(simd, input, kernel, bias, output));
    }

    #[inline(always)]
    fn run_on<S: Simd>(&self, simd: S, input: &[f32], kernel: &[f32], bias: &[f32], output: &mut [f32]) {
        let mut padded = Padded::new(self);
        let planes = input.chunks_exact(self.input[0] * self.input[1]);
        let outputs = output.chunks_exact_mut(self.output[0] * self.output[1]);
        let clamp = self.clamp.map(f32::from_bits);
        let (kernels, _) = kernel.as_chunks::<TAPS>();
        for (((plane, out), weights), bias) in planes.zip(outputs).zip(kernels).zip(bias) {
            padded.fill(self, plane);
            let channel = Channel { weights: *weights, bias: *bias, clamp };
            if self.output[1] >= 16 {
                plane_sums::<S, f32x16<S>>(simd, self, &padded, &channel, out);
            } else {
                plane_sums::<S, f32x8<S>>(simd, self, &padded, &channel, out);
            }
        }
    }
}

impl Padded {
    fn new(op: &Depthwise) -> Self {
        let rows = op.stride * (op.output[0] - 1) + 3;
        // Room for whole vectors, each read as far as two places to the right.
        let pitch = op.output[1].next_multiple_of(MOST_LANES) + 8;
        Padded { values: vec![0.0; op.stride * rows * pitch], rows, pitch }
    }

    /// Row `y` of the columns `phase`, `phase + stride`, ...
    fn row(&self, phase: usize, y: usize) -> &[f32] {
        let start = (phase * self.rows + y) * self.pitch;
        &self.values[start..start + self.pitch]
    }

    #[inline(always)]
    fn fill(&mut self, op: &Depthwise, plane: &[f32]) {
        let [top, left] = op.before;
        for (y, source) in plane.chunks_exact(op.input[1]).enumerate().take(self.rows.saturating_sub(top)) {
            for phase in 0..op.stride {
                // The first column of the picture that belongs to this phase, and where it stands there.
                let first = (phase + left) % op.stride;
                let place = (first + left) / op.stride;
                let start = (phase * self.rows + y + top) * self.pitch;
                let row = &mut self.values[start + place..start + self.pitch];
                let source = source.get(first..).unwrap_or(&[]);
                if op.stride == 1 {
                    copy(source, row);
                } else {
                    copy_every_second(source, row);
                }
            }
        }
    }
}

/// As far as both reach; the rows are too short for a call of `memcpy` each.
#[inline(always)]
fn copy(source: &[f32], row: &mut [f32]) {
    let count = source.len().min(row.len());
    let (from, from_rest) = source[..count].as_chunks::<8>();
    let (to, to_rest) = row[..count].as_chunks_mut::<8>();
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
    for (to, from) in to_rest.iter_mut().zip(from_rest) {
        *to = *from;
    }
}

#[inline(always)]
fn copy_every_second(source: &[f32], row: &mut [f32]) {
    let (pairs, rest) = source.as_chunks::<2>();
    let count = pairs.len().min(row.len());
    for (to, pair) in row.iter_mut().zip(pairs) {
        *to = pair[0];
    }
    if let (Some(to), Some(last)) = (row.get_mut(count), rest.first()) {
        *to = *last;
    }
}

#[inline(always)]
fn plane_sums<S: Simd, V: SimdFloat<S, Element = f32>>(
    simd: S,
    op: &Depthwise,
    padded: &Padded,
    channel: &Channel,
    output: &mut [f32],
) {
    let length = op.output[1].next_multiple_of(V::LEN);
    for (y, out) in output.chunks_exact_mut(op.output[1]).enumerate() {
        let mut sources: [&[f32]; TAPS] = [&[]; TAPS];
        for (tap, source) in sources.iter_mut().enumerate() {
            let column = tap % 3;
            let row = padded.row(column % op.stride, y * op.stride + tap / 3);
            *source = &row[column / op.stride..][..length];
        }
        row_sums::<S, V>(simd, &sources, channel, out);
    }
}

/// One row of the output; `sources` are as long as its whole vectors.
#[inline(always)]
fn row_sums<S: Simd, V: SimdFloat<S, Element = f32>>(
    simd: S,
    sources: &[&[f32]; TAPS],
    channel: &Channel,
    output: &mut [f32],
) {
    let (low, high) = (V::simd_from(simd, channel.clamp[0]), V::simd_from(simd, channel.clamp[1]));
    let bias = V::simd_from(simd, channel.bias);
    for (at, out) in output.chunks_mut(V::LEN).enumerate() {
        let mut sum = bias;
        for (source, weight) in sources.iter().zip(&channel.weights) {
            sum += V::from_slice(simd, &source[at * V::LEN..(at + 1) * V::LEN]) * V::simd_from(simd, *weight);
        }
        let sum = sum.max(low).min(high);
        if out.len() == V::LEN {
            sum.store_slice(out);
        } else {
            out.copy_from_slice(&sum.as_slice()[..out.len()]);
        }
    }
}

impl Op for Depthwise {
    fn name(&self) -> StaticName {
        "Depthwise3x3".into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![format!("{self:?}")])
    }

    op_as_typed_op!();
}

impl EvalOp for Depthwise {
    op_out_of_plan!();

    fn eval(&self, _context: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let (image, kernel, bias) = args_3!(inputs);
        let mut output = Tensor::zero::<f32>(&[1, self.channels, self.output[0], self.output[1]])?;
        self.run(
            image.try_as_plain_ram()?.as_slice::<f32>()?,
            kernel.try_as_plain_ram()?.as_slice::<f32>()?,
            bias.try_as_plain_ram()?.as_slice::<f32>()?,
            output.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?,
        );
        Ok(tvec!(output.into_tvalue()))
    }
}

impl TypedOp for Depthwise {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let [height, width] = self.input;
        let volume = |fact: &TypedFact| fact.shape.volume().to_usize();
        let right = inputs.len() == 3
            && volume(inputs[0])? == self.channels * height * width
            && volume(inputs[1])? == self.channels * TAPS
            && volume(inputs[2])? == self.channels;
        ensure!(right, "a depthwise convolution's inputs do not fit its sizes");
        Ok(tvec!(f32::fact([1, self.channels, self.output[0], self.output[1]])))
    }

    as_op!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_definition(op: &Depthwise, input: &[f32], kernel: &[f32], bias: &[f32]) -> Vec<f32> {
        let ([height, width], [low, high]) = (op.input, op.clamp.map(f32::from_bits));
        let at = |channel: usize, y: isize, x: isize| {
            let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
            if inside { input[(channel * height + y as usize) * width + x as usize] } else { 0.0 }
        };
        let mut all = Vec::new();
        for (channel, bias) in bias.iter().enumerate() {
            for place in 0..op.output[0] * op.output[1] {
                let (y, x) = (op.stride * (place / op.output[1]), op.stride * (place % op.output[1]));
                let mut sum = *bias;
                for tap in 0..TAPS {
                    let y = (y + tap / 3) as isize - op.before[0] as isize;
                    let x = (x + tap % 3) as isize - op.before[1] as isize;
                    sum += kernel[channel * TAPS + tap] * at(channel, y, x);
                }
                all.push(sum.max(low).min(high));
            }
        }
        all
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition_to_the_bit(
            sides in (1usize..40, 1usize..40),
            before in (0usize..3, 0usize..3),
            after in (0usize..3, 0usize..3),
            stride in 1usize..3,
            seed in any::<u32>(),
        ) {
            let padded = [sides.0 + before.0 + after.0, sides.1 + before.1 + after.1];
            prop_assume!(padded.iter().all(|side| *side >= 3));
            let output = padded.map(|side| (side - 3) / stride + 1);
            let op = Depthwise::new(2, [sides.0, sides.1], output, stride, [before.0, before.1]).at_least(0.0).at_most(6.0);
            let mut state = u64::from(seed);
            let mut noise = |count: usize| -> Vec<f32> {
                (0..count)
                    .map(|_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        (state >> 40) as f32 / (1u64 << 22) as f32 - 2.0
                    })
                    .collect()
            };
            let (input, kernel, bias) = (noise(2 * sides.0 * sides.1), noise(2 * TAPS), noise(2));
            let mut ours = vec![f32::NAN; 2 * output[0] * output[1]];
            op.run(&input, &kernel, &bias, &mut ours);
            prop_assert_eq!(ours, by_definition(&op, &input, &kernel, &bias));
        }
    }

    #[test]
    fn limits_are_taken_in_order() {
        let op = Depthwise::new(1, [3, 3], [1, 1], 1, [0, 0]).at_most(2.0).at_least(3.0);
        let mut output = [0.0];
        op.run(&[1.0; 9], &[1.0; 9], &[0.0], &mut output);
        assert_eq!(output, [3.0]);
    }
}
