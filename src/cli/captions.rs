//! Words on pictures that a command writes: what a box is, what a picture in a sheet shows.

use crate::display::canvas::Canvas;
use crate::display::text::{Fonts, Line};
use crate::display::theme::{self, Style};
use crate::fault::Result;
use crate::geometry::{Camera, Rect};
use embedded_graphics::pixelcolor::Rgb888;

/// A pen with the shipped fonts, in one style, for one picture.
pub struct Captions {
    fonts: Fonts,
    style: Style,
    /// The plates so far: left, top, right, bottom.
    plates: Vec<[f32; 4]>,
}

impl Captions {
    /// Reads the fonts.
    pub fn new(style: Style) -> Result<Self> {
        Ok(Captions { fonts: Fonts::new()?, style, plates: Vec::new() })
    }

    /// One line from `place` (x, y), cut to `width` pixels, in the middle of `height` pixels.
    pub fn line(&mut self, canvas: &mut Canvas, text: &str, place: (f32, f32), size: (f32, f32), colour: Rgb888) {
        let text = &self.fonts.ellipsize(text, self.style, size.0);
        let (x, y) = place;
        self.fonts.draw(canvas, Line { text, style: self.style, colour, x, y, height: size.1 });
    }

    /// A caption on a dark plate, above the box where there is room, else inside it; below where another plate is already. All of it is
    /// within the canvas.
    pub fn plate(&mut self, canvas: &mut Canvas, text: &str, bounds: Rect<Camera>, colour: Rgb888) {
        let (width, height) = (self.fonts.width(text, self.style) + self.style.size * 0.5, self.style.line());
        let size = canvas.size();
        let x = bounds.x1.min(size.width as f32 - width).max(0.0).round();
        let first = if bounds.y1 >= height { bounds.y1 - height } else { bounds.y1.max(0.0) }.round();
        let y = free_row(&self.plates, [x, x + width], first, height, size.height as f32);
        self.plates.push([x, y, x + width, y + height]);
        for row in y as i32..(y + height) as i32 {
            canvas.blend_row(row, x as i32..(x + width) as i32, theme::GROUND, 205);
        }
        self.line(canvas, text, (x + self.style.size * 0.25, y), (width, height), colour);
    }
}

/// The top of a plate from `first` on down, or else up, that lies on no other plate; `first` where there is no room.
fn free_row(plates: &[[f32; 4]], [left, right]: [f32; 2], first: f32, height: f32, canvas: f32) -> f32 {
    let is_free = |top: f32| {
        let apart =
            |plate: &[f32; 4]| plate[2] <= left || plate[0] >= right || plate[3] <= top || plate[1] >= top + height;
        top >= 0.0 && top + height <= canvas && plates.iter().all(apart)
    };
    let beside = |plate: &[f32; 4]| [plate[3], plate[1] - height];
    let mut tops: Vec<f32> = plates.iter().flat_map(beside).chain([first]).filter(|top| is_free(*top)).collect();
    tops.sort_by(|a, b| (a - first).abs().total_cmp(&(b - first).abs()));
    tops.first().copied().unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plates_lie_beside_one_another() {
        let place = |plates: &[[f32; 4]], first| free_row(plates, [10.0, 90.0], first, 20.0, 100.0);
        assert_eq!(place(&[], 30.0), 30.0);
        let one = [50.0, 30.0, 120.0, 50.0];
        assert_eq!(place(&[one], 35.0), 50.0, "below is nearer");
        assert_eq!(place(&[one, [10.0, 50.0, 40.0, 70.0]], 35.0), 10.0, "above");
        assert_eq!(place(&[[91.0, 30.0, 120.0, 50.0]], 30.0), 30.0, "beside it");
        let full = [[0.0, 0.0, 100.0, 50.0], [0.0, 50.0, 100.0, 100.0]];
        assert_eq!(place(&full, 30.0), 30.0, "there is no room");
    }
}
