//! Pictures of a detail: a shop's close-ups of a hem or a collar look like nothing that is worn, and beat the right product's
//! whole picture by chance.

use crate::geometry::{Camera, Rect, Size};

/// A side of a box that is so near to the picture's, in shares of it, is cut by it.
const EDGE: f32 = 0.01;
/// A box that covers a larger share of the picture fills it.
const FILLED: f32 = 0.8;

/// Whether a picture of this size shows a part of the garment in `bounds` and not the whole of it.
pub fn is_detail(bounds: Rect<Camera>, size: Size) -> bool {
    let (width, height) = (size.width as f32, size.height as f32);
    let [x1, y1, x2, y2] = bounds.corners();
    let near = [x1 / width, y1 / height, 1.0 - x2 / width, 1.0 - y2 / height];
    let cut = near.iter().filter(|gap| **gap <= EDGE).count();
    cut >= 2 || bounds.area() > FILLED * width * height
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_on_two_sides_or_fills_the_picture_is_a_detail() {
        let size = Size::new(200, 100);
        let detail = |x1, y1, x2, y2| is_detail(Rect::new(x1, y1, x2, y2), size);
        assert!(!detail(50.0, 0.0, 150.0, 90.0), "cut on one side: a model from the knee up");
        assert!(detail(50.0, 0.0, 150.0, 100.0) && detail(0.0, 40.0, 90.0, 99.5));
        assert!(!detail(10.0, 5.0, 190.0, 90.0) && detail(5.0, 4.0, 195.0, 95.0));
    }
}
