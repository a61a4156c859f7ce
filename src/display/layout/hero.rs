//! The large card: one product, and the one thing to do next.
//!
//! Beside the words stands the action: the way to its shelf where that is on the shop's plan, else a code to scan where the product has
//! a link, else where it hangs, else whom to ask.

use super::split::{cut_bottom, cut_left, cut_right, cut_top, inset};
use super::{CardPlace, Ruler, plan};
use crate::display::scene::{Card, Scene};
use crate::display::theme::{self, Style};
use crate::geometry::{Panel, Rect};

/// Side of a colour's picture, in units.
const SWATCH: f32 = 76.0;
/// Distance between sizes and between colours, in units.
const CLOSE: f32 = 8.0;
/// A code takes this share of the card's width at most, and is this much larger than it must be at most.
const CODE_SHARE: f32 = 0.48;
const CODE_LARGER: f32 = 1.2;
/// Lines of what a code is for, above it.
const CAPTION_LINES: usize = 3;
/// Details stand beside a picture that has at least this width, in units.
const SMALLEST_PICTURE: f32 = 60.0;
/// Words below a picture take this share of the height at most, if the least of them fit; more where text is larger.
const WORDS_SHARE: f32 = 0.62;
/// The same where the place would be cut.
const WORDS_MOST: f32 = 0.8;
/// Where it hangs has no more lines than this.
const PLACE_LINES: usize = 5;

/// What the shopper does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Scan the code.
    Scan,
    /// Go to where it hangs.
    Find,
    /// Ask the staff.
    Ask,
    /// Wait: the staff was called.
    Called,
}

impl Action {
    /// The name of its text.
    pub fn text(self) -> &'static str {
        match self {
            Action::Scan => "scan",
            Action::Find => "find",
            Action::Ask => "ask",
            Action::Called => "staff-called",
        }
    }
}

