//! Where everything goes: from a [`Scene`] and a panel's size to rectangles, without drawing anything.
//!
//! There are two screens. The *notice* fills the panel with one sentence: the invitation while nobody is there, or a message about
//! a missing camera. The *live* screen has the mirror picture (the stage) and a column beside it or below it. One garment is
//! featured: its product has the large card (the hero) with the one thing to do next. The other garments, or else further products
//! like the featured one, have a tile each. For languages that are written from the right, all of this is reversed; the mirror
//! picture never is. Parts of a screen never overlap and never leave the panel; tests/screens.rs verifies it.

mod hero;
mod labels;
mod live;
mod notice;
mod plan;
mod split;
mod tiles;

use super::mirror::Mirror;
use super::qr;
use super::scene::Scene;
use super::text::Fonts;
use super::theme::{self, Style};
use super::viewing::Viewing;
use crate::geometry::{Panel, Rect, Size};

pub use hero::{Action, site, sure_text};
pub use labels::LabelText;
pub use live::message_texts;
pub use notice::{EnrolRow, Notice, Says, TIGHT};
pub use tiles::product as tile_product;

/// The smallest panel with a full layout; smaller ones get what fits.
pub const SMALLEST: Size = Size::new(480, 480);

/// What measures lengths: the fonts, the pixels in a unit, and how the panel is seen.
#[derive(Clone, Copy)]
pub struct Ruler<'a> {
    pub fonts: &'a Fonts,
    pub unit: f32,
    /// Pixels in a unit of a text's size.
    pub text: f32,
    pub viewing: Viewing,
}

impl<'a> Ruler<'a> {
    /// For a panel of `size`, seen as `viewing` says, with text that a theme makes larger by so many percent.
    pub fn new(fonts: &'a Fonts, size: Size, viewing: Viewing, larger_text: u32) -> Self {
        let unit = theme::unit(size);
        let text = unit * viewing.enlargement(unit) * (1.0 + larger_text as f32 / 100.0);
        Ruler { fonts, unit, text, viewing }
    }

    /// `units` in whole pixels.
    pub fn px(&self, units: f32) -> f32 {
        (units * self.unit).round()
    }

    /// A style in pixels.
    pub fn style(&self, style: Style) -> Style {
        style.at(self.text)
    }

    /// Height of a line in this style.
    pub fn line(&self, style: Style) -> f32 {
        self.style(style).line()
    }

    /// The lines that `text` takes in this width, at most `most`, and their height.
    pub fn paragraph(&self, text: &str, style: Style, width: f32, most: usize) -> f32 {
        let style = self.style(style);
        self.fonts.wrap(text, style, width, most).len() as f32 * style.line()
    }

    /// The width of one line of `text`, in whole pixels.
    pub fn width(&self, text: &str, style: Style) -> f32 {
        self.fonts.width(text, self.style(style)).ceil()
    }

    /// The width of the longest word; Chinese and Japanese are written without words.
    pub fn longest_word(&self, text: &str, style: Style) -> f32 {
        let words = text.split_whitespace().filter(|word| word.chars().all(|letter| letter < '\u{2e80}'));
        words.map(|word| self.width(word, style)).fold(0.0, f32::max)
    }

    /// Whether `text` has room in so many lines of this width, every word in one piece.
    pub fn is_whole(&self, text: &str, style: Style, width: f32, lines: usize) -> bool {
        self.longest_word(text, style) <= width
            && self.fonts.wrap(text, self.style(style), width, lines + 1).len() <= lines
    }

    /// A code for `link` of at least `least` pixels on a side, a whole number for each module; `None` where there can be none.
    pub fn code_side(&self, link: &str, least: f32) -> Option<f32> {
        let modules = qr::modules(link)?;
        let module = ((least / modules as f32).ceil() as usize).max(qr::MODULE);
        Some((modules * module) as f32)
    }
}

/// A scene's places. Rectangles of parts that have no room have no area, or are `None`.
#[derive(Clone, Debug)]
pub struct Layout {
    pub size: Size,
    pub unit: f32,
    /// Pixels in a unit of a text's size.
    pub text: f32,
    pub right_to_left: bool,
    /// Where the camera picture goes; `None` without one.
    pub mirror: Option<Mirror>,
    /// Set on the notice screen, where the camera picture is dimmed; the live screen has a hero instead.
    pub notice: Option<Notice>,
    pub boxes: Vec<GarmentBox>,
    pub hero: Option<Hero>,
    pub tiles: Vec<Tile>,
    pub shop: Rect<Panel>,
    pub privacy: Rect<Panel>,
}

/// A garment in the mirror.
#[derive(Clone, Debug)]
pub struct GarmentBox {
    /// Index into [`Scene::garments`].
    pub garment: usize,
    /// Its number, from 1, on the picture and on its card; `None` where only one garment is shown.
    pub number: Option<usize>,
    pub featured: bool,
    /// Cut to the mirror picture.
    pub bounds: Rect<Panel>,
    /// Beside every garment; `None` where there is no room that is free of garments.
    pub label: Option<Label>,
}

