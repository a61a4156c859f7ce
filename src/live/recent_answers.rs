//! The mirror's last answers, so that staff can say whether they were right: in memory for ten minutes, as numbers; with a small picture
//! of the garment only where the configuration says so.

use crate::catalogue::correction::{JudgedAnswer, KeptJudgement};
use crate::catalogue::{WornView, margin};
use crate::frame::Picture;
use crate::geometry::{Camera, Rect, Size};
use crate::pipeline::track_matches::TrackMatches;
use crate::pipeline::tracking::{GarmentQuery, TrackUpdate};
use crate::seam::{Detection, Embedding, Region, TrackId};
use crate::sync::other_shops::HubQuestion;
use image::RgbImage;
use image::imageops::thumbnail;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Answers that are remembered.
const MOST: usize = 20;
/// And for how long.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// Products that the hub is asked for.
const QUESTION_PRODUCTS: usize = 10;
/// Longer side of a crop at most, pixels.
const CROP_SIDE: usize = 240;

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
    /// There is a crop of it.
    pub has_crop: bool,
}

struct KeptAnswer {
    track: TrackId,
    at: Duration,
    shown: RecentAnswer,
    judged: JudgedAnswer,
    /// What the catalogue was searched with.
    embedding: Embedding,
    view: WornView,
    /// What was said of it; `None`: nothing.
    said: Option<KeptJudgement>,
    /// `None`: crops are off, or it was judged.
    crop: Option<Arc<Picture>>,
}

/// The last answers.
#[derive(Default)]
pub struct RecentAnswers {
    keeps_crops: bool,
    list: Mutex<AnswerList>,
}

#[derive(Default)]
struct AnswerList {
    count: u64,
    answers: VecDeque<KeptAnswer>,
}

impl RecentAnswers {
    /// `keeps_crops`: staff may see what the camera saw of the garments.
    pub fn new(keeps_crops: bool) -> Self {
        RecentAnswers { keeps_crops, list: Mutex::default() }
    }

    /// What a frame shows of a track's garment; `None` where crops are off.
    pub fn crop_of(&self, picture: &Picture, tracks: &TrackUpdate, track: TrackId) -> Option<Picture> {
        let garment = tracks.garments.iter().find(|garment| self.keeps_crops && garment.track == track)?;
        crop(picture, &garment.bounds)
    }

    /// Remembers what was just answered for a query: in place of its track's answer before, unless staff has judged it.
    pub fn remember(
        &self,
        query: GarmentQuery,
        now: Duration,
        found: &TrackMatches,
        region: Option<Region>,
        descriptor_hash: &str,
    ) {
        let Some(best) = found.accepted().first() else { return };
        let (track, crop) = (query.track, query.crop.filter(|_| self.keeps_crops).map(Arc::new));
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
            has_crop: crop.is_some(),
        };
        let judged = JudgedAnswer {
            region,
            shown: best.product.id.clone(),
            logit: best.logit,
            margin: margin(found.matches.iter().map(|found| found.logit)),
            verdict,
            descriptor_hash: descriptor_hash.into(),
        };
        let view = worn_view(query.best_view);
        let embedding = query.embedding;
        list.answers.push_back(KeptAnswer { track, at: now, shown, judged, embedding, view, said: None, crop });
        while list.answers.len() > MOST {
            list.answers.pop_front();
        }
    }

    /// Drops answers older than ten minutes. To be called often: they must not stay because nobody asks for them.
    pub fn forget_old(&self, now: Duration) {
        self.lock().forget(now);
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
    pub fn get(&self, number: u64, now: Duration) -> Option<(JudgedAnswer, WornView)> {
        let mut list = self.lock();
        list.forget(now);
        let answer = list.answers.iter().find(|answer| answer.shown.number == number && !answer.shown.judged)?;
        Some((answer.judged.clone(), answer.view.clone()))
    }

    /// What the catalogue was searched with for this answer, judged or not. `None` where it is forgotten.
    pub fn question(&self, number: u64, now: Duration) -> Option<HubQuestion> {
        let mut list = self.lock();
        list.forget(now);
        let answer = list.answers.iter().find(|answer| answer.shown.number == number)?;
        Some(HubQuestion {
            model: answer.judged.descriptor_hash.clone(),
            embedding: answer.embedding.to_vec(),
            region: answer.judged.region,
            most: QUESTION_PRODUCTS,
        })
    }

    /// What the camera saw of the garment; `None` where crops are off, the answer is forgotten, or judged.
    pub fn crop(&self, number: u64, now: Duration) -> Option<Arc<Picture>> {
        let mut list = self.lock();
        list.forget(now);
        list.answers.iter().find(|answer| answer.shown.number == number)?.crop.clone()
    }

    /// What was said of the answer of this number. `None` where it is forgotten, or not judged.
    pub fn said(&self, number: u64, now: Duration) -> Option<KeptJudgement> {
        let mut list = self.lock();
        list.forget(now);
        list.answers.iter().find(|answer| answer.shown.number == number)?.said.clone()
    }

    /// Nothing more can be said of the answer of this number, unless `said` is taken back. Its crop is dropped for good.
    pub fn mark_judged(&self, number: u64, said: KeptJudgement) {
        self.mark(number, Some(said));
    }

    /// What was said of the answer of this number was taken back.
    pub fn mark_open(&self, number: u64) {
        self.mark(number, None);
    }

    fn mark(&self, number: u64, said: Option<KeptJudgement>) {
        let mut list = self.lock();
        if let Some(answer) = list.answers.iter_mut().find(|answer| answer.shown.number == number) {
            answer.shown.judged = said.is_some();
            answer.shown.has_crop = false;
            (answer.said, answer.crop) = (said, None);
        }
    }

    fn lock(&self) -> MutexGuard<'_, AnswerList> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AnswerList {
    fn forget(&mut self, now: Duration) {
        self.answers.retain(|answer| now.saturating_sub(answer.at) <= KEPT_FOR);
    }
}

