//! Convolutions and matrix products on one CPU core, in safe Rust.
//!
//! A feature map lies *blocked*: its channels in blocks of [`LANES`], each block a plane of places, each place one [`Block`] of
//! neighbouring channels (NCHW16c). So a vector holds channels, an image's border needs no special vectors, and a product reads
//! each weight once for several places. Channels beyond the last are zero in weights and bias; their values are never read.
//!
//! Every operator is planned once, for its sizes and for a [`Level`], and then runs without allocating (scratch memory is kept
//! by the caller). Each instruction set has tiles of its own: AVX-512 has 32 registers of a whole block, AVX2 and NEON fewer.

// Registers are indexed by constants; an iterator over them would hide which value meets which.
#![allow(clippy::needless_range_loop)]
// Tiles of several blocks are for AVX-512's registers alone.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

mod bilinear;
mod buffer;
mod conv;
mod depthwise;
mod dispatch;
mod dots;
mod elementwise;
mod layout;
mod peak;
mod pool;
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

pub use bilinear::{ColumnTap, blend_rows, resample_row};
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
pub use residual::Residual;
pub use rows::{RowPlaces, Rows};
pub use stem::Stem;
pub use taps::Map;
pub use winograd::Winograd;

/// Channels of a block.
pub const LANES: usize = 16;

/// Neighbouring channels of one place.
pub type Block = [f32; LANES];

/// The least and the greatest value that an operator lets through.
pub type Clamp = [f32; 2];

/// Lets all values through.
pub const UNCLAMPED: Clamp = [f32::NEG_INFINITY, f32::INFINITY];

/// Blocks that hold `channels`.
pub const fn blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

/// One value a channel as blocks, zero beyond the last.
fn pack_bias(bias: &[f32], count: usize) -> Buffer {
    let mut packed = Buffer::zeros(count);
    for (slot, value) in packed.values_mut().iter_mut().zip(bias) {
        *slot = *value;
    }
    packed
}
