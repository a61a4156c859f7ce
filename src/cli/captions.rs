//! Words on pictures that a command writes: what a box is, what a picture in a sheet shows.

use crate::display::canvas::Canvas;
use crate::display::text::{Fonts, Line};
use crate::display::theme::{self, Style};
use crate::fault::Result;
use crate::geometry::{Camera, Rect};
use embedded_graphics::pixelcolor::Rgb888;

/// A pen with the shipped fonts, in one style.
pub struct Captions {
    fonts: Fonts,
    style: Style,
}

impl Captions {
    /// Reads the fonts.
    pub fn new(style: Style) -> Result<Self> {
        Ok(Captions { fonts: Fonts::new()?, style })
    }

    /// One line from `place` (x, y), cut to `width` pixels, in the middle of `height` pixels.
    pub fn line(&mut self, canvas: &mut Canvas, text: &str, place: (f32, f32), size: (f32, f32), colour: Rgb888) {
        let text = &self.fonts.ellipsize(text, self.style, size.0);
        let (x, y) = place;
        self.fonts.draw(canvas, Line { text, style: self.style, colour, x, y, height: size.1 });
    }

    /// A caption on a dark plate, above the box where there is room, else inside it; all of it within the canvas.
    pub fn plate(&mut self, canvas: &mut Canvas, text: &str, bounds: Rect<Camera>, colour: Rgb888) {
        let (width, height) = (self.fonts.width(text, self.style) + self.style.size * 0.5, self.style.line());
        let x = bounds.x1.min(canvas.size().width as f32 - width).max(0.0).round();
        let y = if bounds.y1 >= height { bounds.y1 - height } else { bounds.y1.max(0.0) }.round();
        for row in y as i32..(y + height) as i32 {
            canvas.blend_row(row, x as i32..(x + width) as i32, theme::GROUND, 205);
        }
        self.line(canvas, text, (x + self.style.size * 0.25, y), (width, height), colour);
    }
}
