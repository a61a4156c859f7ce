//! `eval --pairs`: still pictures with boxes against a shop's photos.

use super::look::{Eye, StillSeen};
use super::plot::{Chart, Curve};
use super::sheet::{self, Cell, Row, best, cut};
use super::{EvalArgs, report, write, write_json, write_plot};
use crate::capture::read_picture;
use crate::catalogue::Product;
use crate::cli::progress::Progress;
use crate::cli::table::print;
use crate::evaluation::metrics::Rank;
use crate::evaluation::pairs::{GalleryRow, QueryRow, read_gallery, read_queries};
use crate::evaluation::reference_gallery::View;
use crate::evaluation::{Head, Seen, Share, Shop, Tally};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Picture;
use crate::geometry::Size;
use crate::pipeline::sequential::label;
use crate::seam::{Detection, Region};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// A mirror begins to follow a garment from this score on, `vetrina match` from the other.
const MIRROR_SCORE: f32 = 0.5;
const MATCH_SCORE: f32 = 0.2;

/// The shop in both ways, and what is to be known of it.
struct Gallery {
    /// By the published rule: the largest box is the product, and every garment may be any product.
    plain: Shop,
    /// The largest box of the product's region, searched within its region.
    regions: Shop,
    garments: BTreeMap<String, usize>,
    photos: usize,
    substitutes: usize,
}

/// One photo's region, its largest garment, and its garment of the region.
type Photo = (Option<Region>, Seen, Seen);

/// One query with its ranks, one a [`Way`].
struct Answer<'q> {
    query: &'q QueryRow,
    seen: StillSeen,
    ranks: Vec<Rank>,
}

/// One way to ask: which box, which shop, which head.
#[derive(Clone, Copy, Debug)]
struct Way {
    given: bool,
    regions: bool,
    head: Head,
}

impl Way {
    fn all() -> Vec<Way> {
        let mut ways = Vec::new();
        for given in [true, false] {
            for head in [Head::Aggregation, Head::Match] {
                ways.extend([false, true].map(|regions| Way { given, regions, head }));
            }
        }
        ways
    }

    /// Boxes, head, products: as a table has them.
    fn names(self) -> Vec<String> {
        let boxes = if self.given { "given" } else { "detected" };
        let head = match self.head {
            Head::Aggregation => "aggregation",
            Head::Match => "match",
        };
        let products = if self.regions { "of the region" } else { "all" };
        [boxes, head, products].map(str::to_owned).to_vec()
    }
}

pub fn run(args: &EvalArgs, pairs: &Path, photos: &Path, eye: &mut Eye) -> Result<()> {
    let queries = read_queries(pairs)?;
    let photos = read_gallery(photos)?;
    let progress = Progress::new((photos.len() + queries.len()) as u64, "pictures");
    let gallery = see_gallery(&photos, eye, &progress)?;
    for query in &queries {
        if !gallery.garments.contains_key(&query.garment) {
            let text = format!("the query {} is the garment {}, which the gallery lacks", query.id, query.garment);
            return Err(Fault::new(Kind::Input, text).cure("add a photo of it to the gallery"));
        }
    }
    let (mut answers, mut skipped) = (Vec::new(), Vec::new());
    for query in &queries {
        match eye.still(query) {
            Ok(seen) => answers.push(answer(query, seen, &gallery, eye)),
            // A clip without ffmpeg: the others can be asked all the same.
            Err(fault) if fault.kind() == Kind::Unavailable => {
                progress.say(&format!("the query {} is left out: {fault}", query.id));
                skipped.push(query.id.clone());
            }
            Err(fault) => return Err(fault),
        }
        progress.step();
    }
    progress.finish();
    if answers.is_empty() {
        return Err(Fault::new(Kind::Unavailable, "no query could be asked").cure("install ffmpeg"));
    }
    let tallies = tallies(&answers);
    print(&text(&answers, &skipped, &gallery, &tallies, eye))?;
    write_json(&args.json, &as_json(&answers, &skipped, &gallery, &tallies, eye))?;
    if let Some(path) = &args.errors {
        let rows = errors(&answers, &gallery, &first_photos(&photos), eye)?;
        write(path, &sheet::draw(&rows)?.encode_png()?)?;
    }
    write_plot(&args.plot, &[chart(&tallies)])
}

/// The garments' first photos.
fn first_photos(photos: &[GalleryRow]) -> BTreeMap<&str, &Path> {
    photos.iter().rev().map(|photo| (photo.garment.as_str(), photo.file.as_path())).collect()
}

