//! A match as the shopper sees it: the price now, sizes, other colours, stock and place.

use super::matcher::{Match, Verdict};
use super::settings::PipelineSettings;
use crate::catalogue::{ProductSummary, SizeStock, Stock};
use crate::display::scene::{Card, SizeMark, StockMark};
use jiff::Timestamp;

/// Whether no variant of the product can be bought.
pub fn is_sold_out(found: &Match) -> bool {
    found.variants.iter().all(|variant| variant.product.stock() == Stock::Out)
}

/// The card of a match, with prices as the settings' locale writes them.
pub fn card(found: &Match, settings: &PipelineSettings) -> Card {
    let product = &found.product;
    let offer = product.offer(Timestamp::now(), settings.locale);
    let location = location(found);
    Card {
        title: product.title.clone(),
        brand: product.brand.clone(),
        price: offer.price,
        price_before: offer.before,
        sizes: sizes(found)
            .into_iter()
            .map(|size| SizeMark { sold_out: size.stock == Stock::Out, text: size.size })
            .collect(),
        other_colors: found.other_colors.clone(),
        spot: settings.plan.as_ref().zip(location.as_ref()).and_then(|(plan, location)| plan.spot(location)),
        location,
        stock: stock_mark(found),
        link: product.link.clone(),
        picture: found.picture.clone(),
        likely: found.verdict == Verdict::Likely,
    }
}

/// The variants in the colour that was recognized.
fn in_this_color(found: &Match) -> impl Iterator<Item = &ProductSummary> {
    let variants = found.variants.iter().map(|variant| &variant.product);
    variants.filter(|variant| variant.color == found.product.color)
}

/// The sizes of the colour that was recognized, each once, the best stock of each.
fn sizes(found: &Match) -> Vec<SizeStock> {
    let mut sizes: Vec<SizeStock> = Vec::new();
    for size in in_this_color(found).flat_map(ProductSummary::sizes) {
        match sizes.iter_mut().find(|known| known.size == size.size) {
            Some(known) => known.stock = known.stock.max(size.stock),
            None => sizes.push(size),
        }
    }
    sizes
}

/// Where the recognized variant hangs, or else another of its colour.
fn location(found: &Match) -> Option<String> {
    found.product.location.clone().or_else(|| in_this_color(found).find_map(|variant| variant.location.clone()))
}

fn stock_mark(found: &Match) -> Option<StockMark> {
    let best = in_this_color(found).map(ProductSummary::stock).max().unwrap_or(Stock::In);
    match best {
        Stock::In => None,
        Stock::Few => Some(StockMark::Few),
        Stock::Out if !is_sold_out(found) => Some(StockMark::OtherColors),
        Stock::Out => Some(StockMark::SoldOut),
    }
}
