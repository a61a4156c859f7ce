//! The design: colours, type scale, distances. What a shop may change is a [`Theme`]; the rest is constant.
//!
//! The ground is nearly black because a mirror's glass reflects where the screen behind it is dark: unlit parts stay a mirror.
//! Lengths are in *units*: a 1080th of the panel's short side (see [`unit()`]).

use crate::frame::Picture;
use crate::geometry::Size;
use cosmic_text::fontdb;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use std::path::PathBuf;
use std::sync::Arc;

/// What a shop may change of the design.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    pub colors: Colors,
    /// Shown in place of the shop's name.
    pub logo: Option<Arc<Picture>>,
    /// The shop's own typeface: files of regular and semi-bold.
    pub typeface: Option<[PathBuf; 2]>,
    /// Text is larger than usual by so many percent.
    pub larger_text: u32,
}

/// The colours, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colors {
    /// Behind everything.
    pub ground: Rgb888,
    /// Outlines on the ground.
    pub edge: Rgb888,
    /// Text on the ground and on the dimmed camera picture.
    pub text: Rgb888,
    /// Second text there.
    pub text_soft: Rgb888,
    /// The accent there.
    pub accent: Rgb888,
    /// Cards.
    pub card: Rgb888,
    /// Text on a card, and the dark modules of a QR code.
    pub card_text: Rgb888,
    /// Second text on a card.
    pub card_text_soft: Rgb888,
    /// The accent on a card.
    pub card_accent: Rgb888,
    /// Placeholders on a card.
    pub card_empty: Rgb888,
    /// Behind QR codes.
    pub paper: Rgb888,
    /// Something is wrong.
    pub warning: Rgb888,
}

pub const GROUND: Rgb888 = Rgb888::new(0x0e, 0x0d, 0x0c);
pub const EDGE: Rgb888 = Rgb888::new(0x45, 0x3f, 0x38);
pub const IVORY: Rgb888 = Rgb888::new(0xf9, 0xf5, 0xee);
pub const MUTED: Rgb888 = Rgb888::new(0xe2, 0xda, 0xce);
pub const BRASS: Rgb888 = Rgb888::new(0xee, 0xd2, 0xa2);

impl Default for Colors {
    fn default() -> Self {
        Colors {
            ground: GROUND,
            edge: EDGE,
            text: IVORY,
            text_soft: MUTED,
            accent: BRASS,
            card: Rgb888::new(0xf7, 0xf3, 0xec),
            card_text: Rgb888::new(0x1b, 0x18, 0x15),
            card_text_soft: Rgb888::new(0x52, 0x4a, 0x41),
            card_accent: Rgb888::new(0x6c, 0x4a, 0x14),
            card_empty: Rgb888::new(0xe4, 0xdc, 0xcf),
            paper: Rgb888::new(0xff, 0xff, 0xff),
            warning: Rgb888::new(0xff, 0xcb, 0x8f),
        }
    }
}

/// Text and what it stands on differ by at least this contrast (WCAG's enhanced one).
pub const CONTRAST: f64 = 7.0;
/// How much of the camera picture is left on the attract screen, in 256ths.
pub const DIM: u32 = 60;
/// Opacity of a label's ground over the camera picture: enough that white clothes behind it leave the contrast.
pub const CHIP_OPACITY: f32 = 0.86;

impl Colors {
    /// Where text is too faint: each in words. Empty where all contrasts are at least [`CONTRAST`].
    pub fn faint(&self) -> Vec<String> {
        let dimmed = [f64::from(DIM) / 256.0; 3];
        let behind_labels = channels(self.ground).map(|c| (c - 1.0) * f64::from(CHIP_OPACITY) + 1.0);
        let (ground, card) = (channels(self.ground), channels(self.card));
        let pairs = [
            ("text", self.text, "ground", ground),
            ("text", self.text, "the dimmed camera picture", dimmed),
            ("text", self.text, "labels on the camera picture", behind_labels),
            ("text_soft", self.text_soft, "ground", ground),
            ("text_soft", self.text_soft, "the dimmed camera picture", dimmed),
            ("accent", self.accent, "ground", ground),
            ("accent", self.accent, "the dimmed camera picture", dimmed),
            ("warning", self.warning, "ground", ground),
            ("warning", self.warning, "the dimmed camera picture", dimmed),
            ("card_text", self.card_text, "card", card),
            ("card_text", self.card_text, "paper", channels(self.paper)),
            ("card_text_soft", self.card_text_soft, "card", card),
            ("card_accent", self.card_accent, "card", card),
        ];
        let faint = pairs.into_iter().filter_map(|(name, color, on, ground)| {
            let contrast = contrast(channels(color), ground);
            (contrast < CONTRAST).then(|| format!("{name} on {on}: {contrast:.1} : 1"))
        });
        faint.collect()
    }
}