/// A row for each query that is not first in its given box: what is worn, the right product, the products before all others.
/// Worst first.
fn errors(answers: &[Answer], gallery: &Gallery, photos: &BTreeMap<&str, &Path>, eye: &mut Eye) -> Result<Vec<Row>> {
    let place = Way::all().iter().position(|way| way.given && !way.regions && way.head == Head::Aggregation);
    let rank = |answer: &Answer| place.and_then(|place| answer.ranks[place]).unwrap_or(usize::MAX);
    let mut wrong: Vec<&Answer> = answers.iter().filter(|answer| rank(answer) > 1).collect();
    wrong.sort_by_key(|answer| std::cmp::Reverse(rank(answer)));
    let names: BTreeMap<usize, &str> = gallery.garments.iter().map(|(name, &number)| (number, name.as_str())).collect();
    let photo = |name: &str| {
        photos.get(name).map_or_else(|| Ok(Picture::filled(Size::new(1, 1), [0; 3])), |path| read_picture(path))
    };
    let mut rows = Vec::new();
    for answer in wrong {
        let query = answer.query;
        let class = label(&eye.manifest().classes, answer.seen.given.class);
        let found = answer.seen.found.as_ref().map_or("not found".into(), |found| format!("{:.2}", found.score));
        let mut cells = vec![
            Cell {
                picture: cut(&super::look::still(query)?, query.bounds),
                words: format!("{found}: {class}"),
                right: false,
            },
            Cell {
                picture: photo(&query.garment)?,
                words: format!("{}: {}", rank(answer), query.garment),
                right: true,
            },
        ];
        let logits = gallery.plain.logits(Head::Aggregation, &answer.seen.given.aggregation_embedding);
        for (place, number) in best(&logits).enumerate() {
            let name = names.get(&number).copied().unwrap_or_default();
            let words = format!("{}: {name}", place + 1);
            cells.push(Cell { picture: photo(name)?, words, right: name == query.garment });
        }
        rows.push(cells);
    }
    Ok(rows)
}

/// Looks at every photo of the shop.
fn see_gallery(photos: &[GalleryRow], eye: &mut Eye, progress: &Progress) -> Result<Gallery> {
    let class_regions = eye.manifest().class_regions();
    let mut views: BTreeMap<&str, Vec<Photo>> = BTreeMap::new();
    let mut substitutes = 0;
    for photo in photos {
        let said = said_region(photo);
        let seen = eye.shop_picture(&photo.file, said)?;
        substitutes += usize::from(seen.largest.substitute);
        let of_class = class_regions.get(seen.of_region.detection.class).copied().flatten();
        views.entry(&photo.garment).or_default().push((said.or(of_class), seen.largest, seen.of_region));
        progress.step();
    }
    let heads = (eye.manifest().match_score(), eye.manifest().aggregation_score());
    let mut gallery = Gallery {
        plain: Shop::new(heads.0.clone(), heads.1.clone()),
        regions: Shop::new(heads.0, heads.1),
        garments: BTreeMap::new(),
        photos: photos.len(),
        substitutes,
    };
    for (garment, views) in views {
        // The first photo decides where no text does, as at an import.
        let region = views.first().and_then(|(region, _, _)| *region);
        gallery.plain.add(None, views.iter().map(|(_, largest, _)| view(&largest.detection)).collect());
        let number = gallery.regions.add(region, views.iter().map(|(_, _, seen)| view(&seen.detection)).collect());
        gallery.garments.insert(garment.to_owned(), number);
    }
    Ok(gallery)
}

/// The region that the shop's product type says, as an import reads it.
fn said_region(photo: &GalleryRow) -> Option<Region> {
    Product { product_type: photo.category.clone(), ..Product::default() }.region()
}

fn view(detection: &Detection) -> View {
    View { matching: detection.match_embedding.clone(), aggregation: detection.aggregation_embedding.clone() }
}

fn answer<'q>(query: &'q QueryRow, seen: StillSeen, gallery: &Gallery, eye: &Eye) -> Answer<'q> {
    let class_regions = eye.manifest().class_regions();
    let own = gallery.garments[&query.garment];
    let rank = |way: &Way| {
        let detection = if way.given { Some(&seen.given) } else { seen.found.as_ref() }?;
        let embedding = match way.head {
            Head::Match => &detection.match_embedding,
            Head::Aggregation => &detection.aggregation_embedding,
        };
        let shop = if way.regions { &gallery.regions } else { &gallery.plain };
        let region = class_regions.get(detection.class).copied().flatten().filter(|_| way.regions);
        shop.rank(&shop.logits(way.head, embedding), own, region)
    };
    let ranks = Way::all().iter().map(rank).collect();
    Answer { query, seen, ranks }
}

fn tallies(answers: &[Answer]) -> Vec<(Way, Tally)> {
    let ways = Way::all().into_iter().enumerate();
    ways.map(|(place, way)| {
        let mut tally = Tally::default();
        answers.iter().for_each(|answer| tally.add(&[answer.ranks[place]]));
        (way, tally)
    })
    .collect()
}

