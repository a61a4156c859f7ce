//! The small cards: the other garments, or else further products like the featured one.

use super::split::{cut_bottom, cut_left, cut_top, inset, share};
use super::{Ruler, Section, Tile, TileOf, message_texts};
use crate::display::scene::{Card, Scene, StockMark};
use crate::display::theme;
use crate::geometry::{Panel, Rect};

/// With at least so many tiles, none is for a further product.
const FILLED: usize = 2;
/// So many with words beside the picture have room in a row.
const WORDED: usize = 3;
/// Side by side in a row at most.
const ROW: usize = 5;
/// Lines of a title at most, where a tile is high.
const TITLE_LINES: f32 = 4.0;

/// A tile for each other garment.
pub fn others(sections: &[Section], featured: Section) -> Vec<TileOf> {
    sections.iter().filter(|section| **section != featured).map(|section| TileOf::Garment(*section)).collect()
}

/// A tile for each other garment, and where these are few, for further products.
pub fn beside_product(scene: &Scene, sections: &[Section], featured: Section, chosen: usize) -> Vec<TileOf> {
    let mut shown = others(sections, featured);
    let cards = featured.matched.map_or(0, |matched| scene.matches[matched].cards.len());
    let more = (0..cards).filter(|card| *card != chosen).map(TileOf::Product);
    let room = FILLED.saturating_sub(shown.len());
    shown.extend(more.take(room));
    shown
}

/// Cuts a row of tiles off the bottom of `area`, or two rows where there are many.
pub fn row(
    scene: &Scene,
    (shown, featured): (Vec<TileOf>, Section),
    area: &mut Rect<Panel>,
    numbered: impl Fn(&Section) -> Option<usize>,
    ruler: Ruler<'_>,
) -> Vec<Tile> {
    let columns = match shown.len() {
        few @ ..=WORDED => few,
        // Two rows of tiles with words go before one of pictures alone.
        some if some <= 2 * WORDED => WORDED,
        many => many.min(ROW),
    };
    if columns == 0 {
        return Vec::new();
    }
    let rows = shown.len().div_ceil(columns);
    let gap = ruler.px(theme::GUTTER);
    // Two lines of the title: one says little of a product.
    let words = ruler.line(theme::FINE) + 2.0 * ruler.line(theme::TILE) + ruler.line(theme::TILE_PRICE);
    let each = if columns <= WORDED { words + 2.0 * gap } else { ruler.px(132.0) };
    let height = (rows as f32 * (each + gap)).min(area.height() / 3.0);
    let mut tiles = cut_bottom(area, height);
    cut_top(&mut tiles, gap);
    let mut places = Vec::new();
    for row in share(tiles, rows, gap, true) {
        places.extend(share(row, columns, gap, false));
    }
    tiles_in(scene, (shown, featured), places, numbered, ruler)
}

/// Fills a band beside an upright picture: tiles below each other, or a grid where there are many.
pub fn band(
    scene: &Scene,
    (shown, featured): (Vec<TileOf>, Section),
    area: Rect<Panel>,
    numbered: impl Fn(&Section) -> Option<usize>,
    ruler: Ruler<'_>,
) -> Vec<Tile> {
    let columns = if shown.len() > 4 { 2 } else { 1 };
    let rows = shown.len().div_ceil(columns).max(1);
    let gap = ruler.px(theme::GUTTER);
    let mut places = Vec::new();
    for row in share(area, rows, gap, true) {
        places.extend(share(row, columns, gap, false));
    }
    tiles_in(scene, (shown, featured), places, numbered, ruler)
}

fn tiles_in(
    scene: &Scene,
    (shown, featured): (Vec<TileOf>, Section),
    places: Vec<Rect<Panel>>,
    numbered: impl Fn(&Section) -> Option<usize>,
    ruler: Ruler<'_>,
) -> Vec<Tile> {
    let number = |shows: &TileOf| match shows {
        TileOf::Garment(section) => numbered(section),
        TileOf::Product(_) => None,
    };
    let tiles = shown
        .into_iter()
        .zip(places)
        .map(|(shows, frame)| Tile { number: number(&shows), ..tile(scene, shows, featured, frame, ruler) });
    tiles.filter(|tile| tile.frame.area() > 0.0).collect()
}

/// The product that a tile shows; `None`: the garment is still looked at, or not sold.
pub fn product(scene: &Scene, shows: TileOf, featured: Option<Section>) -> Option<&Card> {
    match shows {
        TileOf::Garment(section) => scene.matches[section.matched?].cards.first(),
        TileOf::Product(card) => scene.matches[featured?.matched?].cards.get(card),
    }
}

fn tile(scene: &Scene, shows: TileOf, featured: Section, frame: Rect<Panel>, ruler: Ruler<'_>) -> Tile {
    let gap = ruler.px(theme::GUTTER);
    let mut inner = inset(frame, gap);
    let empty = Tile { shows, number: None, frame, picture: inner, caption: None, title: None, price: None };
    let least = ruler.text * 170.0;
    let beside = inner.width() >= 1.1 * inner.height();
    let (caption, line) = (ruler.line(theme::FINE), ruler.line(theme::TILE));
    let picture = if beside {
        // A whole price and whole words go before a large picture.
        let title = product(scene, shows, Some(featured)).map_or("", |card| &card.title);
        let needed = ruler.longest_word(title, theme::TILE).max(ruler.text * 215.0);
        let words = (inner.width() - gap - needed).max(inner.width() * 0.22);
        let width = (inner.height() * 0.8).min(inner.width() * 0.34).min(words);
        if inner.width() - width - gap < least {
            return empty;
        }
        let picture = cut_left(&mut inner, width);
        cut_left(&mut inner, gap);
        picture
    } else {
        let height = inner.height() - gap - caption - 3.0 * line;
        if inner.width() < least || height < inner.height() * 0.3 {
            return empty;
        }
        let picture = cut_top(&mut inner, height);
        cut_top(&mut inner, gap);
        picture
    };
    let (has_product, has_price) = match shows {
        TileOf::Garment(section) => match product(scene, shows, Some(section)) {
            Some(card) => (true, card.price.is_some() || card.stock == Some(StockMark::SoldOut)),
            None => (false, false),
        },
        TileOf::Product(_) => (true, true),
    };
    let price = (has_price && inner.height() >= 2.0 * line).then(|| cut_bottom(&mut inner, line));
    let caption = (has_product && inner.height() >= line + caption).then(|| cut_top(&mut inner, caption));
    let lines = (inner.height() / line).floor().clamp(0.0, TITLE_LINES);
    if let (TileOf::Garment(section), false) = (shows, has_product) {
        // Words alone stand in the middle.
        let words = scene.words.say(message_texts(scene, section)[0]);
        let needed = ruler.paragraph(&words, theme::TILE, inner.width(), lines as usize);
        let above = ((inner.height() - needed) / 2.0).max(0.0);
        cut_top(&mut inner, above);
    }
    let title = (lines >= 1.0).then(|| cut_top(&mut inner, lines * line));
    Tile { picture, caption, title, price, ..empty }
}
