//! The screen with one sentence on it.

use super::live::footer;
use super::split::{cut_bottom, cut_left, cut_top, inset};
use super::{Layout, Ruler};
use crate::display::mirror::Mirror;
use crate::display::scene::{EnrolStep, Scene};
use crate::display::theme;
use crate::geometry::{Panel, Rect, Size};

/// One sentence over the whole panel.
#[derive(Clone, Debug)]
pub struct Notice {
    pub says: Says,
    /// Corner brackets around everything.
    pub frame: Rect<Panel>,
    pub headline: Rect<Panel>,
    /// A short rule between the two.
    pub rule: Rect<Panel>,
    /// The garments that are enrolled, in the order of the scene's.
    pub garments: Vec<EnrolRow>,
    pub lead: Rect<Panel>,
}

/// A product that is enrolled: where it is worn, and its title.
#[derive(Clone, Debug)]
pub struct EnrolRow {
    /// Around both; a touch on it is meant for the garment.
    pub frame: Rect<Panel>,
    pub region: Rect<Panel>,
    pub title: Rect<Panel>,
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
    /// Staff enrols what somebody wears.
    Enrol(EnrolStep),
}

impl Says {
    /// The name of the headline's text.
    pub fn headline(self) -> &'static str {
        match self {
            Says::Welcome => "welcome",
            Says::Waking => "waking",
            Says::Recording => "recording",
            Says::Away => "away",
            Says::Enrol(EnrolStep::Consent) => "enrol-consent",
            Says::Enrol(EnrolStep::StepBack) => "enrol-step-back",
            Says::Enrol(EnrolStep::Turn) => "enrol-turn",
        }
    }

    /// The name of the text below it.
    pub fn lead(self) -> &'static str {
        match self {
            Says::Welcome => "welcome-next",
            Says::Waking => "waking-next",
            Says::Recording => "recording-next",
            Says::Away => "away-next",
            Says::Enrol(EnrolStep::Consent) => "enrol-consent-next",
            Says::Enrol(EnrolStep::StepBack | EnrolStep::Turn) => "enrol-turn-next",
        }
    }

    /// Headline and lead as they are drawn.
    pub fn texts(self, scene: &Scene) -> [String; 2] {
        let words = &scene.words;
        let Some(enrol) = scene.enrol.as_ref().filter(|_| matches!(self, Says::Enrol(_))) else {
            return [words.say(self.headline()), words.say(self.lead())];
        };
        let change = if enrol.may_change { words.say("enrol-change") } else { String::new() };
        match enrol.step {
            EnrolStep::Consent => {
                let lead = format!("{} {change}", words.say(self.lead()));
                [words.say(self.headline()), lead.trim_end().to_owned()]
            }
            // How many views there are is said once they are taken.
            EnrolStep::StepBack => [words.count(self.headline(), enrol.count), change],
            EnrolStep::Turn => [words.say(self.headline()), words.share(self.lead(), enrol.count, enrol.wanted)],
        }
    }
}

pub fn notice(scene: &Scene, says: Says, size: Size, mirror: Option<Mirror>, ruler: Ruler<'_>) -> Layout {
    let [headline_text, lead_text] = says.texts(scene);
    let frame = inset(Rect::new(0.0, 0.0, size.width as f32, size.height as f32), ruler.px(theme::MARGIN));
    let mut inner = inset(frame, ruler.px(theme::MARGIN));
    let (shop, privacy) = footer(&mut inner, scene, ruler);
    // The sentence sits a little above the middle, where a face looks.
    let width = inner.width().min(ruler.px(1150.0));
    let headline_height = |lines| lines * ruler.line(theme::DISPLAY) * TIGHT;
    let lines = ruler.fonts.wrap(&headline_text, ruler.style(theme::DISPLAY), width, 4).len();
    let small = ruler.paragraph(&lead_text, theme::LEAD, width, LEAD_LINES);
    let gap = ruler.px(44.0);
    let rows = scene.enrol.as_ref().filter(|_| matches!(says, Says::Enrol(_))).map(|enrol| &enrol.garments[..]);
    let rows = rows.unwrap_or_default();
    let free =
        inner.height() - headline_height(lines as f32) - small - 2.0 * gap - rows.len() as f32 * row_height(ruler);
    cut_top(&mut inner, free * 0.42);
    let mut column = cut_left(&mut inner, width);
    let headline = cut_top(&mut column, headline_height(lines as f32));
    let mut rule = cut_top(&mut column, 2.0 * gap);
    rule = Rect::new(rule.x1, rule.y1 + gap, rule.x1 + ruler.px(96.0).min(rule.width()), rule.y1 + gap + ruler.px(3.0));
    rule.y2 = rule.y2.min(column.y1);
    rule.y1 = rule.y1.min(rule.y2);
    let garments = rows.iter().map(|row| enrol_row(&scene.words.say(row.region_text()), &mut column, ruler)).collect();
    let lead = cut_top(&mut column, small);
    Layout {
        notice: Some(Notice { says, frame, headline, rule, garments, lead }),
        mirror,
        shop,
        privacy,
        ..Layout::empty(scene, size, ruler)
    }
}

/// A garment's row and the gap below it: large enough for a finger.
fn row_height(ruler: Ruler<'_>) -> f32 {
    (1.4 * ruler.line(theme::LEAD)).round() + ruler.px(theme::GUTTER)
}

/// The place of a garment that is enrolled, from the top of `column`.
fn enrol_row(region_text: &str, column: &mut Rect<Panel>, ruler: Ruler<'_>) -> EnrolRow {
    let mut place = cut_top(column, row_height(ruler));
    cut_bottom(&mut place, ruler.px(theme::GUTTER));
    let (frame, pad) = (place, (0.5 * ruler.line(theme::LEAD)).round());
    let region = cut_left(&mut place, ruler.width(region_text, theme::LEAD) + 2.0 * pad);
    cut_left(&mut place, pad);
    EnrolRow { frame, region, title: place }
}

/// The text below the headline has no more lines.
const LEAD_LINES: usize = 5;

/// Line spacing of the headline, as a share of the usual.
pub const TIGHT: f32 = 0.86;
