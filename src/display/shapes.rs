//! Anti-aliased shapes from their distance functions: rounded rectangles, their outlines and corners, rings.

use super::canvas::Canvas;
use crate::geometry::{Panel, Rect};
use embedded_graphics::pixelcolor::Rgb888;
use std::f32::consts::TAU;

/// A colour with an opacity from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paint {
    pub colour: Rgb888,
    pub opacity: f32,
}

impl Paint {
    /// Opaque.
    pub fn solid(colour: Rgb888) -> Self {
        Paint { colour, opacity: 1.0 }
    }

    pub fn sheer(colour: Rgb888, opacity: f32) -> Self {
        Paint { colour, opacity }
    }
}

/// Distance of a point from the edge of a rounded rectangle, negative inside.
fn distance(bounds: Rect<Panel>, radius: f32, x: f32, y: f32) -> f32 {
    let (cx, cy) = bounds.centre();
    let radius = radius.min(bounds.width() / 2.0).min(bounds.height() / 2.0);
    let (dx, dy) = ((x - cx).abs() - bounds.width() / 2.0 + radius, (y - cy).abs() - bounds.height() / 2.0 + radius);
    norm(dx.max(0.0), dy.max(0.0)) + dx.max(dy).min(0.0) - radius
}

/// The length of a vector. `hypot` guards against overflow, which pixels do not need, and takes several times as long.
fn norm(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// How much of a pixel is covered whose centre is `distance` from the edge.
fn coverage(distance: f32) -> f32 {
    (0.5 - distance).clamp(0.0, 1.0)
}

/// Blends every pixel of `area` by the share of it that is covered.
fn shade(canvas: &mut Canvas, area: Rect<Panel>, paint: Paint, covered: impl Fn(f32, f32) -> f32) {
    let size = canvas.size();
    let area = area.clip(size.width as f32, size.height as f32);
    for y in area.y1.floor() as i32..area.y2.ceil() as i32 {
        for x in area.x1.floor() as i32..area.x2.ceil() as i32 {
            let share = covered(x as f32 + 0.5, y as f32 + 0.5);
            if share > 0.0 {
                canvas.blend(x, y, paint.colour, share * paint.opacity);
            }
        }
    }
}

/// A filled rounded rectangle.
pub fn fill_round(canvas: &mut Canvas, bounds: Rect<Panel>, radius: f32, paint: Paint) {
    if bounds.width() <= 0.0 || bounds.height() <= 0.0 {
        return;
    }
    let covered = |x: f32, y: f32| coverage(distance(bounds, radius, x, y));
    let whole = bounds.corners().iter().all(|edge| edge.fract() == 0.0);
    if !whole {
        return shade(canvas, bounds, paint, covered);
    }
    // Only the corners need distances, where the edges lie on whole pixels; what is between them is full.
    let Rect { x1, y1, x2, y2, .. } = bounds;
    let cap = radius.min(bounds.height() / 2.0).min(bounds.width() / 2.0).ceil();
    let (left, right) = (x1 + cap, (x2 - cap).max(x1 + cap));
    let (top, bottom) = (y1 + cap, (y2 - cap).max(y1 + cap));
    for (y1, y2) in [(y1, top.min(y2)), (bottom.min(y2), y2)] {
        for (x1, x2) in [(x1, left.min(x2)), (right.min(x2), x2)] {
            shade(canvas, Rect::new(x1, y1, x2, y2), paint, covered);
        }
    }
    let opacity = (paint.opacity * 256.0) as u32;
    for y in y1 as i32..y2 as i32 {
        let between = (top as i32..bottom as i32).contains(&y);
        let columns = if between { x1 as i32..x2 as i32 } else { left as i32..right as i32 };
        canvas.blend_row(y, columns, paint.colour, opacity);
    }
}

/// The outline of a rounded rectangle; the line lies inside `bounds`.
pub fn stroke_round(canvas: &mut Canvas, bounds: Rect<Panel>, radius: f32, line: f32, paint: Paint) {
    let band = radius.max(line) + 1.0;
    let covered = |x: f32, y: f32| stroke_coverage(bounds, radius, line, x, y);
    let Rect { x1, y1, x2, y2, .. } = bounds;
    if y2 - y1 <= 2.0 * band || x2 - x1 <= 2.0 * band {
        shade(canvas, bounds, paint, covered);
        return;
    }
    // Four strips on whole pixels, so that none is shaded twice.
    let (top, bottom) = ((y1 + band).ceil(), (y2 - band).floor());
    shade(canvas, Rect::new(x1, y1, x2, top), paint, covered);
    shade(canvas, Rect::new(x1, bottom, x2, y2), paint, covered);
    shade(canvas, Rect::new(x1, top, (x1 + band).ceil(), bottom), paint, covered);
    shade(canvas, Rect::new((x2 - band).floor(), top, x2, bottom), paint, covered);
}

fn stroke_coverage(bounds: Rect<Panel>, radius: f32, line: f32, x: f32, y: f32) -> f32 {
    let distance = distance(bounds, radius, x, y);
    coverage((distance + line / 2.0).abs() - line / 2.0)
}

/// The four corners of a rounded outline, each `arm` long from the corner.
pub fn brackets(canvas: &mut Canvas, bounds: Rect<Panel>, radius: f32, arm: f32, line: f32, paint: Paint) {
    let arm = arm.min(bounds.width() / 2.0 - line).min(bounds.height() / 2.0 - line).max(0.0);
    let covered = |x: f32, y: f32| stroke_coverage(bounds, radius, line, x, y);
    let Rect { x1, y1, x2, y2, .. } = bounds;
    // A corner is two strips on whole pixels; the square between them is empty.
    let band = (radius.max(line) + 1.0).min(arm);
    for (top, bottom, near) in [(y1, y1 + arm, true), (y2 - arm, y2, false)] {
        let (top, bottom) = (top.floor(), bottom.ceil());
        let split = if near { (top + band).ceil() } else { (bottom - band).floor() };
        let (across, down) = if near { ((top, split), (split, bottom)) } else { ((split, bottom), (top, split)) };
        for (left, right, first) in [(x1, x1 + arm, true), (x2 - arm, x2, false)] {
            shade(canvas, Rect::new(left, across.0, right, across.1), paint, covered);
            let (left, right) = if first { (left, left + band) } else { (right - band, right) };
            shade(canvas, Rect::new(left, down.0, right, down.1), paint, covered);
        }
    }
}

/// Paints the corners outside a rounded rectangle.
pub fn outside_corners(canvas: &mut Canvas, bounds: Rect<Panel>, radius: f32, paint: Paint) {
    let cap = radius.min(bounds.width() / 2.0).min(bounds.height() / 2.0).ceil();
    let Rect { x1, y1, x2, y2, .. } = bounds;
    for (left, right) in [(x1, x1 + cap), (x2 - cap, x2)] {
        for (top, bottom) in [(y1, y1 + cap), (y2 - cap, y2)] {
            let covered = |x: f32, y: f32| 1.0 - coverage(distance(bounds, radius, x, y));
            shade(canvas, Rect::new(left, top, right, bottom), paint, covered);
        }
    }
}

/// Straight lines from point to point, with round ends and joints.
pub fn polyline(canvas: &mut Canvas, points: &[(f32, f32)], line: f32, paint: Paint) {
    let (mut left, mut top, mut right, mut bottom) = (f32::MAX, f32::MAX, f32::MIN, f32::MIN);
    for (x, y) in points {
        (left, top, right, bottom) = (left.min(*x), top.min(*y), right.max(*x), bottom.max(*y));
    }
    let area = Rect::new(left - line, top - line, right + line, bottom + line);
    shade(canvas, area, paint, |x, y| {
        let nearest = points.windows(2).map(|ends| from_segment(ends[0], ends[1], x, y)).fold(f32::MAX, f32::min);
        coverage(nearest - line / 2.0)
    });
}

/// Distance of (x, y) from the segment between two points.
fn from_segment(a: (f32, f32), b: (f32, f32), x: f32, y: f32) -> f32 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { (((x - a.0) * dx + (y - a.1) * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    norm(x - a.0 - along * dx, y - a.1 - along * dy)
}

/// A ring inside `bounds`, a square; its `share`, from 0 to 1, is drawn clockwise from the top.
pub fn ring(canvas: &mut Canvas, bounds: Rect<Panel>, line: f32, share: f32, paint: Paint) {
    let (cx, cy) = bounds.centre();
    let radius = bounds.width().min(bounds.height()) / 2.0 - line / 2.0;
    let end = share.clamp(0.0, 1.0) * TAU;
    if end <= 0.0 || radius <= 0.0 {
        return;
    }
    let cap = |angle: f32, x: f32, y: f32| {
        let (sin, cos) = angle.sin_cos();
        coverage(norm(x - cx - radius * sin, y - cy + radius * cos) - line / 2.0)
    };
    shade(canvas, bounds, paint, |x, y| {
        let angle = (x - cx).atan2(cy - y).rem_euclid(TAU);
        let band = coverage((norm(x - cx, y - cy) - radius).abs() - line / 2.0);
        if angle <= end || end >= TAU { band } else { cap(0.0, x, y).max(cap(end, x, y)).min(band) }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    fn drawn(draw: impl Fn(&mut Canvas)) -> f32 {
        let mut canvas = Canvas::new(Size::new(64, 64));
        draw(&mut canvas);
        canvas.pixels().iter().map(|pixel| (pixel & 0xff) as f32 / 255.0).sum()
    }

    const WHITE: Paint = Paint { colour: Rgb888::new(255, 255, 255), opacity: 1.0 };

    #[test]
    fn shapes_cover_their_area() {
        let square = Rect::new(10.0, 10.0, 50.0, 40.0);
        let corners = (4.0 - std::f32::consts::PI) * 64.0;
        assert!((drawn(|c| fill_round(c, square, 8.0, WHITE)) - (1200.0 - corners)).abs() < 8.0);
        let shifted = Rect::new(10.5, 10.25, 50.5, 40.25);
        assert!((drawn(|c| fill_round(c, shifted, 8.0, WHITE)) - (1200.0 - corners)).abs() < 8.0);
        let pill = 40.0 * 30.0 - (4.0 - std::f32::consts::PI) * 225.0;
        assert!((drawn(|c| fill_round(c, square, 15.0, WHITE)) - pill).abs() < 8.0);
        // Four corners of two arms each, square where the radius is small.
        assert!((drawn(|c| brackets(c, square, 0.0, 10.0, 2.0, WHITE)) - 4.0 * 36.0).abs() < 16.0);
        assert!((drawn(|c| stroke_round(c, square, 0.0, 2.0, WHITE)) - 264.0).abs() < 8.0);
        let circle = Rect::new(12.0, 12.0, 52.0, 52.0);
        let whole = TAU * 18.0 * 4.0;
        assert!((drawn(|c| ring(c, circle, 4.0, 1.0, WHITE)) - whole).abs() < 8.0);
        assert!((drawn(|c| ring(c, circle, 4.0, 0.5, WHITE)) - whole / 2.0).abs() < 20.0);
        assert_eq!(drawn(|c| ring(c, circle, 4.0, 0.0, WHITE)), 0.0);
    }

    #[test]
    fn shapes_outside_or_turned_inside_out_do_no_harm() {
        for bounds in [
            Rect::new(-90.0, -90.0, -10.0, -10.0),
            Rect::new(30.0, 30.0, 20.0, 20.0),
            Rect::new(-500.0, -9.0, 900.0, 700.0),
        ] {
            drawn(|c| {
                fill_round(c, bounds, 5.0, WHITE);
                stroke_round(c, bounds, 5.0, 2.0, WHITE);
                brackets(c, bounds, 5.0, 20.0, 2.0, WHITE);
                ring(c, bounds, 3.0, 0.7, WHITE);
            });
        }
    }
}
