//! Measures the gain from worn views: every product is worn by one person in one clip and searched from another clip of
//! another person, in another place and light (docs/experiments/enrol.md).

use super::annotations::Annotated;
use super::cached_recognizer::CachedRecognizer;
use super::clips::{RunEvent, check_files};
use super::metrics::Tally;
use super::noise::Noise;
use super::query_track::{QueryTrack, class_of, oracle, published_tracks};
use super::random::SeededRng;
use crate::catalogue::MOST_VIEWS;
use crate::catalogue::worn_shift::{MOVED, mean, move_towards};
use crate::fault::{Kind, Result};
use crate::geometry::Size;
use crate::pipeline::enrol::good_frame::{GoodFrame, is_whole};
use crate::pipeline::enrol::spread::spread;
use crate::seam::region::may_be;
use crate::seam::{Embedding, Region, ScoreHead};
use std::path::Path;
use std::time::Duration;

/// Maximum number of worn views per product.
pub const COUNTS: [usize; 3] = [1, 3, MOST_VIEWS];
/// Frames of the person who enrols.
const ENROLMENT_FRAMES: usize = 24;

/// Input of [`run`].
#[derive(Clone, Copy, Debug)]
pub struct WornRun<'a> {
    /// Root folder of the data set.
    pub root: &'a Path,
    pub products: &'a [Annotated],
    /// Noise of the queries; an enrolment has none.
    pub noise: Noise,
    pub seed: u64,
    /// Offsets added to a worn view's logit: the model's value first, then others for comparison.
    pub offsets: &'a [f32],
}

/// Which products have worn views in the gallery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// None.
    None,
    /// The searched product.
    Own,
    /// Half of the products, drawn at random; then the other half: every query is searched twice.
    Half,
    /// All products.
    All,
}

impl Enrolled {
    pub fn name(self) -> &'static str {
        match self {
            Enrolled::None => "none",
            Enrolled::Own => "the product alone",
            Enrolled::Half => "half of the products",
            Enrolled::All => "all products",
        }
    }
}

/// Figures of one gallery.
#[derive(Clone, Debug)]
pub struct WornFigures {
    pub enrolled: Enrolled,
    /// Worn views per enrolled product.
    pub count: usize,
    pub offset: f32,
    pub all: Tally,
    /// Queries whose product has worn views, and the others.
    pub with: Tally,
    pub without: Tally,
}

/// Figures of a whole run.
#[derive(Clone, Debug)]
pub struct WornResults {
    pub products: usize,
    pub queries: usize,
    pub left_out: Vec<String>,
    pub figures: Vec<WornFigures>,
    pub held_out: Vec<HeldOut>,
}

/// One half of the queries, with the offset that was best for the other half.
#[derive(Clone, Debug)]
pub struct HeldOut {
    pub offset: f32,
    /// With [`MOST_VIEWS`] worn views of half of the products.
    pub half: Tally,
    pub all: Tally,
}

struct WornGallery {
    regions: Vec<Option<Region>>,
    shop: Vec<Embedding>,
    /// The selected views of each product; the first n are the best selection of n.
    worn: Vec<Vec<Embedding>>,
}

/// A query's logits of each product: by its picture; and with its first so many worn views by the picture that was moved towards them, and
/// by their mean. Minus infinity where it has none.
struct WornQuery {
    own: usize,
    region: Option<Region>,
    shop: Vec<f32>,
    worn: Vec<[[f32; 2]; COUNTS.len()]>,
}

