//! What is shown: a plain value, complete in itself. Layout and drawing read it and nothing else.

use crate::frame::Picture;
use crate::geometry::{Camera, Rect};
use crate::language::Words;
use crate::seam::Region;
use std::ops::Range;
use std::sync::Arc;

/// Everything that one screenful shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// The shop's name.
    pub shop: String,
    /// The language of everything that the program says.
    pub words: Words,
    /// The newest camera picture, not yet mirrored; `None` while the camera is away.
    pub camera: Option<Arc<Picture>>,
    /// The columns of the camera picture that are to be seen, where its place shows only some: the people's.
    pub view: Option<Range<f32>>,
    /// Every garment that is followed, most prominent first. Empty: nobody is there, the attract screen is shown.
    pub garments: Vec<Garment>,
    /// So many garments get a place on the screen at most.
    pub max_garments: usize,
    /// The matches of the most prominent garments, in the order of `garments`.
    pub matches: Vec<GarmentMatches>,
    /// The garment (an index into `garments`) whose product has the large card; `None`, or one without products: the first that has.
    pub featured: Option<usize>,
    /// The product of the featured garment that has the card: 0 for the best. Others stand beside it.
    pub chosen: usize,
    /// Pictures are being stored: the screen says only this, in large letters.
    pub recording: bool,
    /// The panel keeps the drawn screen, with the camera's picture on it, as a file: the privacy line says so.
    pub screen_kept: bool,
    /// Staff enrols a product that somebody wears: the screen says only this.
    pub enrol: Option<EnrolNotice>,
    /// Staff was called: said where the next step stands.
    pub staff_called: bool,
    /// What the device is doing or what is wrong.
    pub status: StatusLine,
    /// The operator wants to see `status`. Shoppers see only a dot, if something is wrong.
    pub operator: bool,
}

/// The columns of the camera picture from the first of these garments to the last; `None` without any.
pub fn columns(garments: &[Garment]) -> Option<Range<f32>> {
    let first = garments.iter().map(|garment| garment.bounds.x1).reduce(f32::min)?;
    let last = garments.iter().map(|garment| garment.bounds.x2).reduce(f32::max)?;
    Some(first..last)
}

/// What the screen says while a product is enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolNotice {
    pub step: EnrolStep,
    /// The products that are worn: which garments are meant.
    pub garments: Vec<EnrolGarment>,
    /// Seconds to step back, or good views so far.
    pub count: usize,
    /// Good views that are wanted.
    pub wanted: usize,
    /// A touch on a product, or a key, says that it is worn on another part of the body.
    pub may_change: bool,
}

/// A product that is worn while it is enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolGarment {
    pub title: String,
    /// Where on the body; `None`: the most prominent garment is meant.
    pub region: Option<Region>,
}

impl EnrolGarment {
    /// The name of the text on where it is worn.
    pub fn region_text(&self) -> &'static str {
        match self.region {
            Some(Region::Upper) => "enrol-upper",
            Some(Region::Lower) => "enrol-lower",
            Some(Region::Dress) => "enrol-dress",
            None => "enrol-any",
        }
    }
}

impl Scene {
    /// The name of the text on what happens with the pictures.
    pub fn privacy_text(&self) -> &'static str {
        match (self.recording, self.screen_kept) {
            (true, _) => "privacy-recording",
            (false, true) => "privacy-screen-kept",
            (false, false) => "privacy",
        }
    }
}

/// What is asked of whoever enrols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnrolStep {
    Consent,
    StepBack,
    Turn,
}

/// A garment in the camera picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Garment {
    /// In camera pixels; mirrored together with the picture.
    pub bounds: Rect<Camera>,
    /// The model's class, "long sleeved shirt": for the operator alone.
    pub label: String,
    /// Frames gathered for its window, and how many the window wants: the ring fills from 0 to full.
    pub gathered: usize,
    pub wanted: usize,
}

/// The best matches of one garment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GarmentMatches {
    /// Index into [`Scene::garments`].
    pub garment: usize,
    /// Best first. Empty: nothing in the catalogue is like it, which is said in words.
    pub cards: Vec<Card>,
}

/// A product as the shopper sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    pub title: String,
    pub brand: Option<String>,
    /// What it costs now, as the shop or the locale writes it: "39.90 EUR".
    pub price: Option<String>,
    /// The higher price before the sale that is on: struck through.
    pub price_before: Option<String>,
    /// The sizes that are sold, in the shop's order.
    pub sizes: Vec<SizeMark>,
    /// The other colours that are sold, a picture each.
    pub other_colors: Vec<Arc<Picture>>,
    /// Where in the shop it hangs.
    pub location: Option<String>,
    /// The shelf of that on the shop's plan.
    pub spot: Option<PlanSpot>,
    /// What is to be said of the stock.
    pub stock: Option<StockMark>,
    /// Where the product can be bought or found: shown as a QR code.
    pub link: Option<String>,
    /// `None`: a drawn placeholder.
    pub picture: Option<Arc<Picture>>,
    /// Whether it may be called this very product; else the words leave it open.
    pub likely: bool,
}

/// A place on the plan of the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSpot {
    pub plan: Arc<Picture>,
    /// In the plan's pixels.
    pub at: (u32, u32),
}

/// One size on a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeMark {
    pub text: String,
    /// Not in stock: struck through.
    pub sold_out: bool,
}

/// What is to be said of the stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockMark {
    Few,
    /// None in this colour, some in another.
    OtherColors,
    SoldOut,
}

impl StockMark {
    /// The name of its text.
    pub fn text(self) -> &'static str {
        match self {
            StockMark::Few => "few-left",
            StockMark::OtherColors => "other-colors",
            StockMark::SoldOut => "sold-out",
        }
    }
}

/// What the operator wants to know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatusLine {
    /// "compact on cpu, 72 products"
    pub text: String,
    /// Recognized frames a second, where known.
    pub frames_per_second: Option<f32>,
    /// Something is wrong.
    pub warning: Option<String>,
}
