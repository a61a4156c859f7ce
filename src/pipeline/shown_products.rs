//! Which garments are shown, with which products: the one rule, for the screen and for those who report what was on it.

use super::dedup_products::{RankedProducts, dedup_products};
use super::matcher::{Match, Verdict};
use super::product_card::is_sold_out;
use super::settings::{OutOfStock, PipelineSettings};
use super::track_matches::{MatchesByTrack, TrackMatches};
use super::tracking::TrackedGarment;
use std::cmp::Reverse;

/// A garment that is on the screen.
#[derive(Clone, Debug)]
pub struct ShownGarment<'a> {
    pub garment: &'a TrackedGarment,
    /// In the order of their cards; empty where the catalogue has nothing like it. `None`: no answer yet, or no place for it.
    pub products: Option<Vec<&'a Match>>,
}

/// What is hardly a garment gets no card, however well a product matches it: the mean of its detections' scores.
const LEAST_SCORE: f32 = 0.5;

/// Whether a tracked garment is shown, as far as its answer tells.
pub fn is_garment(found: Option<&TrackMatches>) -> bool {
    found.is_none_or(|found| found.detection_score >= LEAST_SCORE)
}

/// Sorts what is like a garment: a product that is out of stock comes after those of the same verdict. The first stays: the screen says
/// that it is worn, which would not be true of another. Sorting is stable: both kinds stay in the order of their match.
fn sell_first<T>(shown: &mut [T], of: impl Fn(&T) -> (Verdict, bool)) {
    if let Some((_, alternatives)) = shown.split_first_mut() {
        alternatives.sort_by_key(|found| {
            let (verdict, sold_out) = of(found);
            (Reverse(verdict), sold_out)
        });
    }
}

/// The products of a garment that are `kept`, in the order of their cards.
fn in_order<'a>(out_of_stock: OutOfStock, found: &'a TrackMatches, kept: &[usize]) -> Vec<&'a Match> {
    let mut shown: Vec<&Match> = kept.iter().map(|index| &found.matches[*index]).collect();
    if out_of_stock != OutOfStock::Show {
        sell_first(&mut shown, |found| (found.verdict, is_sold_out(found)));
    }
    shown
}

/// The garments on the screen, the most prominent first; the first `settings.max_garments` that have an answer with their products.
/// No person sees a product twice.
pub fn shown_products<'a>(
    tracked: &'a [TrackedGarment],
    matches_by_track: &'a MatchesByTrack,
    settings: &PipelineSettings,
) -> Vec<ShownGarment<'a>> {
    let with_answer = |seen: &'a TrackedGarment| (seen, matches_by_track.get(&seen.track));
    let seen: Vec<_> = tracked.iter().map(with_answer).filter(|(_, found)| is_garment(*found)).collect();
    let ranked: Vec<RankedProducts> = seen.iter().map(|(garment, found)| ranked_products(garment, *found)).collect();
    let mut places = settings.max_garments;
    let mut shown = Vec::new();
    for ((garment, found), kept) in seen.into_iter().zip(dedup_products(&ranked)) {
        let Some(kept) = kept else { continue };
        let found = found.filter(|_| places > 0);
        places -= usize::from(found.is_some());
        let products = found.map(|found| in_order(settings.out_of_stock, found, &kept));
        shown.push(ShownGarment { garment, products });
    }
    shown
}

fn ranked_products<'a>(seen: &TrackedGarment, found: Option<&'a TrackMatches>) -> RankedProducts<'a> {
    let accepted = found.map_or(&[][..], TrackMatches::accepted);
    let products = accepted.iter().map(|found| (found.product.group(), found.logit)).collect();
    RankedProducts { bounds: seen.bounds, is_seen: seen.is_seen, products }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_worn_stays_first_and_what_is_sold_out_comes_after_its_like() {
        let order = |mut matches: Vec<(Verdict, bool, u32)>| {
            sell_first(&mut matches, |(verdict, sold_out, _)| (*verdict, *sold_out));
            matches.into_iter().map(|(_, _, place)| place).collect::<Vec<_>>()
        };
        let (likely, similar) = (Verdict::Likely, Verdict::Similar);
        assert_eq!(
            order(vec![(likely, true, 0), (similar, false, 1), (similar, true, 2), (similar, false, 3)]),
            [0, 1, 3, 2]
        );
        assert_eq!(order(vec![(similar, true, 0), (similar, false, 1), (similar, true, 2)]), [0, 1, 2]);
        assert_eq!(order(vec![(similar, true, 0), (similar, true, 1), (similar, false, 2)]), [0, 2, 1]);
        assert!(order(vec![]).is_empty());
    }
}
