//! One step: a planned kernel with its inputs and output.

use super::Home;
use super::plain::{Broadcast, Dots, Strided};
use std::fmt;
use vetrina_kernels::{Binary, Buffer, Conv, Depthwise, Level, Pool, Residual, RowPlaces, Rows, Stem, Unary, Winograd};
use vetrina_kernels::{
    Block, binary, blocked_to_last, blocked_to_planar, last_to_blocked, planar_to_blocked, unary, upsample_add,
};

/// A step of a program.
#[derive(Debug)]
pub struct GraphStep {
    pub name: String,
    pub kind: StepKind,
    /// How many maps it computes: inputs and output are as many equal parts.
    pub maps: usize,
    /// Home and length in values of each input.
    pub(super) inputs: Vec<(Home, usize)>,
    pub(super) output: (Home, usize),
}

/// Operator of a step.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // A handful of them, made once.
pub enum StepKind {
    Stem(Stem),
    /// A second input, if any, is a residual, added before the clamp.
    Conv(Conv),
    Winograd(Winograd),
    Depthwise(Depthwise),
    /// A second input, if any, is a residual, added to the output.
    Residual(Residual),
    BlockedPool(Pool),
    /// The number is the channels per place: 1 for a planar map.
    PlainPool(Pool, usize),
    /// Output size and factors. A second input, if any, is added.
    Upsample([usize; 2], [usize; 2]),
    Binary(Binary),
    Unary(Unary),
    /// Places in a plane.
    PlanarToBlocked(usize),
    BlockedToPlanar(usize),
    /// Channels and places.
    BlockedToLast(usize, usize),
    LastToBlocked(usize),
    /// Concatenation of maps along the channels, channels last.
    Concat(Vec<Part>, usize),
    /// Number of rows, and whether the product is added to the output's present values.
    Rows(Rows, RowPlaces, usize, bool),
    Broadcast(Broadcast),
    Strided(Strided),
    Dots(Dots),
    Copy,
}

/// One input of a concatenation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub channels: usize,
    pub layout: PartLayout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartLayout {
    Planar,
    Blocked,
    Last,
}

fn blocks(values: &[f32]) -> &[Block] {
    values.as_chunks().0
}

fn blocks_mut(values: &mut [f32]) -> &mut [Block] {
    values.as_chunks_mut().0
}

impl GraphStep {
    pub(super) fn run(&self, level: Level, inputs: &[&[f32]], scratch: &mut Buffer, output: &mut [f32]) {
        // Winograd takes the tiles of all maps at once.
        let runs = if let StepKind::Winograd(_) = self.kind { 1 } else { self.maps };
        if runs == 1 {
            return self.kind.run(level, inputs, scratch, output);
        }
        let length = (output.len() / runs).max(1);
        for (map, output) in output.chunks_exact_mut(length).enumerate() {
            let inputs: Vec<&[f32]> =
                inputs.iter().map(|input| &input[map * (input.len() / runs)..][..input.len() / runs]).collect();
            self.kind.run(level, &inputs, scratch, output);
        }
    }

    /// Multiply-adds of one run.
    pub fn products(&self) -> usize {
        self.maps * self.kind.products()
    }
}

impl StepKind {
    fn run(&self, level: Level, inputs: &[&[f32]], scratch: &mut Buffer, output: &mut [f32]) {
        let (first, second) = (inputs[0], inputs.get(1).copied());
        match self {
            StepKind::Stem(stem) => stem.run(first, scratch, blocks_mut(output)),
            StepKind::Conv(conv) => conv.run(blocks(first), second.map(blocks), scratch, blocks_mut(output)),
            StepKind::Winograd(conv) => conv.run(blocks(first), scratch, blocks_mut(output)),
            StepKind::Depthwise(conv) => conv.run(blocks(first), blocks_mut(output)),
            StepKind::Residual(fused) => fused.run(blocks(first), second.map(blocks), scratch, blocks_mut(output)),
            StepKind::BlockedPool(pool) => pool.run_blocked(level, blocks(first), blocks_mut(output)),
            StepKind::PlainPool(pool, channels) => pool.run_plain(*channels, first, scratch, output),
            StepKind::Upsample(size, factors) => {
                upsample_add(level, *size, *factors, second.map(blocks), blocks(first), blocks_mut(output));
            }
            StepKind::Binary(kind) => binary(level, *kind, first, second.unwrap_or(first), output),
            StepKind::Unary(kind) => unary(level, *kind, first, output),
            StepKind::PlanarToBlocked(places) => planar_to_blocked(*places, first, blocks_mut(output)),
            StepKind::BlockedToPlanar(places) => blocked_to_planar(*places, blocks(first), output),
            StepKind::BlockedToLast(channels, places) => {
                blocked_to_last(*channels, *places, blocks(first), *channels, 0, output);
            }
            StepKind::LastToBlocked(channels) => last_to_blocked(*channels, first, blocks_mut(output)),
            StepKind::Concat(parts, places) => concat(parts, *places, inputs, output),
            StepKind::Rows(rows, places, count, add) => rows.run(first, *places, *count, *add, scratch, output),
            StepKind::Broadcast(op) => op.run(first, second.unwrap_or(first), output),
            StepKind::Strided(op) => op.run(first, output),
            StepKind::Dots(op) => op.run(level, first, second.unwrap_or(first), scratch, output),
            StepKind::Copy => output.copy_from_slice(first),
        }
    }

