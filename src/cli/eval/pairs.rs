//! `eval --pairs`: still pictures with boxes against a shop's photos.

use super::plot::{Chart, Curve};
use super::sheet::{self, Cell, SheetRow, best, cut};
use super::{By, EvalArgs, report, write, write_json, write_plot};
use crate::capture::read_picture;
use crate::cli::progress::Progress;
use crate::cli::table::{Table, print};
use crate::evaluation::Tally;
use crate::evaluation::cached_recognizer::{CachedRecognizer, DETECTED_IOU, still};
use crate::evaluation::clips::RunEvent;
use crate::evaluation::pairs::{GalleryRow, by_style, read_gallery, read_queries};
use crate::evaluation::stills::{self, QueryResult, StillsResults, Way};
use crate::fault::Result;
use crate::frame::Picture;
use crate::geometry::Size;
use crate::network::Manifest;
use crate::pipeline::clip_tracks;
use crate::pipeline::settings::PipelineSettings;
use crate::pipeline::tracking::class_label;
use crate::seam::{Detection, EmbeddingHead, TrackSettings};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

pub fn run(args: &EvalArgs, pairs: &Path, photos: &Path, recognizer: &mut CachedRecognizer) -> Result<()> {
    let mut queries = read_queries(pairs)?;
    let mut photos = read_gallery(photos)?;
    if args.by == By::Style {
        by_style(&mut queries, &mut photos);
    }
    let progress = Progress::new((photos.len() + queries.len()) as u64, "pictures");
    let results = stills::run(&queries, &photos, recognizer, |event| match event {
        RunEvent::Step => progress.step(),
        RunEvent::LeftOut(why) => progress.say(why),
    })?;
    progress.finish();
    let (tallies, manifest) = (results.tallies(), recognizer.manifest());
    print(&text(&results, &tallies, manifest))?;
    write_json(&args.json, &as_json(&results, &tallies, manifest))?;
    if let Some(path) = &args.errors {
        let rows = errors(&results, &first_photos(&photos), manifest)?;
        write(path, &sheet::draw(&rows)?.encode_png()?)?;
    }
    write_plot(&args.plot, &[chart(&tallies)])
}

/// Percent of strangers that may be called likely: what a mirror promises where nothing else is said.
fn false_accept() -> u32 {
    PipelineSettings::default().false_accept
}

/// The least scores that are reported: of `vetrina match`, and of a mirror, which begins a track from it on.
fn scores() -> [f32; 2] {
    [clip_tracks::BEGIN_SCORE, TrackSettings::default().begin]
}

/// The garments' first photos.
fn first_photos(photos: &[GalleryRow]) -> BTreeMap<&str, &Path> {
    photos.iter().rev().map(|photo| (photo.garment.as_str(), photo.file.as_path())).collect()
}

/// A row for each query that is not first in its given box: what is worn, the right product, the products before all others.
/// Worst first.
fn errors(results: &StillsResults, photos: &BTreeMap<&str, &Path>, manifest: &Manifest) -> Result<Vec<SheetRow>> {
    let gallery = &results.gallery;
    let place = Way::all().iter().position(|way| way.given && !way.regions && way.head == EmbeddingHead::Aggregation);
    let rank = |result: &QueryResult| place.and_then(|place| result.ranks[place]).unwrap_or(usize::MAX);
    let mut wrong: Vec<&QueryResult> = results.queries.iter().filter(|result| rank(result) > 1).collect();
    wrong.sort_by_key(|result| std::cmp::Reverse(rank(result)));
    let names: BTreeMap<usize, &str> = gallery.garments.iter().map(|(name, &number)| (number, name.as_str())).collect();
    let photo = |name: &str| {
        photos.get(name).map_or_else(|| Ok(Picture::filled(Size::new(1, 1), [0; 3])), |path| read_picture(path))
    };
    let mut rows = Vec::new();
    for result in wrong {
        let query = result.query;
        // The picture is what the given box holds, and so is what stands below it.
        let given = &result.detections.given;
        let words = format!("{} {:.2}", class_label(&manifest.classes, given.class), given.score);
        let mut cells = vec![
            Cell { picture: cut(&still(query)?, query.bounds), words, right: false },
            Cell {
                picture: photo(&query.garment)?,
                words: format!("{}: {}", rank(result), query.garment),
                right: true,
            },
        ];
        let logits = gallery.plain.logits(EmbeddingHead::Aggregation, &result.detections.given.aggregation_embedding);
        for (place, number) in best(&logits).enumerate() {
            let name = names.get(&number).copied().unwrap_or_default();
            let words = format!("{}: {name}", place + 1);
            cells.push(Cell { picture: photo(name)?, words, right: name == query.garment });
        }
        rows.push(cells);
    }
    Ok(rows)
}

fn text(results: &StillsResults, tallies: &[(Way, Tally)], manifest: &Manifest) -> String {
    let (gallery, skipped) = (&results.gallery, &results.left_out);
    let [match_score, mirror_score] = scores();
    let regions = manifest.class_regions();
    let left_out = if skipped.is_empty() { String::new() } else { format!(" ({} left out)", skipped.len()) };
    let rows: Vec<_> = tallies.iter().map(|(way, tally)| (way.names(), tally)).collect();
    format!(
        "model {}; {} queries{left_out}, gallery of {} garments on {} photos ({} taken whole, {} of a detail left out within regions); intervals are 95 %\n\
         detected (IoU >= {DETECTED_IOU}): {}; with a score of {match_score}: {}; of {mirror_score}: {}\n\
         region told rightly: given boxes {}, detected {}\n\
         a query that is not detected counts as not found\n{}\n\n\
         called likely, at most {} % of strangers promised; strangers: garments that the gallery lacks, and all others without \
         their own product\n{}",
        manifest.name,
        results.queries.len(),
        gallery.plain.len(),
        gallery.photos,
        gallery.substitutes,
        gallery.details,
        report::share(&results.detected(0.0)),
        report::share(&results.detected(match_score)),
        report::share(&results.detected(mirror_score)),
        report::share(&results.region_right(&regions, true)),
        report::share(&results.region_right(&regions, false)),
        report::top_k(&["boxes", "head", "products"], &rows),
        false_accept(),
        claims(results, manifest),
    )
}

