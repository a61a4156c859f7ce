//! The screen with the mirror picture and what was found.

use super::split::{cut_bottom, cut_left, cut_top, inset_xy};
use super::{Body, Hero, Layout, Message, Ruler, Section, hero, labels, sections, tiles};
use crate::display::mirror::Mirror;
use crate::display::scene::Scene;
use crate::display::theme;
use crate::geometry::{Panel, Rect, Size};
use std::ops::Range;

/// The least share of the camera picture's height that the live screen shows.
const TALL: f32 = 0.9;
/// Beside an upright picture on an upright panel there are tiles, where they have at least this width, in units.
const BAND: f32 = 300.0;
/// On an upright panel a product takes this share of its height, and more where text is larger.
const BELOW: f32 = 0.535;
/// The privacy line has no more lines than this.
const PRIVACY_LINES: usize = 4;

pub fn live(scene: &Scene, size: Size, camera: Size, ruler: Ruler<'_>) -> Layout {
    let sections = sections(scene);
    let numbered = |section: &Section| {
        let place = sections.iter().position(|other| other == section);
        place.filter(|_| sections.len() > 1).map(|place| place + 1)
    };
    let featured = featured(scene, &sections);
    let with_product = featured.is_some_and(|section| section.has_products(scene));
    let areas = areas(size, camera, with_product, ruler);
    let rtl = scene.words.is_right_to_left();
    let stage = if rtl { reversed(areas.stage, size) } else { areas.stage };
    let mirror = Mirror::cover(camera, stage).map(|mirror| following(mirror, scene, featured));
    let boxes = mirror.as_ref().map(|mirror| {
        let numbered = with_product && sections.len() > 1;
        let seen = labels::Seen { scene, sections: &sections, featured, numbered, right_to_left: rtl };
        labels::boxes(&seen, mirror, ruler)
    });
    let mut column = inset_xy(areas.column, ruler.px(theme::MARGIN), ruler.px(24.0));
    let (shop, privacy) = footer(&mut column, scene, ruler);
    cut_bottom(&mut column, ruler.px(theme::GAP));
    let mut layout =
        Layout { mirror, shop, privacy, boxes: boxes.unwrap_or_default(), ..Layout::empty(scene, size, ruler) };
    let Some(section) = featured else { return layout };
    let Some(matched) = section.matched.filter(|_| with_product) else {
        let message = message(scene, section, column, ruler);
        let body = if section.matched.is_some() { Body::Nothing(message) } else { Body::Gathering(message) };
        layout.hero = Some(Hero { section, number: None, body });
        return layout;
    };
    let number = numbered(&section);
    let cards = &scene.matches[matched].cards;
    let chosen = scene.chosen.min(cards.len() - 1);
    let shown = (tiles::beside_product(scene, &sections, section, chosen), section);
    layout.tiles = match areas.band {
        Some(band) => {
            tiles::band(scene, shown, inset_xy(band, ruler.px(theme::GUTTER), ruler.px(theme::GUTTER)), numbered, ruler)
        }
        None => tiles::row(scene, shown, &mut column, numbered, ruler),
    };
    let card = hero::card(scene, &cards[chosen], chosen, column, ruler);
    layout.hero = Some(Hero { section, number, body: Body::Product(Box::new(card)) });
    layout
}

impl Layout {
    pub(super) fn empty(scene: &Scene, size: Size, ruler: Ruler<'_>) -> Self {
        let nowhere = Rect::new(0.0, 0.0, 0.0, 0.0);
        Layout {
            size,
            unit: ruler.unit,
            text: ruler.text,
            right_to_left: scene.words.is_right_to_left(),
            mirror: None,
            notice: None,
            boxes: Vec::new(),
            hero: None,
            tiles: Vec::new(),
            shop: nowhere,
            privacy: nowhere,
        }
    }
}

/// The section with the large card: the featured garment's where it has products, else the first that has. Without any, the words
/// in its place are of one that is still looked at, or else of the first.
fn featured(scene: &Scene, sections: &[Section]) -> Option<Section> {
    let found = |section: &&Section| section.has_products(scene);
    let wanted = sections.iter().filter(found).find(|section| Some(section.garment) == scene.featured);
    let looked_at = sections.iter().find(|section| section.matched.is_none());
    wanted.or_else(|| sections.iter().find(found)).or(looked_at).or(sections.first()).copied()
}

/// The picture moved so that the people are seen; where there is no room for all, those beside the featured garment.
fn following(mirror: Mirror, scene: &Scene, featured: Option<Section>) -> Mirror {
    let finite = |view: &&Range<f32>| view.start.is_finite() && view.end.is_finite();
    let Some(view) = scene.view.as_ref().filter(finite) else { return mirror };
    let first = featured.map_or(view.start, |section| scene.garments[section.garment].bounds.centre().0);
    mirror.showing(view.clone(), first)
}

