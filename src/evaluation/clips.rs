//! Clips of people against shop pictures: SEAM and the published baselines on a data set in MovingFashion's layout.

use super::annotations::{Annotated, Tracklet};
use super::cached_recognizer::CachedRecognizer;
use super::metrics::{Rank, Tally};
use super::noise::Noise;
use super::open_set::OpenSet;
use super::protocol::{Aggregate, Method, Ranks, average_rank, ranks, seam_logits, seam_rank};
use super::query_track::{QueryTrack, class_of, oracle, own_tracks, published_tracks};
use super::random::SeededRng;
use super::record::{DetectionRecord, FrameDetection};
use super::reference_gallery::{ReferenceGallery, ReferenceView};
use crate::fault::{Fault, Kind, Result};
use crate::seam::region::may_be;
use crate::seam::{Embedding, Region, ScoreHead};
use std::path::{Path, PathBuf};

/// How the query is selected among the garments of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The track on the ground truth, as published.
    Oracle,
    /// The most prominent garment.
    Own,
    /// The most prominent garment, searched within its region.
    OwnRegion,
}

impl Choice {
    pub const ALL: [Choice; 3] = [Choice::Oracle, Choice::Own, Choice::OwnRegion];

    pub fn name(self) -> &'static str {
        match self {
            Choice::Oracle => "published choice: the track on the ground truth",
            Choice::Own => "own choice: the most prominent garment",
            Choice::OwnRegion => "own choice, products of the garment's region",
        }
    }

    pub fn key(self) -> &'static str {
        match self {
            Choice::Oracle => "oracle",
            Choice::Own => "own",
            Choice::OwnRegion => "own_region",
        }
    }
}

/// Groups of products in the report.
const GROUPS: [&str; 3] = ["all", "regular", "hard"];

/// Ranks of one product's query.
struct QueryOutcome {
    hard: bool,
    /// One per [`Choice`]; `None` if no track touches the ground truth.
    ranks: [Option<Ranks>; 3],
    /// The best rank among the garments that a mirror would show, each searched within its region.
    shown: Rank,
    /// Ranks by SEAM and by average descriptor for windows of increasing length, frames in random order.
    windows: Vec<(Rank, Rank)>,
    ranked: Option<RankedQuery>,
}

/// Figures of one choice and one group of products.
pub struct Figures {
    pub choice: Choice,
    pub group: &'static str,
    pub tallies: Vec<(Method, Tally)>,
}

/// Figures of a whole run.
pub struct ClipsResults {
    pub products: usize,
    pub queries: usize,
    pub without_truth: usize,
    pub left_out: Vec<String>,
    pub figures: Vec<Figures>,
    pub shown: Vec<(&'static str, Tally)>,
    /// Window length, SEAM, average descriptor.
    pub windows: Vec<(usize, Tally, Tally)>,
    pub open_set: OpenSet,
    /// Queries of the published choice, in the order of the annotations.
    pub ranked: Vec<RankedQuery>,
}

/// The garment on the ground truth of one clip, and SEAM's ranking of the products for it.
#[derive(Clone, Debug)]
pub struct RankedQuery {
    /// Number of its product.
    pub own: usize,
    /// Logit per product; minus infinity for a product of a region that does not match.
    pub logits: Vec<f32>,
    /// Rank of `own` by these logits.
    pub rank: usize,
    /// The detection with the highest score, in `video`.
    pub surest: FrameDetection,
    pub video: PathBuf,
}

/// Input of [`run`].
#[derive(Clone, Copy, Debug)]
pub struct ClipsRun<'a> {
    /// Root folder of the data set.
    pub root: &'a Path,
    pub products: &'a [Annotated],
    pub noise: Noise,
    /// Determines video, frames and noise of each product.
    pub seed: u64,
    /// Number of garments of a clip that a mirror shows at the same time.
    pub shown: usize,
}

/// Progress of a run.
#[derive(Clone, Copy, Debug)]
pub enum RunEvent<'a> {
    /// One picture or clip is done.
    Step,
    /// A query was left out, with the reason.
    LeftOut(&'a str),
}

