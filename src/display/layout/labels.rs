//! Boxes around the garments that have a card, and a label beside each: at the first place that is free of garments and other
//! labels. Where there is none, its number alone stands on the garment, where no other garment is.

use super::split::{cut_left, cut_right, overlap};
use super::{GarmentBox, Label, Ruler, Section};
use crate::display::mirror::Mirror;
use crate::display::scene::{Garment, Scene};
use crate::display::theme;
use crate::geometry::{Panel, Rect};

/// The greatest width of a label's text, in units of text.
const WIDEST: f32 = 330.0;

/// A garment of which so much lies in another's box is worn under it and has no place of its own: its number is in both boxes, and the
/// inner one is meant.
const WITHIN: f32 = 0.9;

/// What the labels depend on.
pub struct Seen<'a> {
    pub scene: &'a Scene,
    pub sections: &'a [Section],
    pub featured: Option<Section>,
    /// Whether the cards have numbers.
    pub numbered: bool,
    pub right_to_left: bool,
}

/// What a label says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelText {
    /// The garment is still looked at: a ring alone, which fills.
    Looking,
    /// The product's price, or else its title.
    Product(String),
    NotSold,
}

/// A box for every garment that has a card or a tile and is seen at all, in the order of the sections.
pub fn boxes(seen: &Seen<'_>, mirror: &Mirror, ruler: Ruler<'_>) -> Vec<GarmentBox> {
    let garments = &seen.scene.garments;
    // All of them: a label must not cover a garment, whether or not it has a card.
    let worn: Vec<Rect<Panel>> = garments.iter().filter_map(|garment| visible(mirror, garment, ruler)).collect();
    let mut taken: Vec<Rect<Panel>> = Vec::new();
    let mut boxes = Vec::new();
    for (place, section) in seen.sections.iter().enumerate() {
        let Some(bounds) = visible(mirror, &garments[section.garment], ruler) else { continue };
        let number = seen.numbered.then_some(place + 1);
        let label = label(seen, *section, number, bounds, mirror, ruler, &worn, &taken);
        taken.extend(label.iter().map(|label| label.frame));
        boxes.push(GarmentBox {
            garment: section.garment,
            number,
            featured: seen.featured == Some(*section),
            bounds,
            label,
        });
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

fn text_of(scene: &Scene, section: Section) -> LabelText {
    let Some(matched) = section.matched else { return LabelText::Looking };
    let Some(card) = scene.matches[matched].cards.first() else { return LabelText::NotSold };
    let product = card.price.as_deref().filter(|price| !price.trim().is_empty()).unwrap_or(&card.title);
    LabelText::Product(product.to_owned())
}

/// Height of a label.
fn height(ruler: Ruler<'_>) -> f32 {
    (ruler.line(theme::LABEL) + ruler.px(14.0)).round()
}

#[allow(clippy::too_many_arguments)]
fn label(
    seen: &Seen<'_>,
    section: Section,
    number: Option<usize>,
    bounds: Rect<Panel>,
    mirror: &Mirror,
    ruler: Ruler<'_>,
    worn: &[Rect<Panel>],
    taken: &[Rect<Panel>],
) -> Option<Label> {
    let says = text_of(seen.scene, section);
    let words = match &says {
        LabelText::Looking => String::new(),
        LabelText::Product(text) => text.clone(),
        LabelText::NotSold => seen.scene.words.say("not-sold-short"),
    };
    let text = ruler.width(&words, theme::LABEL).min((WIDEST * ruler.text).round());
    let (height, inset) = (height(ruler), ruler.px(10.0));
    let has_ring = says == LabelText::Looking || number.is_some();
    let ring_width = if has_ring { height - inset } else { inset };
    let width = (ring_width + text + 2.4 * inset).ceil();
    let place = |width: f32| place(seen, bounds, mirror, ruler, (width, height), worn, taken);
    // Where there is no room for the words, the number alone leads to the card.
    let whole = place(width).filter(|_| !words.is_empty());
    let short = || {
        let beside = place(height).or_else(|| on_own(bounds, height, ruler, worn, taken));
        beside.filter(|_| has_ring)
    };
    let words = if whole.is_some() { words } else { String::new() };
    let frame = whole.or_else(short)?;
    let mut inner = frame;
    let cut = if seen.right_to_left { cut_right } else { cut_left };
    let ring = cut(&mut inner, if words.is_empty() { height } else { ring_width + inset });
    let side = height - 2.0 * inset;
    let (x, y) = if words.is_empty() { frame.centre() } else { ring.centre() };
    let ring = Rect::new(x - side / 2.0, y - side / 2.0, x + side / 2.0, y + side / 2.0);
    let text = if words.is_empty() {
        Rect::new(frame.x2, frame.y1, frame.x2, frame.y2)
    } else if seen.right_to_left {
        Rect::new(inner.x1 + inset, inner.y1, inner.x2, inner.y2)
    } else {
        Rect::new(inner.x1, inner.y1, inner.x2 - inset, inner.y2)
    };
    Some(Label { frame, ring: has_ring.then_some(ring), text, says })
}

/// On the garment itself, as low as can be, free of other labels and garments: a card whose number is nowhere on the picture is of
/// nobody, and one whose number is on another garment is of that.
fn on_own(
    bounds: Rect<Panel>,
    side: f32,
    ruler: Ruler<'_>,
    worn: &[Rect<Panel>],
    taken: &[Rect<Panel>],
) -> Option<Rect<Panel>> {
    let gap = ruler.px(10.0);
    if bounds.width() < side || bounds.height() < side + gap {
        return None;
    }
    let others = || worn.iter().filter(|other| other.intersection(&bounds) < WITHIN * bounds.area());
    let at = |start: f32, room: f32, share: f32| (start + share * room).round();
    let rows = [1.0, 0.75, 0.5, 0.25, 0.0].map(|share| at(bounds.y1, bounds.height() - side - gap, share));
    let columns = [0.5, 0.0, 1.0].map(|share| at(bounds.x1, bounds.width() - side, share));
    let places = rows.into_iter().flat_map(|y| columns.map(|x| Rect::new(x, y, x + side, y + side)));
    let free = |label: &Rect<Panel>| !others().chain(taken).any(|other| overlap(*label, *other));
    places.into_iter().find(free)
}

/// The first free place beside the box.
fn place(
    seen: &Seen<'_>,
    bounds: Rect<Panel>,
    mirror: &Mirror,
    ruler: Ruler<'_>,
    (width, height): (f32, f32),
    worn: &[Rect<Panel>],
    taken: &[Rect<Panel>],
) -> Option<Rect<Panel>> {
    let (stage, gap) = (mirror.target(), ruler.px(10.0));
    let inside = super::split::inset(stage, ruler.px(12.0));
    let (left, right) = (bounds.x1 - width - gap, bounds.x2 + gap);
    let sides = if seen.right_to_left { [left, right] } else { [right, left] };
    let rows = [0.12, 0.3, 0.5, 0.7, 0.88].map(|share| bounds.y1 + share * bounds.height() - height / 2.0);
    let beside = rows.into_iter().flat_map(|y| sides.map(|x| (x, y)));
    // Not above it, where a face is, nor below it, where the rest of the person is.
    let places = beside;
    places.map(|(x, y)| Rect::new(x.round(), y.round(), x.round() + width, y.round() + height)).find(|label| {
        let fits = label.x1 >= inside.x1 && label.y1 >= inside.y1 && label.x2 <= inside.x2 && label.y2 <= inside.y2;
        let near = Rect::new(label.x1 - gap, label.y1 - gap, label.x2 + gap, label.y2 + gap);
        fits && !worn.iter().any(|garment| overlap(*label, *garment))
            && !taken.iter().any(|other| overlap(near, *other))
    })
}
