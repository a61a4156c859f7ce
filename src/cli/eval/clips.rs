//! `eval --data`: clips of people against the shop, SEAM beside the published baselines.

use super::clips_errors::{self, Answer};
use super::clips_report::{as_json, charts, text};
use super::look::Eye;
use super::{EvalArgs, sheet, write, write_json, write_plot};
use crate::cli::progress::Progress;
use crate::cli::table::print;
use crate::evaluation::annotations::{Annotated, Tracklet, read};
use crate::evaluation::metrics::Rank;
use crate::evaluation::protocol::{Ranks, average_rank, ranks, seam_logits, seam_rank};
use crate::evaluation::query_track::{Track, class_of, oracle, own_tracks, published_tracks};
use crate::evaluation::reference_gallery::View;
use crate::evaluation::{Dice, Method, OpenSet, Record, Shop, Tally};
use crate::fault::{Fault, Kind, Result};
use crate::seam::region::may_be;
use crate::seam::{Embedding, Region, ScoreHead};
use std::path::Path;

/// Garments that a mirror shows at one time.
pub(super) const SHOWN: usize = 3;

/// Who says which garment of a clip the query is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// The ground truth, as published.
    Oracle,
    /// The most prominent garment.
    Own,
    /// The same, searched within its region.
    OwnRegion,
}

impl Choice {
    const ALL: [Choice; 3] = [Choice::Oracle, Choice::Own, Choice::OwnRegion];

    pub(super) fn name(self) -> &'static str {
        match self {
            Choice::Oracle => "published choice: the track on the ground truth",
            Choice::Own => "own choice: the most prominent garment",
            Choice::OwnRegion => "own choice, products of the garment's region",
        }
    }

    pub(super) fn key(self) -> &'static str {
        match self {
            Choice::Oracle => "oracle",
            Choice::Own => "own",
            Choice::OwnRegion => "own_region",
        }
    }
}

/// Which products are counted.
const GROUPS: [&str; 3] = ["all", "regular", "hard"];

/// What came of one product's query.
struct Outcome {
    hard: bool,
    /// One a [`Choice`]; `None` where the ground truth is not there.
    ranks: [Option<Ranks>; 3],
    /// The best rank of the garments that a mirror would show, each within its region.
    shown: Rank,
    /// SEAM and average descriptor by the first so many frames of the track, drawn at random.
    windows: Vec<(Rank, Rank)>,
    answer: Option<Answer>,
}

/// All figures of one choice and one group of products.
pub(super) struct Figures {
    pub(super) choice: Choice,
    pub(super) group: &'static str,
    pub(super) tallies: Vec<(Method, Tally)>,
}

/// A whole run.
pub(super) struct Results {
    pub(super) products: usize,
    pub(super) queries: usize,
    pub(super) without_truth: usize,
    pub(super) left_out: Vec<String>,
    pub(super) figures: Vec<Figures>,
    pub(super) shown: Vec<(&'static str, Tally)>,
    /// Length, SEAM, average descriptor.
    pub(super) windows: Vec<(usize, Tally, Tally)>,
    pub(super) open_set: OpenSet,
}

pub fn run(args: &EvalArgs, root: &Path, annotations: &Path, eye: &mut Eye) -> Result<()> {
    let products = read(annotations)?;
    check_files(root, &products)?;
    let progress = Progress::new(2 * products.len() as u64, "pictures and clips");
    let shop = see_shop(root, &products, eye, &progress)?;
    let (mut outcomes, mut left_out) = (Vec::new(), Vec::new());
    for (own, product) in products.iter().enumerate() {
        match query(args, root, product, own, &shop, eye) {
            Ok(outcome) => outcomes.push(outcome),
            Err(fault) if fault.kind() == Kind::Input => {
                progress.say(&format!("the product {} is left out: {fault}", product.id));
                left_out.push(product.id.clone());
            }
            Err(fault) => return Err(fault),
        }
        progress.step();
    }
    progress.finish();
    if let Some(path) = &args.errors {
        let answers: Vec<&Answer> = outcomes.iter().filter_map(|outcome| outcome.answer.as_ref()).collect();
        let rows = clips_errors::rows(&answers, &products, root, &eye.manifest().classes)?;
        write(path, &sheet::draw(&rows)?.encode_png()?)?;
    }
    let results = results(products.len(), outcomes, left_out);
    print(&text(args, &results, eye))?;
    write_json(&args.json, &as_json(args, &results, eye))?;
    write_plot(&args.plot, &charts(&results))
}

/// Every file is there before the hours begin.
fn check_files(root: &Path, products: &[Annotated]) -> Result<()> {
    let named = products.iter().flat_map(|product| std::iter::once(&product.picture).chain(&product.videos));
    let missing: Vec<&String> = named.filter(|name| !root.join(name).exists()).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let text = format!("{} of the annotated files are not under {}: {first}", missing.len(), root.display());
    Err(Fault::new(Kind::Input, text).cure("give --data the folder that the annotations' paths start from"))
}

/// The shop: one picture a product, its largest box (docs/seam.md §9).
fn see_shop(root: &Path, products: &[Annotated], eye: &mut Eye, progress: &Progress) -> Result<Shop> {
    let regions = eye.manifest().class_regions();
    let mut shop = Shop::new(eye.manifest().match_score(), eye.manifest().aggregation_score());
    for product in products {
        let seen = eye.shop_picture(&root.join(&product.picture), None)?.largest.detection;
        let region = regions.get(seen.class).copied().flatten();
        shop.add(region, vec![View { matching: seen.match_embedding, aggregation: seen.aggregation_embedding }]);
        progress.step();
    }
    Ok(shop)
}

/// Looks at one video of the product and ranks the product by every method.
fn query(args: &EvalArgs, root: &Path, product: &Annotated, own: usize, shop: &Shop, eye: &mut Eye) -> Result<Outcome> {
    let mut dice = Dice::new(args.seed, &product.id);
    let video = dice.below(product.videos.len() as u64) as usize;
    let frames = eye.manifest().aggregation.frames;
    let path = root.join(&product.videos[video]);
    let record = eye.clip(&path, &product.id, frames, args.noise, args.seed)?;
    let truth = product.tracklets.get(video).filter(|tracklet| !tracklet.is_empty());
    let head = eye.manifest().match_score();
    let regions = eye.manifest().class_regions();
    let mut aggregate = |window: &[Embedding]| eye.aggregate(window);
    let asked = Asked { own, shop, regions: &regions, video: &path };
    asked.outcome(product.hard, &record, truth, &head, &mut dice, &mut aggregate)
}

/// What does not change from one way to ask to the next.
struct Asked<'a> {
    own: usize,
    shop: &'a Shop,
    regions: &'a [Option<Region>],
    video: &'a Path,
}