/// The part of a link that people know: `shop.example` of `https://www.shop.example/p/1?x`.
pub fn site(link: &str) -> &str {
    let rest = link.trim().split_once("://").map_or(link.trim(), |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    host.strip_prefix("www.").unwrap_or(host)
}

pub fn card(scene: &Scene, card: &Card, index: usize, frame: Rect<Panel>, ruler: Ruler<'_>) -> CardPlace {
    let mut inner = inset(frame, ruler.px(theme::PAD));
    let nowhere = Rect::new(inner.x1, inner.y1, inner.x1, inner.y1);
    let mut place = CardPlace {
        card: index,
        frame,
        picture: nowhere,
        plan: None,
        sure: nowhere,
        title: nowhere,
        price: None,
        price_before: None,
        brand: None,
        location: None,
        stock: None,
        sizes: Vec::new(),
        more_sizes: None,
        swatches: Vec::new(),
        action: nowhere,
        does: action(scene, card, false),
        code: None,
        leads_to: None,
    };
    let mut beside = inner;
    if plan::height(card, cut_picture(&mut beside), ruler).is_none() {
        scan(&mut place, scene, card, &mut inner, ruler);
    }
    if place.code.is_none() {
        beside_picture(place, scene, card, inner, ruler)
    } else {
        below_picture(place, scene, card, inner, ruler)
    }
}

fn action(scene: &Scene, card: &Card, has_code: bool) -> Action {
    match () {
        _ if scene.staff_called => Action::Called,
        _ if has_code => Action::Scan,
        _ if card.location.is_some() => Action::Find,
        _ => Action::Ask,
    }
}

/// Cuts the code off the card's end, with what it is for above it and where it leads below.
fn scan(place: &mut CardPlace, scene: &Scene, card: &Card, inner: &mut Rect<Panel>, ruler: Ruler<'_>) {
    let Some(link) = card.link.as_deref() else { return };
    let says = scene.words.say(action(scene, card, true).text());
    let gap = ruler.px(theme::GUTTER);
    let site_line = ruler.line(theme::FINE);
    let needed = ruler.viewing.code_side();
    let words = |width: f32| ruler.paragraph(&says, theme::SURE, width, CAPTION_LINES);
    let (height, most) = (inner.height(), (inner.width() * CODE_SHARE).floor());
    let room = |width: f32| height - words(width) - site_line - 2.0 * gap;
    // The largest that is not too large; where even what is needed does not fit, the largest that does.
    let sizes = (0..50).map(|step| needed * (CODE_LARGER - 0.02 * step as f32));
    let mut sides = sizes.filter_map(|least| ruler.code_side(link, least)).filter(|side| *side <= most);
    // Its column may be wider, so that what it is for is not cut.
    let is_good =
        |side: f32, width: f32| side <= room(width) && ruler.is_whole(&says, theme::SURE, width, CAPTION_LINES);
    let widths = |side: f32| (0..5).map(move |step| (side + (most - side) * step as f32 / 4.0).floor());
    let good = sides.clone().find_map(|side| Some((side, widths(side).find(|width| is_good(side, *width))?)));
    let cut = || sides.find(|side| *side <= room(*side)).map(|side| (side, side));
    let Some((side, width)) = good.or_else(cut) else { return };
    let left = room(width) - side;
    let mut column = cut_right(inner, width);
    cut_right(inner, ruler.px(theme::PAD));
    place.does = action(scene, card, true);
    // What is left below holds where it hangs; or else the code stands in the middle.
    let location = card.location.as_deref().map_or(0.0, |text| ruler.paragraph(text, theme::SURE, width, PLACE_LINES));
    if location > 0.0 && left >= location + gap {
        place.location = Some(cut_bottom(&mut column, location));
        cut_top(&mut column, (left - location - gap) / 2.0);
    } else {
        cut_top(&mut column, left / 2.0);
    }
    place.action = cut_top(&mut column, words(width));
    cut_top(&mut column, gap);
    place.code = Some(cut_left(&mut cut_top(&mut column, side), side));
    cut_top(&mut column, gap);
    place.leads_to = Some(cut_top(&mut column, site_line));
}

/// The picture and the small details above, the words below them.
fn below_picture(
    mut place: CardPlace,
    scene: &Scene,
    card: &Card,
    mut area: Rect<Panel>,
    ruler: Ruler<'_>,
) -> CardPlace {
    let has_details = !card.sizes.is_empty() || !card.other_colors.is_empty() || card.stock.is_some();
    let wanted = WantedWords { location: place.location.is_none(), brand: !has_details, title: 3 };
    let share = WORDS_SHARE + 0.5 * (ruler.text / ruler.unit - 1.0);
    let lines_within = |share: f32| word_lines(scene, card, (area.width(), area.height() * share), wanted, ruler);
    let usual = lines_within(share);
    let lines = if usual.place_is_cut { lines_within(WORDS_MOST.max(share)) } else { usual };
    words(&mut place, scene, card, &mut area, lines, ruler);
    cut_bottom(&mut area, ruler.px(theme::GUTTER));
    let least = ruler.text * 225.0;
    let width = if has_details { (area.height() * 0.8).min(area.width() - least) } else { area.width() };
    if width < ruler.px(SMALLEST_PICTURE) {
        place.picture = area;
        return place;
    }
    place.picture = cut_left(&mut area, width);
    cut_left(&mut area, ruler.px(theme::PAD));
    details(&mut place, scene, card, area, ruler);
    place
}

/// The place of a large picture that has words beside it.
fn cut_picture(area: &mut Rect<Panel>) -> Rect<Panel> {
    let width = (area.height() * 0.78).min(area.width() * 0.42);
    cut_left(area, width)
}

/// A large picture, and beside it words, details, and at the bottom the action.
fn beside_picture(
    mut place: CardPlace,
    scene: &Scene,
    card: &Card,
    mut area: Rect<Panel>,
    ruler: Ruler<'_>,
) -> CardPlace {
    place.picture = cut_picture(&mut area);
    plan::place(&mut place, card, ruler);
    cut_left(&mut area, ruler.px(theme::PAD));
    place.does = action(scene, card, false);
    let says = scene.words.say(place.does.text());
    let height = ruler.paragraph(&says, theme::SURE, area.width(), 2);
    if place.does == Action::Find {
        let location = card.location.as_deref().unwrap_or_default();
        let height = ruler.paragraph(location, theme::NOTICE, area.width(), PLACE_LINES).min(area.height() / 2.0);
        place.location = Some(cut_bottom(&mut area, height));
    }
    place.action = cut_bottom(&mut area, height);
    cut_bottom(&mut area, ruler.px(theme::GAP));
    let mut top = area;
    let wanted = WantedWords { location: false, brand: false, title: 3 };
    let lines = word_lines(scene, card, (area.width(), area.height()), wanted, ruler);
    let mut words_area = cut_top(&mut top, lines.height);
    words(&mut place, scene, card, &mut words_area, lines, ruler);
    cut_top(&mut top, ruler.px(theme::GUTTER));
    details(&mut place, scene, card, top, ruler);
    place
}

/// The words for how sure it is.
pub fn sure_text(card: &Card) -> &'static str {
    if card.likely { "this-one" } else { "close-to-it" }
}

/// What is to stand among the words, if there is room.
#[derive(Clone, Copy)]
struct WantedWords {
    location: bool,
    brand: bool,
    /// Lines of the title at most.
    title: usize,
}

