//! Which products each garment is shown with: the rule of the screen, for those who report what was shown.

use super::dedup_products::{RankedProducts, dedup_products};
use super::matcher::Match;
use super::track_matches::{MatchesByTrack, TrackMatches};
use super::tracking::TrackedGarment;

/// A garment that is on the screen with its products.
#[derive(Clone, Debug)]
pub struct ShownGarment<'a> {
    pub garment: &'a TrackedGarment,
    /// Best first; empty where the catalogue has nothing like it.
    pub products: Vec<&'a Match>,
}

/// What is hardly a garment gets no card, however well a product matches it: the mean of its detections' scores.
const LEAST_SCORE: f32 = 0.5;

/// Whether a tracked garment is shown, as far as its answer tells.
pub fn is_garment(found: Option<&TrackMatches>) -> bool {
    found.is_none_or(|found| found.detection_score >= LEAST_SCORE)
}

/// The garments that have an answer and a place on the screen, the most prominent first: at most `max_garments`. No person sees
/// a product twice.
pub fn shown_products<'a>(
    tracked: &'a [TrackedGarment],
    matches_by_track: &'a MatchesByTrack,
    max_garments: usize,
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
        let matches = &found?.matches;
        Some(ShownGarment { garment, products: kept?.into_iter().map(|index| &matches[index]).collect() })
    });
    garments.take(max_garments).collect()
}