/// Recognizes the shop pictures and two clips of every product. Two steps per product.
///
/// # Errors
/// [`Kind::Input`]: a file named in the annotations is missing. An unreadable clip is left out instead.
pub fn run(
    asked: &WornRun,
    recognizer: &mut CachedRecognizer,
    mut observe: impl FnMut(RunEvent),
) -> Result<WornResults> {
    check_files(asked.root, asked.products)?;
    let regions = recognizer.manifest().class_regions();
    let region = |class: usize| regions.get(class).copied().flatten();
    let mut gallery = WornGallery { regions: Vec::new(), shop: Vec::new(), worn: Vec::new() };
    let mut tracks: Vec<Option<QueryTrack>> = Vec::new();
    let mut left_out = Vec::new();
    for product in asked.products {
        let picture = recognizer.shop_picture(&asked.root.join(&product.picture), None)?.largest.detection;
        gallery.regions.push(region(picture.class));
        gallery.shop.push(picture.aggregation_embedding.clone());
        observe(RunEvent::Step);
        let (worn, track) = match recognize(asked, product, recognizer) {
            Ok(both) => both,
            Err(fault) if fault.kind() == Kind::Input => {
                observe(RunEvent::LeftOut(&format!("the product {} is left out: {fault}", product.id)));
                (Vec::new(), None)
            }
            Err(fault) => return Err(fault),
        };
        if track.is_none() {
            left_out.push(product.id.clone());
        }
        gallery.worn.push(worn);
        tracks.push(track);
        observe(RunEvent::Step);
    }
    let head = recognizer.manifest().aggregation_score();
    let mut queries = Vec::new();
    for (own, track) in tracks.iter().enumerate() {
        let Some(track) = track else { continue };
        let window: Vec<Embedding> = track.iter().map(|seen| seen.detection.aggregation_embedding.clone()).collect();
        let query = recognizer.aggregate(&window)?;
        queries.push(gallery.query(own, class_of(track).and_then(region), &query, &head));
    }
    let figures = figures(&gallery, &queries, asked.offsets, asked.seed);
    let held_out = held_out(&gallery, queries, asked.offsets, asked.seed);
    let products = asked.products.len();
    Ok(WornResults { products, queries: figures[0].all.queries(), left_out, figures, held_out })
}

/// The worn views from one clip of a product, and the garment of another clip.
fn recognize(
    asked: &WornRun,
    product: &Annotated,
    recognizer: &mut CachedRecognizer,
) -> Result<(Vec<Embedding>, Option<QueryTrack>)> {
    let videos = product.videos.len();
    if videos < 2 {
        return Ok((Vec::new(), None));
    }
    let video = SeededRng::new(asked.seed, &product.id).below(videos as u64) as usize;
    let frames = recognizer.manifest().aggregation.frames;
    let query = garment(asked, product, video, frames, asked.noise, recognizer)?;
    let worn = garment(asked, product, (video + 1) % videos, ENROLMENT_FRAMES, Noise::Off, recognizer)?;
    let head = recognizer.manifest().aggregation_score();
    Ok((worn.map_or(Vec::new(), |(track, size)| views(&track, size, &head)), query.map(|(track, _)| track)))
}

/// The garment on the ground truth of a clip, in `frames` of its frames, and their size.
fn garment(
    asked: &WornRun,
    product: &Annotated,
    video: usize,
    frames: usize,
    noise: Noise,
    recognizer: &mut CachedRecognizer,
) -> Result<Option<(QueryTrack, Size)>> {
    let path = asked.root.join(&product.videos[video]);
    let record = recognizer.clip(&path, &product.id, frames, noise, asked.seed)?;
    let Some(truth) = product.tracklets.get(video) else { return Ok(None) };
    let tracks = published_tracks(&record, &recognizer.manifest().match_score());
    Ok(oracle(&tracks, truth).cloned().map(|track| (track, record.size)))
}

/// The views of a garment that an enrolment keeps. A cached record has no measure of sharpness.
fn views(track: &QueryTrack, size: Size, head: &ScoreHead) -> Vec<Embedding> {
    let whole = track.iter().filter(|seen| !seen.substitute && is_whole(&seen.detection, &seen.detection.bounds, size));
    let frames: Vec<GoodFrame> = whole
        .map(|seen| GoodFrame { captured: Duration::ZERO, view: seen.detection.clone(), sharpness: 1.0 })
        .collect();
    let all: Vec<(&GoodFrame, f32)> = frames.iter().map(|frame| (frame, 1.0)).collect();
    let chosen = spread(&all, MOST_VIEWS, head);
    chosen.into_iter().map(|place| frames[place].view.aggregation_embedding.clone()).collect()
}

