//! How the cards of one garment share their place, and the parts of a card.

use super::details::{details, price_before};
use super::split::{cut_bottom, cut_left, cut_right, cut_top, inset, share};
use super::{CardPlace, Ruler};
use crate::display::qr;
use crate::display::scene::Card;
use crate::display::theme::{self, Style};
use crate::geometry::{Panel, Rect};

/// Alternatives beside or below the first match.
const ALTERNATIVES: usize = 2;
/// The target side of a QR code, in units.
const QR_SIDE: f32 = 184.0;
/// The same on a large card.
const QR_SIDE_LARGE: f32 = 264.0;

/// Where the alternatives are relative to the first match.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Arrangement {
    Beside,
    Below,
    Without,
}

/// Places for the first match and as many alternatives as there is room for. The first match's QR code goes before alternatives:
/// where it fits only without them, there are none.
pub fn cards(cards: &[Card], area: Rect<Panel>, ruler: Ruler<'_>) -> Vec<CardPlace> {
    use Arrangement::{Below, Beside, Without};
    let wide = area.width() > 2.5 * area.height();
    let wanted = if wide { [Beside, Below, Without] } else { [Below, Beside, Without] };
    let wants_code = cards.first().and_then(|card| card.link.as_deref()).and_then(qr::modules).is_some();
    let mut arranged = wanted.map(|arrangement| arrange(cards, area, arrangement, ruler)).into_iter();
    let has_code = |places: &Vec<CardPlace>| !wants_code || places.first().is_some_and(|place| place.qr.is_some());
    let first = arranged.next().unwrap_or_default();
    if has_code(&first) { first } else { arranged.find(has_code).unwrap_or(first) }
}

fn arrange(cards: &[Card], mut area: Rect<Panel>, arrangement: Arrangement, ruler: Ruler<'_>) -> Vec<CardPlace> {
    let Some(first) = cards.first() else { return Vec::new() };
    let count = (cards.len() - 1).min(ALTERNATIVES);
    let (gap, beside) = (ruler.px(theme::GUTTER), arrangement == Arrangement::Beside);
    let mut parts = Vec::new();
    if count > 0 && arrangement != Arrangement::Without {
        let (width, height) = (area.width() * 0.355, (area.height() * 0.32).min(ruler.px(230.0)));
        let cut = if beside { cut_right } else { cut_bottom };
        let rest = cut(&mut area, if beside { width } else { height });
        cut(&mut area, gap);
        parts = share(rest, count, gap, beside);
    }
    let mut places = vec![main_card(first, area, ruler)];
    for (card, (part, product)) in parts.into_iter().zip(&cards[1..]).enumerate() {
        if part.height() >= ruler.px(76.0) && part.width() >= ruler.px(200.0) {
            places.push(small_card(card + 1, product, part, ruler));
        }
    }
    places
}

fn main_card(card: &Card, frame: Rect<Panel>, ruler: Ruler<'_>) -> CardPlace {
    let mut inner = inset(frame, ruler.px(theme::PAD));
    let picture_width = (inner.height() * 0.8).min(inner.width() * 0.37);
    let picture = cut_left(&mut inner, picture_width);
    cut_left(&mut inner, ruler.px(theme::PAD + 4.0));
    let roomy = inner.width() >= ruler.px(400.0) && inner.height() >= ruler.px(390.0);
    let styles = if roomy { Styles::LARGE } else { Styles::FIRST }.at(ruler);
    let gap = ruler.px(12.0);
    let Some(side) = code_side(card, inner, styles, if roomy { QR_SIDE_LARGE } else { QR_SIDE }, ruler) else {
        return words(CardPlace::empty(0, frame, picture, None), None, inner, card, styles, ruler);
    };
    let title_height = 2.0 * styles.title.line();
    let under = inner.height() >= title_height + gap + side && inner.width() >= side + ruler.px(150.0);
    let title = under.then(|| cut_top(&mut inner, title_height));
    if under {
        cut_top(&mut inner, gap);
    }
    let mut qr = None;
    if under || inner.width() >= side + ruler.px(210.0) {
        let mut column = cut_right(&mut inner, side);
        cut_right(&mut inner, gap + ruler.px(6.0));
        qr = Some(cut_bottom(&mut column, side));
    }
    words(CardPlace::empty(0, frame, picture, qr), title, inner, card, styles, ruler)
}

fn small_card(index: usize, card: &Card, frame: Rect<Panel>, ruler: Ruler<'_>) -> CardPlace {
    let mut inner = inset(frame, ruler.px(theme::GUTTER));
    let picture_width = (inner.height() * 0.8).min(inner.width() * 0.34);
    let picture = cut_left(&mut inner, picture_width);
    cut_left(&mut inner, ruler.px(theme::PAD));
    words(CardPlace::empty(index, frame, picture, None), None, inner, card, Styles::SMALL.at(ruler), ruler)
}

