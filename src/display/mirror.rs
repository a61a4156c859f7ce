//! The mapping from camera pixels to panel pixels: the picture is mirrored and covers its place. It is cropped evenly on both sides, and
//! less above, where a face is, than below.

use crate::geometry::{Camera, Panel, Rect, Size};
use std::ops::Range;

/// Of what is cropped of the height, this share is cropped above.
const ABOVE: f32 = 0.3;

/// What is to be shown has this share of the seen width free on both sides, where there is room.
const AROUND: f32 = 0.06;

/// The mapping of one camera picture onto its place on the panel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mirror {
    source: Size,
    target: Rect<Panel>,
    scale: f32,
    /// Top left of the visible part of the source.
    origin: (f32, f32),
}

impl Mirror {
    /// `source` scaled by one factor to cover `target`; `None` when either is empty.
    pub fn cover(source: Size, target: Rect<Panel>) -> Option<Self> {
        if source.width == 0 || source.height == 0 || target.width() < 1.0 || target.height() < 1.0 {
            return None;
        }
        let (width, height) = (source.width as f32, source.height as f32);
        let scale = (target.width() / width).max(target.height() / height);
        let origin = ((width - target.width() / scale) / 2.0, (height - target.height() / scale) * ABOVE);
        Some(Mirror { source, target, scale, origin })
    }

    /// The same, moved sideways as little as it takes to show these columns of the picture; where not all can be seen, the end of them
    /// that is nearer to the column `first`.
    pub fn showing(self, columns: Range<f32>, first: f32) -> Self {
        let width = self.target.width() / self.scale;
        let margin = (AROUND * width).min((width - (columns.end - columns.start)) / 2.0).max(0.0);
        let (least, most) = (columns.end + margin - width, columns.start - margin);
        let wanted = match least <= most + 0.01 {
            true => self.origin.0.min(most).max(least),
            false if first < (columns.start + columns.end) / 2.0 => most,
            false => least,
        };
        let x = wanted.min(self.source.width as f32 - width).max(0.0);
        Mirror { origin: (x, self.origin.1), ..self }
    }

    /// The picture's size.
    pub fn source(&self) -> Size {
        self.source
    }

    /// Its place on the panel.
    pub fn target(&self) -> Rect<Panel> {
        self.target
    }

    /// The visible part of the picture.
    pub fn seen(&self) -> Rect<Camera> {
        let (x, y) = self.origin;
        Rect::new(x, y, x + self.target.width() / self.scale, y + self.target.height() / self.scale)
    }

    /// A box on the panel, mirrored with the picture; not clipped to the picture's place.
    pub fn to_panel(&self, bounds: Rect<Camera>) -> Rect<Panel> {
        let x = |x: f32| self.target.x2 - (x - self.origin.0) * self.scale;
        let y = |y: f32| self.target.y1 + (y - self.origin.1) * self.scale;
        Rect::new(x(bounds.x2), y(bounds.y1), x(bounds.x1), y(bounds.y2))
    }

    /// The camera box behind a panel box: the inverse of [`Mirror::to_panel`].
    pub fn to_camera(&self, bounds: Rect<Panel>) -> Rect<Camera> {
        let x = |x: f32| (self.target.x2 - x) / self.scale + self.origin.0;
        let y = |y: f32| (y - self.target.y1) / self.scale + self.origin.1;
        Rect::new(x(bounds.x2), y(bounds.y1), x(bounds.x1), y(bounds.y2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_box_on_the_cameras_left_is_seen_on_the_right() {
        // 200x100 onto 100x100 at (10, 20): scale 1, the middle hundred columns are seen.
        let mirror = Mirror::cover(Size::new(200, 100), Rect::new(10.0, 20.0, 110.0, 120.0)).expect("not empty");
        assert_eq!(mirror.seen(), Rect::new(50.0, 0.0, 150.0, 100.0));
        assert_eq!(mirror.to_panel(Rect::new(50.0, 0.0, 60.0, 30.0)), Rect::new(100.0, 20.0, 110.0, 50.0));
        assert_eq!(mirror.to_panel(Rect::new(140.0, 70.0, 150.0, 100.0)), Rect::new(10.0, 90.0, 20.0, 120.0));
    }

    #[test]
    fn a_tall_place_scales_by_height() {
        let mirror = Mirror::cover(Size::new(64, 48), Rect::new(0.0, 0.0, 96.0, 96.0)).expect("not empty");
        assert_eq!(mirror.seen(), Rect::new(8.0, 0.0, 56.0, 48.0));
        assert_eq!(mirror.to_panel(Rect::new(8.0, 12.0, 32.0, 24.0)), Rect::new(48.0, 24.0, 96.0, 48.0));
    }

    #[test]
    fn it_moves_as_little_as_it_takes_and_never_beyond_the_picture() {
        let mirror = Mirror::cover(Size::new(200, 100), Rect::new(0.0, 0.0, 100.0, 100.0)).expect("not empty");
        let seen = |columns: Range<f32>| mirror.showing(columns, 150.0).seen().x1;
        assert_eq!(seen(60.0..140.0), 50.0, "they are seen already");
        assert_eq!(seen(80.0..160.0), 66.0);
        assert_eq!(seen(20.0..60.0), 14.0);
        assert_eq!(seen(20.0..180.0), 80.0, "an end of what is too wide");
        assert_eq!(mirror.showing(20.0..180.0, 40.0).seen().x1, 20.0, "the other end");
        assert_eq!(seen(-900.0..-800.0), 0.0);
        assert_eq!(seen(800.0..900.0), 100.0);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert!(Mirror::cover(Size::new(0, 10), Rect::new(0.0, 0.0, 9.0, 9.0)).is_none());
        assert!(Mirror::cover(Size::new(10, 10), Rect::new(0.0, 0.0, 0.0, 9.0)).is_none());
    }

    proptest! {
        #[test]
        fn boxes_round_trip_keep_their_shape_and_the_seen_part_fills_the_place(
            w in 1usize..4000, h in 1usize..4000, tw in 1usize..4000, th in 1usize..4000,
            a in prop::array::uniform4(0f32..1.0),
        ) {
            let mirror = Mirror::cover(Size::new(w, h), Rect::new(7.0, 9.0, 7.0 + tw as f32, 9.0 + th as f32)).expect("not empty");
            let seen = mirror.seen();
            prop_assert!(seen.x1 >= -1e-2 && seen.y1 >= -1e-2 && seen.x2 <= w as f32 + 1e-2 && seen.y2 <= h as f32 + 1e-2);
            let near = |a: [f32; 4], b: [f32; 4], by: f32| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= by);
            let size = (w.max(h) as f32).max(tw.max(th) as f32) * mirror.scale.max(1.0 / mirror.scale).max(1.0);
            prop_assert!(near(mirror.to_panel(seen).corners(), mirror.target().corners(), 1e-5 * size));
            let (x, y) = (a[0] * w as f32, a[1] * h as f32);
            let bounds = Rect::new(x, y, x + a[2] * w as f32, y + a[3] * h as f32);
            let there = mirror.to_panel(bounds);
            prop_assert!(near(mirror.to_camera(there).corners(), bounds.corners(), 1e-5 * size));
            prop_assert!((there.width() - bounds.width() * mirror.scale).abs() <= 1e-5 * size);
            prop_assert!((there.height() - bounds.height() * mirror.scale).abs() <= 1e-5 * size);
        }
    }
}