/// Words beside a garment.
#[derive(Clone, Debug)]
pub struct Label {
    pub frame: Rect<Panel>,
    /// For the ring or the number.
    pub ring: Option<Rect<Panel>>,
    pub text: Rect<Panel>,
    pub says: LabelText,
}

/// A garment that has a place on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Index into [`Scene::garments`].
    pub garment: usize,
    /// Index into [`Scene::matches`]; `None`: it is still looked at.
    pub matched: Option<usize>,
}

/// The large card, or large words in its place.
#[derive(Clone, Debug)]
pub struct Hero {
    pub section: Section,
    pub number: Option<usize>,
    pub body: Body,
}

/// What is known of the garment.
#[derive(Clone, Debug)]
pub enum Body {
    /// Frames are being gathered.
    Gathering(Message),
    /// Nothing in the catalogue is like it: words say so.
    Nothing(Message),
    Product(Box<CardPlace>),
}

/// Large words on the ground.
#[derive(Clone, Debug)]
pub struct Message {
    /// A square for the ring.
    pub ring: Rect<Panel>,
    pub title: Rect<Panel>,
    pub hint: Rect<Panel>,
}

/// A product's large card.
#[derive(Clone, Debug)]
pub struct CardPlace {
    /// Index into the cards of the garment.
    pub card: usize,
    pub frame: Rect<Panel>,
    pub picture: Rect<Panel>,
    /// The shop's plan, below the picture.
    pub plan: Option<Rect<Panel>>,
    pub sure: Rect<Panel>,
    pub title: Rect<Panel>,
    pub price: Option<Rect<Panel>>,
    /// Struck through, beside the price.
    pub price_before: Option<Rect<Panel>>,
    pub brand: Option<Rect<Panel>>,
    pub location: Option<Rect<Panel>>,
    pub stock: Option<Rect<Panel>>,
    /// As many of the card's sizes as there is room for.
    pub sizes: Vec<Rect<Panel>>,
    /// How many sizes have none, said after them.
    pub more_sizes: Option<(Rect<Panel>, usize)>,
    /// As many of its other colours.
    pub swatches: Vec<Rect<Panel>>,
    /// What to do next, in words.
    pub action: Rect<Panel>,
    pub does: Action,
    /// The QR code with its quiet zone: a whole number of pixels for each module.
    pub code: Option<Rect<Panel>>,
    /// Where the code leads: the name of the site.
    pub leads_to: Option<Rect<Panel>>,
}

impl CardPlace {
    /// Everything on the card.
    pub fn parts(&self) -> Vec<Rect<Panel>> {
        let always = [self.picture, self.sure, self.title, self.action];
        let optional = [self.price, self.price_before, self.brand, self.location, self.stock, self.code, self.leads_to];
        let several = self
            .sizes
            .iter()
            .chain(&self.swatches)
            .chain(&self.plan)
            .copied()
            .chain(self.more_sizes.map(|(place, _)| place));
        always.into_iter().chain(optional.into_iter().flatten()).chain(several).collect()
    }
}

/// A small card.
#[derive(Clone, Debug)]
pub struct Tile {
    pub shows: TileOf,
    pub number: Option<usize>,
    pub frame: Rect<Panel>,
    pub picture: Rect<Panel>,
    /// What it is: another garment, or a product like the featured one.
    pub caption: Option<Rect<Panel>>,
    pub title: Option<Rect<Panel>>,
    pub price: Option<Rect<Panel>>,
}

/// What a tile shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileOf {
    /// Another garment.
    Garment(Section),
    /// Another product for the featured garment: an index into its cards.
    Product(usize),
}

/// What lies where the panel was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// The card, tile or box of a garment: an index into [`Scene::garments`].
    Garment(usize),
    /// A garment that is enrolled: an index into those of the notice.
    Enrolled(usize),
}

/// Places everything in `scene` on a panel of `size`.
pub fn layout(scene: &Scene, size: Size, ruler: Ruler<'_>) -> Layout {
    let panel = Rect::new(0.0, 0.0, size.width as f32, size.height as f32);
    let camera = scene.camera.as_ref().map(|picture| picture.size()).filter(|size| size.width * size.height > 0);
    let covered = || camera.and_then(|camera| Mirror::cover(camera, panel));
    let placed = match camera {
        _ if scene.recording => notice::notice(scene, Says::Recording, size, covered(), ruler),
        _ if let Some(enrol) = &scene.enrol => notice::notice(scene, Says::Enrol(enrol.step), size, covered(), ruler),
        Some(camera) if !scene.garments.is_empty() => live::live(scene, size, camera, ruler),
        Some(_) => notice::notice(scene, Says::Welcome, size, covered(), ruler),
        None if scene.status.warning.is_some() => notice::notice(scene, Says::Away, size, None, ruler),
        None => notice::notice(scene, Says::Waking, size, None, ruler),
    };
    if placed.right_to_left { placed.reversed() } else { placed }
}

