//! What a card says beyond title, price and brand: the price before a sale, place, sizes, colours, stock. Each has its room only
//! where some is left.

use super::split::{cut_bottom, cut_left, cut_top};
use super::{CardPlace, Ruler};
use crate::display::scene::Card;
use crate::display::theme;
use crate::geometry::{Panel, Rect};

/// Side of a colour's picture, in units.
const SWATCH: f32 = 64.0;
/// Distance between sizes and between colours, in units.
const GAP: f32 = 8.0;

/// Puts the price before a sale beside the price, in the row that the price has.
pub fn price_before(place: &mut CardPlace, card: &Card, ruler: Ruler<'_>) {
    let (Some(price), Some(row)) = (&card.price, &mut place.price) else { return };
    let Some(before) = &card.price_before else { return };
    place.price_before_style = place.brand_style;
    let style = place.price_before_style;
    let width = ruler.fonts.width(price, place.price_style).ceil() + ruler.px(theme::GUTTER);
    let needed = width + ruler.fonts.width(before, style).ceil();
    if needed > row.width() {
        return;
    }
    let mut rest = *row;
    *row = cut_left(&mut rest, width);
    // On the price's base line, as nearly as whole pixels allow.
    rest.y1 = (rest.y2 - style.line() - (row.height() - style.line()) / 4.0).round().max(rest.y1);
    rest.y2 = (rest.y1 + style.line()).min(rest.y2);
    place.price_before = Some(rest);
}

/// Fills `area` from its top, the most useful first.
pub fn details(place: &mut CardPlace, mut area: Rect<Panel>, card: &Card, ruler: Ruler<'_>) {
    let line = place.brand_style.line();
    let gap = ruler.px(GAP);
    if let (Some(before), None, Some(_)) = (&card.price_before, place.price_before, place.price) {
        // No room beside the price: above it.
        let fits = ruler.fonts.width(before, place.brand_style) <= area.width();
        if fits && area.height() >= line {
            place.price_before_style = place.brand_style;
            place.price_before = Some(cut_bottom(&mut area, line));
        }
    }
    let mut row = |height: f32| {
        (area.height() >= height + gap).then(|| {
            cut_top(&mut area, gap);
            cut_top(&mut area, height)
        })
    };
    if card.location.is_some() {
        place.location = row(line);
    }
    if !card.sizes.is_empty() {
        let height = (line * 1.3).round();
        place.sizes = row(height).map(|row| sizes(row, card, place, ruler)).unwrap_or_default();
    }
    if card.stock.is_some() {
        place.stock = row(line);
    }
    if !card.other_colors.is_empty() {
        let side = ruler.px(SWATCH).round();
        place.swatches = row(side).map(|row| tiles(row, card.other_colors.len(), gap)).unwrap_or_default();
    }
}

/// As many sizes as fit side by side, each as wide as its text.
fn sizes(mut row: Rect<Panel>, card: &Card, place: &CardPlace, ruler: Ruler<'_>) -> Vec<Rect<Panel>> {
    let mut chips = Vec::new();
    for size in &card.sizes {
        let width = (ruler.fonts.width(&size.text, place.brand_style) + 2.0 * ruler.px(10.0)).max(row.height()).ceil();
        if width > row.width() {
            break;
        }
        chips.push(cut_left(&mut row, width));
        cut_left(&mut row, ruler.px(GAP));
    }
    chips
}

fn tiles(mut row: Rect<Panel>, count: usize, gap: f32) -> Vec<Rect<Panel>> {
    let side = row.height();
    let mut tiles = Vec::new();
    while tiles.len() < count && row.width() >= side {
        tiles.push(cut_left(&mut row, side));
        cut_left(&mut row, gap);
    }
    tiles
}