/// The styles and distances of a card's words: in units in the constants, in pixels after [`Styles::at`].
#[derive(Clone, Copy)]
struct Styles {
    title: Style,
    brand: Style,
    price: Style,
    sure: Style,
    gap: f32,
}

impl Styles {
    const SMALL: Styles = Styles {
        title: theme::TITLE_SMALL,
        price: theme::PRICE_SMALL,
        sure: theme::SURE,
        gap: 4.0,
        brand: theme::BODY,
    };
    const FIRST: Styles =
        Styles { title: theme::TITLE, price: theme::PRICE, gap: 7.0, brand: theme::BODY, ..Styles::SMALL };
    const LARGE: Styles = Styles {
        title: theme::TITLE_LARGE,
        price: theme::PRICE_LARGE,
        sure: theme::SURE_LARGE,
        gap: 12.0,
        ..Styles::SMALL
    };

    fn at(self, ruler: Ruler<'_>) -> Self {
        Styles {
            title: self.title.at(ruler.unit),
            brand: self.brand.at(ruler.unit),
            price: self.price.at(ruler.unit),
            sure: self.sure.at(ruler.unit),
            gap: ruler.px(self.gap),
        }
    }

    /// Height of the words that say how sure, with their distance from what is above.
    fn sureness(&self) -> f32 {
        self.sure.line() + self.gap
    }
}

/// Fills what is left of a card: how sure at the bottom, the title at the top, and price and brand where there is room.
fn words(
    mut place: CardPlace,
    title_above: Option<Rect<Panel>>,
    mut area: Rect<Panel>,
    card: &Card,
    styles: Styles,
    ruler: Ruler<'_>,
) -> CardPlace {
    (place.title_style, place.brand_style) = (styles.title, styles.brand);
    (place.price_style, place.sure_style) = (styles.price, styles.sure);
    let price_line = card.price.as_ref().map_or(0.0, |_| styles.price.line());
    place.title = title_above.unwrap_or_else(|| {
        let line = styles.title.line();
        let room = ((area.height() - styles.sureness() - price_line) / line).floor().clamp(1.0, 2.0);
        let lines = ruler.fonts.wrap(&card.title, styles.title, area.width(), room as usize).len();
        cut_top(&mut area, lines as f32 * line)
    });
    if area.height() >= styles.sureness() {
        let mut row = cut_bottom(&mut area, styles.sure.line());
        cut_bottom(&mut area, styles.gap);
        // A low card has the price on the same line, and the words only if both fit.
        if let Some(price) = card.price.as_ref().filter(|_| area.height() < price_line) {
            let needed = ruler.fonts.width(price, styles.price) + ruler.px(theme::GUTTER);
            place.price = Some(cut_left(&mut row, needed.ceil()));
        }
        place.sure = (row.width() >= ruler.fonts.width("Likely this one", styles.sure)).then_some(row);
    }
    if price_line > 0.0 && place.price.is_none() && area.height() >= price_line {
        place.price = Some(cut_bottom(&mut area, price_line));
    }
    if card.brand.is_some() && area.height() >= styles.brand.line() {
        // Beside a code the brand stands with the price; under a title of its own column it stands with the title.
        let cut = if title_above.is_some() { cut_bottom } else { cut_top };
        place.brand = Some(cut(&mut area, styles.brand.line()));
    }
    price_before(&mut place, card, ruler);
    details(&mut place, area, card, ruler);
    place
}

/// The side of a first match's code: `target` units where that leaves its price whole, else the usual; `None` where none fits.
fn code_side(card: &Card, inner: Rect<Panel>, styles: Styles, target: f32, ruler: Ruler<'_>) -> Option<f32> {
    let link = card.link.as_deref()?;
    let before = card
        .price_before
        .as_deref()
        .map_or(0.0, |before| ruler.fonts.width(before, styles.brand) + ruler.px(theme::GUTTER));
    let price = card.price.as_deref().map_or(0.0, |price| ruler.fonts.width(price, styles.price)) + before;
    let leaves_price = |side: &f32| inner.width() - *side >= price + ruler.px(theme::GAP);
    let large = qr_side(link, target, ruler).filter(leaves_price);
    large.or_else(|| qr_side(link, QR_SIDE, ruler)).filter(|side| *side <= inner.height())
}

/// Pixels on a side, a whole number for each module.
fn qr_side(link: &str, target: f32, ruler: Ruler<'_>) -> Option<f32> {
    let modules = qr::modules(link)?;
    let module = ((ruler.px(target) / modules as f32) as usize).max(qr::MODULE);
    Some((modules * module) as f32)
}
