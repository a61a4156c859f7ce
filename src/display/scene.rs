//! What is shown: a plain value, complete in itself. Layout and drawing read it and nothing else.

use crate::frame::Picture;
use crate::geometry::{Camera, Rect};
use std::sync::Arc;

/// Everything that one screenful shows.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The shop's name, shown on the attract screen and in the header.
    pub shop: String,
    /// The newest camera picture, not yet mirrored; `None` while the camera is away.
    pub camera: Option<Arc<Picture>>,
    /// Every garment that is followed, most prominent first. Empty: nobody is there, the attract screen is shown.
    pub garments: Vec<Garment>,
    /// So many garments get a place on the screen at most, where there is room for them.
    pub max_garments: usize,
    /// The matches of the most prominent garments, in the order of `garments`; at most a few are drawn.
    pub matches: Vec<GarmentMatches>,
    /// Pictures are being stored: the screen says only this, in large letters.
    pub recording: bool,
    /// The status line at the bottom: what the device is doing or what is wrong.
    pub status: StatusLine,
}

/// A garment in the camera picture.
#[derive(Clone, Debug)]
pub struct Garment {
    /// In camera pixels; mirrored together with the picture.
    pub bounds: Rect<Camera>,
    /// For people: "trousers", "long sleeved shirt".
    pub label: String,
    /// Frames gathered for its window, and how many the window wants: the ring fills from 0 to full.
    pub gathered: usize,
    pub wanted: usize,
}

/// The best matches of one garment.
#[derive(Clone, Debug)]
pub struct GarmentMatches {
    /// For people, as in [`Garment::label`].
    pub label: String,
    /// Index into [`Scene::garments`].
    pub garment: usize,
    /// Best first. Empty: nothing in the catalogue is like it, which is said in words.
    pub cards: Vec<Card>,
}

/// A product as the shopper sees it.
#[derive(Clone, Debug, Default)]
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
    /// What is to be said of the stock: "Only a few left".
    pub stock: Option<String>,
    /// Where the product can be bought or found: shown as a QR code.
    pub link: Option<String>,
    /// `None`: a drawn placeholder.
    pub picture: Option<Arc<Picture>>,
    /// Whether it may be called likely to be this very product; else it is called similar.
    pub likely: bool,
}

/// One size on a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeMark {
    pub text: String,
    /// Not in stock: struck through.
    pub sold_out: bool,
}

/// The line at the bottom.
#[derive(Clone, Debug, Default)]
pub struct StatusLine {
    /// "compact on cpu, 72 products"
    pub text: String,
    /// Recognized frames a second, where known.
    pub frames_per_second: Option<f32>,
    /// Something is wrong: shown instead of `text`, in the warning colour.
    pub warning: Option<String>,
}
