//! How the cards of one look share their place, and the parts of a card.

use super::split::{cut_bottom, cut_left, cut_right, cut_top, inset, share};
use super::{CardPlace, Ruler};
use crate::display::qr;
use crate::display::scene::Card;
use crate::display::theme::{self, Style};
use crate::geometry::{Panel, Rect};

/// Alternatives beside or below the first match.
const ALTERNATIVES: usize = 2;
/// The side that a QR code aims at, in units.
const QR_SIDE: f32 = 184.0;

/// Places for the first match and as many alternatives as there is room for.
pub fn cards(cards: &[Card], mut area: Rect<Panel>, ruler: Ruler<'_>) -> Vec<CardPlace> {
    let Some(first) = cards.first() else { return Vec::new() };
    let count = (cards.len() - 1).min(ALTERNATIVES);
    let gap = ruler.px(theme::GUTTER);
    let wide = area.width() > 2.5 * area.height();
    let (rest, down) = if count == 0 {
        (None, false)
    } else if wide {
        let width = area.width() * 0.355;
        let rest = cut_right(&mut area, width);
        cut_right(&mut area, gap);
        (Some(rest), true)
    } else {
        let height = (area.height() * 0.32).min(ruler.px(230.0));
        let rest = cut_bottom(&mut area, height);
        cut_bottom(&mut area, gap);
        (Some(rest), false)
    };
    let mut places = vec![main_card(first, area, ruler)];
    // A single alternative keeps the size it has in company: it must not outgrow the first match.
    let parts = rest.map(|rest| share(rest, ALTERNATIVES, gap, down)).unwrap_or_default();
    for (card, (part, product)) in parts.into_iter().zip(&cards[1..]).enumerate() {
        if part.height() >= ruler.px(76.0) && part.width() >= ruler.px(200.0) {
            places.push(small_card(card + 1, product, part, ruler));
        }
    }
    places
}

fn main_card(card: &Card, frame: Rect<Panel>, ruler: Ruler<'_>) -> CardPlace {
    let pad = ruler.px(theme::PAD);
    let mut inner = inset(frame, pad);
    let picture_width = (inner.height() * 0.8).min(inner.width() * 0.37);
    let picture = cut_left(&mut inner, picture_width);
    cut_left(&mut inner, ruler.px(theme::PAD + 4.0));
    let roomy = inner.width() >= ruler.px(400.0) && inner.height() >= ruler.px(330.0);
    let title_style = if roomy { theme::TITLE_LARGE } else { theme::TITLE };
    let styles = Styles { title: title_style, price: theme::PRICE, bar: 9.0 }.at(ruler);
    let gap = ruler.px(10.0);
    let side = card.link.as_deref().and_then(|link| qr_side(link, ruler));
    let mut title_above = None;
    let mut qr = None;
    if let Some(side) = side.filter(|side| *side <= inner.height()) {
        let under = inner.height() >= 2.0 * styles.title.line() + gap + side && inner.width() >= side + ruler.px(150.0);
        if under {
            title_above = Some(cut_top(&mut inner, 2.0 * styles.title.line()));
            cut_top(&mut inner, gap);
        }
        if under || inner.width() >= side + ruler.px(210.0) {
            let mut column = cut_right(&mut inner, side);
            cut_right(&mut inner, gap);
            qr = Some(cut_bottom(&mut column, side));
        }
    }
    words(CardPlace::empty(0, frame, picture, qr), title_above, inner, card, styles)
}

fn small_card(index: usize, card: &Card, frame: Rect<Panel>, ruler: Ruler<'_>) -> CardPlace {
    let mut inner = inset(frame, ruler.px(theme::GUTTER));
    let picture_width = (inner.height() * 0.8).min(inner.width() * 0.34);
    let picture = cut_left(&mut inner, picture_width);
    cut_left(&mut inner, ruler.px(theme::PAD));
    let styles = Styles { title: theme::TITLE_SMALL, price: theme::PRICE_SMALL, bar: 6.0 }.at(ruler);
    words(CardPlace::empty(index, frame, picture, None), None, inner, card, styles)
}

/// The styles of a card's words, in pixels.
#[derive(Clone, Copy)]
struct Styles {
    title: Style,
    price: Style,
    bar: f32,
}

impl Styles {
    fn at(self, ruler: Ruler<'_>) -> StylesAt {
        StylesAt {
            title: self.title.at(ruler.unit),
            price: self.price.at(ruler.unit),
            brand: theme::BODY.at(ruler.unit),
            sure: theme::SURE.at(ruler.unit),
            bar: ruler.px(self.bar).max(3.0),
            gap: ruler.px(7.0),
        }
    }
}

#[derive(Clone, Copy)]
struct StylesAt {
    title: Style,
    price: Style,
    brand: Style,
    sure: Style,
    bar: f32,
    gap: f32,
}

/// Fills what is left of a card: how sure at the bottom, the title at the top, and price and brand where there is room.
fn words(
    mut place: CardPlace,
    title_above: Option<Rect<Panel>>,
    mut area: Rect<Panel>,
    card: &Card,
    styles: StylesAt,
) -> CardPlace {
    place.title_style = styles.title;
    place.price_style = styles.price;
    let line = styles.title.line();
    if let Some(title) = title_above {
        place.title = title;
    } else {
        let needed =
            styles.sure.line() + styles.bar + styles.gap + card.price.as_ref().map_or(0.0, |_| styles.price.line());
        let lines = ((area.height() - needed) / line).floor().clamp(1.0, 2.0);
        place.title = cut_top(&mut area, lines * line);
    }
    if area.height() >= styles.bar + styles.sure.line() {
        place.bar = Some(cut_bottom(&mut area, styles.bar));
        place.sure = Some(cut_bottom(&mut area, styles.sure.line()));
        cut_bottom(&mut area, styles.gap);
    }
    if card.price.is_some() && area.height() >= styles.price.line() {
        place.price = Some(cut_bottom(&mut area, styles.price.line()));
    }
    if card.brand.is_some() && area.height() >= styles.brand.line() {
        // Beside a code the brand stands with the price; under a title of its own column it stands with the title.
        let cut = if title_above.is_some() { cut_bottom } else { cut_top };
        place.brand = Some(cut(&mut area, styles.brand.line()));
    }
    place
}

/// Pixels on a side, a whole number for each module.
fn qr_side(link: &str, ruler: Ruler<'_>) -> Option<f32> {
    let modules = qr::modules(link)?;
    let module = ((ruler.px(QR_SIDE) / modules as f32) as usize).max(qr::MODULE);
    Some((modules * module) as f32)
}
