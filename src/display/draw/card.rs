//! A product's large card.

use super::{Align, Painter, Pen, fill};
use crate::display::canvas::Canvas;
use crate::display::layout::{CardPlace, site, sure_text};
use crate::display::scene::{Card, Scene};
use crate::display::shapes::{self, Paint};
use crate::display::theme;
use crate::frame::Picture;
use crate::geometry::{Panel, Rect};
use embedded_graphics::pixelcolor::Rgb888;
use std::sync::Arc;

/// Corner radius of pictures on a card, in units.
pub(super) const ROUND: f32 = 10.0;

impl Painter {
    pub(super) fn card(
        &mut self,
        scene: &Scene,
        card: &Card,
        place: &CardPlace,
        number: Option<usize>,
        pen: &mut Pen<'_>,
    ) {
        let colors = self.look.theme.colors;
        shapes::fill_round(pen.canvas, place.frame, theme::RADIUS * pen.unit, Paint::solid(colors.card));
        self.picture(card.picture.as_ref(), place.picture, pen);
        if let (Some(at), Some(spot)) = (place.plan, &card.spot) {
            self.plan(spot, at, pen);
        }
        if let Some(number) = number {
            self.badge(number, true, place.picture, pen);
        }
        self.paragraph(pen, place.sure, &scene.words.say(sure_text(card)), theme::SURE, colors.card_accent);
        self.paragraph(pen, place.title, &card.title, theme::TITLE, colors.card_text);
        if let (Some(at), Some(price)) = (place.price, &card.price) {
            self.whole_line(pen, at, price, theme::PRICE, colors.card_text, Align::Start);
        }
        self.details(scene, card, place, pen);
        self.paragraph(pen, place.action, &scene.words.say(place.does.text()), theme::SURE, colors.card_text);
        if let (Some(at), Some(link)) = (place.code, &card.link) {
            self.code(link, at, pen.canvas);
            if let Some(at) = place.leads_to {
                self.line(pen, at, site(link), theme::FINE, colors.card_text_soft, Align::Start);
            }
        }
    }

    /// The price before a sale, brand, place, stock, sizes, other colours.
    fn details(&mut self, scene: &Scene, card: &Card, place: &CardPlace, pen: &mut Pen<'_>) {
        let (unit, colors) = (pen.unit, self.look.theme.colors);
        let line = (2.5 * unit).max(1.5);
        if let (Some(at), Some(before)) = (place.price_before, &card.price_before) {
            self.line(pen, at, before, theme::DETAIL, colors.card_text_soft, Align::Start);
            let width = self.fonts.width(before, theme::DETAIL.at(pen.text)).min(at.width());
            let x = if pen.right_to_left { at.x2 - width } else { at.x1 };
            let y = at.y1 + 0.53 * at.height();
            shapes::polyline(pen.canvas, &[(x, y), (x + width, y)], line, Paint::solid(colors.card_text_soft));
        }
        if let (Some(at), Some(brand)) = (place.brand, &card.brand) {
            self.paragraph(pen, at, brand, theme::DETAIL, colors.card_text_soft);
        }
        if let (Some(at), Some(location)) = (place.location, &card.location) {
            // Where it is the thing to do next, it is large.
            let large = place.code.is_none() && at.y1 >= place.action.y2;
            self.paragraph(pen, at, location, if large { theme::NOTICE } else { theme::SURE }, colors.card_accent);
        }
        if let (Some(at), Some(stock)) = (place.stock, card.stock) {
            self.paragraph(pen, at, &scene.words.say(stock.text()), theme::DETAIL, colors.card_text_soft);
        }
        for (at, size) in place.sizes.iter().zip(&card.sizes) {
            let (color, edge) = match size.sold_out {
                true => (colors.card_text_soft, colors.card_empty),
                false => (colors.card_text, colors.card_text),
            };
            shapes::stroke_round(pen.canvas, *at, 9.0 * unit, line, Paint::solid(edge));
            self.line(pen, *at, &size.text, theme::DETAIL, color, Align::Centre);
            if size.sold_out {
                let corners = [(at.x1 + 5.0 * unit, at.y2 - 5.0 * unit), (at.x2 - 5.0 * unit, at.y1 + 5.0 * unit)];
                shapes::polyline(pen.canvas, &corners, line, Paint::solid(colors.card_text_soft));
            }
        }
        if let Some((at, count)) = place.more_sizes {
            let text = scene.words.count("more-sizes", count);
            self.line(pen, at, &text, theme::DETAIL, colors.card_text_soft, Align::Centre);
        }
        for (at, picture) in place.swatches.iter().zip(&card.other_colors) {
            if let Some(tile) = self.kept.thumbnail(picture, *at) {
                pen.canvas.copy(at.x1 as i32, at.y1 as i32, tile);
                round_off(pen.canvas, *at, ROUND * unit, colors.card);
            }
        }
    }

