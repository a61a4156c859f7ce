//! Where everything goes: from a [`Scene`] and a panel's size to rectangles, without drawing anything.
//!
//! There are two screens. The *notice* fills the panel with one sentence: the invitation while nobody is there, or a message about
//! a missing camera. The *live* screen has the mirror picture (the stage) and, beside it or below it, a column with one slot
//! for each of the most prominent garments. Parts of a screen never overlap and never leave the panel; tests/screens.rs verifies it.

mod cards;
mod details;
mod labels;
mod split;

use super::mirror::Mirror;
use super::qr;
use super::scene::Scene;
use super::text::Fonts;
use super::theme::{self, Style};
use crate::geometry::{Panel, Rect, Size};
use split::{cut_bottom, cut_left, cut_right, cut_top, inset, inset_xy, share};

pub use labels::label_height;

/// The smallest panel with a full layout; smaller ones get what fits.
pub const SMALLEST: Size = Size::new(480, 480);
/// Height of a slot with its heading and a first match with QR code, in units.
const SLOT_HEIGHT: f32 = 320.0;
/// Height of a slot above and below the QR code of a short link, in units; the code itself is sized in pixels.
const SLOT_MARGINS: f32 = 76.0;

/// The least share of the camera picture's height that the live screen shows.
const TALL: f32 = 0.8;

/// The privacy line.
pub const PRIVACY: &str = "Nothing is recorded. Pictures stay in this mirror’s memory and are deleted immediately.";

/// The privacy line while pictures are stored.
pub const RECORDED: &str = "These pictures are kept. To avoid being recorded, please step out of view.";

/// What measures lengths: the fonts, and the pixels in a unit.
#[derive(Clone, Copy)]
pub struct Ruler<'a> {
    pub fonts: &'a Fonts,
    pub unit: f32,
}

impl Ruler<'_> {
    /// `units` in whole pixels.
    pub fn px(&self, units: f32) -> f32 {
        (units * self.unit).round()
    }
}

/// A scene's places. Rectangles of parts that have no room have no area, or are `None`.
#[derive(Clone, Debug)]
pub struct Layout {
    pub size: Size,
    pub unit: f32,
    /// Around a picture that is narrower than the panel: filled with its colours, blurred and dim. Drawn before the picture.
    pub surround: Option<Rect<Panel>>,
    /// Where the camera picture goes; `None` without one.
    pub mirror: Option<Mirror>,
    /// Set on the notice screen, where the camera picture is dimmed; the live screen has slots instead.
    pub notice: Option<Notice>,
    pub shop: Rect<Panel>,
    pub boxes: Vec<GarmentBox>,
    pub slots: Vec<Slot>,
    pub privacy: Rect<Panel>,
    pub status: Rect<Panel>,
    /// Frames a second, to the right of the status.
    pub rate: Rect<Panel>,
}

/// One sentence over the whole panel.
#[derive(Clone, Debug)]
pub struct Notice {
    pub says: Says,
    /// Corner brackets around everything.
    pub frame: Rect<Panel>,
    pub headline: Rect<Panel>,
    pub headline_style: Style,
    /// A short rule between the two.
    pub rule: Rect<Panel>,
    pub lead: Rect<Panel>,
    pub lead_style: Style,
}

/// The reason for the notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Nobody is there.
    Welcome,
    /// There is no picture yet.
    Waking,
    /// Pictures are being stored.
    Recording,
    /// There is no picture, and something is wrong.
    Away,
}

impl Says {
    /// The headline.
    pub fn headline(self) -> &'static str {
        match self {
            Says::Welcome => "What are you wearing?",
            Says::Waking => "One moment.",
            Says::Recording => "Recording.",
            Says::Away => "Back in a moment.",
        }
    }

    /// The text below it.
    pub fn lead(self) -> &'static str {
        match self {
            Says::Welcome => "Step in front of the mirror to find it in this shop.",
            Says::Waking => "The mirror is starting.",
            Says::Recording => "This camera’s pictures are being stored.",
            Says::Away => "The camera is not available right now.",
        }
    }
}

/// A garment in the mirror.
#[derive(Clone, Debug)]
pub struct GarmentBox {
    /// Index into [`Scene::garments`].
    pub garment: usize,
    /// Cut to the mirror picture.
    pub bounds: Rect<Panel>,
    /// Its ring and its name; the less prominent have none.
    pub label: Option<Rect<Panel>>,
}

