//! From a layout to pixels.

mod cards;
mod kept;

use super::canvas::Canvas;
use super::layout::{self, Body, GarmentBox, Layout, Message, Notice, Slot};
use super::mirror::Mirror;
use super::scene::{Garment, Scene};
use super::shapes::{self, Paint};
use super::text::{Fonts, Glyphs, Line, capital};
use super::theme::{self, Style};
use crate::fault::Result;
use crate::geometry::{Panel, Rect};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Drawable, Point, Primitive};
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
use kept::Kept;
pub use kept::fitted;

/// Draws scenes, and caches what is expensive: glyphs, scaled product pictures, QR codes.
pub struct Painter {
    fonts: Fonts,
    glyphs: Glyphs,
    kept: Kept,
}

/// Where a line of text begins in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Centre,
    Right,
}

impl Painter {
    /// Reads the shipped fonts.
    pub fn new() -> Result<Self> {
        Ok(Painter { fonts: Fonts::new()?, glyphs: Glyphs::default(), kept: Kept::default() })
    }

    /// The fonts, for [`layout::layout`].
    pub fn fonts(&self) -> &Fonts {
        &self.fonts
    }

    /// Draws `scene` over everything on `canvas`.
    pub fn draw(&mut self, scene: &Scene, canvas: &mut Canvas) {
        let layout = layout::layout(scene, canvas.size(), &self.fonts);
        self.kept.begin();
        self.ground(scene, &layout, canvas);
        for seen in &layout.boxes {
            outline(canvas, seen, layout.unit);
        }
        for seen in &layout.boxes {
            self.label(&scene.garments[seen.garment], seen, layout.unit, canvas);
        }
        for slot in &layout.slots {
            self.slot(scene, slot, layout.unit, canvas);
        }
        if let Some(notice) = &layout.notice {
            self.notice(notice, layout.unit, canvas);
        }
        self.edges(scene, &layout, canvas);
        self.kept.end();
    }

    /// The camera picture, and the background where there is none.
    fn ground(&mut self, scene: &Scene, layout: &Layout, canvas: &mut Canvas) {
        let light = if layout.notice.is_some() { theme::DIM } else { 256 };
        let (Some(mirror), Some(picture)) = (&layout.mirror, &scene.camera) else { return canvas.fill(theme::GROUND) };
        let place = mirror.target();
        let (width, height) = (layout.size.width as f32, layout.size.height as f32);
        fill(canvas, Rect::new(place.x2, 0.0, width, height), theme::GROUND);
        fill(canvas, Rect::new(0.0, 0.0, place.x1, height), theme::GROUND);
        fill(canvas, Rect::new(place.x1, place.y2, place.x2, height), theme::GROUND);
        if let Some(around) = layout.surround {
            let blurred = kept::blurred(picture);
            if let Some(cover) = Mirror::cover(blurred.size(), around) {
                canvas.mirror_picture(&blurred, &cover, theme::SURROUND);
            }
        }
        canvas.mirror_picture(picture, mirror, light);
    }

    fn label(&mut self, garment: &Garment, seen: &GarmentBox, unit: f32, canvas: &mut Canvas) {
        let Some(label) = seen.label else { return };
        shapes::fill_round(canvas, label, label.height() / 2.0, Paint::sheer(theme::GROUND, theme::CHIP_OPACITY));
        let inset = (11.0 * unit).round();
        let side = label.height() - 2.0 * inset;
        let ring = Rect::new(label.x1 + inset, label.y1 + inset, label.x1 + inset + side, label.y1 + inset + side);
        gathered(canvas, ring, 4.0 * unit, garment);
        let text = Rect::new(ring.x2 + inset * 0.9, label.y1, label.x2 - inset, label.y2);
        self.line(canvas, text, &capital(&garment.label), theme::LABEL.at(unit), theme::IVORY, Align::Left);
    }