    /// A product's picture, or a drawn placeholder.
    pub(super) fn picture(&mut self, picture: Option<&Arc<Picture>>, place: Rect<Panel>, pen: &mut Pen<'_>) {
        let (unit, colors) = (pen.unit, self.look.theme.colors);
        if let Some(tile) = picture.and_then(|picture| self.kept.thumbnail(picture, place)) {
            pen.canvas.copy(place.x1 as i32, place.y1 as i32, tile);
            round_off(pen.canvas, place, ROUND * unit, colors.card);
            return;
        }
        shapes::fill_round(pen.canvas, place, ROUND * unit, Paint::solid(colors.card_empty));
        hanger(pen.canvas, place, colors.card_text_soft);
    }

    /// The garment's number in the corner of its product's picture.
    pub(super) fn badge(&mut self, number: usize, featured: bool, picture: Rect<Panel>, pen: &mut Pen<'_>) {
        let side = (52.0 * pen.unit).min(0.36 * picture.width().max(picture.height())).round();
        let x = if pen.right_to_left { picture.x2 - side } else { picture.x1 };
        let place = Rect::new(x, picture.y1, x + side, picture.y1 + side);
        let around = Rect::new(place.x1 - 3.0, place.y1 - 3.0, place.x2 + 3.0, place.y2 + 3.0);
        shapes::fill_round(pen.canvas, around, side, Paint::solid(self.look.theme.colors.ground));
        self.number(number, place, featured, pen);
    }

    fn code(&mut self, link: &str, place: Rect<Panel>, canvas: &mut Canvas) {
        let colors = self.look.theme.colors;
        let Some(code) = self.kept.code(link) else { return };
        shapes::fill_round(canvas, place, 8.0, Paint::solid(colors.paper));
        let module = (place.width() / code.len() as f32).floor();
        for (y, row) in code.iter().enumerate() {
            let mut x = 0;
            // One rectangle for each run of dark modules.
            for run in row.chunk_by(|a, b| a == b) {
                if run[0] {
                    let (left, top) = (place.x1 + x as f32 * module, place.y1 + y as f32 * module);
                    let modules = Rect::new(left, top, left + run.len() as f32 * module, top + module);
                    fill(canvas, modules, colors.card_text);
                }
                x += run.len();
            }
        }
    }
}

/// Gives a square-cornered picture on a card round corners.
pub(super) fn round_off(canvas: &mut Canvas, place: Rect<Panel>, radius: f32, card: Rgb888) {
    shapes::outside_corners(canvas, place, radius, Paint::solid(card));
}

/// The placeholder for a missing picture: a clothes hanger.
pub(super) fn hanger(canvas: &mut Canvas, place: Rect<Panel>, color: Rgb888) {
    let (cx, cy) = place.centre();
    let half = 0.3 * place.width().min(place.height());
    let line = (half / 13.0).max(1.5);
    let paint = Paint::sheer(color, 0.6);
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