impl WornGallery {
    fn query(&self, own: usize, region: Option<Region>, query: &Embedding, head: &ScoreHead) -> WornQuery {
        let shop = self.shop.iter().map(|picture| head.logit(query, picture)).collect();
        let of_product = |(picture, views): (&Embedding, &Vec<Embedding>)| {
            COUNTS.map(|count| {
                let Some(mean) = mean(views.iter().take(count).map(|view| &view[..])) else {
                    return [f32::NEG_INFINITY; 2];
                };
                let mut moved = picture.to_vec();
                move_towards(&mut moved, &mean);
                [head.logit(query, &moved), head.logit(query, &mean)]
            })
        };
        WornQuery { own, region, shop, worn: self.shop.iter().zip(&self.worn).map(of_product).collect() }
    }

    fn rank(&self, query: &WornQuery, count: Option<usize>, offset: f32, enrolled: impl Fn(usize) -> bool) -> usize {
        let value = |product: usize| match count {
            Some(count) if enrolled(product) && !self.worn[product].is_empty() => {
                let [moved, mean] = query.worn[product][count];
                (moved + MOVED * offset).max(mean + offset)
            }
            _ => query.shop[product],
        };
        let own = value(query.own);
        let before = |product: usize| {
            product != query.own && may_be(query.region, self.regions[product]) && value(product) >= own
        };
        1 + (0..self.shop.len()).filter(|&product| before(product)).count()
    }
}

fn figures(gallery: &WornGallery, queries: &[WornQuery], offsets: &[f32], seed: u64) -> Vec<WornFigures> {
    let mut order: Vec<usize> = (0..gallery.shop.len()).collect();
    SeededRng::new(seed, "half").shuffle(&mut order);
    let mut first_half = vec![false; order.len()];
    order.iter().take(order.len() / 2).for_each(|&product| first_half[product] = true);
    let tally = |enrolled: Enrolled, count: Option<usize>, offset: f32| {
        let (mut all, mut with, mut without) = (Tally::default(), Tally::default(), Tally::default());
        let halves: &[bool] = if enrolled == Enrolled::Half { &[true, false] } else { &[true] };
        for half in halves {
            for query in queries {
                let is_enrolled = |product: usize| match enrolled {
                    Enrolled::None => false,
                    Enrolled::Own => product == query.own,
                    Enrolled::Half => first_half[product] == *half,
                    Enrolled::All => true,
                };
                let rank = [may_be(query.region, gallery.regions[query.own])
                    .then(|| gallery.rank(query, count, offset, is_enrolled))];
                all.add(&rank);
                if is_enrolled(query.own) { &mut with } else { &mut without }.add(&rank);
            }
        }
        let count = count.map_or(0, |place| COUNTS[place]);
        WornFigures { enrolled, count, offset, all, with, without }
    };
    let mut figures = vec![tally(Enrolled::None, None, 0.0)];
    for &offset in offsets {
        for enrolled in [Enrolled::Own, Enrolled::Half, Enrolled::All] {
            figures.extend((0..COUNTS.len()).map(|place| tally(enrolled, Some(place), offset)));
        }
    }
    figures
}

