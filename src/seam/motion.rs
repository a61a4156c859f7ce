//! Where a box is expected next: it goes on at the speed at which it moved.

use crate::geometry::{Camera, Rect};
use std::time::Duration;

/// Share of the newest speed in the kept one: detections jitter.
const NEWEST: f32 = 0.5;
/// No box is expected to go on for longer: people stop and turn.
const LONGEST: Duration = Duration::from_millis(400);

/// Speed of a box, in its own widths and heights per second, so that a person who comes nearer stays as fast.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Motion {
    across: f32,
    down: f32,
}

impl Motion {
    /// Takes in that the box moved from `before` to `now` in `time`.
    pub fn observe(&mut self, before: &Rect<Camera>, now: &Rect<Camera>, time: Duration) {
        let seconds = time.as_secs_f32();
        if seconds <= 0.0 || before.area() <= 0.0 {
            return;
        }
        let ((x0, y0), (x1, y1)) = (before.centre(), now.centre());
        self.across += NEWEST * ((x1 - x0) / before.width() / seconds - self.across);
        self.down += NEWEST * ((y1 - y0) / before.height() / seconds - self.down);
    }

    /// The box expected so long after it was last seen as `bounds`.
    pub fn predict(&self, bounds: &Rect<Camera>, after: Duration) -> Rect<Camera> {
        let seconds = after.min(LONGEST).as_secs_f32();
        bounds.shifted(self.across * seconds * bounds.width(), self.down * seconds * bounds.height())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_goes_on_as_it_moved_and_not_for_long() {
        let (mut motion, frame) = (Motion::default(), Duration::from_millis(100));
        let at = |x: f32| Rect::new(x, 0.0, x + 40.0, 80.0);
        assert_eq!(motion.predict(&at(5.0), frame), at(5.0));
        for step in 0..12 {
            let x = 8.0 * step as f32;
            motion.observe(&at(x), &at(x + 8.0), frame);
        }
        assert!((motion.predict(&at(96.0), frame).x1 - 104.0).abs() < 0.1);
        assert_eq!(motion.predict(&at(0.0), Duration::from_secs(9)), motion.predict(&at(0.0), LONGEST));
        // The same frame twice says nothing about the speed.
        let before = motion;
        motion.observe(&at(0.0), &at(90.0), Duration::ZERO);
        assert_eq!(motion, before);
    }
}