/// Recognizes all shop pictures and one video per product, and ranks each product by every method. Two steps per
/// product.
///
/// # Errors
/// [`Kind::Input`]: a file named in the annotations is missing. An unreadable clip is left out instead.
pub fn run(
    asked: ClipsRun,
    recognizer: &mut CachedRecognizer,
    mut observe: impl FnMut(RunEvent),
) -> Result<ClipsResults> {
    check_files(asked.root, asked.products)?;
    let gallery = recognize_gallery(&asked, recognizer, &mut observe)?;
    let (mut outcomes, mut left_out) = (Vec::new(), Vec::new());
    for own in 0..asked.products.len() {
        match query(&asked, own, &gallery, recognizer) {
            Ok(outcome) => outcomes.push(outcome),
            Err(fault) if fault.kind() == Kind::Input => {
                let id = &asked.products[own].id;
                observe(RunEvent::LeftOut(&format!("the product {id} is left out: {fault}")));
                left_out.push(id.clone());
            }
            Err(fault) => return Err(fault),
        }
        observe(RunEvent::Step);
    }
    Ok(results(asked.products.len(), outcomes, left_out))
}

/// Checks that all files exist before a run of hours starts.
pub(super) fn check_files(root: &Path, products: &[Annotated]) -> Result<()> {
    let named = products.iter().flat_map(|product| std::iter::once(&product.picture).chain(&product.videos));
    let missing: Vec<&String> = named.filter(|name| !root.join(name).exists()).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let text = format!("{} of the annotated files are not under {}: {first}", missing.len(), root.display());
    Err(Fault::new(Kind::Input, text).cure("set --data to the folder that the annotations' paths are relative to"))
}

/// One picture per product, with its largest box (docs/seam.md §9).
fn recognize_gallery(
    asked: &ClipsRun,
    recognizer: &mut CachedRecognizer,
    observe: &mut impl FnMut(RunEvent),
) -> Result<ReferenceGallery> {
    let regions = recognizer.manifest().class_regions();
    let (match_score, aggregation_score) =
        (recognizer.manifest().match_score(), recognizer.manifest().aggregation_score());
    let mut gallery = ReferenceGallery::new(match_score, aggregation_score);
    for product in asked.products {
        let detection = recognizer.shop_picture(&asked.root.join(&product.picture), None)?.largest.detection;
        let region = regions.get(detection.class).copied().flatten();
        gallery.add(region, vec![ReferenceView::of(&detection)]);
        observe(RunEvent::Step);
    }
    Ok(gallery)
}

/// Recognizes one video of the product `own` and ranks the product by every method.
fn query(
    asked: &ClipsRun,
    own: usize,
    gallery: &ReferenceGallery,
    recognizer: &mut CachedRecognizer,
) -> Result<QueryOutcome> {
    let product = &asked.products[own];
    let mut rng = SeededRng::new(asked.seed, &product.id);
    let video = rng.below(product.videos.len() as u64) as usize;
    let frames = recognizer.manifest().aggregation.frames;
    let path = asked.root.join(&product.videos[video]);
    let record = recognizer.clip(&path, &product.id, frames, asked.noise, asked.seed)?;
    let truth = product.tracklets.get(video).filter(|tracklet| !tracklet.is_empty());
    let head = recognizer.manifest().match_score();
    let regions = recognizer.manifest().class_regions();
    let mut aggregate = |window: &[Embedding]| recognizer.aggregate(window);
    let ranking = Ranking { own, gallery, regions: &regions, video: &path, shown: asked.shown };
    ranking.outcome(product.hard, &record, truth, &head, &mut rng, &mut aggregate)
}

/// Common input of all ways to rank a product.
struct Ranking<'a> {
    own: usize,
    gallery: &'a ReferenceGallery,
    regions: &'a [Option<Region>],
    video: &'a Path,
    shown: usize,
}

