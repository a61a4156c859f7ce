//! From a layout to pixels.

mod card;
mod kept;
mod plan;
mod tile;

use super::canvas::Canvas;
use super::font_files::FontSettings;
use super::layout::{self, Body, GarmentBox, Hero, Label, LabelText, Layout, Notice, Ruler, message_texts};
use super::mirror::Mirror;
use super::scene::{Garment, Scene};
use super::shapes::{self, Paint};
use super::text::{Fonts, Line};
use super::theme::{self, Style, Theme};
use super::viewing::{USUAL_DIAGONAL, USUAL_DISTANCE, Viewing};
use crate::fault::Result;
use crate::geometry::{Panel, Rect, Size};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Drawable, Point, Primitive};
use embedded_graphics::primitives::{PrimitiveStyle, Rectangle};
pub use kept::fitted;
use kept::{ColumnContent, Kept};
use std::path::PathBuf;

/// How the screen is to look.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    pub theme: Theme,
    /// Fonts for the scripts that the shipped ones lack.
    pub fonts: Option<PathBuf>,
    /// The panel's diagonal, inches; `None`: as the screen says, or else the usual one.
    pub diagonal: Option<f32>,
    /// From which the panel is looked at, metres.
    pub distance: f32,
    /// The language whose forms of Chinese characters are used.
    pub language: String,
}

impl Default for Look {
    fn default() -> Self {
        let (theme, language) = (Theme::default(), String::new());
        Look { theme, fonts: None, diagonal: None, distance: USUAL_DISTANCE, language }
    }
}

impl Look {
    /// Where letters come from.
    pub fn font_settings(&self) -> FontSettings {
        FontSettings {
            folder: self.fonts.clone(),
            typeface: self.theme.typeface.clone(),
            language: self.language.clone(),
        }
    }

    /// How a panel of this size is seen that says itself to have this diagonal.
    pub fn viewing(&self, size: Size, told: Option<f32>) -> Viewing {
        Viewing::of(size, self.diagonal.or(told).unwrap_or(USUAL_DIAGONAL), self.distance)
    }
}

/// Draws scenes, and caches what is expensive: everything beside the camera picture while it stays the same, text, scaled product
/// pictures, QR codes.
pub struct Painter {
    look: Look,
    /// Of the panel, where it says so.
    diagonal: Option<f32>,
    fonts: Fonts,
    kept: Kept,
}

/// Where a line of text begins in its place: at the side where the language begins to read, or in the middle.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Start,
    Centre,
}

/// What the parts of a drawing share.
struct Pen<'a> {
    canvas: &'a mut Canvas,
    unit: f32,
    text: f32,
    right_to_left: bool,
}

impl Painter {
    /// With the shipped look.
    pub fn new() -> Result<Self> {
        Painter::with(Look::default())
    }

    /// # Errors
    /// Where the theme's typeface cannot be read.
    pub fn with(look: Look) -> Result<Self> {
        let fonts = Fonts::open(&look.font_settings())?;
        Ok(Painter { look, diagonal: None, fonts, kept: Kept::default() })
    }

    /// What the panel says of its diagonal, in inches.
    pub fn set_diagonal(&mut self, diagonal: Option<f32>) {
        self.diagonal = diagonal;
    }

    pub fn look(&self) -> &Look {
        &self.look
    }

    pub fn fonts(&self) -> &Fonts {
        &self.fonts
    }