/// Chooses an offset on each half of the queries and measures it on the other half: the gain of a value chosen on other
/// data. The best offset has the most first ranks with half of the products enrolled; of equal ones the nearest to 0.
fn held_out(gallery: &WornGallery, queries: Vec<WornQuery>, offsets: &[f32], seed: u64) -> Vec<HeldOut> {
    let (mut even, mut odd) = (Vec::new(), Vec::new());
    for (place, query) in queries.into_iter().enumerate() {
        if place % 2 == 0 { &mut even } else { &mut odd }.push(query);
    }
    let [even, odd] = [even, odd].map(|half| figures(gallery, &half, offsets, seed));
    let best = |of: &[WornFigures]| {
        let half = of.iter().filter(|one| one.enrolled == Enrolled::Half && one.count == MOST_VIEWS);
        let first = |one: &WornFigures| one.all.top(1).share;
        let better = |a: &&WornFigures, b: &&WornFigures| {
            first(a).total_cmp(&first(b)).then(b.offset.abs().total_cmp(&a.offset.abs()))
        };
        half.max_by(better).map_or(0.0, |one| one.offset)
    };
    let measured = |chosen_by: &[WornFigures], of: &[WornFigures]| {
        let offset = best(chosen_by);
        let tally = |enrolled| {
            let same = |one: &&WornFigures| one.enrolled == enrolled && one.count == MOST_VIEWS && one.offset == offset;
            of.iter().find(same).map(|one| one.all.clone()).unwrap_or_default()
        };
        HeldOut { offset, half: tally(Enrolled::Half), all: tally(Enrolled::All) }
    };
    vec![measured(&even, &odd), measured(&odd, &even)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_keeps_a_worn_rival_from_winning_by_being_worn_alone() {
        let at = |place: f32| Embedding::from(vec![place]);
        let head = ScoreHead { weight: vec![-1.0], bias: 0.0 };
        // Two products; the second was worn, and its worn view lies between the two.
        let gallery = WornGallery {
            regions: vec![None, None],
            shop: vec![at(0.0), at(2.0)],
            worn: vec![vec![], vec![at(1.4), at(9.0)]],
        };
        let query = gallery.query(0, None, &at(0.8), &head);
        assert_eq!(query.worn[0], [[f32::NEG_INFINITY; 2]; 3], "no view, no match");
        // Two views: their mean is at 5.2, and the picture moves to 3.6.
        assert!(
            (query.worn[1][2][0] + 2.8f32.powi(2)).abs() < 1e-4 && (query.worn[1][2][1] + 4.4f32.powi(2)).abs() < 1e-4
        );
        assert_eq!(gallery.rank(&query, None, 0.0, |_| true), 1);
        assert_eq!(gallery.rank(&query, Some(0), 0.0, |_| true), 2, "the rival's worn view is nearer");
        assert_eq!(gallery.rank(&query, Some(0), -0.5, |_| true), 1);
        assert_eq!(gallery.rank(&query, Some(0), 0.0, |_| false), 1);
        let queries = [query];
        let all = figures(&gallery, &queries, &[0.0, -0.5], 1);
        assert_eq!(all.len(), 1 + 2 * 9);
        let top = |enrolled, offset| {
            let found = all.iter().find(|one| one.enrolled == enrolled && one.offset == offset && one.count <= 1);
            found.map(|one| one.all.top(1).share)
        };
        assert_eq!((top(Enrolled::None, 0.0), top(Enrolled::Own, 0.0)), (Some(1.0), Some(1.0)));
        assert_eq!((top(Enrolled::All, 0.0), top(Enrolled::All, -0.5)), (Some(0.0), Some(1.0)));
        let half = all
            .iter()
            .find(|one| one.enrolled == Enrolled::Half)
            .map(|one| (one.with.queries(), one.without.queries()));
        assert_eq!(half, Some((1, 1)), "every query is asked of both halves");
        // With all views: the rival's one view wins without an offset, so each half of the queries chooses it for the other.
        let gallery = WornGallery { worn: vec![vec![], vec![at(1.4)]], ..gallery };
        let two = vec![gallery.query(0, None, &at(0.8), &head), gallery.query(0, None, &at(0.81), &head)];
        let held = held_out(&gallery, two, &[0.0, -0.5], 1);
        assert_eq!(held.iter().map(|one| (one.offset, one.all.top(1).share)).collect::<Vec<_>>(), [(-0.5, 1.0); 2]);
    }
}
