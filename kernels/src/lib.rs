//! Convolutions and matrix products on one CPU core, in safe Rust.
//!
//! A feature map is stored *blocked* (NCHW16c): channels in blocks of [`LANES`], one plane per block, and one [`Block`]
//! of neighbouring channels per place (a *place* is a spatial position). A vector then holds channels, so image borders
//! need no special vectors and each weight is loaded once for several places. Channels past the last one have zero
//! weights and bias; their values are never read.
//!
//! Every operator is planned once for its sizes and a [`Level`] (instruction set). It then runs without allocating: the
//! caller keeps the scratch memory. Each instruction set has its own tile sizes: AVX-512 has 32 registers of a whole
//! block, AVX2 and NEON have fewer.

// Registers are indexed by constants; iterators would hide which values are combined.
#![allow(clippy::needless_range_loop)]
// Tiles of several blocks are for AVX-512's registers alone.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

mod buffer;
mod conv;
mod depthwise;
mod dispatch;
mod dots;
mod elementwise;
mod layout;
mod peak;
mod pool;
mod resample;
mod residual;
mod rows;
mod stem;
mod taps;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tile;
mod winograd;

pub use buffer::Buffer;
pub use conv::{Conv, ConvShape};
pub use depthwise::{Depthwise, DepthwiseShape};
pub use dispatch::levels;
pub use dots::dots;
pub use elementwise::{Binary, Unary, binary, unary};
pub use fearless_simd::Level;
pub use layout::{blocked_to_last, blocked_to_planar, last_to_blocked, planar_to_blocked};
pub use peak::peak_products;
pub use pool::{Pool, PoolKind, upsample_add};
pub use resample::{ColumnTap, add_neighbours, add_row, blend_rows, resample_row};
pub use residual::Residual;
pub use rows::{RowPlaces, Rows};
pub use stem::Stem;
pub use taps::Map;
pub use winograd::Winograd;

/// Channels in a block.
pub const LANES: usize = 16;

/// The values of `LANES` neighbouring channels at one place.
pub type Block = [f32; LANES];

/// Minimum and maximum of an operator's output.
pub type Clamp = [f32; 2];

/// No limit.
pub const UNCLAMPED: Clamp = [f32::NEG_INFINITY, f32::INFINITY];

/// Number of blocks that hold `channels`.
pub const fn blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

/// Packs one value per channel into `count` blocks, zero past the last channel.
fn pack_bias(bias: &[f32], count: usize) -> Buffer {
    let mut packed = Buffer::zeros(count);
    for (slot, value) in packed.values_mut().iter_mut().zip(bias) {
        *slot = *value;
    }
    packed
}