    /// What [`layout::layout`] measures with on a panel of this size.
    pub fn ruler(&self, size: Size) -> Ruler<'_> {
        let viewing = self.look.viewing(size, self.diagonal);
        Ruler::new(&self.fonts, size, viewing, self.look.theme.larger_text)
    }

    /// Places `scene` on a panel of this size.
    pub fn layout(&self, scene: &Scene, size: Size) -> Layout {
        layout::layout(scene, size, self.ruler(size))
    }

    /// Draws `scene` over everything on `canvas`.
    pub fn draw(&mut self, scene: &Scene, canvas: &mut Canvas) {
        let layout = self.layout(scene, canvas.size());
        self.kept.begin();
        let Layout { unit, text, right_to_left, .. } = layout;
        let pen = &mut Pen { canvas, unit, text, right_to_left };
        if let (Some(mirror), Some(picture)) = (&layout.mirror, &scene.camera) {
            let light = if layout.notice.is_some() { theme::DIM } else { 256 };
            pen.canvas.mirror_picture(picture, mirror, light);
        }
        for seen in &layout.boxes {
            self.outline(seen, pen);
        }
        for seen in &layout.boxes {
            if let Some(label) = &seen.label {
                self.label(scene, seen, label, pen);
            }
        }
        match &layout.notice {
            Some(notice) => self.full_notice(scene, &layout, notice, pen),
            None => self.column(scene, &layout, pen),
        }
        self.status(scene, &layout, pen);
        self.kept.end();
    }

    /// Everything beside the camera picture. While nothing of it changes it is copied from the last drawing.
    fn column(&mut self, scene: &Scene, layout: &Layout, pen: &mut Pen<'_>) {
        let stage = layout.mirror.as_ref().map(Mirror::target);
        let around = around(stage, layout.size);
        let content = ColumnContent::of(scene, stage, self.diagonal);
        if self.kept.copy_column(&content, &around, pen.canvas) {
            return;
        }
        for part in &around {
            fill(pen.canvas, *part, self.look.theme.colors.ground);
        }
        if let Some(hero) = &layout.hero {
            self.hero(scene, hero, pen);
        }
        for tile in &layout.tiles {
            self.tile(scene, layout.hero.as_ref().map(|hero| hero.section), tile, pen);
        }
        self.footer(scene, layout, pen);
        self.kept.keep_column(content, &around, pen.canvas);
    }

    /// Corner brackets: in the accent around the featured garment, thin around the others.
    fn outline(&self, seen: &GarmentBox, pen: &mut Pen<'_>) {
        let (bounds, unit, colors) = (seen.bounds, pen.unit, &self.look.theme.colors);
        let arm = 0.2 * bounds.width().min(bounds.height());
        let shadow = Rect::new(bounds.x1 - unit, bounds.y1 - unit, bounds.x2 + unit, bounds.y2 + unit);
        let (color, line) = if seen.featured { (colors.accent, 5.0 * unit) } else { (colors.text, 2.5 * unit) };
        shapes::brackets(
            pen.canvas,
            shadow,
            19.0 * unit,
            arm + unit,
            line + 2.0 * unit,
            Paint::sheer(colors.ground, 0.4),
        );
        shapes::brackets(pen.canvas, bounds, 18.0 * unit, arm, line, Paint::solid(color));
    }

    fn label(&mut self, scene: &Scene, seen: &GarmentBox, label: &Label, pen: &mut Pen<'_>) {
        let colors = self.look.theme.colors;
        let frame = label.frame;
        shapes::fill_round(pen.canvas, frame, frame.height() / 2.0, Paint::sheer(colors.ground, theme::CHIP_OPACITY));
        if let Some(ring) = label.ring {
            match (&label.says, seen.number) {
                (LabelText::Looking, _) | (_, None) => {
                    self.gathered(ring, 6.0 * pen.unit, &scene.garments[seen.garment], pen)
                }
                (_, Some(number)) => self.number(number, ring, seen.featured, pen),
            }
        }
        let words = match &label.says {
            LabelText::Looking => return,
            LabelText::Product(text) => text.clone(),
            LabelText::NotSold => scene.words.say("not-sold-short"),
        };
        self.line(pen, label.text, &words, theme::LABEL, colors.text, Align::Start);
    }

    /// The ring of what is gathered: its track, and the share.
    fn gathered(&self, ring: Rect<Panel>, line: f32, garment: &Garment, pen: &mut Pen<'_>) {
        let colors = &self.look.theme.colors;
        let share = garment.gathered as f32 / garment.wanted.max(1) as f32;
        shapes::ring(pen.canvas, ring, line, 1.0, Paint::sheer(colors.text, 0.3));
        shapes::ring(pen.canvas, ring, line, share, Paint::solid(colors.accent));
    }

    /// A garment's number, the same on the picture and on its card.
    fn number(&mut self, number: usize, place: Rect<Panel>, featured: bool, pen: &mut Pen<'_>) {
        let colors = self.look.theme.colors;
        let ground = if featured { colors.accent } else { colors.text };
        shapes::fill_round(pen.canvas, place, place.height() / 2.0, Paint::solid(ground));
        let style = Style { size: (place.height() * 0.68).round(), ..theme::LABEL };
        self.set(pen, place, &number.to_string(), style, colors.ground, Align::Centre);
    }

    fn hero(&mut self, scene: &Scene, hero: &Hero, pen: &mut Pen<'_>) {
        let colors = self.look.theme.colors;
        let message = match &hero.body {
            Body::Product(place) => {
                let Some(matched) = hero.section.matched else { return };
                return self.card(scene, &scene.matches[matched].cards[place.card], place, hero.number, pen);
            }
            Body::Gathering(message) | Body::Nothing(message) => message,
        };
        let [title, hint] = message_texts(scene, hero.section).map(|name| scene.words.say(name));
        if matches!(hero.body, Body::Gathering(_)) {
            let garment = &scene.garments[hero.section.garment];
            self.gathered(message.ring, (10.0 * pen.unit).max(3.0), garment, pen);
        } else {
            card::hanger(pen.canvas, message.ring, colors.text_soft);
        }
        self.paragraph(pen, message.title, &title, theme::NOTICE, colors.text);
        self.paragraph(pen, message.hint, &hint, theme::LEAD, colors.text_soft);
    }

    /// The sentence over the whole panel.
    fn full_notice(&mut self, scene: &Scene, layout: &Layout, notice: &Notice, pen: &mut Pen<'_>) {
        let (unit, colors) = (pen.unit, self.look.theme.colors);
        if layout.mirror.is_none() {
            pen.canvas.fill(colors.ground);
        }
        shapes::brackets(pen.canvas, notice.frame, 26.0 * unit, 92.0 * unit, 2.5 * unit, Paint::solid(colors.accent));
        let [headline, lead] = notice.says.texts(scene);
        let style = theme::DISPLAY.at(pen.text);
        self.lines(pen, notice.headline, &headline, style, colors.text, style.line() * layout::TIGHT);
        fill(pen.canvas, notice.rule, colors.accent);
        let garments = scene.enrol.iter().flat_map(|enrol| &enrol.garments);
        for (row, garment) in notice.garments.iter().zip(garments) {
            let text = scene.words.say(garment.region_text());
            shapes::fill_round(pen.canvas, row.region, row.region.height() / 2.0, Paint::solid(colors.accent));
            self.line(pen, row.region, &text, theme::LEAD, colors.ground, Align::Centre);
            self.line(pen, row.title, &garment.title, theme::LEAD, colors.text, Align::Start);
        }
        self.paragraph(pen, notice.lead, &lead, theme::LEAD, colors.text);
        self.footer(scene, layout, pen);
    }

    /// The shop's name or logo, and the privacy line.
    fn footer(&mut self, scene: &Scene, layout: &Layout, pen: &mut Pen<'_>) {
        let colors = self.look.theme.colors;
        match self.look.theme.logo.clone() {
            Some(logo) => {
                let style = theme::SHOP.at(pen.text);
                let place = layout.shop;
                let above = ((place.height() - style.line()) / 2.0).floor();
                let place = Rect::new(place.x1, place.y1 + above, place.x2, place.y2 - above);
                if let Some(tile) = self.kept.thumbnail(&logo, place) {
                    pen.canvas.copy(place.x1 as i32, place.y1 as i32, tile);
                }
            }
            None => self.line(pen, layout.shop, &scene.shop, theme::SHOP, colors.accent, Align::Start),
        }
        let color = if scene.recording { colors.warning } else { colors.text_soft };
        self.paragraph(pen, layout.privacy, &scene.words.say(scene.privacy_text()), theme::PRIVACY, color);
    }

    /// For the operator: what the device does and what is wrong, over the top of the picture. For everyone else a dot, if
    /// something is wrong.
    fn status(&mut self, scene: &Scene, layout: &Layout, pen: &mut Pen<'_>) {
        let (unit, colors) = (pen.unit, self.look.theme.colors);
        let width = layout.size.width as f32;
        let status = &scene.status;
        if !scene.operator {
            if status.warning.is_some() {
                let (x, y, radius) = (width - 16.0 * unit, 16.0 * unit, 6.0 * unit);
                let dot = Rect::new(x - radius, y - radius, x + radius, y + radius);
                shapes::fill_round(pen.canvas, dot, radius, Paint::solid(colors.warning));
            }
            return;
        }
        let rate = status.frames_per_second.filter(|rate| rate.is_finite());
        let rate = rate.map(|rate| format!("{rate:.1} frames/s")).unwrap_or_default();
        let garments = scene.garments.iter().map(|seen| format!("{} {}/{}", seen.label, seen.gathered, seen.wanted));
        let lines = [
            (status.text.clone(), colors.text_soft),
            (rate, colors.text_soft),
            (garments.collect::<Vec<_>>().join(", "), colors.text_soft),
            (status.warning.clone().unwrap_or_default(), colors.warning),
        ];
        let style = theme::STATUS.at(unit);
        let mut at = Rect::new(12.0 * unit, 8.0 * unit, width - 12.0 * unit, 8.0 * unit + style.line());
        for (text, color) in lines.iter().filter(|(text, _)| !text.is_empty()) {
            let ground = Rect::new(0.0, at.y1 - 4.0 * unit, width, at.y2 + 4.0 * unit);
            shapes::fill_round(pen.canvas, ground, 0.0, Paint::sheer(colors.ground, theme::CHIP_OPACITY));
            self.set(pen, at, text, style, *color, Align::Start);
            at = at.shifted(0.0, style.line());
        }
    }

    /// One line in a style of the theme, cut with an ellipsis, in the middle of the height of `place`.
    fn line(&mut self, pen: &mut Pen<'_>, place: Rect<Panel>, text: &str, style: Style, color: Rgb888, align: Align) {
        self.set(pen, place, text, style.at(pen.text), color, align);
    }

    /// A line that must not lose letters, such as a price: smaller where it does not fit, down to half its size.
    fn whole_line(
        &mut self,
        pen: &mut Pen<'_>,
        place: Rect<Panel>,
        text: &str,
        style: Style,
        color: Rgb888,
        align: Align,
    ) {
        let style = style.at(pen.text);
        let share = (place.width() / self.fonts.width(text, style).max(1.0)).clamp(0.5, 1.0);
        self.set(pen, place, text, Style { size: (style.size * share).floor().max(8.0), ..style }, color, align);
    }

    /// The same, in a style in pixels.
    fn set(&mut self, pen: &mut Pen<'_>, place: Rect<Panel>, text: &str, style: Style, colour: Rgb888, align: Align) {
        if place.area() <= 0.0 {
            return;
        }
        let text = self.fonts.ellipsize(text, style, place.width());
        let free = place.width() - self.fonts.width(&text, style);
        let x = match align {
            Align::Start if pen.right_to_left => place.x1 + free,
            Align::Start => place.x1,
            Align::Centre => place.x1 + free / 2.0,
        };
        self.fonts.draw(pen.canvas, Line { text: &text, style, colour, x, y: place.y1, height: place.height() });
    }

    /// As many lines as `place` has room for, from its top.
    fn paragraph(&mut self, pen: &mut Pen<'_>, place: Rect<Panel>, text: &str, style: Style, color: Rgb888) {
        let style = style.at(pen.text);
        self.lines(pen, place, text, style, color, style.line());
    }

    fn lines(&mut self, pen: &mut Pen<'_>, place: Rect<Panel>, text: &str, style: Style, color: Rgb888, height: f32) {
        let room = ((place.height() + 1.0) / height) as usize;
        let lines = self.fonts.wrap(text, style, place.width(), room);
        for (index, text) in lines.iter().enumerate() {
            let y = place.y1 + index as f32 * height;
            let line = Rect::new(place.x1, y, place.x2, y + height);
            self.set(pen, line, text, style, color, Align::Start);
        }
    }
}

/// The panel without the camera picture's place.
fn around(stage: Option<Rect<Panel>>, size: Size) -> [Rect<Panel>; 4] {
    let (width, height) = (size.width as f32, size.height as f32);
    let stage = stage.unwrap_or(Rect::new(0.0, 0.0, 0.0, 0.0));
    [
        Rect::new(0.0, 0.0, stage.x1, height),
        Rect::new(stage.x2, 0.0, width, height),
        Rect::new(stage.x1, 0.0, stage.x2, stage.y1),
        Rect::new(stage.x1, stage.y2, stage.x2, height),
    ]
}

/// `area` on whole pixels.
fn whole(area: Rect<Panel>) -> Rectangle {
    let corner = Point::new(area.x1.round() as i32, area.y1.round() as i32);
    let size = (area.width().round().max(0.0) as u32, area.height().round().max(0.0) as u32);
    Rectangle::new(corner, size.into())
}

fn fill(canvas: &mut Canvas, area: Rect<Panel>, colour: Rgb888) {
    // Drawing on a canvas cannot fail: its error is Infallible.
    let Ok(()) = whole(area).into_styled(PrimitiveStyle::with_fill(colour)).draw(canvas);
}