/// How the panel is divided.
struct Areas {
    stage: Rect<Panel>,
    /// Free room beside an upright picture on an upright panel.
    band: Option<Rect<Panel>>,
    column: Rect<Panel>,
}

/// The picture covers its place and may lose much of its sides, where there is wall; but of its height [`TALL`] must be seen, or a
/// camera mounted upright would show a person without a head and feet. What it leaves free beside it is used for tiles.
fn areas(size: Size, camera: Size, with_product: bool, ruler: Ruler<'_>) -> Areas {
    let mut column = Rect::new(0.0, 0.0, size.width as f32, size.height as f32);
    let upright = |height: f32| (camera.width as f32 / camera.height as f32 * height / TALL).round();
    if column.width() >= 1.2 * column.height() {
        // Larger text takes its room from the picture.
        let larger = ruler.text / ruler.unit - 1.0;
        let most = if with_product { (0.46 - 0.3 * larger).max(0.36) } else { 0.6 };
        let width = upright(column.height()).clamp(column.width() * 0.36, column.width() * most);
        let stage = cut_left(&mut column, width);
        return Areas { stage, band: None, column };
    }
    // Words alone need less room than a product.
    let share = (BELOW + 0.25 * (ruler.text / ruler.unit - 1.0)).min(0.6);
    let below = if with_product { column.height() * share } else { ruler.px(150.0) + 5.5 * ruler.line(theme::LEAD) };
    let height = column.height() - below.min(column.height() * share);
    let mut whole = cut_top(&mut column, height);
    let width = upright(height).clamp(whole.width() * 0.4, whole.width());
    if !with_product || whole.width() - width < ruler.px(BAND) {
        return Areas { stage: whole, band: None, column };
    }
    let stage = cut_left(&mut whole, width);
    Areas { stage, band: Some(whole), column }
}

fn reversed(area: Rect<Panel>, size: Size) -> Rect<Panel> {
    let width = size.width as f32;
    Rect::new(width - area.x2, area.y1, width - area.x1, area.y2)
}

/// Cuts the last line off the bottom: the shop's name, and what happens with the pictures.
pub(super) fn footer(area: &mut Rect<Panel>, scene: &Scene, ruler: Ruler<'_>) -> (Rect<Panel>, Rect<Panel>) {
    let privacy = scene.words.say(scene.privacy_text());
    let name = (ruler.width(&scene.shop, theme::SHOP)).min(area.width() * 0.5);
    let gap = ruler.px(theme::GAP + theme::GUTTER);
    let height = ruler.paragraph(&privacy, theme::PRIVACY, area.width() - name - gap, PRIVACY_LINES);
    let mut row = cut_bottom(area, height.max(ruler.line(theme::SHOP)));
    let mut shop = cut_left(&mut row, name);
    cut_left(&mut row, gap);
    let above = ((shop.height() - ruler.line(theme::SHOP)) / 2.0).floor();
    cut_top(&mut shop, above);
    cut_bottom(&mut shop, above);
    let above = ((row.height() - height) / 2.0).floor();
    cut_top(&mut row, above);
    (shop, row)
}

/// The names of a message's texts: large, and below it.
pub fn message_texts(scene: &Scene, section: Section) -> [&'static str; 2] {
    let garment = &scene.garments[section.garment];
    match section.matched {
        Some(_) => ["not-sold", "not-sold-next"],
        None if garment.gathered < garment.wanted.max(1) => ["looking", "looking-next"],
        None => ["searching", "searching-next"],
    }
}

fn message(scene: &Scene, section: Section, area: Rect<Panel>, ruler: Ruler<'_>) -> Message {
    let texts = message_texts(scene, section).map(|name| scene.words.say(name));
    let mut inner = inset_xy(area, ruler.px(theme::PAD), 0.0);
    let side = ruler.px(140.0).min(inner.height()).min(inner.width() / 3.0).floor();
    let beside = inner.width() >= ruler.px(700.0);
    let mut ring = if beside { cut_left(&mut inner, side) } else { inner };
    if beside {
        cut_left(&mut inner, ruler.px(38.0));
    }
    let title = ruler.paragraph(&texts[0], theme::NOTICE, inner.width(), 2);
    let hint = ruler.paragraph(&texts[1], theme::LEAD, inner.width(), 4);
    let gap = ruler.px(8.0);
    let height = title + gap + hint + if beside { 0.0 } else { side + 2.0 * gap };
    let above = ((inner.height() - height) / 2.0).max(0.0);
    cut_top(&mut inner, above);
    if beside {
        let above = (ring.height() - side) / 2.0;
        cut_top(&mut ring, above);
        ring = cut_top(&mut ring, side);
    } else {
        ring = cut_top(&mut inner, side);
        ring = cut_left(&mut ring, side);
        cut_top(&mut inner, 2.0 * gap);
    }
    let title = cut_top(&mut inner, title);
    cut_top(&mut inner, gap);
    let hint = cut_top(&mut inner, hint);
    Message { ring, title, hint }
}
