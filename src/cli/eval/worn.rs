//! `eval --data --worn`: what it brings to wear the products before the mirror.

use super::{EvalArgs, report, write_json};
use crate::cli::progress::Progress;
use crate::cli::table::{Table, print};
use crate::evaluation::Tally;
use crate::evaluation::annotations::read;
use crate::evaluation::cached_recognizer::CachedRecognizer;
use crate::evaluation::clips::RunEvent;
use crate::evaluation::worn::{self, WornFigures, WornResults, WornRun};
use crate::fault::Result;
use serde_json::{Value, json};
use std::path::Path;

/// Offsets that are compared with the model's.
const OFFSETS: [f32; 17] =
    [0.0, -0.5, -1.0, -1.5, -2.0, -2.5, -3.0, -3.5, -4.0, -4.5, -5.0, -6.0, -7.0, -8.0, -10.0, -12.0, -16.0];

pub fn run(args: &EvalArgs, root: &Path, annotations: &Path, recognizer: &mut CachedRecognizer) -> Result<()> {
    let products = read(annotations)?;
    let own = recognizer.manifest().aggregation.worn_offset;
    let offsets: Vec<f32> = [own].into_iter().chain(OFFSETS.into_iter().filter(|offset| *offset != own)).collect();
    let noise = args.noise.noise();
    let asked = WornRun { root, products: &products, noise, seed: args.seed, offsets: &offsets };
    let progress = Progress::new(2 * products.len() as u64, "pictures and clips");
    let results = worn::run(&asked, recognizer, |event| match event {
        RunEvent::Step => progress.step(),
        RunEvent::LeftOut(why) => progress.say(why),
    })?;
    progress.finish();
    print(&text(&asked, &results, &recognizer.manifest().name))?;
    write_json(&args.json, &as_json(&asked, &results, &recognizer.manifest().descriptor_hash))
}

fn text(asked: &WornRun, results: &WornResults, model: &str) -> String {
    let mut text = format!(
        "model {model}; {} queries, gallery of {} products, noise {}, seed {}; intervals are 95 %\n{} products without two clips or \
         unseen in one are no queries\n\nworn views count {:+.1}\n",
        results.queries,
        results.products,
        asked.noise.name(),
        asked.seed,
        results.left_out.len(),
        asked.offsets[0]
    );
    let mut table = Table::new(&["worn views of", ">each", ">top-1", ">top-5", ">top-1 with", ">top-1 without"]);
    let own = |one: &&WornFigures| one.count == 0 || one.offset == asked.offsets[0];
    for one in results.figures.iter().filter(own) {
        table.row([
            one.enrolled.name().to_owned(),
            one.count.to_string(),
            report::share(&one.all.top(1)),
            report::share(&one.all.top(5)),
            some(&one.with),
            some(&one.without),
        ]);
    }
    text += &table.render();
    text += "\n\ntop-1 by what is added to a worn view's logit\n";
    let mut table =
        Table::new(&[">added", "worn views of", ">1 each", ">3 each", ">8 each", ">8: with", ">8: without"]);
    for offset in asked.offsets {
        let of_offset: Vec<&WornFigures> =
            results.figures.iter().filter(|one| one.offset == *offset && one.count > 0).collect();
        for three in of_offset.chunks(worn::COUNTS.len()) {
            let mut cells = vec![format!("{offset:+.1}"), three[0].enrolled.name().to_owned()];
            cells.extend(three.iter().map(|one| format!("{:.3}", one.all.top(1).share)));
            let last = three[three.len() - 1];
            cells.extend([&last.with, &last.without].map(|tally| match tally.queries() {
                0 => "-".to_owned(),
                _ => format!("{:.3}", tally.top(1).share),
            }));
            table.row(cells);
        }
    }
    text += &table.render();
    text += "\n\nwhat is added chosen by one half of the queries, measured with the other, 8 worn views each\n";
    let mut table = Table::new(&[">added", ">half of the products: top-1", ">top-5", ">all products: top-1", ">top-5"]);
    for one in &results.held_out {
        let figures = [one.half.top(1), one.half.top(5), one.all.top(1), one.all.top(5)];
        table.row(std::iter::once(format!("{:+.1}", one.offset)).chain(figures.iter().map(report::share)));
    }
    text + &table.render()
}

fn some(tally: &Tally) -> String {
    if tally.queries() == 0 { "-".into() } else { report::share(&tally.top(1)) }
}

fn as_json(asked: &WornRun, results: &WornResults, descriptor_hash: &str) -> Value {
    let figures = results.figures.iter().map(|one| {
        json!({
            "worn_views_of": one.enrolled.name(), "each": one.count, "offset": one.offset,
            "all": report::tally_json(&one.all), "with": report::tally_json(&one.with), "without": report::tally_json(&one.without),
        })
    });
    json!({
        "kind": "worn", "descriptor_hash": descriptor_hash, "seed": asked.seed, "noise": asked.noise.name(),
        "products": results.products, "queries": results.queries, "left_out": results.left_out,
        "figures": figures.collect::<Vec<_>>(),
        "held_out": results.held_out.iter().map(|one| json!({
            "offset": one.offset, "half": report::tally_json(&one.half), "all": report::tally_json(&one.all),
        })).collect::<Vec<_>>(),
    })
}
