//! The plan of the shop with a mark where the product hangs.

use super::card::{ROUND, round_off};
use super::{Painter, Pen};
use crate::display::scene::PlanSpot;
use crate::display::shapes::{self, Paint};
use crate::geometry::{Panel, Rect};

/// Radius of the mark and of what stands out around it, in units.
const MARK: [f32; 2] = [13.0, 18.0];

impl Painter {
    pub(super) fn plan(&mut self, spot: &PlanSpot, place: Rect<Panel>, pen: &mut Pen<'_>) {
        let colors = self.look.theme.colors;
        let Some(tile) = self.kept.thumbnail(&spot.plan, place) else { return };
        pen.canvas.copy(place.x1 as i32, place.y1 as i32, tile);
        round_off(pen.canvas, place, ROUND * pen.unit, colors.card);
        let (x, y) = on_panel(spot, place);
        for (radius, color) in MARK.into_iter().rev().zip([colors.paper, colors.card_accent]) {
            let radius = radius * pen.unit;
            // Wholly within the plan, where the shelf stands at its edge.
            let x = x.clamp(place.x1 + radius, (place.x2 - radius).max(place.x1 + radius));
            let y = y.clamp(place.y1 + radius, (place.y2 - radius).max(place.y1 + radius));
            let disc = Rect::new(x - radius, y - radius, x + radius, y + radius);
            shapes::fill_round(pen.canvas, disc, radius, Paint::solid(color));
        }
    }
}

/// Where the plan, which stands as large as it goes in the middle of its place, shows the spot.
fn on_panel(spot: &PlanSpot, place: Rect<Panel>) -> (f32, f32) {
    let (width, height) = (spot.plan.size().width as f32, spot.plan.size().height as f32);
    let scale = (place.width() / width).min(place.height() / height);
    let ((cx, cy), (x, y)) = (place.centre(), (spot.at.0 as f32 + 0.5, spot.at.1 as f32 + 0.5));
    (cx + scale * (x - width / 2.0), cy + scale * (y - height / 2.0))
}