    fn slot(&mut self, scene: &Scene, slot: &Slot, unit: f32, canvas: &mut Canvas) {
        let garment = &scene.garments[slot.garment];
        let name = match &slot.body {
            Body::Gathering(_) => &garment.label,
            Body::Nothing { matched, .. } | Body::Cards { matched, .. } => &scene.matches[*matched].label,
        };
        self.line(canvas, slot.heading, &capital(name), theme::HEADING.at(unit), theme::IVORY, Align::Left);
        match &slot.body {
            Body::Gathering(message) => {
                let wanted = garment.wanted.max(1);
                let looking = ["Looking closely", "Turn a little: every side helps."];
                let searching = ["Searching the shop", "Just a moment."];
                let words = if garment.gathered < wanted { looking } else { searching };
                self.message(canvas, message, unit, words, (garment.gathered, wanted));
            }
            Body::Nothing { message, .. } => {
                let words = ["Nothing like it here", "This shop has no close match for it today."];
                self.message(canvas, message, unit, words, (0, 0));
            }
            Body::Cards { matched, cards } => {
                for place in cards {
                    self.card(&scene.matches[*matched].cards[place.card], place, unit, canvas);
                }
            }
        }
    }

    /// Words in an outline. `gathered` is a count out of a wanted number; if that is 0, a dash is drawn instead.
    fn message(&mut self, canvas: &mut Canvas, place: &Message, unit: f32, words: [&str; 2], gathered: (usize, usize)) {
        let line = (1.5 * unit).max(1.0);
        shapes::stroke_round(canvas, place.frame, theme::RADIUS * unit, line, Paint::solid(theme::EDGE));
        let (have, wanted) = gathered;
        let thick = (7.0 * unit).max(2.0);
        shapes::ring(canvas, place.ring, thick, 1.0, Paint::solid(theme::EDGE));
        if wanted > 0 {
            shapes::ring(canvas, place.ring, thick, have as f32 / wanted as f32, Paint::solid(theme::BRASS));
            self.line(
                canvas,
                place.ring,
                &have.min(wanted).to_string(),
                theme::NOTICE.at(unit),
                theme::IVORY,
                Align::Centre,
            );
        } else {
            let (x, y) = place.ring.centre();
            let (x, y) = (x.round(), y.round());
            let dash = Rect::new(x - 18.0 * unit, y - 2.0 * unit, x + 18.0 * unit, y + 2.0 * unit);
            shapes::fill_round(canvas, dash, 2.0 * unit, Paint::solid(theme::MUTED));
        }
        self.line(canvas, place.title, words[0], theme::NOTICE.at(unit), theme::IVORY, Align::Left);
        self.paragraph(canvas, place.hint, words[1], theme::BODY.at(unit), theme::MUTED);
    }

    fn notice(&mut self, notice: &Notice, unit: f32, canvas: &mut Canvas) {
        shapes::brackets(canvas, notice.frame, 26.0 * unit, 92.0 * unit, 2.5 * unit, Paint::solid(theme::BRASS));
        self.tight(canvas, notice.headline, notice.says.headline(), notice.headline_style);
        fill(canvas, notice.rule, theme::BRASS);
        self.paragraph(canvas, notice.lead, notice.says.lead(), notice.lead_style, theme::IVORY);
    }

    /// The shop's name, the privacy line and the status line.
    fn edges(&mut self, scene: &Scene, layout: &Layout, canvas: &mut Canvas) {
        let unit = layout.unit;
        self.line(canvas, layout.shop, &scene.shop, theme::SHOP.at(unit), theme::BRASS, Align::Left);
        let (privacy, colour) = match scene.recording {
            true => (layout::RECORDED, theme::WARNING),
            false => (layout::PRIVACY, theme::MUTED),
        };
        self.paragraph(canvas, layout.privacy, privacy, theme::PRIVACY.at(unit), colour);
        let status = &scene.status;
        let (text, colour) = match &status.warning {
            Some(warning) => (warning, theme::WARNING),
            None => (&status.text, theme::MUTED),
        };
        self.line(canvas, layout.status, text, theme::STATUS.at(unit), colour, Align::Left);
        if let Some(rate) = status.frames_per_second.filter(|rate| rate.is_finite()) {
            let text = format!("{rate:.1} frames/s");
            self.line(canvas, layout.rate, &text, theme::STATUS.at(unit), theme::MUTED, Align::Right);
        }
    }