/// How many lines each of the words has.
#[derive(Clone, Copy, Default)]
struct WordLines {
    sure: usize,
    title: usize,
    brand: usize,
    location: usize,
    /// The price before a sale has a line of its own.
    before: usize,
    /// Of all the words, with the price and the gaps.
    height: f32,
    /// There was no room for all lines of where it hangs.
    place_is_cut: bool,
}

/// The lines that fit `most` pixels of height: where it hangs goes before the title's second line, this before the brand, and a longer
/// title is last. How sure it is, a line of the title, and the price are always there.
fn word_lines(
    scene: &Scene,
    card: &Card,
    (width, most): (f32, f32),
    wanted: WantedWords,
    ruler: Ruler<'_>,
) -> WordLines {
    let of = |text: &str, style: Style, most: usize| ruler.fonts.wrap(text, ruler.style(style), width, most).len();
    let title = of(&card.title, theme::TITLE, wanted.title).max(1);
    let location =
        card.location.as_deref().filter(|_| wanted.location).map_or(0, |text| of(text, theme::SURE, PLACE_LINES));
    let brand = usize::from(card.brand.is_some() && wanted.brand);
    let height = |lines: &WordLines| {
        let price = if card.price.is_some() { ruler.line(theme::PRICE) + ruler.px(CLOSE) } else { 0.0 };
        let small = (lines.sure + lines.location) as f32 * ruler.line(theme::SURE);
        let plain = (lines.brand + lines.before) as f32 * ruler.line(theme::DETAIL);
        price + small + plain + lines.title as f32 * ruler.line(theme::TITLE)
    };
    let sure = of(&scene.words.say(sure_text(card)), theme::SURE, 2);
    let before = own_line_before(card, width, ruler);
    let one = WordLines { sure, title: 1, ..WordLines::default() };
    let two = WordLines { title: title.min(2), ..one };
    let (mut lines, wish) = (one, WordLines { before, location, brand, title, ..one });
    for more in [
        two,
        WordLines { location: location.min(1), ..one },
        WordLines { location, ..one },
        WordLines { location, ..two },
        WordLines { before, location, ..two },
        WordLines { before, location, brand, ..two },
        wish,
    ] {
        if height(&more) <= most {
            lines = more;
        }
    }
    WordLines { height: height(&lines), place_is_cut: lines.location < location, ..lines }
}

/// 1 where the price before the sale does not fit beside the price, but has room below it.
fn own_line_before(card: &Card, width: f32, ruler: Ruler<'_>) -> usize {
    let (Some(price), Some(before)) = (&card.price, &card.price_before) else { return 0 };
    let needed = ruler.width(before, theme::DETAIL);
    let beside = ruler.width(price, theme::PRICE) + ruler.px(theme::PAD) + needed <= width;
    usize::from(!beside && needed <= width)
}

/// Cuts the words off the bottom of `area`: how sure, the title, the brand, the price, where it hangs.
fn words(
    place: &mut CardPlace,
    scene: &Scene,
    card: &Card,
    area: &mut Rect<Panel>,
    lines: WordLines,
    ruler: Ruler<'_>,
) {
    if lines.location > 0 {
        place.location = Some(cut_bottom(area, lines.location as f32 * ruler.line(theme::SURE)));
    }
    if let Some(price) = &card.price {
        let mut row = cut_bottom(area, ruler.line(theme::PRICE));
        let width = ruler.width(price, theme::PRICE);
        if lines.before > 0 {
            place.price_before = Some(cut_bottom(area, ruler.line(theme::DETAIL)));
        } else if let Some(before) = &card.price_before {
            let needed = ruler.width(before, theme::DETAIL);
            let gap = ruler.px(theme::PAD);
            if width + gap + needed <= row.width() {
                let mut rest = row;
                row = cut_left(&mut rest, width);
                cut_left(&mut rest, gap);
                place.price_before = Some(base_aligned(cut_left(&mut rest, needed), ruler));
            }
        }
        place.price = Some(row);
        cut_bottom(area, ruler.px(CLOSE));
    }
    if lines.brand > 0 {
        place.brand = Some(cut_bottom(area, ruler.line(theme::DETAIL)));
    }
    place.title = cut_bottom(area, lines.title as f32 * ruler.line(theme::TITLE));
    let sure = ruler.paragraph(&scene.words.say(sure_text(card)), theme::SURE, area.width(), lines.sure);
    place.sure = cut_bottom(area, sure);
}

/// A smaller text beside the price, on its base line as nearly as whole pixels allow.
fn base_aligned(mut rest: Rect<Panel>, ruler: Ruler<'_>) -> Rect<Panel> {
    let line = ruler.line(theme::DETAIL);
    rest.y1 = (rest.y2 - line - (rest.height() - line) / 4.0).round().max(rest.y1);
    rest.y2 = (rest.y1 + line).min(rest.y2);
    rest
}

