//! How large things on the panel are to a shopper's eye: from the panel's size in inches and the distance it is looked at from.

use super::text::CAPITAL;
use super::theme;
use crate::geometry::Size;

/// Millimetres in an inch.
const INCH: f32 = 25.4;
/// The panel that is assumed where neither the configuration nor the screen itself tells: the smallest usual mirror. Inches.
pub const USUAL_DIAGONAL: f32 = 32.0;
/// A shopper stands this far from a mirror, metres.
pub const USUAL_DISTANCE: f32 = 2.0;
/// Capitals of all text that matters are at least this high, in minutes of arc.
pub const READABLE: f32 = 20.0;
/// A phone is held this far before the eyes, metres; never nearer to the panel than [`NEAREST`].
const ARM: f32 = 0.5;
const NEAREST: f32 = 0.4;
/// Text grows by this much at most, where a panel is small for its distance: then the distance is wrong, or the panel.
const MOST: f32 = 1.5;

/// Size and distance of a panel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewing {
    /// Side of a pixel, millimetres.
    pub pixel: f32,
    /// From the eyes to the panel, metres.
    pub distance: f32,
}

impl Viewing {
    /// A panel of `size` pixels and `diagonal` inches, seen from `distance` metres.
    pub fn of(size: Size, diagonal: f32, distance: f32) -> Self {
        let pixels = (size.width as f32).hypot(size.height as f32).max(1.0);
        Viewing { pixel: diagonal * INCH / pixels, distance }
    }

    /// The angle under which so many pixels are seen, in minutes of arc.
    pub fn arc_minutes(&self, pixels: f32) -> f32 {
        (pixels * self.pixel / (1e3 * self.distance)).atan().to_degrees() * 60.0
    }

    /// The pixels that are seen under this angle.
    pub fn pixels(&self, arc_minutes: f32) -> f32 {
        (arc_minutes / 60.0).to_radians().tan() * 1e3 * self.distance / self.pixel
    }

    /// The least side of a QR code, quiet zone included, in pixels: a tenth of the distance that a phone reads it from.
    pub fn code_side(&self) -> f32 {
        (self.distance - ARM).max(NEAREST) * 1e3 / 10.0 / self.pixel
    }

    /// By how much text is larger than its styles say, so that what matters is [`READABLE`]; `unit` as [`theme::unit`] gives it.
    pub fn enlargement(&self, unit: f32) -> f32 {
        let capital = theme::LEAST_READABLE * CAPITAL * unit;
        (self.pixels(READABLE) / capital).clamp(1.0, MOST)
    }

    /// How high the capitals of the text that matters are, in minutes of arc, on a panel of this size.
    pub fn readability(&self, size: Size) -> f32 {
        let unit = theme::unit(size);
        self.arc_minutes(theme::LEAST_READABLE * CAPITAL * unit * self.enlargement(unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Size = Size::new(1080, 1920);

    #[test]
    fn angles_and_pixels_are_each_others_inverse() {
        // 32 inches at 1080p: 0.369 mm a pixel; 20 minutes at 2 m are 11.6 mm.
        let viewing = Viewing::of(FULL, 32.0, 2.0);
        assert!((viewing.pixel - 0.369).abs() < 1e-3);
        assert!((viewing.pixels(20.0) * viewing.pixel - 11.64).abs() < 0.01);
        assert!((viewing.arc_minutes(viewing.pixels(13.0)) - 13.0).abs() < 1e-3);
    }

    #[test]
    fn what_matters_can_be_read_on_every_usual_mirror() {
        for diagonal in [22.0, 27.0, 32.0, 43.0, 55.0] {
            for size in [FULL, Size::new(1920, 1080), Size::new(2160, 3840), Size::new(720, 1280)] {
                let least = Viewing::of(size, diagonal, 2.0).readability(size);
                assert!(least >= READABLE - 0.2, "{diagonal} inches, {size:?}: {least} minutes of arc");
            }
        }
        assert!(Viewing::of(FULL, 10.0, 2.0).readability(FULL) < READABLE, "a tablet is not read from two metres");
        assert!(Viewing::of(FULL, 10.0, 0.7).readability(FULL) >= READABLE);
    }

    #[test]
    fn codes_are_a_tenth_of_the_distance_of_the_phone() {
        let viewing = Viewing::of(FULL, 32.0, 2.0);
        assert!((viewing.code_side() * viewing.pixel - 150.0).abs() < 0.1);
    }
}
