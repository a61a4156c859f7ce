//! `eval --data`: clips of people against the shop, SEAM beside the published baselines.

use super::clips_errors;
use super::clips_report::{as_json, charts, text};
use super::{EvalArgs, sheet, write, write_json, write_plot};
use crate::cli::progress::Progress;
use crate::cli::table::print;
use crate::evaluation::annotations::read;
use crate::evaluation::cached_recognizer::CachedRecognizer;
use crate::evaluation::clips::{self, ClipsRun, RunEvent};
use crate::fault::Result;
use crate::pipeline::settings::PipelineSettings;
use std::path::Path;

pub fn run(args: &EvalArgs, root: &Path, annotations: &Path, recognizer: &mut CachedRecognizer) -> Result<()> {
    let products = read(annotations)?;
    let shown = PipelineSettings::default().max_garments;
    let asked = ClipsRun { root, products: &products, noise: args.noise.noise(), seed: args.seed, shown };
    let progress = Progress::new(2 * products.len() as u64, "pictures and clips");
    let results = clips::run(asked, recognizer, |event| match event {
        RunEvent::Step => progress.step(),
        RunEvent::LeftOut(why) => progress.say(why),
    })?;
    progress.finish();
    if let Some(path) = &args.errors {
        let rows = clips_errors::rows(&results.ranked, &products, root, &recognizer.manifest().classes)?;
        write(path, &sheet::draw(&rows)?.encode_png()?)?;
    }
    let manifest = recognizer.manifest();
    print(&text(&asked, args.windows, &results, manifest))?;
    write_json(&args.json, &as_json(&asked, args.windows, &results, manifest))?;
    write_plot(&args.plot, &charts(&results))
}