impl Asked<'_> {
    fn outcome(
        &self,
        hard: bool,
        record: &Record,
        truth: Option<&Tracklet>,
        head: &ScoreHead,
        dice: &mut Dice,
        aggregate: &mut crate::evaluation::protocol::Aggregate,
    ) -> Result<Outcome> {
        let nothing = Track::new();
        let published = truth.map(|_| published_tracks(record, head)).unwrap_or_default();
        let on_truth = truth.map(|truth| oracle(&published, truth).unwrap_or(&nothing));
        let mine = own_tracks(record, head);
        let first = mine.first().unwrap_or(&nothing);
        let mut rank = |track: &Track, region| ranks(track, self.own, self.shop, region, aggregate);
        let all = [
            on_truth.map(|track| rank(track, None)).transpose()?,
            Some(rank(first, None)?),
            Some(rank(first, self.region_of(first))?),
        ];
        let mut shown = None;
        for track in mine.iter().take(SHOWN) {
            let found = seam_rank(track, self.own, self.shop, self.region_of(track), aggregate)?;
            shown = [shown, found].into_iter().flatten().min();
        }
        let windows = self.windows(on_truth.unwrap_or(first), record.frames.len(), dice, aggregate)?;
        let answer = on_truth.map(|track| self.answer(track, aggregate)).transpose()?.flatten();
        Ok(Outcome { hard, ranks: all, shown, windows, answer })
    }

    /// What SEAM makes of a track; nothing of an empty one.
    fn answer(&self, track: &Track, aggregate: &mut crate::evaluation::protocol::Aggregate) -> Result<Option<Answer>> {
        let surest = track.iter().max_by(|a, b| a.detection.score.total_cmp(&b.detection.score));
        let Some(surest) = surest.cloned() else { return Ok(None) };
        let region = self.region_of(track);
        let mut logits = seam_logits(track, self.shop, aggregate)?;
        for (product, logit) in logits.iter_mut().enumerate() {
            if !may_be(region, self.shop.region(product)) {
                *logit = f32::NEG_INFINITY;
            }
        }
        let rank = self.shop.rank(&logits, self.own, None).unwrap_or(self.shop.len());
        Ok(Some(Answer { own: self.own, logits, rank, surest, video: self.video.to_owned() }))
    }

    /// The ranks by windows of growing length: frames of the track in random order, each window holding the one before.
    fn windows(
        &self,
        track: &Track,
        longest: usize,
        dice: &mut Dice,
        aggregate: &mut crate::evaluation::protocol::Aggregate,
    ) -> Result<Vec<(Rank, Rank)>> {
        let mut drawn = track.clone();
        dice.shuffle(&mut drawn);
        let ranks = (1..=longest).map(|length| {
            let window = &drawn[..length.min(drawn.len())];
            if window.is_empty() {
                return Ok((None, None));
            }
            let seam = seam_rank(window, self.own, self.shop, None, aggregate)?;
            Ok((seam, average_rank(window, self.own, self.shop, None)))
        });
        ranks.collect()
    }

    fn region_of(&self, track: &Track) -> Option<Region> {
        class_of(track).and_then(|class| self.regions.get(class).copied().flatten())
    }
}

fn results(products: usize, outcomes: Vec<Outcome>, left_out: Vec<String>) -> Results {
    let in_group = |group: &str, outcome: &Outcome| match group {
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
            // A clip of fewer frames has no longer window than its longest.
            let (by_seam, by_average) =
                outcome.windows.get(place).or(outcome.windows.last()).copied().unwrap_or_default();
            seam.add(&[by_seam]);
            average.add(&[by_average]);
        }
        (place + 1, seam, average)
    });
    let mut open_set = OpenSet::default();
    outcomes.iter().filter_map(|one| one.answer.as_ref()).for_each(|answer| open_set.add(&answer.logits, answer.own));
    Results {
        open_set,
        products,
        queries: outcomes.len(),
        without_truth: outcomes.iter().filter(|outcome| outcome.ranks[0].is_none()).count(),
        left_out,
        shown,
        windows: windows.collect(),
        figures,
    }
}