impl Ranking<'_> {
    fn outcome(
        &self,
        hard: bool,
        record: &DetectionRecord,
        truth: Option<&Tracklet>,
        head: &ScoreHead,
        rng: &mut SeededRng,
        aggregate: &mut Aggregate,
    ) -> Result<QueryOutcome> {
        let nothing = QueryTrack::new();
        let published = truth.map(|_| published_tracks(record, head)).unwrap_or_default();
        let on_truth = truth.map(|truth| oracle(&published, truth).unwrap_or(&nothing));
        let mine = own_tracks(record, head);
        let first = mine.first().unwrap_or(&nothing);
        let mut rank = |track: &QueryTrack, region| ranks(track, self.own, self.gallery, region, aggregate);
        let all = [
            on_truth.map(|track| rank(track, None)).transpose()?,
            Some(rank(first, None)?),
            Some(rank(first, self.region_of(first))?),
        ];
        let mut shown = None;
        for track in mine.iter().take(self.shown) {
            let found = seam_rank(track, self.own, self.gallery, self.region_of(track), aggregate)?;
            shown = [shown, found].into_iter().flatten().min();
        }
        let windows = self.windows(on_truth.unwrap_or(first), record.frames.len(), rng, aggregate)?;
        let ranked = on_truth.map(|track| self.ranked(track, aggregate)).transpose()?.flatten();
        Ok(QueryOutcome { hard, ranks: all, shown, windows, ranked })
    }

    /// SEAM's ranking of all products for a track; `None` for an empty track.
    fn ranked(&self, track: &QueryTrack, aggregate: &mut Aggregate) -> Result<Option<RankedQuery>> {
        let surest = track.iter().max_by(|a, b| a.detection.score.total_cmp(&b.detection.score));
        let Some(surest) = surest.cloned() else { return Ok(None) };
        let region = self.region_of(track);
        let mut logits = seam_logits(track, self.gallery, aggregate)?;
        for (product, logit) in logits.iter_mut().enumerate() {
            if !may_be(region, self.gallery.region(product)) {
                *logit = f32::NEG_INFINITY;
            }
        }
        let rank = self.gallery.rank(&logits, self.own, None).unwrap_or(self.gallery.len());
        Ok(Some(RankedQuery { own: self.own, logits, rank, surest, video: self.video.to_owned() }))
    }

    /// Ranks for windows of increasing length: the track's frames in random order, each window extending the one
    /// before.
    fn windows(
        &self,
        track: &QueryTrack,
        longest: usize,
        rng: &mut SeededRng,
        aggregate: &mut Aggregate,
    ) -> Result<Vec<(Rank, Rank)>> {
        let mut drawn = track.clone();
        rng.shuffle(&mut drawn);
        let ranks = (1..=longest).map(|length| {
            let window = &drawn[..length.min(drawn.len())];
            if window.is_empty() {
                return Ok((None, None));
            }
            let seam = seam_rank(window, self.own, self.gallery, None, aggregate)?;
            Ok((seam, average_rank(window, self.own, self.gallery, None)))
        });
        ranks.collect()
    }

    fn region_of(&self, track: &QueryTrack) -> Option<Region> {
        class_of(track).and_then(|class| self.regions.get(class).copied().flatten())
    }
}

fn results(products: usize, outcomes: Vec<QueryOutcome>, left_out: Vec<String>) -> ClipsResults {
    let in_group = |group: &str, outcome: &QueryOutcome| match group {
        "regular" => !outcome.hard,
        "hard" => outcome.hard,
        _ => true,
    };
    let mut figures = Vec::new();
    let mut shown = Vec::new();
    for (place, choice) in Choice::ALL.into_iter().enumerate() {
        for group in GROUPS {
            let mut tallies: Vec<(Method, Tally)> = Method::ALL.map(|method| (method, Tally::default())).into();
            for outcome in outcomes.iter().filter(|outcome| in_group(group, outcome)) {
                let Some(ranks) = &outcome.ranks[place] else { continue };
                tallies.iter_mut().zip(ranks).for_each(|((_, tally), ranks)| tally.add(ranks));
            }
            if tallies[0].1.queries() > 0 {
                figures.push(Figures { choice, group, tallies });
            }
        }
    }
    for group in GROUPS {
        let mut tally = Tally::default();
        outcomes.iter().filter(|outcome| in_group(group, outcome)).for_each(|outcome| tally.add(&[outcome.shown]));
        shown.push((group, tally));
    }
    let longest = outcomes.iter().map(|outcome| outcome.windows.len()).max().unwrap_or(0);
    let windows = (0..longest).map(|place| {
        let (mut seam, mut average) = (Tally::default(), Tally::default());
        for outcome in &outcomes {
            // A clip with fewer frames counts with its longest window.
            let (by_seam, by_average) =
                outcome.windows.get(place).or(outcome.windows.last()).copied().unwrap_or_default();
            seam.add(&[by_seam]);
            average.add(&[by_average]);
        }
        (place + 1, seam, average)
    });
    let mut open_set = OpenSet::default();
    outcomes.iter().filter_map(|one| one.ranked.as_ref()).for_each(|ranked| open_set.add(&ranked.logits, ranked.own));
    let ranked = outcomes.iter().filter_map(|outcome| outcome.ranked.clone()).collect();
    ClipsResults {
        open_set,
        ranked,
        products,
        queries: outcomes.len(),
        without_truth: outcomes.iter().filter(|outcome| outcome.ranks[0].is_none()).count(),
        left_out,
        shown,
        windows: windows.collect(),
        figures,
    }
}
