//! Boxes around the garments, and their labels: each label at the first free place of its box, or not at all.

use super::split::overlap;
use super::{GarmentBox, Ruler};
use crate::display::mirror::Mirror;
use crate::display::scene::{Garment, Scene};
use crate::display::text::capital;
use crate::display::theme;
use crate::geometry::{Panel, Rect};

/// The most garments with a label; the others get a thin outline.
const LABELLED: usize = 4;
/// The greatest width of a label's text, in units.
const WIDEST: f32 = 300.0;

/// Every garment that is seen at all, in the scene's order.
pub fn boxes(scene: &Scene, mirror: &Mirror, ruler: Ruler<'_>) -> Vec<GarmentBox> {
    let mut taken: Vec<Rect<Panel>> = Vec::new();
    let mut boxes = Vec::new();
    for (garment, seen) in scene.garments.iter().enumerate() {
        let Some(bounds) = visible(mirror, seen, ruler) else { continue };
        let label = if taken.len() < LABELLED && garment < 2 * LABELLED {
            place(seen, bounds, mirror, ruler, &taken)
        } else {
            None
        };
        taken.extend(label);
        boxes.push(GarmentBox { garment, bounds, label });
    }
    boxes
}

/// The garment's box on the panel, cut to the picture; `None` where too little of it is seen.
fn visible(mirror: &Mirror, garment: &Garment, ruler: Ruler<'_>) -> Option<Rect<Panel>> {
    if garment.bounds.corners().iter().any(|edge| !edge.is_finite()) {
        return None;
    }
    let (bounds, place) = (mirror.to_panel(garment.bounds), mirror.target());
    let bounds = Rect::new(
        bounds.x1.clamp(place.x1, place.x2),
        bounds.y1.clamp(place.y1, place.y2),
        bounds.x2.clamp(place.x1, place.x2),
        bounds.y2.clamp(place.y1, place.y2),
    );
    let least = ruler.px(24.0);
    (bounds.width() >= least && bounds.height() >= least).then_some(bounds)
}

/// Height of a label, and the side of the ring within it.
pub fn label_height(ruler: Ruler<'_>) -> f32 {
    ruler.px(42.0)
}

/// The first free place beside, in, below or above the box: clothes worn over each other share corners.
fn place(
    garment: &Garment,
    bounds: Rect<Panel>,
    mirror: &Mirror,
    ruler: Ruler<'_>,
    taken: &[Rect<Panel>],
) -> Option<Rect<Panel>> {
    let text = ruler.fonts.width(&capital(&garment.label), theme::LABEL.at(ruler.unit)).ceil().min(ruler.px(WIDEST));
    if text <= 0.0 {
        return None;
    }
    let height = label_height(ruler);
    let width = (text + height + ruler.px(18.0)).ceil();
    let (stage, gap) = (mirror.target(), ruler.px(8.0));
    let inside = super::split::inset(stage, ruler.px(12.0));
    let (left, right) = (bounds.x1 - width - gap, bounds.x2 + gap);
    let (high, low, middle) = (bounds.y1 + gap, bounds.y2 - height - 2.0 * gap, bounds.centre().1 - height / 2.0);
    // First beside the box, where it hides nobody; a label over a shirt would hide a face.
    let beside = [(right, high), (left, high), (right, middle), (left, middle)].into_iter();
    let beside = beside.filter(|(x, _)| *x >= inside.x1 && x + width <= inside.x2);
    let rows = [low, high, bounds.y2 + gap, bounds.y1 - height - gap, middle];
    let columns = [bounds.x1 + gap, bounds.x2 - width - gap, bounds.centre().0 - width / 2.0];
    let places = beside.chain(rows.into_iter().flat_map(|y| columns.map(|x| (x, y))));
    places
        .map(|(x, y)| {
            let x = x.clamp(inside.x1, (inside.x2 - width).max(inside.x1)).round();
            let y = y.clamp(inside.y1, (inside.y2 - height).max(inside.y1)).round();
            Rect::new(x, y, x + width, y + height)
        })
        .find(|label| {
            let fits = label.x2 <= inside.x2 && label.y2 <= inside.y2;
            let near = Rect::new(label.x1 - gap, label.y1 - gap, label.x2 + gap, label.y2 + gap);
            fits && !taken.iter().any(|other| overlap(near, *other))
        })
}
