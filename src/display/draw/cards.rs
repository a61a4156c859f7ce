//! A product's card.

use super::{Align, Painter, fill};
use crate::display::canvas::Canvas;
use crate::display::layout::CardPlace;
use crate::display::scene::Card;
use crate::display::shapes::{self, Paint};
use crate::display::theme;
use crate::geometry::{Panel, Rect};
use embedded_graphics::pixelcolor::Rgb888;

/// How sure, in words for a shopper.
pub fn how_sure(likely: bool) -> &'static str {
    if likely { "Likely this one" } else { "Similar" }
}

impl Painter {
    pub(super) fn card(&mut self, card: &Card, place: &CardPlace, unit: f32, canvas: &mut Canvas) {
        shapes::fill_round(canvas, place.frame, theme::RADIUS * unit, Paint::solid(theme::IVORY));
        self.picture(card, place.picture, unit, canvas);
        self.paragraph(canvas, place.title, &card.title, place.title_style, theme::INK);
        if let (Some(at), Some(brand)) = (place.brand, &card.brand) {
            self.line(canvas, at, brand, place.brand_style, theme::INK_SOFT, Align::Left);
        }
        if let (Some(at), Some(price)) = (place.price, &card.price) {
            self.line(canvas, at, price, place.price_style, theme::INK, Align::Left);
        }
        self.details(card, place, unit, canvas);
        if let Some(at) = place.sure {
            self.line(canvas, at, how_sure(card.likely), place.sure_style, theme::BRONZE, Align::Left);
        }
        if let (Some(at), Some(link)) = (place.qr, &card.link) {
            self.code(link, at, canvas);
        }
    }

    /// The price before a sale, place, sizes, stock, other colours.
    fn details(&mut self, card: &Card, place: &CardPlace, unit: f32, canvas: &mut Canvas) {
        let line = (2.0 * unit).max(1.5);
        if let (Some(at), Some(before)) = (place.price_before, &card.price_before) {
            self.line(canvas, at, before, place.price_before_style, theme::INK_SOFT, Align::Left);
            let width = self.fonts.width(before, place.price_before_style).min(at.width());
            let y = at.y1 + 0.53 * at.height();
            shapes::polyline(canvas, &[(at.x1, y), (at.x1 + width, y)], line, Paint::solid(theme::INK_SOFT));
        }
        if let (Some(at), Some(location)) = (place.location, &card.location) {
            self.line(canvas, at, location, place.sure_style, theme::BRONZE, Align::Left);
        }
        for (at, size) in place.sizes.iter().zip(&card.sizes) {
            let (colour, edge) = if size.sold_out { (theme::INK_SOFT, theme::LINEN) } else { (theme::INK, theme::INK) };
            shapes::stroke_round(canvas, *at, 8.0 * unit, line, Paint::solid(edge));
            let style = place.brand_style;
            let text = Rect::new(
                at.x1,
                at.y1 + (at.height() - style.line()) / 2.0,
                at.x2,
                at.y2 - (at.height() - style.line()) / 2.0,
            );
            self.line(canvas, text, &size.text, style, colour, Align::Centre);
            if size.sold_out {
                let corners = [(at.x1 + 4.0 * unit, at.y2 - 4.0 * unit), (at.x2 - 4.0 * unit, at.y1 + 4.0 * unit)];
                shapes::polyline(canvas, &corners, line, Paint::solid(theme::INK_SOFT));
            }
        }
        if let (Some(at), Some(stock)) = (place.stock, &card.stock) {
            self.line(canvas, at, stock, place.brand_style, theme::INK_SOFT, Align::Left);
        }
        for (at, picture) in place.swatches.iter().zip(&card.other_colors) {
            if let Some(tile) = self.kept.thumbnail(picture, *at) {
                canvas.copy(at.x1 as i32, at.y1 as i32, tile);
                round_off(canvas, *at, 8.0 * unit);
            }
        }
    }

    fn picture(&mut self, card: &Card, place: Rect<Panel>, unit: f32, canvas: &mut Canvas) {
        let tile = card.picture.as_ref().and_then(|picture| self.kept.thumbnail(picture, place));
        if let Some(tile) = tile {
            canvas.copy(place.x1 as i32, place.y1 as i32, tile);
            round_off(canvas, place, 8.0 * unit);
            return;
        }
        shapes::fill_round(canvas, place, 8.0 * unit, Paint::solid(theme::LINEN));
        hanger(canvas, place);
    }

    fn code(&mut self, link: &str, place: Rect<Panel>, canvas: &mut Canvas) {
        let Some(code) = self.kept.code(link) else { return };
        shapes::fill_round(canvas, place, 8.0, Paint::solid(theme::PAPER));
        let module = (place.width() / code.len() as f32).floor();
        for (y, row) in code.iter().enumerate() {
            let mut x = 0;
            // One rectangle for each run of dark modules.
            for run in row.chunk_by(|a, b| a == b) {
                if run[0] {
                    let (left, top) = (place.x1 + x as f32 * module, place.y1 + y as f32 * module);
                    fill(canvas, Rect::new(left, top, left + run.len() as f32 * module, top + module), theme::INK);
                }
                x += run.len();
            }
        }
    }
}

/// Gives a square-cornered picture on a card round corners.
fn round_off(canvas: &mut Canvas, place: Rect<Panel>, radius: f32) {
    shapes::outside_corners(canvas, place, radius, Paint::solid(theme::IVORY));
}

/// The placeholder for a missing picture: a clothes hanger.
fn hanger(canvas: &mut Canvas, place: Rect<Panel>) {
    let (cx, cy) = place.centre();
    let half = 0.3 * place.width().min(place.height());
    let line = (half / 13.0).max(1.5);
    let paint = Paint::solid(Rgb888::new(0xa8, 0x9c, 0x8b));
    let at = |x: f32, y: f32| (cx + x * half, cy + y * half);
    let path = [
        (0.0, -0.28),
        (0.95, 0.3),
        (0.98, 0.42),
        (0.88, 0.48),
        (-0.88, 0.48),
        (-0.98, 0.42),
        (-0.95, 0.3),
        (0.0, -0.28),
    ];
    let hook = [(0.0, -0.28), (0.0, -0.44), (0.14, -0.54), (0.17, -0.68), (0.08, -0.8), (-0.06, -0.8), (-0.15, -0.7)];
    for stroke in [&path[..], &hook[..]] {
        let points: Vec<(f32, f32)> = stroke.iter().map(|(x, y)| at(*x, *y)).collect();
        shapes::polyline(canvas, &points, line, paint);
    }
}
