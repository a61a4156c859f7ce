//! `eval --tracks`: whether the garments of clips stay one track each.

use super::{EvalArgs, report, write_json};
use crate::cli::progress::Progress;
use crate::cli::table::{Table, print};
use crate::evaluation::clips::RunEvent;
use crate::evaluation::tracks::{self, TrackCounts};
use crate::fault::Result;
use crate::pipeline::recognizer::Recognizer;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub fn run(args: &EvalArgs, table: &Path, recognizer: &mut Recognizer) -> Result<()> {
    let folder = args.clips.as_deref().or(table.parent()).unwrap_or(Path::new(""));
    let clips = tracks::read_clips(table, folder)?;
    let progress = Progress::new(clips.len() as u64, "clips");
    let results = tracks::run(&clips, recognizer, |event| match event {
        RunEvent::Step => progress.step(),
        RunEvent::LeftOut(why) => progress.say(why),
    })?;
    progress.finish();
    let mut all = TrackCounts::default();
    results.iter().for_each(|(_, counts)| all.add(counts));
    print(&text(&results, &all))?;
    write_json(&args.json, &as_json(&results, &all, &recognizer.manifest().descriptor_hash))
}

fn text(results: &[(PathBuf, TrackCounts)], all: &TrackCounts) -> String {
    let header = ["clip", ">garments", ">tracks", ">boxes", ">found", ">IDF1", ">switches", ">fragments"];
    let mut table = Table::new(&header);
    let named = results.iter().map(|(file, counts)| (file.file_name().unwrap_or_default().to_string_lossy(), counts));
    for (name, counts) in named.chain([("all".into(), all)]) {
        table.row([
            name.into_owned(),
            counts.garments.to_string(),
            counts.tracks.to_string(),
            counts.wanted.to_string(),
            report::share(&counts.recall()),
            format!("{:.2}", counts.idf1()),
            counts.switches.to_string(),
            counts.fragments.to_string(),
        ]);
    }
    table.render()
}

fn as_json(results: &[(PathBuf, TrackCounts)], all: &TrackCounts, descriptor_hash: &str) -> Value {
    let figures = |counts: &TrackCounts| {
        json!({
            "garments": counts.garments, "tracks": counts.tracks, "boxes": counts.wanted, "boxes_of_tracks": counts.seen,
            "found": report::share_json(&counts.recall()), "idf1": counts.idf1(), "switches": counts.switches,
            "fragments": counts.fragments,
        })
    };
    let clips =
        results.iter().map(|(file, counts)| json!({ "clip": file.display().to_string(), "figures": figures(counts) }));
    json!({
        "kind": "tracks", "descriptor_hash": descriptor_hash, "all": figures(all), "clips": clips.collect::<Vec<_>>(),
    })
}
