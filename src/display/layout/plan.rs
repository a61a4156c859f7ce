//! The plan of the shop on a large card: below the product's picture.

use super::split::cut_bottom;
use super::{CardPlace, Ruler};
use crate::display::scene::Card;
use crate::display::theme;

/// The plan takes this share of the picture's height at most.
const SHARE: f32 = 0.45;
/// A lower one shows nothing, in units.
const LEAST: f32 = 90.0;

/// Cuts the plan's place off the bottom of the product's picture, where the card has a place on it and there is room.
pub fn place(place: &mut CardPlace, card: &Card, ruler: Ruler<'_>) {
    let Some(spot) = &card.spot else { return };
    let size = spot.plan.size();
    let as_wide = place.picture.width() * size.height as f32 / size.width.max(1) as f32;
    let height = as_wide.min(SHARE * place.picture.height()).floor();
    if height >= ruler.px(LEAST) {
        place.plan = Some(cut_bottom(&mut place.picture, height));
        cut_bottom(&mut place.picture, ruler.px(theme::GUTTER));
    }
}