    /// Multiply-adds for one map.
    fn products(&self) -> usize {
        match self {
            StepKind::Stem(stem) => stem.shape().products(),
            StepKind::Conv(conv) => conv.shape().products(),
            StepKind::Winograd(conv) => conv.shape().products(),
            StepKind::Depthwise(conv) => conv.shape().products(),
            StepKind::Residual(fused) => fused.products(),
            StepKind::Rows(rows, _, count, _) => rows.shape()[0] * rows.shape()[1] * count,
            StepKind::Dots(op) => op.products(),
            _ => 0,
        }
    }
}

/// Interleaves the channels of all parts, place by place.
fn concat(parts: &[Part], places: usize, inputs: &[&[f32]], output: &mut [f32]) {
    let pitch = output.len() / places;
    let mut offset = 0;
    for (Part { channels, layout }, input) in parts.iter().zip(inputs) {
        match layout {
            PartLayout::Blocked => blocked_to_last(*channels, places, blocks(input), pitch, offset, output),
            PartLayout::Last => {
                for (place, input) in output.chunks_exact_mut(pitch).zip(input.chunks_exact(*channels)) {
                    place[offset..offset + channels].copy_from_slice(input);
                }
            }
            PartLayout::Planar => {
                for (channel, plane) in input.chunks_exact(places).enumerate() {
                    let slots = output[offset + channel..].iter_mut().step_by(pitch);
                    slots.zip(plane).for_each(|(slot, value)| *slot = *value);
                }
            }
        }
        offset += channels;
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |f: &mut fmt::Formatter<'_>, name: &str, shape: &vetrina_kernels::ConvShape| {
            let ([deep, wide], [height, width]) = (shape.kernel, shape.output);
            let (inputs, outputs, stride) = (shape.inputs, shape.outputs, shape.stride);
            write!(f, "{name} {deep}x{wide}/{stride} {inputs} -> {outputs}, {height}x{width}")
        };
        match self {
            StepKind::Stem(stem) => of(f, "stem", stem.shape()),
            StepKind::Conv(conv) => of(f, "convolution", conv.shape()),
            StepKind::Winograd(conv) => of(f, "winograd", conv.shape()),
            StepKind::Depthwise(conv) => {
                let shape = conv.shape();
                let (side, stride, [height, width]) = (shape.side, shape.stride, shape.output);
                write!(f, "depthwise {side}x{side}/{stride} {}, {height}x{width}", shape.channels)
            }
            StepKind::Residual(fused) => {
                let [height, width] = fused.output();
                write!(f, "inverted residual, {height}x{width}")
            }
            StepKind::Rows(rows, _, count, _) => write!(f, "rows {count} x {} -> {}", rows.shape()[0], rows.shape()[1]),
            StepKind::BlockedPool(_) | StepKind::PlainPool(..) => f.write_str("pool"),
            StepKind::Upsample(..) => f.write_str("upsample"),
            StepKind::Binary(kind) => write!(f, "{kind:?}"),
            StepKind::Unary(kind) => write!(f, "{kind:?}"),
            StepKind::Broadcast(_) => f.write_str("broadcast"),
            StepKind::Dots(_) => f.write_str("products"),
            StepKind::Concat(..) => f.write_str("concatenation"),
            StepKind::PlanarToBlocked(_)
            | StepKind::BlockedToPlanar(_)
            | StepKind::BlockedToLast(..)
            | StepKind::LastToBlocked(_) => f.write_str("layout"),
            StepKind::Strided(_) | StepKind::Copy => f.write_str("copy"),
        }
    }
}