/// The share of queries that the detector found with at least this score.
fn detected(answers: &[Answer], score: f32) -> Share {
    let found = |answer: &&Answer| answer.seen.found.as_ref().is_some_and(|found| found.score >= score);
    Share::new(answers.iter().filter(found).count() as f64, answers.len())
}

/// The share of queries whose class is of the region that the table says, of those that it says.
fn region_right(answers: &[Answer], class_regions: &[Option<Region>], given: bool) -> Share {
    let told = answers.iter().filter_map(|answer| {
        let detection = if given { Some(&answer.seen.given) } else { answer.seen.found.as_ref() }?;
        Some(class_regions.get(detection.class).copied().flatten() == Some(answer.query.region?))
    });
    let told: Vec<bool> = told.collect();
    Share::new(told.iter().filter(|right| **right).count() as f64, told.len())
}

fn text(answers: &[Answer], skipped: &[String], gallery: &Gallery, tallies: &[(Way, Tally)], eye: &Eye) -> String {
    let manifest = eye.manifest();
    let regions = manifest.class_regions();
    let left_out = if skipped.is_empty() { String::new() } else { format!(" ({} left out)", skipped.len()) };
    let rows: Vec<_> = tallies.iter().map(|(way, tally)| (way.names(), tally)).collect();
    format!(
        "model {}; {} queries{left_out}, gallery of {} garments on {} photos ({} taken whole); intervals are 95 %\n\
         detected (IoU >= 0.5): {}; with a score of {MATCH_SCORE}: {}; of {MIRROR_SCORE}: {}\n\
         region told rightly: given boxes {}, detected {}\n\
         a query that is not detected counts as not found\n{}",
        manifest.name,
        answers.len(),
        gallery.plain.len(),
        gallery.photos,
        gallery.substitutes,
        report::share(&detected(answers, 0.0)),
        report::share(&detected(answers, MATCH_SCORE)),
        report::share(&detected(answers, MIRROR_SCORE)),
        report::share(&region_right(answers, &regions, true)),
        report::share(&region_right(answers, &regions, false)),
        report::top_k(&["boxes", "head", "products"], &rows),
    )
}

fn as_json(answers: &[Answer], skipped: &[String], gallery: &Gallery, tallies: &[(Way, Tally)], eye: &Eye) -> Value {
    let manifest = eye.manifest();
    let regions = manifest.class_regions();
    let rows: Vec<Value> = tallies
        .iter()
        .map(|(way, tally)| {
            let names = way.names();
            json!({ "boxes": names[0], "head": names[1], "region_filter": way.regions,
                    "figures": report::tally_json(tally) })
        })
        .collect();
    let per_query: Vec<Value> = answers.iter().map(|answer| answer_json(answer, &manifest.classes)).collect();
    json!({
        "kind": "pairs", "model": manifest.name, "descriptor_hash": manifest.descriptor_hash,
        "queries": answers.len(), "left_out": skipped,
        "gallery": { "garments": gallery.plain.len(), "photos": gallery.photos, "whole_pictures": gallery.substitutes },
        "detected": report::share_json(&detected(answers, 0.0)),
        "detected_as_match": report::share_json(&detected(answers, MATCH_SCORE)),
        "detected_as_mirror": report::share_json(&detected(answers, MIRROR_SCORE)),
        "region_right_given": report::share_json(&region_right(answers, &regions, true)),
        "region_right_detected": report::share_json(&region_right(answers, &regions, false)),
        "results": rows, "per_query": per_query,
    })
}

fn answer_json(answer: &Answer, classes: &[String]) -> Value {
    let detection = |detection: &Detection| {
        json!({ "class": classes.get(detection.class), "score": detection.score, "box": detection.bounds.corners(),
                "iou": detection.bounds.iou(&answer.query.bounds) })
    };
    let ranks: serde_json::Map<String, Value> =
        Way::all().into_iter().zip(&answer.ranks).map(|(way, rank)| (way.names().join(", "), json!(rank))).collect();
    json!({
        "query": answer.query.id, "garment": answer.query.garment, "region": answer.query.region,
        "given": detection(&answer.seen.given), "detected": answer.seen.found.as_ref().map(detection), "ranks": ranks,
    })
}

/// The share of queries found within the first k, for the mirror's own head.
fn chart(tallies: &[(Way, Tally)]) -> Chart {
    let curves = tallies.iter().filter(|(way, _)| way.head == Head::Aggregation).map(|(way, tally)| {
        let names = way.names();
        Curve::of_ranks(format!("{} boxes, {}", names[0], names[2]), tally, 50)
    });
    Chart { title: "Found among the first k".into(), across: "k".into(), curves: curves.collect() }
}
