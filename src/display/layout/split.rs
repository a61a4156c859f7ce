//! Splits rectangles. Cuts are whole pixels, and a part never exceeds the rectangle.

use crate::geometry::{Panel, Rect};

pub fn inset(area: Rect<Panel>, by: f32) -> Rect<Panel> {
    inset_xy(area, by, by)
}

pub fn inset_xy(area: Rect<Panel>, x: f32, y: f32) -> Rect<Panel> {
    let x = x.min(area.width() / 2.0).max(0.0).floor();
    let y = y.min(area.height() / 2.0).max(0.0).floor();
    Rect::new(area.x1 + x, area.y1 + y, area.x2 - x, area.y2 - y)
}

/// Takes `height` off the top of `area`.
pub fn cut_top(area: &mut Rect<Panel>, height: f32) -> Rect<Panel> {
    let y = area.y1 + height.round().clamp(0.0, area.height());
    let part = Rect::new(area.x1, area.y1, area.x2, y);
    area.y1 = y;
    part
}

/// Takes `height` off the bottom.
pub fn cut_bottom(area: &mut Rect<Panel>, height: f32) -> Rect<Panel> {
    let y = area.y2 - height.round().clamp(0.0, area.height());
    let part = Rect::new(area.x1, y, area.x2, area.y2);
    area.y2 = y;
    part
}

/// Takes `width` off the left.
pub fn cut_left(area: &mut Rect<Panel>, width: f32) -> Rect<Panel> {
    let x = area.x1 + width.round().clamp(0.0, area.width());
    let part = Rect::new(area.x1, area.y1, x, area.y2);
    area.x1 = x;
    part
}

/// Takes `width` off the right.
pub fn cut_right(area: &mut Rect<Panel>, width: f32) -> Rect<Panel> {
    let x = area.x2 - width.round().clamp(0.0, area.width());
    let part = Rect::new(x, area.y1, area.x2, area.y2);
    area.x2 = x;
    part
}

/// `count` parts of equal width or height, `gap` apart.
pub fn share(mut area: Rect<Panel>, count: usize, gap: f32, down: bool) -> Vec<Rect<Panel>> {
    let length = if down { area.height() } else { area.width() };
    let each = ((length - gap * (count.saturating_sub(1)) as f32) / count.max(1) as f32).max(0.0).floor();
    let cut = if down { cut_top } else { cut_left };
    (0..count)
        .map(|_| {
            let part = cut(&mut area, each);
            cut(&mut area, gap);
            part
        })
        .collect()
}

/// Whether two areas have a pixel in common.
pub fn overlap(a: Rect<Panel>, b: Rect<Panel>) -> bool {
    a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2
}