/// A garment's place in the column.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Index into [`Scene::garments`].
    pub garment: usize,
    /// The garment's name; no area where there is no room.
    pub heading: Rect<Panel>,
    pub body: Body,
}

/// What is known of the garment.
#[derive(Clone, Debug)]
pub enum Body {
    /// Frames are being gathered.
    Gathering(Message),
    /// `matched` (an index into [`Scene::matches`]) has no cards: words say so.
    Nothing { matched: usize, message: Message },
    /// The cards of `matched`, best first.
    Cards { matched: usize, cards: Vec<CardPlace> },
}

/// Words in an outlined card.
#[derive(Clone, Debug)]
pub struct Message {
    pub frame: Rect<Panel>,
    /// A square for the ring.
    pub ring: Rect<Panel>,
    pub title: Rect<Panel>,
    pub hint: Rect<Panel>,
}

/// A product's card.
#[derive(Clone, Debug)]
pub struct CardPlace {
    /// Index into the cards of that garment.
    pub card: usize,
    pub frame: Rect<Panel>,
    pub picture: Rect<Panel>,
    pub title: Rect<Panel>,
    pub title_style: Style,
    pub brand: Option<Rect<Panel>>,
    pub brand_style: Style,
    pub price: Option<Rect<Panel>>,
    pub price_style: Style,
    /// Struck through, beside the price.
    pub price_before: Option<Rect<Panel>>,
    pub price_before_style: Style,
    pub location: Option<Rect<Panel>>,
    pub stock: Option<Rect<Panel>>,
    /// As many of the card's sizes as there is room for.
    pub sizes: Vec<Rect<Panel>>,
    /// As many of its other colours.
    pub swatches: Vec<Rect<Panel>>,
    pub sure_style: Style,
    /// How sure, in words, and below it as a bar.
    pub sure: Option<Rect<Panel>>,
    /// The QR code with its quiet zone: a whole number of pixels for each module.
    pub qr: Option<Rect<Panel>>,
}

impl CardPlace {
    fn empty(card: usize, frame: Rect<Panel>, picture: Rect<Panel>, qr: Option<Rect<Panel>>) -> Self {
        CardPlace {
            card,
            frame,
            picture,
            title: Rect::new(frame.x1, frame.y1, frame.x1, frame.y1),
            title_style: theme::TITLE,
            brand: None,
            brand_style: theme::BODY,
            price: None,
            price_style: theme::PRICE,
            price_before: None,
            price_before_style: theme::BODY,
            location: None,
            stock: None,
            sizes: Vec::new(),
            swatches: Vec::new(),
            sure: None,
            sure_style: theme::SURE,
            qr,
        }
    }

    /// Everything on the card.
    pub fn parts(&self) -> Vec<Rect<Panel>> {
        let optional = [self.brand, self.price, self.price_before, self.location, self.stock, self.sure, self.qr];
        let several = self.sizes.iter().chain(&self.swatches).copied();
        [self.picture, self.title].into_iter().chain(optional.into_iter().flatten()).chain(several).collect()
    }
}

/// Places everything in `scene` on a panel of `size`.
pub fn layout(scene: &Scene, size: Size, fonts: &Fonts) -> Layout {
    let unit = theme::unit(size);
    let ruler = Ruler { fonts, unit };
    let panel = Rect::new(0.0, 0.0, size.width as f32, size.height as f32);
    let camera = scene.camera.as_ref().map(|picture| picture.size()).filter(|size| size.width * size.height > 0);
    match camera {
        _ if scene.recording => {
            notice(Says::Recording, size, camera.and_then(|camera| Mirror::cover(camera, panel)), ruler)
        }
        Some(camera) if !scene.garments.is_empty() => live(scene, size, camera, ruler),
        Some(camera) => notice(Says::Welcome, size, Mirror::cover(camera, panel), ruler),
        None if scene.status.warning.is_some() => notice(Says::Away, size, None, ruler),
        None => notice(Says::Waking, size, None, ruler),
    }
}

