//! The one rule for whether two boxes show garments of the same person.

use crate::geometry::Rect;

/// Two boxes of one person touch when grown by this share of their sides.
pub const REACH: f32 = 0.25;
/// And they are one above the other: at least this share of the narrower one's width is also the other's.
const SHARED_WIDTH: f32 = 0.5;

/// Whether one person wears what is in both boxes: a shirt and the trousers below it, and not the shirts of two people who stand
/// side by side.
pub fn same_person<Space>(a: &Rect<Space>, b: &Rect<Space>) -> bool {
    let shared = a.x2.min(b.x2) - a.x1.max(b.x1);
    shared >= SHARED_WIDTH * a.width().min(b.width()) && a.grown(REACH).touches(&b.grown(REACH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Camera;

    #[test]
    fn garments_of_one_person_are_one_above_the_other_and_near() {
        let at = |x: f32, y: f32| Rect::<Camera>::new(x, y, x + 60.0, y + 100.0);
        let shirt = at(100.0, 100.0);
        assert!(same_person(&shirt, &at(110.0, 210.0)), "trousers");
        assert!(same_person(&shirt, &at(125.0, 120.0)), "a jacket over it");
        assert!(!same_person(&shirt, &at(140.0, 100.0)), "somebody beside");
        assert!(!same_person(&shirt, &at(105.0, 300.0)), "somebody in front, lower in the picture");
        assert!(same_person(&at(110.0, 210.0), &shirt), "in both directions");
    }
}
