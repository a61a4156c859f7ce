//! The plan of the shop on a large card: below the product's picture.

use super::split::cut_bottom;
use super::{CardPlace, Ruler};
use crate::display::scene::Card;
use crate::display::theme;
use crate::geometry::{Panel, Rect};

/// The plan takes this share of the picture's height at most.
const SHARE: f32 = 0.45;
/// A lower one shows nothing, in units.
const LEAST: f32 = 90.0;

/// How high the plan is below a picture in `area`; `None` where the card has no place on it, or there is no room.
pub fn height(card: &Card, area: Rect<Panel>, ruler: Ruler<'_>) -> Option<f32> {
    let size = card.spot.as_ref()?.plan.size();
    let as_wide = area.width() * size.height as f32 / size.width.max(1) as f32;
    let height = as_wide.min(SHARE * area.height()).floor();
    (height >= ruler.px(LEAST)).then_some(height)
}

/// Cuts the plan's place off the bottom of the product's picture.
pub fn place(place: &mut CardPlace, card: &Card, ruler: Ruler<'_>) {
    if let Some(height) = height(card, place.picture, ruler) {
        place.plan = Some(cut_bottom(&mut place.picture, height));
        cut_bottom(&mut place.picture, ruler.px(theme::GUTTER));
    }
}
