//! The design: colours, type scale, distances. Constants only; a test checks every text colour against WCAG's 4.5 : 1.
//!
//! The ground is nearly black because a mirror's glass reflects where the screen behind it is dark: unlit parts stay a mirror.
//! Lengths are in *units*: a 1080th of the panel's short side (see [`unit()`]).

use crate::geometry::Size;
use embedded_graphics::pixelcolor::Rgb888;

/// Behind everything.
pub const GROUND: Rgb888 = Rgb888::new(0x0e, 0x0d, 0x0c);
/// Outlines and empty bars on the ground.
pub const EDGE: Rgb888 = Rgb888::new(0x45, 0x3f, 0x38);
/// Cards, and the main text on the ground.
pub const IVORY: Rgb888 = Rgb888::new(0xf7, 0xf3, 0xec);
/// Second text on the ground and on the dimmed camera picture.
pub const MUTED: Rgb888 = Rgb888::new(0xc9, 0xc0, 0xb3);
/// The one accent, on dark.
pub const BRASS: Rgb888 = Rgb888::new(0xdd, 0xba, 0x80);
/// The accent on a card.
pub const BRONZE: Rgb888 = Rgb888::new(0x86, 0x5d, 0x1c);
/// Behind product pictures and QR codes, on a card.
pub const PAPER: Rgb888 = Rgb888::new(0xff, 0xff, 0xff);
/// Main text on a card, and the dark modules of a QR code.
pub const INK: Rgb888 = Rgb888::new(0x1b, 0x18, 0x15);
/// Second text on a card.
pub const INK_SOFT: Rgb888 = Rgb888::new(0x64, 0x5b, 0x51);
/// Empty bars and placeholders on a card.
pub const LINEN: Rgb888 = Rgb888::new(0xe4, 0xdc, 0xcf);
/// Something is wrong, on the ground and on the dimmed camera picture.
pub const WARNING: Rgb888 = Rgb888::new(0xff, 0xb4, 0x62);

/// How much of the camera picture is left on the attract screen, in 256ths.
pub const DIM: u32 = 76;
/// The same beside an upright picture.
pub const SURROUND: u32 = 54;
/// Opacity of a label's ground over the camera picture: enough that white clothes behind it leave 4.5 : 1.
pub const CHIP_OPACITY: f32 = 0.82;

/// Font weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weight {
    Regular,
    SemiBold,
}

/// A kind of text. `size` and `tracking` are in units in the constants below, in pixels after [`Style::at`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Style {
    pub weight: Weight,
    pub size: f32,
    /// Added after every character.
    pub tracking: f32,
}

impl Style {
    const fn new(weight: Weight, size: f32, tracking: f32) -> Self {
        Style { weight, size, tracking }
    }

    /// This style on a panel whose unit is `unit` pixels; whole pixels, so that few sizes are rasterised.
    pub fn at(self, unit: f32) -> Self {
        Style { size: (self.size * unit).round().max(8.0), tracking: self.tracking * unit, ..self }
    }

    /// Height of a line, in the unit of `size`.
    pub fn line(&self) -> f32 {
        (self.size * 1.26).round()
    }
}

/// The invitation on the attract screen.
pub const DISPLAY: Style = Style::new(Weight::Regular, 132.0, -3.5);
/// Below the invitation.
pub const LEAD: Style = Style::new(Weight::Regular, 38.0, 0.0);
/// The shop's name.
pub const SHOP: Style = Style::new(Weight::SemiBold, 30.0, 0.6);
/// A garment's name above its matches.
pub const HEADING: Style = Style::new(Weight::SemiBold, 27.0, 0.0);
/// Large words in a card without products.
pub const NOTICE: Style = Style::new(Weight::Regular, 42.0, -0.4);
/// Title of a first match that has much room.
pub const TITLE_LARGE: Style = Style::new(Weight::SemiBold, 40.0, -0.4);
/// Title of a first match.
pub const TITLE: Style = Style::new(Weight::SemiBold, 29.0, -0.1);
/// Title of an alternative, and its price.
pub const TITLE_SMALL: Style = Style::new(Weight::Regular, 22.0, 0.0);
/// Price of a first match that has much room.
pub const PRICE_LARGE: Style = Style::new(Weight::SemiBold, 36.0, 0.0);
/// Prices of first matches.
pub const PRICE: Style = Style::new(Weight::SemiBold, 28.0, 0.0);
/// Prices of alternatives.
pub const PRICE_SMALL: Style = Style::new(Weight::SemiBold, 22.0, 0.0);
/// Brand, hints.
pub const BODY: Style = Style::new(Weight::Regular, 24.0, 0.0);
/// How sure, in words.
pub const SURE: Style = Style::new(Weight::SemiBold, 20.0, 0.1);
/// How sure, on a first match that has much room.
pub const SURE_LARGE: Style = Style::new(Weight::SemiBold, 26.0, 0.1);
/// Labels on the camera picture.
pub const LABEL: Style = Style::new(Weight::SemiBold, 23.0, 0.0);
/// Brand on an alternative.
pub const BRAND_SMALL: Style = Style::new(Weight::Regular, 20.0, 0.0);
/// The privacy line.
pub const PRIVACY: Style = Style::new(Weight::Regular, 20.0, 0.0);
/// The status line.
pub const STATUS: Style = Style::new(Weight::Regular, 19.0, 0.1);

/// Between the panel's edge and text.
pub const MARGIN: f32 = 46.0;
/// Between blocks.
pub const GAP: f32 = 20.0;
/// Between cards, and between the parts of a card.
pub const GUTTER: f32 = 13.0;
/// Between a card's edge and its content.
pub const PAD: f32 = 16.0;
/// Corner radius of cards.
pub const RADIUS: f32 = 14.0;

/// Pixels a unit: a 1080th of the short side, but never so small that text cannot be read.
pub fn unit(panel: Size) -> f32 {
    (panel.width.min(panel.height) as f32 / 1080.0).max(0.55)
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::pixelcolor::RgbColor;

    fn luminance(rgb: [f64; 3]) -> f64 {
        let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
        0.2126 * linear(rgb[0]) + 0.7152 * linear(rgb[1]) + 0.0722 * linear(rgb[2])
    }

    fn channels(c: Rgb888) -> [f64; 3] {
        [c.r(), c.g(), c.b()].map(|v| f64::from(v) / 255.0)
    }

    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn every_text_colour_is_readable_on_its_ground() {
        let brightest_dimmed = [f64::from(DIM) / 256.0; 3];
        for text in [IVORY, MUTED, BRASS, WARNING] {
            assert!(contrast(channels(text), channels(GROUND)) >= 4.5, "{text:?} on the ground");
            assert!(contrast(channels(text), brightest_dimmed) >= 4.5, "{text:?} on a dimmed white picture");
        }
        for text in [INK, INK_SOFT, BRONZE] {
            assert!(contrast(channels(text), channels(IVORY)) >= 4.5, "{text:?} on a card");
        }
        let chip = channels(GROUND).map(|c| c * f64::from(CHIP_OPACITY) + 1.0 - f64::from(CHIP_OPACITY));
        assert!(contrast(channels(IVORY), chip) >= 4.5);
    }

    #[test]
    fn units_follow_the_short_side() {
        assert_eq!(unit(Size::new(1080, 1920)), 1.0);
        assert_eq!(unit(Size::new(3840, 2160)), 2.0);
        assert_eq!(unit(Size::new(480, 480)), 0.55);
    }
}
