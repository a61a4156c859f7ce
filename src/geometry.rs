//! Boxes and sizes. Three pixel spaces, three types: a box of one space cannot be used in another by accident.

use std::marker::PhantomData;

/// Pixels of the picture from the camera or file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Camera {}
/// Pixels of the network's input, after the letterbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {}
/// Pixels of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panel {}

/// Width and height in whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    pub width: usize,
    pub height: usize,
}

impl Size {
    /// Pixels.
    pub const fn new(width: usize, height: usize) -> Self {
        Size { width, height }
    }
}

/// A box (x1, y1, x2, y2) in pixels of space `S`; x2 and y2 are exclusive, as in docs/seam.md: width = x2 - x1.
#[derive(Debug)]
pub struct Rect<S> {
    pub x1: f32,
    pub y1: f32,
    pub x2: f32,
    pub y2: f32,
    space: PhantomData<S>,
}

impl<S> Clone for Rect<S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S> Copy for Rect<S> {}
impl<S> PartialEq for Rect<S> {
    fn eq(&self, other: &Self) -> bool {
        self.corners() == other.corners()
    }
}

impl<S> Rect<S> {
    /// Left, top, right, bottom, in pixels.
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Rect { x1, y1, x2, y2, space: PhantomData }
    }

    /// Left, top, right, bottom.
    pub fn corners(&self) -> [f32; 4] {
        [self.x1, self.y1, self.x2, self.y2]
    }

    /// Pixels.
    pub fn width(&self) -> f32 {
        self.x2 - self.x1
    }

    /// Pixels.
    pub fn height(&self) -> f32 {
        self.y2 - self.y1
    }

    /// Width times height; zero for an inverted box.
    pub fn area(&self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    /// x and y.
    pub fn centre(&self) -> (f32, f32) {
        ((self.x1 + self.x2) / 2.0, (self.y1 + self.y2) / 2.0)
    }

    /// Area covered by both.
    pub fn intersection(&self, other: &Self) -> f32 {
        let width = (self.x2.min(other.x2) - self.x1.max(other.x1)).max(0.0);
        let height = (self.y2.min(other.y2) - self.y1.max(other.y1)).max(0.0);
        width * height
    }

    /// Whether the boxes have a point in common; touching edges count.
    pub fn touches(&self, other: &Self) -> bool {
        self.x1 <= other.x2 && other.x1 <= self.x2 && self.y1 <= other.y2 && other.y1 <= self.y2
    }

    /// The smallest box around both.
    pub fn hull(&self, other: &Self) -> Self {
        Rect::new(self.x1.min(other.x1), self.y1.min(other.y1), self.x2.max(other.x2), self.y2.max(other.y2))
    }

    /// Enlarged by `share` of each side, around the same centre.
    pub fn grown(&self, share: f32) -> Self {
        let (x, y) = (self.width() * share / 2.0, self.height() * share / 2.0);
        Rect::new(self.x1 - x, self.y1 - y, self.x2 + x, self.y2 + y)
    }

    /// Moved by `x` to the right and `y` down.
    pub fn shifted(&self, x: f32, y: f32) -> Self {
        Rect::new(self.x1 + x, self.y1 + y, self.x2 + x, self.y2 + y)
    }

    /// Intersection over union; 0 if the boxes are disjoint or empty.
    pub fn iou(&self, other: &Self) -> f32 {
        let intersection = self.intersection(other);
        let union = self.area() + other.area() - intersection;
        if union > 0.0 { intersection / union } else { 0.0 }
    }

    /// The part inside `width` x `height` pixels.
    pub fn clip(&self, width: f32, height: f32) -> Self {
        Rect::new(
            self.x1.clamp(0.0, width),
            self.y1.clamp(0.0, height),
            self.x2.clamp(0.0, width),
            self.y2.clamp(0.0, height),
        )
    }
}

/// Position of a camera picture in the network's input: same scale on both axes, at the top left (docs/seam.md §1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Letterbox {
    /// The camera picture.
    pub source: Size,
    /// The part of the input covered by the picture: `floor(side * scale)`, at least one pixel.
    pub scaled: Size,
    /// The whole input.
    pub input: Size,
}

impl Letterbox {
    /// The largest copy of `source` that fits `input`. Sides of `source` must not be zero.
    pub fn fit(source: Size, input: Size) -> Self {
        // The tighter axis decides. Integer arithmetic, so that no side loses a pixel to rounding.
        let scaled = if input.height * source.width <= input.width * source.height {
            Size::new((source.width * input.height / source.height).max(1), input.height)
        } else {
            Size::new(input.width, (source.height * input.width / source.width).max(1))
        };
        Letterbox { source, scaled, input }
    }

    /// From network pixels to camera pixels: each axis by its own exact ratio, as torchvision does.
    pub fn to_camera(&self, bounds: Rect<Network>) -> Rect<Camera> {
        let x = self.source.width as f32 / self.scaled.width as f32;
        let y = self.source.height as f32 / self.scaled.height as f32;
        Rect::new(bounds.x1 * x, bounds.y1 * y, bounds.x2 * x, bounds.y2 * y)
    }

    /// From camera pixels to network pixels.
    pub fn to_network(&self, bounds: Rect<Camera>) -> Rect<Network> {
        let x = self.scaled.width as f32 / self.source.width as f32;
        let y = self.scaled.height as f32 / self.source.height as f32;
        Rect::new(bounds.x1 * x, bounds.y1 * y, bounds.x2 * x, bounds.y2 * y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn iou_of_halves_is_a_third() {
        let a = Rect::<Camera>::new(0.0, 0.0, 2.0, 1.0);
        let b = Rect::<Camera>::new(1.0, 0.0, 3.0, 1.0);
        assert!((a.iou(&b) - 1.0 / 3.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn a_letterbox_fits_touches_and_round_trips(w in 1usize..5000, h in 1usize..5000, iw in 1usize..20, ih in 1usize..20) {
            let input = Size::new(iw * 64, ih * 64);
            let letterbox = Letterbox::fit(Size::new(w, h), input);
            prop_assert!(letterbox.scaled.width <= input.width && letterbox.scaled.height <= input.height);
            prop_assert!(letterbox.scaled.width == input.width || letterbox.scaled.height == input.height);
            let whole = letterbox.to_camera(Rect::new(0.0, 0.0, letterbox.scaled.width as f32, letterbox.scaled.height as f32));
            prop_assert!((whole.x2 - w as f32).abs() < 0.01 && (whole.y2 - h as f32).abs() < 0.01);
            let there = letterbox.to_network(whole);
            prop_assert!((there.x2 - letterbox.scaled.width as f32).abs() < 0.01);
        }

        #[test]
        fn iou_is_symmetric_and_bounded(a in prop::array::uniform4(-50f32..50.0), b in prop::array::uniform4(-50f32..50.0)) {
            let a = Rect::<Camera>::new(a[0], a[1], a[2], a[3]);
            let b = Rect::<Camera>::new(b[0], b[1], b[2], b[3]);
            let iou = a.iou(&b);
            prop_assert!((0.0..=1.0).contains(&iou));
            prop_assert_eq!(iou, b.iou(&a));
        }
    }
}
