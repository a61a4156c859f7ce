//! A small card.

use super::{Align, Painter, Pen};
use crate::display::layout::{Section, Tile, TileOf, message_texts, tile_product};
use crate::display::scene::{Scene, StockMark};
use crate::display::shapes::{self, Paint};
use crate::display::theme::{self, Style};
use crate::geometry::{Panel, Rect};

impl Painter {
    /// `featured`: the garment with the large card.
    pub(super) fn tile(&mut self, scene: &Scene, featured: Option<Section>, tile: &Tile, pen: &mut Pen<'_>) {
        let colors = self.look.theme.colors;
        shapes::fill_round(pen.canvas, tile.frame, theme::RADIUS * pen.unit, Paint::solid(colors.card));
        let product = tile_product(scene, tile.shows, featured);
        match (tile.shows, product) {
            (TileOf::Garment(section), None) if section.matched.is_none() => {
                let side = 0.7 * tile.picture.width().min(tile.picture.height());
                let (x, y) = tile.picture.centre();
                let ring = Rect::new(x - side / 2.0, y - side / 2.0, x + side / 2.0, y + side / 2.0);
                let garment = &scene.garments[section.garment];
                let share = garment.gathered as f32 / garment.wanted.max(1) as f32;
                let line = (8.0 * pen.unit).max(2.0);
                shapes::ring(pen.canvas, ring, line, 1.0, Paint::solid(colors.card_empty));
                shapes::ring(pen.canvas, ring, line, share, Paint::solid(colors.card_accent));
            }
            _ => self.picture(product.and_then(|card| card.picture.as_ref()), tile.picture, pen),
        }
        if let Some(number) = tile.number {
            self.badge(number, false, tile.picture, pen);
        }
        let (caption, title) = match (tile.shows, product) {
            (TileOf::Product(_), Some(card)) => ("more-like-it", card.title.clone()),
            (TileOf::Garment(_), Some(card)) if card.likely => ("also", card.title.clone()),
            (TileOf::Garment(_), Some(card)) => ("also-like", card.title.clone()),
            (TileOf::Garment(section), None) => ("also", scene.words.say(message_texts(scene, section)[0])),
            (TileOf::Product(_), None) => return,
        };
        if let Some(at) = tile.caption {
            self.whole_line(pen, at, &scene.words.say(caption), theme::FINE, colors.card_accent, Align::Start);
        }
        if let Some(at) = tile.title {
            self.whole_words(pen, at, &title);
        }
        if let (Some(at), Some(card)) = (tile.price, product) {
            let sold_out = card.stock.filter(|stock| *stock == StockMark::SoldOut);
            let text = sold_out.map(|stock| scene.words.say(stock.text())).or(card.price.clone()).unwrap_or_default();
            self.whole_line(pen, at, &text, theme::TILE_PRICE, colors.card_text, Align::Start);
        }
    }

    /// A tile's title. Where a theme has larger text, so much smaller that the longest word is whole, down to the usual size.
    fn whole_words(&mut self, pen: &mut Pen<'_>, place: Rect<Panel>, title: &str) {
        let style = theme::TILE.at(pen.text);
        let longest = title.split_whitespace().map(|word| self.fonts.width(word, style)).fold(1.0, f32::max);
        let least = 100.0 / (100.0 + self.look.theme.larger_text as f32);
        let size = style.size * (place.width() / longest).clamp(least, 1.0);
        let color = self.look.theme.colors.card_text;
        self.lines(pen, place, title, Style { size, ..style }, color, style.line());
    }
}
