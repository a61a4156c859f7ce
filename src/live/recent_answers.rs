//! The mirror's last answers, so that staff can say whether they were right: in memory for ten minutes, numbers and no picture.

use crate::catalogue::correction::JudgedAnswer;
use crate::catalogue::{WornView, margin};
use crate::pipeline::track_matches::TrackMatches;
use crate::seam::{Region, TrackId};
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Answers that are remembered.
const MOST: usize = 20;
/// And for how long.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// An answer as the page shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecentAnswer {
    /// Counts the program's answers.
    pub number: u64,
    pub seconds_ago: u64,
    /// For people: "trousers".
    pub garment: String,
    pub region: Option<Region>,
    /// The product that was shown first.
    pub id: String,
    pub title: String,
    pub score: f32,
    /// "likely", "similar".
    pub verdict: &'static str,
    /// Something was said of it already.
    pub judged: bool,
    /// It can become a worn view.
    pub has_view: bool,
}

struct KeptAnswer {
    track: TrackId,
    at: Duration,
    shown: RecentAnswer,
    judged: JudgedAnswer,
    view: Option<WornView>,
}

/// The last answers.
#[derive(Default)]
pub struct RecentAnswers(Mutex<AnswerList>);

#[derive(Default)]
struct AnswerList {
    count: u64,
    answers: VecDeque<KeptAnswer>,
}

impl RecentAnswers {
    /// Remembers what was just answered for a track: in place of that track's answer before, unless staff has judged it.
    pub fn remember(
        &self,
        track: TrackId,
        now: Duration,
        found: &TrackMatches,
        region: Option<Region>,
        descriptor_hash: &str,
        view: Option<WornView>,
    ) {
        let Some(best) = found.accepted().first() else { return };
        let mut list = self.lock();
        let known = list.answers.iter().position(|answer| answer.track == track && !answer.shown.judged);
        let same =
            |answer: &KeptAnswer| answer.track == track && answer.shown.judged && answer.shown.id == best.product.id;
        if list.answers.iter().any(same) {
            return;
        }
        let before = known.and_then(|place| list.answers.remove(place));
        // Another product is another answer: nobody may confirm what is not on the page any more.
        let number = match &before {
            Some(before) if before.shown.id == best.product.id => before.shown.number,
            _ => {
                list.count += 1;
                list.count
            }
        };
        let verdict = best.verdict.name();
        let shown = RecentAnswer {
            number,
            seconds_ago: 0,
            garment: found.label.clone(),
            region,
            id: best.product.id.clone(),
            title: best.product.title.clone(),
            score: best.score,
            verdict,
            judged: false,
            has_view: view.is_some(),
        };
        let judged = JudgedAnswer {
            region,
            shown: best.product.id.clone(),
            logit: best.logit,
            margin: margin(found.matches.iter().map(|found| found.logit)),
            verdict,
            descriptor_hash: descriptor_hash.into(),
        };
        list.answers.push_back(KeptAnswer { track, at: now, shown, judged, view });
        while list.answers.len() > MOST {
            list.answers.pop_front();
        }
    }

    /// The answers of the last ten minutes, the newest first.
    pub fn list(&self, now: Duration) -> Vec<RecentAnswer> {
        let mut list = self.lock();
        list.forget(now);
        let shown = |answer: &KeptAnswer| RecentAnswer {
            seconds_ago: now.saturating_sub(answer.at).as_secs(),
            ..answer.shown.clone()
        };
        list.answers.iter().rev().map(shown).collect()
    }

    /// The answer of this number, to be judged: what is kept of it, and its view. `None` where it is forgotten, or judged.
    pub fn get(&self, number: u64, now: Duration) -> Option<(JudgedAnswer, Option<WornView>)> {
        let mut list = self.lock();
        list.forget(now);
        let answer = list.answers.iter().find(|answer| answer.shown.number == number && !answer.shown.judged)?;
        Some((answer.judged.clone(), answer.view.clone()))
    }

    /// Nothing more can be said of the answer of this number.
    pub fn mark_judged(&self, number: u64) {
        let mut list = self.lock();
        if let Some(answer) = list.answers.iter_mut().find(|answer| answer.shown.number == number) {
            answer.shown.judged = true;
            answer.view = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, AnswerList> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AnswerList {
    fn forget(&mut self, now: Duration) {
        self.answers.retain(|answer| now.saturating_sub(answer.at) <= KEPT_FOR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::ProductSummary;
    use crate::pipeline::matcher::{Match, Verdict};

    fn found(id: &str) -> TrackMatches {
        let product = ProductSummary { id: id.into(), ..ProductSummary::default() };
        TrackMatches {
            since: Duration::ZERO,
            class: 0,
            label: "trousers".into(),
            queries: 1,
            detection_score: 0.9,
            matches: vec![Match::of(product, 2.0, Verdict::Likely)],
            accepted: 1,
        }
    }

    fn id(number: u64) -> TrackId {
        TrackId { generation: 0, number }
    }

    #[test]
    fn a_track_has_one_answer_and_another_product_is_another_number() {
        let answers = RecentAnswers::default();
        let remember = |track, seconds, product: &str| {
            answers.remember(id(track), Duration::from_secs(seconds), &found(product), None, "hash", None);
        };
        remember(1, 0, "a");
        remember(1, 1, "a");
        remember(2, 2, "b");
        let numbers = |now| -> Vec<(u64, String)> {
            answers.list(Duration::from_secs(now)).into_iter().map(|answer| (answer.number, answer.id)).collect()
        };
        assert_eq!(numbers(3), [(2, "b".into()), (1, "a".into())]);
        remember(1, 4, "c");
        assert_eq!(numbers(5), [(3, "c".into()), (2, "b".into())]);
        let now = Duration::from_secs(5);
        assert!(answers.get(1, now).is_none(), "what is not shown any more cannot be confirmed");
        assert_eq!(answers.get(3, now).unwrap().0.shown, "c");
        answers.mark_judged(3);
        assert!(answers.get(3, now).is_none());
        remember(1, 6, "c");
        assert_eq!(numbers(6), [(3, "c".into()), (2, "b".into())], "it was judged already");
        assert_eq!(numbers(604), [(3, "c".into())]);
        assert_eq!(numbers(700), []);
        (10..50).for_each(|track| remember(track, 700, "a"));
        assert_eq!(numbers(700).len(), MOST);
    }
}
