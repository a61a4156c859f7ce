//! What `eval --data` found, as text, as JSON and as curves.

use super::plot::{Chart, Curve};
use super::report;
use crate::cli::table::Table;
use crate::evaluation::clips::{ClipsResults, ClipsRun};
use crate::evaluation::open_set::Rates;
use crate::evaluation::{Method, OpenSet, Share, Tally};
use crate::network::Manifest;
use serde_json::{Value, json};

pub(super) fn text(asked: &ClipsRun, windows: bool, results: &ClipsResults, manifest: &Manifest) -> String {
    let mut text = format!(
        "model {}; {} queries of {} frames, gallery of {} products; noise {}, seed {}; intervals are 95 %",
        manifest.name,
        results.queries,
        manifest.aggregation.frames,
        results.products,
        asked.noise.name(),
        asked.seed
    );
    if !results.left_out.is_empty() {
        text += &format!("\n{} queries left out: their clips cannot be read", results.left_out.len());
    }
    if results.without_truth > 0 {
        text += &format!("\n{} queries have no ground truth: not in the published choice", results.without_truth);
    }
    for figures in &results.figures {
        let queries = figures.tallies[0].1.queries();
        let rows: Vec<_> =
            figures.tallies.iter().map(|(method, tally)| (vec![method.name().to_owned()], tally)).collect();
        text += &format!("\n\n{} ({}, {queries} queries)\n", figures.choice.name(), figures.group);
        text += &report::top_k(&["method"], &rows);
        text += &format!("\nSEAM ahead, top-1, query by query: {}", ahead(&figures.tallies));
    }
    let shown: Vec<_> = results
        .shown
        .iter()
        .filter(|(_, tally)| tally.queries() > 0)
        .map(|(group, tally)| (vec![(*group).to_owned()], tally))
        .collect();
    text += &format!(
        "\n\nany of the first {} garments that a mirror shows, SEAM, products of their regions\n",
        asked.shown
    );
    text += &report::top_k(&["products"], &shown);
    text += &format!(
        "\n\nnot in the gallery? best match by SEAM, published choice, products of the region, {} queries with and without their product\n{}",
        results.open_set.queries(),
        open_set_text(&results.open_set, manifest.open_set.as_ref().map(|open_set| open_set.logit))
    );
    if windows {
        text += &format!("\n\naccuracy against window length\n{}", windows_text(results));
    }
    text
}

/// SEAM against each baseline but the bound: the difference with its interval.
fn ahead(tallies: &[(Method, Tally)]) -> String {
    let Some((_, seam)) = tallies.iter().find(|(method, _)| *method == Method::Seam) else { return String::new() };
    let others = tallies.iter().filter(|(method, _)| !matches!(method, Method::Seam | Method::BestFrame));
    let leads = others.map(|(method, tally)| {
        let [low, lead, high] = seam.lead(tally, 1);
        format!("{lead:+.3} ({low:+.3} to {high:+.3}) of {}", method.name())
    });
    leads.collect::<Vec<_>>().join(", ")
}

/// What is rejected and accepted wrongly at the model's threshold and at others.
fn open_set_text(set: &OpenSet, threshold: Option<f32>) -> String {
    let mut table = Table::new(&[">logit", ">wrongly rejected", ">wrongly accepted", ""]);
    let mut row = |rates: Rates, note: &str| {
        let shares = [rates.wrong_rejections, rates.wrong_acceptances].map(|one| report::share(&one));
        table.row([format!("{:.2}", rates.logit)].into_iter().chain(shares).chain([note.to_owned()]));
    };
    threshold.into_iter().for_each(|logit| row(set.at(logit), "the model's threshold"));
    set.curve().into_iter().for_each(|rates| row(rates, ""));
    table.render()
}

fn windows_text(results: &ClipsResults) -> String {
    let mut table = Table::new(&[">frames", ">SEAM top-1", ">SEAM top-5", ">average descriptor top-1", ">top-5"]);
    for (length, seam, average) in &results.windows {
        let cells = [seam.top(1), seam.top(5), average.top(1), average.top(5)].map(|one: Share| report::share(&one));
        table.row(std::iter::once(length.to_string()).chain(cells));
    }
    table.render()
}

pub(super) fn as_json(asked: &ClipsRun, windows: bool, results: &ClipsResults, manifest: &Manifest) -> Value {
    let figures: Vec<Value> = results
        .figures
        .iter()
        .map(|figures| {
            let seam = figures.tallies.iter().find(|(method, _)| *method == Method::Seam).map(|(_, tally)| tally);
            let methods: Vec<Value> = figures
                .tallies
                .iter()
                .map(|(method, tally)| {
                    let lead = seam.map(|seam| seam.lead(tally, 1));
                    json!({ "method": method.name(), "figures": report::tally_json(tally), "seam_ahead_top_1": lead })
                })
                .collect();
            json!({ "choice": figures.choice.key(), "products": figures.group, "methods": methods })
        })
        .collect();
    let shown: Vec<Value> = results
        .shown
        .iter()
        .map(|(group, tally)| json!({ "products": group, "figures": report::tally_json(tally) }))
        .collect();
    let by_window: Vec<Value> = results
        .windows
        .iter()
        .filter(|_| windows)
        .map(|(length, seam, average)| {
            json!({ "frames": length, "seam": report::tally_json(seam), "average_descriptor": report::tally_json(average) })
        })
        .collect();
    let rates = |rates: Rates| {
        let [rejections, acceptances] =
            [rates.wrong_rejections, rates.wrong_acceptances].map(|one| report::share_json(&one));
        json!({ "logit": rates.logit, "wrong_rejections": rejections, "wrong_acceptances": acceptances })
    };
    let open_set = json!({
        "queries": results.open_set.queries(),
        "threshold": manifest.open_set.as_ref().map(|open_set| rates(results.open_set.at(open_set.logit))),
        "curve": results.open_set.curve().into_iter().map(rates).collect::<Vec<_>>(),
    });
    json!({
        "open_set": open_set,
        "kind": "clips", "model": manifest.name, "descriptor_hash": manifest.descriptor_hash,
        "queries": results.queries, "frames": manifest.aggregation.frames, "gallery": results.products,
        "noise": asked.noise.name(), "seed": asked.seed, "left_out": results.left_out,
        "without_ground_truth": results.without_truth,
        "results": figures, "any_shown": shown, "windows": by_window,
    })
}

/// Top-k of every method, and top-1 against window length.
pub(super) fn charts(results: &ClipsResults) -> Vec<Chart> {
    let mut charts = Vec::new();
    for figures in results.figures.iter().filter(|figures| figures.group == "all") {
        let curves = figures.tallies.iter().map(|(method, tally)| Curve::of_ranks(method.name().into(), tally, 50));
        let title = format!("Found among the first k; {}", figures.choice.name());
        charts.push(Chart { title, across: "k".into(), curves: curves.collect() });
    }
    let points = |of: fn(&(usize, Tally, Tally)) -> Share| {
        results.windows.iter().map(|window| (window.0 as f32, of(window))).collect::<Vec<_>>()
    };
    let curves = vec![
        Curve { name: "SEAM".into(), points: points(|window| window.1.top(1)) },
        Curve { name: "average descriptor".into(), points: points(|window| window.2.top(1)) },
    ];
    charts.push(Chart { title: "Found first, by window length".into(), across: "frames".into(), curves });
    charts
}
