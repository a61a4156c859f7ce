//! From tracked garments and their matches to the scene on the screen: the only step that knows both.

use super::dedup_products::{RankedProducts, dedup_products};
use super::matcher::{Match, Verdict};
use super::product_card::{card, is_sold_out};
use super::settings::{OutOfStock, PipelineSettings};
use super::track_matches::{MatchesByTrack, TrackMatches};
use super::tracking::TrackedGarment;
use crate::display::scene::{Garment, GarmentMatches, Scene, StatusLine};
use crate::frame::Picture;
use std::cmp::Reverse;
use std::sync::Arc;

/// What the screen shows: the picture, the garments, and the matches of the first `settings.max_garments` of them; no person
/// sees a product twice.
pub fn scene(
    settings: &PipelineSettings,
    camera: Option<Arc<Picture>>,
    tracked: &[TrackedGarment],
    matches_by_track: &MatchesByTrack,
    status: StatusLine,
) -> Scene {
    let ranked: Vec<_> = tracked.iter().map(|seen| ranked_products(seen, matches_by_track.get(&seen.track))).collect();
    let (mut garments, mut matches) = (Vec::new(), Vec::new());
    for (seen, kept) in tracked.iter().zip(dedup_products(&ranked)) {
        let Some(kept) = kept else { continue };
        let found = matches_by_track.get(&seen.track).filter(|_| matches.len() < settings.max_garments);
        if let Some(found) = found {
            let mut shown: Vec<&Match> = kept.into_iter().map(|index| &found.matches[index]).collect();
            if settings.out_of_stock != OutOfStock::Show {
                shown.sort_by_key(|found| stock_order(found.verdict, is_sold_out(found)));
            }
            let cards = shown.into_iter().map(|found| card(found, settings.locale)).collect();
            matches.push(GarmentMatches { label: found.label.clone(), garment: garments.len(), cards });
        }
        garments.push(garment(seen));
    }
    Scene {
        shop: settings.shop_name.clone(),
        camera,
        garments,
        max_garments: settings.max_garments,
        matches,
        recording: false,
        status,
    }
}

/// A product that is out of stock comes after those that match about as well, and never after worse ones: what is likely worn stays
/// first. Sorting is stable: both kinds stay in the order of their match.
fn stock_order(verdict: Verdict, sold_out: bool) -> (Reverse<Verdict>, bool) {
    (Reverse(verdict), sold_out)
}

/// "compact on the CPU, 72 products"
pub fn status_text(model: &str, runs_on: &str, products: usize) -> String {
    format!("{model} on {runs_on}, {products} products")
}

fn ranked_products<'a>(seen: &TrackedGarment, found: Option<&'a TrackMatches>) -> RankedProducts<'a> {
    let accepted = found.map_or(&[][..], TrackMatches::accepted);
    let products = accepted.iter().map(|found| (found.product.group(), found.logit)).collect();
    RankedProducts { bounds: seen.bounds, products }
}

fn garment(seen: &TrackedGarment) -> Garment {
    let TrackedGarment { bounds, ref label, gathered, wanted, .. } = *seen;
    Garment { bounds, label: label.clone(), gathered, wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_stock_comes_after_its_like_and_never_after_worse_matches() {
        let order = |mut matches: Vec<(Verdict, bool, u32)>| {
            matches.sort_by_key(|(verdict, sold_out, _)| stock_order(*verdict, *sold_out));
            matches.into_iter().map(|(_, _, place)| place).collect::<Vec<_>>()
        };
        let (likely, similar) = (Verdict::Likely, Verdict::Similar);
        assert_eq!(
            order(vec![(likely, true, 0), (similar, false, 1), (similar, true, 2), (similar, false, 3)]),
            [0, 1, 3, 2]
        );
        assert_eq!(order(vec![(similar, true, 0), (similar, false, 1), (similar, true, 2)]), [1, 0, 2]);
        assert_eq!(order(vec![(likely, false, 0), (similar, true, 1)]), [0, 1]);
    }
}