fn worn_view(view: Detection) -> WornView {
    WornView {
        class: view.class,
        score: view.score,
        sharpness: 1.0,
        match_embedding: view.match_embedding,
        aggregation_embedding: view.aggregation_embedding,
    }
}

/// The part of a picture within a box, made smaller; `None` where there is none.
fn crop(picture: &Picture, bounds: &Rect<Camera>) -> Option<Picture> {
    let whole = picture.size();
    let part = bounds.clip(whole.width as f32, whole.height as f32);
    let [left, top] = [part.x1, part.y1].map(|edge| edge as usize);
    let [right, bottom] = [part.x2, part.y2].map(|edge| edge.ceil() as usize);
    let size = Size::new(right.checked_sub(left)?, bottom.checked_sub(top)?);
    if size.width == 0 || size.height == 0 {
        return None;
    }
    let longer = size.width.max(size.height);
    let [width, height] = [size.width, size.height].map(|side| (side * CROP_SIDE.min(longer) / longer).max(1));
    let small = Size::new(width, height);
    let rgb = RgbImage::from_raw(size.width as u32, size.height as u32, picture.part(left, top, size).into_rgb())?;
    Some(Picture::new(small, thumbnail(&rgb, small.width as u32, small.height as u32).into_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::ProductSummary;
    use crate::frame::FrameMeta;
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

    fn said() -> KeptJudgement {
        let answer = JudgedAnswer {
            region: None,
            shown: "a".into(),
            logit: 2.0,
            margin: None,
            verdict: "likely",
            descriptor_hash: "hash".into(),
        };
        KeptJudgement { row: 7, answer, enrolment: None }
    }

    fn id(number: u64) -> TrackId {
        TrackId { generation: 0, number }
    }

    fn query(track: TrackId, crop: Option<Picture>) -> GarmentQuery {
        let embedding: Embedding = [0.0].into();
        let best_view = Detection {
            bounds: Rect::new(0.0, 0.0, 1.0, 1.0),
            class: 0,
            score: 0.9,
            match_embedding: embedding.clone(),
            aggregation_embedding: embedding.clone(),
        };
        let meta = FrameMeta { source: 0, sequence: 0, captured: Duration::ZERO };
        GarmentQuery { track, class: 0, label: String::new(), meta, embedding, detection_score: 0.9, best_view, crop }
    }

    #[test]
    fn a_crop_is_the_garment_and_goes_with_its_answer() {
        // Left half red, right half blue.
        let red = |at: usize| if at % 640 < 320 { [250, 0, 0] } else { [0, 0, 250] };
        let picture = Picture::new(Size::new(640, 480), (0..640 * 480).flat_map(red).collect());
        let part = |x1, y1, x2, y2| crop(&picture, &Rect::new(x1, y1, x2, y2));
        let blue = part(330.0, 100.2, 649.7, 900.0).unwrap();
        assert_eq!(blue.size(), Size::new(195, 240), "310 x 380, made smaller");
        assert!(blue.rgb().chunks_exact(3).all(|pixel| pixel == [0, 0, 250]));
        assert_eq!(part(10.0, 10.0, 30.0, 15.0).unwrap().size(), Size::new(20, 5), "never larger than it was");
        for nowhere in [part(700.0, 10.0, 800.0, 20.0), part(30.0, 10.0, 20.0, 20.0), part(10.0, -9.0, 20.0, -1.0)] {
            assert_eq!(nowhere, None);
        }
        let now = Duration::from_secs(1);
        for keeps in [false, true] {
            let answers = RecentAnswers::new(keeps);
            (1..=2).for_each(|track| {
                answers.remember(query(id(track), Some(blue.clone())), now, &found("a"), None, "hash");
            });
            assert_eq!(answers.list(now)[0].has_crop, keeps);
            assert_eq!([answers.crop(1, now).is_some(), answers.crop(2, now).is_some()], [keeps; 2]);
            answers.mark_judged(1, said());
            assert!(answers.crop(1, now).is_none() && !answers.list(now)[1].has_crop);
            assert!(answers.crop(2, now + KEPT_FOR + now).is_none());
            answers.remember(query(id(3), Some(blue.clone())), now, &found("a"), None, "hash");
            answers.forget_old(now + KEPT_FOR);
            assert_eq!(answers.lock().answers.len(), 1);
            answers.forget_old(now + KEPT_FOR + now);
            assert!(answers.lock().answers.is_empty(), "nobody asked for them");
        }
    }

    #[test]
    fn a_track_has_one_answer_and_another_product_is_another_number() {
        let answers = RecentAnswers::default();
        let remember = |track, seconds, product: &str| {
            answers.remember(query(id(track), None), Duration::from_secs(seconds), &found(product), None, "hash");
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
        let asked = answers.question(3, now).unwrap();
        assert_eq!((asked.embedding.as_slice(), asked.model.as_str()), (&[0.0][..], "hash"));
        assert!(
            answers.get(1, now).is_none() && answers.question(1, now).is_none(),
            "what is not shown any more cannot be confirmed"
        );
        assert_eq!(answers.get(3, now).unwrap().0.shown, "c");
        assert!(answers.said(3, now).is_none());
        answers.mark_judged(3, said());
        assert_eq!(answers.said(3, now).map(|said| said.row), Some(7));
        answers.mark_open(3);
        assert!(answers.get(3, now).is_some() && answers.said(3, now).is_none(), "it was taken back");
        answers.mark_judged(3, said());
        assert!(answers.get(3, now).is_none() && answers.question(3, now).is_some(), "not ours may be another shop's");
        remember(1, 6, "c");
        assert_eq!(numbers(6), [(3, "c".into()), (2, "b".into())], "it was judged already");
        assert_eq!(numbers(604), [(3, "c".into())]);
        assert_eq!(numbers(700), []);
        let later = Duration::from_secs(700);
        assert!(answers.question(3, later).is_none() && answers.said(3, later).is_none());
        (10..50).for_each(|track| remember(track, 700, "a"));
        assert_eq!(numbers(700).len(), MOST);
    }

    #[test]
    fn a_restarted_trackers_number_is_another_garment() {
        let (answers, now) = (RecentAnswers::default(), Duration::from_secs(1));
        let remember = |generation| {
            let track = TrackId { generation, number: 7 };
            answers.remember(query(track, None), now, &found("a"), None, "hash");
        };
        remember(1);
        remember(2);
        let numbers = || answers.list(now).into_iter().map(|answer| answer.number).collect::<Vec<_>>();
        assert_eq!(numbers(), [2, 1], "the earlier shopper's answer stays");
        answers.mark_judged(2, said());
        remember(3);
        assert_eq!(numbers(), [3, 2, 1], "what staff said of one shopper's garment does not hold for the next one's");
    }
}
