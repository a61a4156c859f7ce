//! The catalogue's answer for each track, and when a new answer replaces the last one.

use super::matcher::{Match, Matcher, Verdict};
use super::tracking::GarmentQuery;
use crate::metrics::StageTimes;
use crate::seam::TrackId;
use std::collections::BTreeMap;
use std::time::Duration;

/// An answer stays for this long while only less sure ones come: a shopper who turns away or steps behind something still
/// wears the same.
const STAYS: Duration = Duration::from_secs(5);

/// What one track was matched with.
#[derive(Clone, Debug)]
pub struct TrackMatches {
    /// When the frame was captured that completed the window.
    pub since: Duration,
    /// Index into the manifest's class names.
    pub class: usize,
    /// The class's name, for people.
    pub label: String,
    /// How often the catalogue was searched: once a frame since the window was full.
    pub queries: usize,
    /// How surely a garment was seen in the window: [`GarmentQuery::detection_score`].
    pub detection_score: f32,
    /// Best first.
    pub matches: Vec<Match>,
    /// So many of the first matches are good enough to be shown.
    pub accepted: usize,
}

impl TrackMatches {
    /// The matches that are good enough to be shown, best first.
    pub fn accepted(&self) -> &[Match] {
        &self.matches[..self.accepted]
    }
}

/// The matches of every track.
pub type MatchesByTrack = BTreeMap<TrackId, TrackMatches>;

/// Searches the catalogue for `query` and replaces the track's last matches, unless those are surer and not old.
pub fn update(
    matches_by_track: &mut MatchesByTrack,
    query: &GarmentQuery,
    matcher: &mut Matcher,
    matches_per_garment: usize,
    times: &mut StageTimes,
) {
    let mut matches = times.time("search", || matcher.search_for(&query.embedding, query.class, matches_per_garment));
    let since = query.meta.captured;
    let mut queries = 1;
    if let Some(last) = matches_by_track.get_mut(&query.track) {
        last.queries += 1;
        queries = last.queries;
        let sure = |matches: &[Match], seen| matches.first().map(|best| sureness(best.logit, seen));
        let new = sure(&matches, query.detection_score);
        if stays(since.saturating_sub(last.since), sure(&last.matches, last.detection_score), new) {
            return;
        }
    }
    // Matches are ranked by logit, and the threshold is one of the logit: those that pass stand first.
    let accepted = matches.iter().take_while(|found| found.verdict != Verdict::None).count();
    matcher.load_pictures(&mut matches[..accepted]);
    let (class, label, detection_score) = (query.class, query.label.clone(), query.detection_score);
    let new = TrackMatches { since, class, label, queries, detection_score, matches, accepted };
    matches_by_track.insert(query.track, new);
}

/// The logarithm of the probability that there is a garment and that it is this product. Where a track has slid from a person
/// who went behind a rail to what hangs on it, the catalogue may match that well, but its detection score is low.
fn sureness(logit: f32, detection_score: f32) -> f32 {
    detection_score.ln() - (-logit).exp().ln_1p()
}

/// Whether an answer of this age stays in place of a new one; both by the sureness of their first product.
fn stays(age: Duration, last: Option<f32>, new: Option<f32>) -> bool {
    age <= STAYS && last > new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hardly_seen_is_hardly_sure() {
        let odds = 3.0_f32.ln();
        assert!((sureness(odds, 0.5).exp() - 0.75 * 0.5).abs() < 1e-6);
        assert!(sureness(1.0, 0.95) > sureness(1.2, 0.4) && sureness(1.2, 0.95) > sureness(1.0, 0.95));
        assert!(sureness(-200.0, 0.9) == f32::NEG_INFINITY && sureness(5.0, 0.0) == f32::NEG_INFINITY);
    }

    #[test]
    fn a_surer_answer_stays_until_it_is_old() {
        let second = Duration::from_secs(1);
        assert!(stays(second, Some(2.0), Some(1.0)));
        assert!(stays(second, Some(2.0), None), "nothing was found any more");
        assert!(!stays(second, Some(1.0), Some(2.0)));
        assert!(!stays(second, Some(1.0), Some(1.0)), "of equals the newer");
        assert!(!stays(6 * second, Some(2.0), Some(1.0)));
    }
}