    /// One line, cut with an ellipsis, in the middle of the height of `place`.
    fn line(
        &mut self,
        canvas: &mut Canvas,
        place: Rect<Panel>,
        text: &str,
        style: Style,
        colour: Rgb888,
        align: Align,
    ) {
        if place.area() <= 0.0 {
            return;
        }
        let text = self.fonts.ellipsize(text, style, place.width());
        let free = place.width() - self.fonts.width(&text, style);
        let x = match align {
            Align::Left => place.x1,
            Align::Centre => place.x1 + free / 2.0,
            Align::Right => place.x1 + free,
        };
        let line = Line { text: &text, style, colour, x, y: place.y1, height: place.height() };
        self.glyphs.draw(&self.fonts, canvas, line);
    }

    /// As many lines as `place` has room for, from its top.
    fn paragraph(&mut self, canvas: &mut Canvas, place: Rect<Panel>, text: &str, style: Style, colour: Rgb888) {
        self.lines(canvas, place, text, style, colour, style.line());
    }

    /// Large text, with less line spacing.
    fn tight(&mut self, canvas: &mut Canvas, place: Rect<Panel>, text: &str, style: Style) {
        self.lines(canvas, place, text, style, theme::IVORY, style.line() * 0.86);
    }

    fn lines(
        &mut self,
        canvas: &mut Canvas,
        place: Rect<Panel>,
        text: &str,
        style: Style,
        colour: Rgb888,
        height: f32,
    ) {
        let room = ((place.height() + 1.0) / height) as usize;
        for (index, text) in self.fonts.wrap(text, style, place.width(), room).iter().enumerate() {
            let line = Line { text, style, colour, x: place.x1, y: place.y1 + index as f32 * height, height };
            self.glyphs.draw(&self.fonts, canvas, line);
        }
    }
}

/// A rectangle on whole pixels.
fn fill(canvas: &mut Canvas, area: Rect<Panel>, colour: Rgb888) {
    let corner = Point::new(area.x1.round() as i32, area.y1.round() as i32);
    let size = (area.width().round().max(0.0) as u32, area.height().round().max(0.0) as u32);
    // Drawing on a canvas cannot fail: its error is Infallible.
    let Ok(()) = Rectangle::new(corner, size.into()).into_styled(PrimitiveStyle::with_fill(colour)).draw(canvas);
}

/// Corner brackets for garments with a label, a thin outline for the others.
fn outline(canvas: &mut Canvas, seen: &GarmentBox, unit: f32) {
    let bounds = seen.bounds;
    if seen.label.is_none() {
        return shapes::stroke_round(canvas, bounds, 12.0 * unit, 1.5 * unit, Paint::sheer(theme::IVORY, 0.4));
    }
    let arm = 0.22 * bounds.width().min(bounds.height());
    let shadow = Rect::new(bounds.x1 - unit, bounds.y1 - unit, bounds.x2 + unit, bounds.y2 + unit);
    shapes::brackets(canvas, shadow, 19.0 * unit, arm + unit, 5.5 * unit, Paint::sheer(theme::GROUND, 0.35));
    shapes::brackets(canvas, bounds, 18.0 * unit, arm, 3.5 * unit, Paint::solid(theme::IVORY));
}

/// The ring of a label: its track, and the share that is gathered.
fn gathered(canvas: &mut Canvas, ring: Rect<Panel>, line: f32, garment: &Garment) {
    let share = garment.gathered as f32 / garment.wanted.max(1) as f32;
    shapes::ring(canvas, ring, line, 1.0, Paint::sheer(theme::IVORY, 0.28));
    shapes::ring(canvas, ring, line, share, Paint::solid(theme::BRASS));
}