/// The garments that get a place: those with matches, in the order of their garments, then those that are still looked at.
pub fn sections(scene: &Scene) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (index, matched) in scene.matches.iter().enumerate() {
        let known = sections.iter().any(|section| section.garment == matched.garment);
        if matched.garment < scene.garments.len() && !known {
            sections.push(Section { garment: matched.garment, matched: Some(index) });
        }
    }
    let matched = sections.len();
    for garment in 0..scene.garments.len().min(scene.max_garments) {
        if !sections[..matched].iter().any(|section| section.garment == garment) {
            sections.push(Section { garment, matched: None });
        }
    }
    sections.truncate(scene.max_garments.max(1));
    sections
}

impl Section {
    pub fn has_products(&self, scene: &Scene) -> bool {
        self.matched.is_some_and(|matched| !scene.matches[matched].cards.is_empty())
    }
}

impl Layout {
    /// The layout as it is for languages from the right: everything changes sides but what lies on the mirror picture, which
    /// [`live`] has placed on its side already.
    fn reversed(mut self) -> Self {
        let width = self.size.width as f32;
        let turn = |part: &mut Rect<Panel>| *part = Rect::new(width - part.x2, part.y1, width - part.x1, part.y2);
        self.own_parts().into_iter().for_each(turn);
        self
    }

    /// All rectangles but those on the mirror picture, with the frames around them.
    fn own_parts(&mut self) -> Vec<&mut Rect<Panel>> {
        let mut parts = vec![&mut self.shop, &mut self.privacy];
        if let Some(notice) = &mut self.notice {
            parts.extend([&mut notice.headline, &mut notice.rule, &mut notice.lead]);
            for EnrolRow { frame, region, title } in &mut notice.garments {
                parts.extend([frame, region, title]);
            }
        }
        if let Some(hero) = &mut self.hero {
            match &mut hero.body {
                Body::Gathering(message) | Body::Nothing(message) => {
                    parts.extend([&mut message.ring, &mut message.title, &mut message.hint]);
                }
                Body::Product(card) => {
                    let card = card.as_mut();
                    parts.extend([
                        &mut card.frame,
                        &mut card.picture,
                        &mut card.sure,
                        &mut card.title,
                        &mut card.action,
                    ]);
                    let optional = [&mut card.price, &mut card.price_before, &mut card.brand, &mut card.location];
                    parts.extend(optional.into_iter().flatten());
                    let others = [&mut card.stock, &mut card.code, &mut card.leads_to, &mut card.plan];
                    parts.extend(others.into_iter().flatten());
                    parts.extend(card.sizes.iter_mut().chain(&mut card.swatches));
                    parts.extend(card.more_sizes.as_mut().map(|(place, _)| place));
                }
            }
        }
        for Tile { frame, picture, caption, title, price, .. } in &mut self.tiles {
            parts.extend([frame, picture]);
            parts.extend([caption, title, price].into_iter().flatten());
        }
        parts
    }

    /// Everything that is drawn over the ground or the picture, so that a test can see that nothing overlaps.
    pub fn parts(&self) -> Vec<Rect<Panel>> {
        let mut parts = vec![self.shop, self.privacy];
        if let Some(notice) = &self.notice {
            parts.extend([notice.headline, notice.rule, notice.lead]);
            parts.extend(notice.garments.iter().flat_map(|row| [row.region, row.title]));
        }
        parts.extend(self.boxes.iter().filter_map(|seen| Some(seen.label.as_ref()?.frame)));
        match self.hero.as_ref().map(|hero| &hero.body) {
            Some(Body::Gathering(message) | Body::Nothing(message)) => {
                parts.extend([message.ring, message.title, message.hint])
            }
            Some(Body::Product(card)) => parts.extend(card.parts()),
            None => {}
        }
        for tile in &self.tiles {
            parts.push(tile.picture);
            parts.extend([tile.caption, tile.title, tile.price].into_iter().flatten());
        }
        parts.into_iter().filter(|part| part.area() > 0.0).collect()
    }

    /// What a touch at this point is meant for.
    pub fn touched(&self, x: f32, y: f32) -> Option<Touched> {
        let holds = |area: &Rect<Panel>| area.x1 <= x && x < area.x2 && area.y1 <= y && y < area.y2;
        if let Some(notice) = &self.notice {
            return notice.garments.iter().position(|row| holds(&row.frame)).map(Touched::Enrolled);
        }
        let tile = self.tiles.iter().find_map(|tile| match tile.shows {
            TileOf::Garment(section) if holds(&tile.frame) => Some(section.garment),
            _ => None,
        });
        let garment = tile.or_else(|| self.boxes.iter().find(|seen| holds(&seen.bounds)).map(|seen| seen.garment));
        garment.map(Touched::Garment)
    }
}