/// What a mirror would call likely: of how many, how often rightly, and of how many strangers.
fn claims(results: &StillsResults, manifest: &Manifest) -> String {
    let mut table = Table::new(&["boxes", ">known", ">likely", ">rightly", ">strangers", ">likely"]);
    for given in [true, false] {
        let counts = results.claims(manifest, given, false_accept() as f32 / 100.0);
        let boxes = if given { "given" } else { "detected" };
        let (likely, strangers) = (report::share(&counts.claimed()), report::share(&counts.of_strangers()));
        let rightly = if counts.likely == 0 { "-".into() } else { report::share(&counts.rightly()) };
        let (known, all) = (counts.known.to_string(), counts.strangers.to_string());
        table.row([boxes.into(), known, likely, rightly, all, strangers]);
    }
    table.render()
}

fn claims_json(results: &StillsResults, manifest: &Manifest, given: bool) -> Value {
    let counts = results.claims(manifest, given, false_accept() as f32 / 100.0);
    json!({ "boxes": if given { "given" } else { "detected" }, "false_accept": false_accept(), "known": counts.known,
            "likely": counts.likely, "right": counts.right, "strangers": counts.strangers, "likely_strangers": counts.wrong })
}

fn as_json(results: &StillsResults, tallies: &[(Way, Tally)], manifest: &Manifest) -> Value {
    let (gallery, skipped) = (&results.gallery, &results.left_out);
    let [match_score, mirror_score] = scores();
    let regions = manifest.class_regions();
    let rows: Vec<Value> = tallies
        .iter()
        .map(|(way, tally)| {
            let names = way.names();
            json!({ "boxes": names[0], "head": names[1], "region_filter": way.regions,
                    "figures": report::tally_json(tally) })
        })
        .collect();
    let claims = [true, false].map(|given| claims_json(results, manifest, given));
    let per_query: Vec<Value> = results.queries.iter().map(|result| result_json(result, &manifest.classes)).collect();
    json!({
        "kind": "pairs", "model": manifest.name, "descriptor_hash": manifest.descriptor_hash,
        "queries": results.queries.len(), "left_out": skipped,
        "gallery": { "garments": gallery.plain.len(), "photos": gallery.photos, "whole_pictures": gallery.substitutes, "details": gallery.details },
        "detected": report::share_json(&results.detected(0.0)),
        "detected_as_match": report::share_json(&results.detected(match_score)),
        "detected_as_mirror": report::share_json(&results.detected(mirror_score)),
        "region_right_given": report::share_json(&results.region_right(&regions, true)),
        "region_right_detected": report::share_json(&results.region_right(&regions, false)),
        "claims": claims,
        "results": rows, "per_query": per_query,
    })
}

fn result_json(result: &QueryResult, classes: &[String]) -> Value {
    let detection = |detection: &Detection| {
        json!({ "class": classes.get(detection.class), "score": detection.score, "box": detection.bounds.corners(),
                "iou": detection.bounds.iou(&result.query.bounds) })
    };
    let ranks: serde_json::Map<String, Value> =
        Way::all().into_iter().zip(&result.ranks).map(|(way, rank)| (way.names().join(", "), json!(rank))).collect();
    json!({
        "query": result.query.id, "garment": result.query.garment, "region": result.query.region,
        "given": detection(&result.detections.given), "detected": result.detections.found.as_ref().map(detection), "ranks": ranks,
    })
}

/// The share of queries found within the first k, for the mirror's own head.
fn chart(tallies: &[(Way, Tally)]) -> Chart {
    let curves = tallies.iter().filter(|(way, _)| way.head == EmbeddingHead::Aggregation).map(|(way, tally)| {
        let names = way.names();
        Curve::of_ranks(format!("{} boxes, {}", names[0], names[2]), tally, 50)
    });
    Chart { title: "Found among the first k".into(), across: "k".into(), curves: curves.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameMeta;
    use crate::geometry::Rect;
    use crate::pipeline::tracking::new_tracker;
    use crate::seam::Detections;
    use std::time::Duration;

    /// What is reported as found by a mirror is what a mirror begins a track with, and nothing less.
    #[test]
    fn a_mirror_finds_from_the_score_that_is_reported_for_it() {
        let manifest = Manifest::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact")).unwrap();
        let [_, mirror] = scores();
        for (score, tracks) in [(mirror, 1), (mirror - 1e-4, 0)] {
            let mut tracker = new_tracker(0, &manifest);
            let detection = Detection {
                bounds: Rect::new(10.0, 10.0, 50.0, 60.0),
                class: 0,
                score,
                match_embedding: vec![0.0; manifest.matching.weight.len()].into(),
                aggregation_embedding: vec![0.0; manifest.matching.weight.len()].into(),
            };
            let meta = FrameMeta { source: 0, sequence: 0, captured: Duration::ZERO };
            tracker.update(Detections { meta, size: Size::new(200, 100), detections: vec![detection] });
            assert_eq!(tracker.tracks().len(), tracks, "at {score}");
        }
    }
}