fn channels(color: Rgb888) -> [f64; 3] {
    [color.r(), color.g(), color.b()].map(|value| f64::from(value) / 255.0)
}

/// WCAG's contrast of two colours, 1 to 21.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
    let luminance = |rgb: [f64; 3]| 0.2126 * linear(rgb[0]) + 0.7152 * linear(rgb[1]) + 0.0722 * linear(rgb[2]);
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    a.max(b) / a.min(b)
}

/// Font weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weight {
    Regular,
    SemiBold,
}

impl Weight {
    pub fn number(self) -> u16 {
        match self {
            Weight::Regular => 400,
            Weight::SemiBold => 600,
        }
    }

    pub(super) fn of_font(self) -> fontdb::Weight {
        fontdb::Weight(self.number())
    }
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

/// The smallest size of text that matters: 20 minutes of arc on a panel of 32 inches, from two metres. What is smaller below
/// need not be read from where a shopper stands.
pub const LEAST_READABLE: f32 = 44.0;

/// The invitation on the attract screen.
pub const DISPLAY: Style = Style::new(Weight::Regular, 132.0, -3.5);
/// Below the invitation.
pub const LEAD: Style = Style::new(Weight::Regular, 48.0, 0.0);
/// Large words where there is no product.
pub const NOTICE: Style = Style::new(Weight::SemiBold, 56.0, -0.4);
/// Title of the product.
pub const TITLE: Style = Style::new(Weight::SemiBold, 52.0, -0.5);
/// Its price.
pub const PRICE: Style = Style::new(Weight::SemiBold, 56.0, -0.3);
/// How sure, in words; the words beside the code.
pub const SURE: Style = Style::new(Weight::SemiBold, 44.0, 0.0);
/// Place, sizes, stock, brand; a price before a sale.
pub const DETAIL: Style = Style::new(Weight::Regular, 44.0, -0.2);
/// Title on a tile.
pub const TILE: Style = Style::new(Weight::Regular, 44.0, -0.3);
/// Price on a tile.
pub const TILE_PRICE: Style = Style::new(Weight::SemiBold, 44.0, 0.0);
/// Labels on the camera picture.
pub const LABEL: Style = Style::new(Weight::SemiBold, 44.0, 0.0);
/// The styles of all text that matters.
pub const MATTERS: [Style; 10] = [DISPLAY, LEAD, NOTICE, TITLE, PRICE, SURE, DETAIL, TILE, TILE_PRICE, LABEL];

/// The shop's name.
pub const SHOP: Style = Style::new(Weight::SemiBold, 38.0, 0.4);
/// What a tile is, and where a code leads.
pub const FINE: Style = Style::new(Weight::Regular, 28.0, 0.1);
/// The privacy line.
pub const PRIVACY: Style = Style::new(Weight::Regular, 25.0, 0.0);
/// The operator's lines, and words on charts.
pub const STATUS: Style = Style::new(Weight::Regular, 20.0, 0.1);
/// Above a chart.
pub const HEADING: Style = Style::new(Weight::SemiBold, 27.0, 0.0);

/// Between the panel's edge and text.
pub const MARGIN: f32 = 36.0;
/// Between blocks.
pub const GAP: f32 = 20.0;
/// Between cards, and between the parts of a card.
pub const GUTTER: f32 = 13.0;
/// Between a card's edge and its content.
pub const PAD: f32 = 22.0;
/// Corner radius of cards.
pub const RADIUS: f32 = 16.0;

/// Pixels a unit: a 1080th of the short side, but never so small that text cannot be read.
pub fn unit(panel: Size) -> f32 {
    (panel.width.min(panel.height) as f32 / 1080.0).max(0.4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_color_is_readable_on_its_ground() {
        assert_eq!(Colors::default().faint(), Vec::<String>::new());
        let faint = Colors { card_accent: Rgb888::new(0xdd, 0xba, 0x80), ..Colors::default() }.faint();
        assert!(faint.len() == 1 && faint[0].starts_with("card_accent on card: 1."), "{faint:?}");
    }

    #[test]
    fn what_matters_is_large_enough() {
        assert!(MATTERS.iter().all(|style| style.size >= LEAST_READABLE));
    }

    #[test]
    fn units_follow_the_short_side() {
        assert_eq!(unit(Size::new(1080, 1920)), 1.0);
        assert_eq!(unit(Size::new(3840, 2160)), 2.0);
        assert_eq!(unit(Size::new(400, 400)), 0.4);
    }
}