/// Fills `area` from its top, the most useful first.
fn details(place: &mut CardPlace, scene: &Scene, card: &Card, mut area: Rect<Panel>, ruler: Ruler<'_>) {
    let (gap, area_width) = (ruler.px(CLOSE), area.width());
    let mut first = true;
    let mut row = |height: f32, area: &mut Rect<Panel>| {
        let above = if first { 0.0 } else { gap };
        let fits = height > 0.0 && area.height() >= height + above;
        fits.then(|| {
            first = false;
            cut_top(area, above);
            cut_top(area, height)
        })
    };
    let wrapped = |text: &str, style: Style, most: usize| ruler.paragraph(text, style, area_width, most);
    if !card.sizes.is_empty() {
        let height = (ruler.line(theme::DETAIL) * 1.15).round();
        let wanted = sizes_rows(card, area.width(), ruler);
        let rows = (1..=wanted.min(3))
            .rev()
            .find_map(|rows| row(rows as f32 * (height + gap) - gap, &mut area).map(|place| (place, rows)));
        if let Some((place_of_sizes, rows)) = rows {
            sizes(place, place_of_sizes, rows, scene, card, ruler);
        }
    }
    if let (Some(location), None) = (&card.location, place.location) {
        place.location = row(wrapped(location, theme::SURE, PLACE_LINES), &mut area);
    }
    if let Some(stock) = card.stock {
        place.stock = row(wrapped(&scene.words.say(stock.text()), theme::DETAIL, 4), &mut area);
    }
    if !card.other_colors.is_empty() {
        let side = ruler.px(SWATCH);
        place.swatches = row(side, &mut area).map(|row| tiles(row, card.other_colors.len(), gap)).unwrap_or_default();
    }
    // A name that is cut says nothing.
    let fits = |brand: &String| ruler.width(brand, theme::DETAIL) <= area.width();
    if card.brand.as_ref().is_some_and(fits) && place.brand.is_none() {
        place.brand = row(ruler.line(theme::DETAIL), &mut area);
    }
}

fn size_width(text: &str, ruler: Ruler<'_>) -> f32 {
    let height = (ruler.line(theme::DETAIL) * 1.15).round();
    (ruler.width(text, theme::DETAIL) + 2.0 * ruler.px(12.0)).max(height)
}

/// How many rows all sizes would take.
fn sizes_rows(card: &Card, width: f32, ruler: Ruler<'_>) -> usize {
    let (mut rows, mut x) = (1, 0.0);
    for size in &card.sizes {
        let needed = size_width(&size.text, ruler);
        if x > 0.0 && x + needed > width {
            (rows, x) = (rows + 1, 0.0);
        }
        x += needed + ruler.px(CLOSE);
    }
    rows
}

/// As many sizes as fit, each as wide as its text; in place of the last that do not, how many these are.
fn sizes(place: &mut CardPlace, mut area: Rect<Panel>, rows: usize, scene: &Scene, card: &Card, ruler: Ruler<'_>) {
    let gap = ruler.px(CLOSE);
    let height = (ruler.line(theme::DETAIL) * 1.15).round();
    for _ in 0..rows {
        let mut row = cut_top(&mut area, height);
        cut_top(&mut area, gap);
        while let Some(size) = card.sizes.get(place.sizes.len()) {
            let width = size_width(&size.text, ruler);
            if width > row.width() {
                break;
            }
            place.sizes.push(cut_left(&mut row, width));
            cut_left(&mut row, gap);
        }
        let left = card.sizes.len() - place.sizes.len();
        let is_last = area.height() < height;
        if left == 0 || !is_last {
            continue;
        }
        // The last that fit give way to the count.
        for given in 0..=place.sizes.len() {
            let text = scene.words.count("more-sizes", left + given);
            let width = size_width(&text, ruler);
            if width <= row.width() {
                place.more_sizes = Some((cut_left(&mut row, width), left + given));
                break;
            }
            let Some(last) = place.sizes.last().copied().filter(|last| last.y1 == row.y1) else { break };
            place.sizes.pop();
            row.x1 = last.x1;
        }
    }
}

fn tiles(mut row: Rect<Panel>, count: usize, gap: f32) -> Vec<Rect<Panel>> {
    let side = row.height();
    let mut tiles = Vec::new();
    while tiles.len() < count && row.width() >= side {
        tiles.push(cut_left(&mut row, side));
        cut_left(&mut row, gap);
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_a_site_that_people_know() {
        assert_eq!(site("https://www.shop.example/p/1?x=2"), "shop.example");
        assert_eq!(site(" shop.example#a "), "shop.example");
        assert_eq!(site("http://a.example:8080"), "a.example:8080");
    }
}
