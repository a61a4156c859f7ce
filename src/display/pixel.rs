//! Arithmetic of pixels: red, green and blue in the low 24 bits of a word.

use embedded_graphics::pixelcolor::{Rgb888, RgbColor};

/// A colour as a pixel.
pub fn packed(colour: Rgb888) -> u32 {
    u32::from_be_bytes([0, colour.r(), colour.g(), colour.b()])
}

/// `from` towards `to` by `weight` 256ths, all three channels at once: two multiplications, since the differences are weighted.
#[inline(always)]
pub fn mix(from: u32, to: u32, weight: u32) -> u32 {
    let towards = |from: u32, to: u32| (from << 8).wrapping_add(to.wrapping_sub(from).wrapping_mul(weight));
    let red_blue = towards(from & RED_BLUE, to & RED_BLUE) >> 8 & RED_BLUE;
    let green = towards(from >> 8 & 0xff, to >> 8 & 0xff) & 0xff00;
    red_blue | green
}

/// The sum of two pixels, each with its weight; the weights together must not exceed 256.
#[inline(always)]
pub fn weighted(a: u32, a_weight: u32, b: u32, b_weight: u32) -> u32 {
    let red_blue = ((a & RED_BLUE) * a_weight + (b & RED_BLUE) * b_weight) >> 8 & RED_BLUE;
    let green = ((a >> 8 & 0xff) * a_weight + (b >> 8 & 0xff) * b_weight) & 0xff00;
    red_blue | green
}

/// Two channels of a pixel, with room for a product of each.
const RED_BLUE: u32 = 0x00ff_00ff;