fn notice(says: Says, size: Size, mirror: Option<Mirror>, ruler: Ruler<'_>) -> Layout {
    let frame = inset(Rect::new(0.0, 0.0, size.width as f32, size.height as f32), ruler.px(theme::MARGIN));
    let mut inner = inset(frame, ruler.px(theme::MARGIN));
    let shop = cut_top(&mut inner, theme::SHOP.at(ruler.unit).line());
    let (privacy, status, rate) = footer(&mut inner, ruler);
    // The sentence sits a little above the middle, where a face looks.
    let (headline_style, lead_style) = (theme::DISPLAY.at(ruler.unit), theme::LEAD.at(ruler.unit));
    let width = inner.width().min(ruler.px(1150.0));
    let lines = |text, style, most| ruler.fonts.wrap(text, style, width, most).len() as f32;
    let big = lines(says.headline(), headline_style, 4) * headline_style.line() * 0.86;
    let small = lines(says.lead(), lead_style, 3) * lead_style.line();
    let gap = ruler.px(44.0);
    let free = inner.height() - big - small - 2.0 * gap;
    cut_top(&mut inner, free * 0.42);
    let mut column = cut_left(&mut inner, width);
    let headline = cut_top(&mut column, big);
    let mut rule = cut_top(&mut column, 2.0 * gap);
    rule = Rect::new(rule.x1, rule.y1 + gap, rule.x1 + ruler.px(96.0).min(rule.width()), rule.y1 + gap + ruler.px(3.0));
    rule.y2 = rule.y2.min(column.y1);
    rule.y1 = rule.y1.min(rule.y2);
    let lead = cut_top(&mut column, small);
    let notice = Notice { says, frame, headline, headline_style, rule, lead, lead_style };
    let (boxes, slots) = (Vec::new(), Vec::new());
    Layout {
        size,
        unit: ruler.unit,
        surround: None,
        mirror,
        notice: Some(notice),
        shop,
        boxes,
        slots,
        privacy,
        status,
        rate,
    }
}

fn live(scene: &Scene, size: Size, camera: Size, ruler: Ruler<'_>) -> Layout {
    let mut column = Rect::new(0.0, 0.0, size.width as f32, size.height as f32);
    let stage = stage(&mut column, camera);
    let surround = (stage.x1 > 0.0).then(|| Rect::new(0.0, stage.y1, size.width as f32, stage.y2));
    let mirror = Mirror::cover(camera, stage);
    let boxes = mirror.as_ref().map(|mirror| labels::boxes(scene, mirror, ruler)).unwrap_or_default();
    let mut inner = inset_xy(column, ruler.px(theme::MARGIN), ruler.px(34.0));
    let shop = cut_top(&mut inner, theme::SHOP.at(ruler.unit).line());
    cut_top(&mut inner, ruler.px(theme::GAP));
    let (privacy, status, rate) = footer(&mut inner, ruler);
    cut_bottom(&mut inner, ruler.px(theme::GAP));
    let slots = slots(scene, inner, ruler);
    Layout { size, unit: ruler.unit, surround, mirror, notice: None, shop, boxes, slots, privacy, status, rate }
}

/// Cuts the place of the mirror picture off the panel: left of the column, or above it.
///
/// The picture covers its place and may lose much of its sides, where there is wall; but of its height [`TALL`] must be seen, or a
/// camera mounted upright would show a person without a head and feet. The place then gets narrower.
fn stage(panel: &mut Rect<Panel>, camera: Size) -> Rect<Panel> {
    let upright = |height: f32| (camera.width as f32 / camera.height as f32 * height / TALL).round();
    if panel.width() >= 1.2 * panel.height() {
        let width = upright(panel.height()).clamp(panel.width() * 0.36, panel.width() * 0.55);
        return cut_left(panel, width);
    }
    let height = panel.height() * 0.515;
    let whole = cut_top(panel, height);
    let free = whole.width() - upright(whole.height()).clamp(whole.width() * 0.4, whole.width());
    inset_xy(whole, free / 2.0, 0.0)
}

/// Cuts the privacy and the status line off the bottom: privacy, status, rate.
fn footer(area: &mut Rect<Panel>, ruler: Ruler<'_>) -> (Rect<Panel>, Rect<Panel>, Rect<Panel>) {
    let (privacy_style, status_style) = (theme::PRIVACY.at(ruler.unit), theme::STATUS.at(ruler.unit));
    let mut status = cut_bottom(area, status_style.line());
    let rate_width = ruler.fonts.width("000.0 frames/s", status_style).ceil().min(status.width() / 3.0);
    let rate = cut_right(&mut status, rate_width);
    cut_right(&mut status, ruler.px(theme::GAP));
    cut_bottom(area, ruler.px(4.0));
    let lines = ruler.fonts.wrap(PRIVACY, privacy_style, area.width(), 2).len();
    let privacy = cut_bottom(area, lines as f32 * privacy_style.line());
    (privacy, status, rate)
}

