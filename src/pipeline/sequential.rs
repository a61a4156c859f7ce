//! One pure step: a recognised frame in, a scene out. No thread, no clock: replay, demo and golden tests run this very code, and
//! the live pipeline runs its parts on several threads.

use super::dedup_products::{Found, once};
use super::matcher::{Match, Matcher};
use super::recognizer::Recognizer;
use super::tracking::{Followed, Follower, Query};
use crate::display::scene::{Card, Look, Scene, Status};
use crate::fault::Result;
use crate::frame::{Frame, Picture};
use crate::metrics::StageTimes;
use crate::seam::{Detection, Detections, Track};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use super::tracking::{label, new_tracker, tracker_from};

/// What the core needs to know beyond the model and the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreSettings {
    /// The shop's name, for the screen.
    pub shop: String,
    /// Matches kept for a garment.
    pub top: usize,
    /// Garments that get an answer at one time.
    pub looks: usize,
}

impl Default for CoreSettings {
    fn default() -> Self {
        CoreSettings { shop: "vetrina".into(), top: 5, looks: 3 }
    }
}

/// An answer stays for so long while only less sure ones come: who turns away or steps behind something still wears the same.
const STAYS: Duration = Duration::from_secs(5);

/// What one track was found to be.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When the frame was taken that completed the window.
    pub since: Duration,
    pub class: usize,
    /// The class's name, for people.
    pub label: String,
    /// How often the catalogue was asked: once a frame since the window was full.
    pub asked: usize,
    /// How surely a garment was seen in the window: [`Query::seen`].
    pub seen: f32,
    pub matches: Vec<Match>,
    /// The matches that are good enough to be shown.
    pub cards: Vec<Card>,
}

/// The answer of every track, by track number.
pub type Answers = BTreeMap<u64, Answer>;

/// Asks the catalogue, and puts the answer in the place of the track's last one, unless that is surer and not old.
pub fn answer(answers: &mut Answers, query: &Query, matcher: &mut Matcher, top: usize, times: &mut StageTimes) {
    let matches = times.time("search", || matcher.search_for(&query.embedding, query.class, top));
    let since = query.meta.captured;
    let mut asked = 1;
    if let Some(last) = answers.get_mut(&query.track) {
        last.asked += 1;
        asked = last.asked;
        let sure = |matches: &[Match], seen| matches.first().map(|best| sureness(best.logit, seen));
        if stays(since.saturating_sub(last.since), sure(&last.matches, last.seen), sure(&matches, query.seen)) {
            return;
        }
    }
    let accepted: Vec<Match> = matches.iter().filter(|found| matcher.accepts(found)).cloned().collect();
    let cards = accepted.iter().map(|found| matcher.card(found)).collect();
    let answer =
        Answer { since, class: query.class, label: query.label.clone(), asked, seen: query.seen, matches, cards };
    answers.insert(query.track, answer);
}

/// The logarithm of the probability that there is a garment and that it is this product. Where a track has slid from who
/// went behind a rail to what hangs on it, the catalogue may know that well, but the detector hardly takes it for worn.
fn sureness(logit: f32, seen: f32) -> f32 {
    seen.ln() - (-logit).exp().ln_1p()
}

/// Whether an answer of this age stands against a new one; both by the sureness of their first product.
fn stays(age: Duration, last: Option<f32>, new: Option<f32>) -> bool {
    age <= STAYS && last > new
}

/// What the screen shows: the picture, the garments, and the answers for the first `settings.looks` of them; no person sees
/// a product twice.
pub fn scene(
    settings: &CoreSettings,
    camera: Option<Arc<Picture>>,
    followed: &[Followed],
    answers: &Answers,
    status: Status,
) -> Scene {
    let found: Vec<Found> = followed.iter().map(|seen| found(seen, answers.get(&seen.track))).collect();
    let (mut garments, mut looks) = (Vec::new(), Vec::new());
    for (seen, kept) in followed.iter().zip(once(&found)) {
        let Some(kept) = kept else { continue };
        if let Some(answer) = answers.get(&seen.track).filter(|_| looks.len() < settings.looks) {
            let cards = kept.into_iter().map(|index| answer.cards[index].clone()).collect();
            looks.push(Look { label: answer.label.clone(), garment: garments.len(), cards });
        }
        garments.push(seen.garment.clone());
    }
    Scene { shop: settings.shop.clone(), camera, garments, looks, recording: false, status }
}

/// A garment and the products on its cards: these are the first of the matches, for both are ranked by logit.
fn found<'a>(seen: &Followed, answer: Option<&'a Answer>) -> Found<'a> {
    let shown = answer.into_iter().flat_map(|answer| answer.matches.iter().take(answer.cards.len()));
    let products = shown.map(|found| (found.product.id.as_str(), found.logit)).collect();
    Found { bounds: seen.garment.bounds, products }
}

/// "compact on the CPU, 72 products"
pub fn status_text(model: &str, runs_on: &str, products: usize) -> String {
    format!("{model} on {runs_on}, {products} products")
}

/// Tracker, windows and matches of one camera.
pub struct Core {
    follower: Follower,
    matcher: Matcher,
    settings: CoreSettings,
    answers: Answers,
}

impl Core {
    /// `aggregator` runs the aggregation graph; the frames may be recognised elsewhere.
    pub fn new(aggregator: Recognizer, matcher: Matcher, settings: CoreSettings) -> Self {
        Core { follower: Follower::new(aggregator, settings.looks), matcher, settings, answers: BTreeMap::new() }
    }

    /// Forgets everybody: another clip begins.
    pub fn reset(&mut self) {
        self.follower.reset();
        self.answers.clear();
    }

    /// The answer of every track so far, the gone ones included, by track number.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    pub fn tracks(&self) -> &[Track] {
        self.follower.tracks()
    }

    /// Takes a frame's detections in, and says what the screen shows now.
    pub fn follow(&mut self, frame: &Frame, detections: Vec<Detection>, times: &mut StageTimes) -> Result<Scene> {
        let detections = Detections { meta: frame.meta, size: frame.picture.size(), detections };
        for query in self.follower.follow(detections, times)? {
            answer(&mut self.answers, &query, &mut self.matcher, self.settings.top, times);
        }
        let (model, runs_on) = (&self.follower.manifest().name, self.follower.runs_on());
        let text = status_text(model, runs_on, self.matcher.products());
        let status = Status { text, ..Status::default() };
        let followed = self.follower.followed(frame.meta);
        Ok(scene(&self.settings, Some(frame.picture.clone()), &followed, &self.answers, status))
    }
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
