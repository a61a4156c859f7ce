//! Which products each garment is shown with: the rule of the screen, for those who report what was shown.

use super::dedup_products::{RankedProducts, dedup_products};
use super::matcher::{Match, Verdict};
use super::product_card::is_sold_out;
use super::settings::{OutOfStock, PipelineSettings};
use super::track_matches::{MatchesByTrack, TrackMatches};
use super::tracking::TrackedGarment;
use std::cmp::Reverse;

/// A garment that is on the screen with its products.
#[derive(Clone, Debug)]
pub struct ShownGarment<'a> {
    pub garment: &'a TrackedGarment,
    /// In the order of their cards; empty where the catalogue has nothing like it.
    pub products: Vec<&'a Match>,
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
pub(super) fn in_order<'a>(out_of_stock: OutOfStock, found: &'a TrackMatches, kept: &[usize]) -> Vec<&'a Match> {
    let mut shown: Vec<&Match> = kept.iter().map(|index| &found.matches[*index]).collect();
    if out_of_stock != OutOfStock::Show {
        sell_first(&mut shown, |found| (found.verdict, is_sold_out(found)));
    }
    shown
}

/// The garments that have an answer and a place on the screen, the most prominent first: at most `settings.max_garments`. No person
/// sees a product twice.
pub fn shown_products<'a>(
    tracked: &'a [TrackedGarment],
    matches_by_track: &'a MatchesByTrack,
    settings: &PipelineSettings,
) -> Vec<ShownGarment<'a>> {
    let with_answer = |seen: &'a TrackedGarment| (seen, matches_by_track.get(&seen.track));
    let (tracked, found): (Vec<&TrackedGarment>, Vec<Option<&TrackMatches>>) =
        tracked.iter().map(with_answer).filter(|(_, found)| is_garment(*found)).unzip();
    let accepted = |found: Option<&'a TrackMatches>| found.map_or(&[][..], TrackMatches::accepted);
    let ranked: Vec<RankedProducts> = tracked
        .iter()
        .zip(&found)
        .map(|(seen, found)| RankedProducts {
            bounds: seen.bounds,
            products: accepted(*found).iter().map(|one| (one.product.group(), one.logit)).collect(),
        })
        .collect();
    let kept = dedup_products(&ranked);
    let garments = tracked.into_iter().zip(found).zip(kept).filter_map(|((garment, found), kept)| {
        Some(ShownGarment { garment, products: in_order(settings.out_of_stock, found?, &kept?) })
    });
    garments.take(settings.max_garments).collect()
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