/// What goes into the column: the matches, in the order of their garments, then garments whose window is not full yet.
fn shown(scene: &Scene) -> Vec<(usize, Option<usize>)> {
    let matches = scene.matches.iter().enumerate().filter(|(_, matched)| matched.garment < scene.garments.len());
    let mut shown: Vec<(usize, Option<usize>)> = Vec::new();
    for (index, matched) in matches {
        if !shown.iter().any(|(garment, _)| *garment == matched.garment) {
            shown.push((matched.garment, Some(index)));
        }
    }
    let looked = shown.len();
    let waiting = (0..scene.garments.len()).take(scene.max_garments).map(|garment| (garment, None));
    for (garment, none) in waiting {
        if !shown[..looked].iter().any(|(other, _)| *other == garment) {
            shown.push((garment, none));
        }
    }
    shown
}

fn slots(scene: &Scene, area: Rect<Panel>, ruler: Ruler<'_>) -> Vec<Slot> {
    let gap = ruler.px(theme::GAP + 4.0);
    let least = ruler.px(SLOT_HEIGHT).max(ruler.px(SLOT_MARGINS) + (37 * qr::MODULE) as f32);
    let room = ((area.height() + gap) / (least + gap)) as usize;
    let shown = shown(scene);
    let count = shown.len().min(room.min(scene.max_garments).max(1));
    let areas = share(area, count, gap, true);
    shown.into_iter().zip(areas).map(|((garment, matched), area)| slot(scene, garment, matched, area, ruler)).collect()
}

fn slot(scene: &Scene, garment: usize, matched: Option<usize>, mut area: Rect<Panel>, ruler: Ruler<'_>) -> Slot {
    let heading_height = theme::HEADING.at(ruler.unit).line();
    let with_heading = area.height() >= ruler.px(240.0);
    let heading = cut_top(&mut area, if with_heading { heading_height } else { 0.0 });
    cut_top(&mut area, if with_heading { ruler.px(8.0) } else { 0.0 });
    let body = match matched {
        None => Body::Gathering(message(area, ruler)),
        Some(matched) if scene.matches[matched].cards.is_empty() => {
            Body::Nothing { matched, message: message(area, ruler) }
        }
        Some(matched) => Body::Cards { matched, cards: cards::cards(&scene.matches[matched].cards, area, ruler) },
    };
    Slot { garment, heading, body }
}

fn message(area: Rect<Panel>, ruler: Ruler<'_>) -> Message {
    let mut inner = inset_xy(area, ruler.px(38.0), ruler.px(theme::PAD));
    let side = ruler.px(132.0).min(inner.height()).min(inner.width() / 3.0).floor();
    let mut left = cut_left(&mut inner, side);
    cut_left(&mut inner, ruler.px(38.0));
    let above = (left.height() - side) / 2.0;
    cut_top(&mut left, above);
    let ring = cut_top(&mut left, side);
    let (title_line, hint_line) = (theme::NOTICE.at(ruler.unit).line(), theme::BODY.at(ruler.unit).line());
    let above = (inner.height() - title_line - 2.0 * hint_line) / 2.0;
    cut_top(&mut inner, above + hint_line / 4.0);
    let title = cut_top(&mut inner, title_line);
    cut_top(&mut inner, ruler.px(6.0));
    let hint = cut_top(&mut inner, 2.0 * hint_line);
    Message { frame: area, ring, title, hint }
}

impl Layout {
    /// Everything that is drawn over the ground or the picture, so that a test can see that nothing overlaps.
    pub fn parts(&self) -> Vec<Rect<Panel>> {
        let mut parts = vec![self.shop, self.privacy, self.status, self.rate];
        parts.extend(self.notice.iter().flat_map(|notice| [notice.headline, notice.rule, notice.lead]));
        parts.extend(self.boxes.iter().filter_map(|seen| seen.label));
        for slot in &self.slots {
            parts.push(slot.heading);
            match &slot.body {
                Body::Gathering(message) | Body::Nothing { message, .. } => {
                    parts.extend([message.ring, message.title, message.hint])
                }
                Body::Cards { cards, .. } => parts.extend(cards.iter().flat_map(CardPlace::parts)),
            }
        }
        parts.into_iter().filter(|part| part.area() > 0.0).collect()
    }
}
