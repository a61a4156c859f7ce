//! The match stage: asks the catalogue, and takes a new catalogue over between two questions.

use super::stage::{End, Life};
use crate::drop_oldest::Taken;
use crate::fault::Result;
use crate::live::Links;
use crate::metrics::StageTimes;
use crate::pipeline::matcher::Matcher;
use crate::pipeline::sequential::{Answers, answer};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_millis(200);
/// How often the catalogue's file is asked whether somebody has changed it.
const CHECK: Duration = Duration::from_secs(2);
/// Answers that are kept: those of the newest tracks.
const KEPT: usize = 32;

/// Runs until it is told to end.
pub fn run(life: &Life, mut matcher: Matcher) -> Result<End> {
    let links = &life.links;
    let mut answers = Arc::new(Answers::new());
    let mut version = matcher.data_version().ok();
    let mut checked = links.clock.now();
    links.status.products.set(matcher.products() as u64);
    while !life.is_over() {
        life.beat();
        if let Some(new) = links.matchers.take_now() {
            matcher = new;
            version = matcher.data_version().ok();
            links.status.products.set(matcher.products() as u64);
            // What the old catalogue answered may not be for sale any more.
            answers = Arc::default();
            publish(links, &answers);
        }
        match links.queries.take(PATIENCE) {
            Taken::Value(query) => {
                let mut times = StageTimes::default();
                let top = links.core().top;
                answer(Arc::make_mut(&mut answers), &query, &mut matcher, top, &mut times);
                forget(Arc::make_mut(&mut answers));
                publish(links, &answers);
                links.status.answers.count();
                times.add("capture to match", links.clock.now().saturating_sub(query.meta.captured));
                links.status.stages.merge(&times);
            }
            Taken::Nothing => {}
            Taken::Closed => break,
        }
        let now = links.clock.now();
        if now.saturating_sub(checked) >= CHECK {
            checked = now;
            version = changed(links, &matcher, version);
        }
    }
    Ok(End::Told)
}

/// A change of the file by another process, an import say, asks for it to be loaded anew. The file's version now.
fn changed(links: &Links, matcher: &Matcher, before: Option<i64>) -> Option<i64> {
    // Locked or gone for the moment: what is in memory serves on.
    let Ok(version) = matcher.data_version() else { return before };
    if before != Some(version) {
        links.status.catalogue_changed.set(true);
    }
    Some(version)
}

fn publish(links: &Links, answers: &Arc<Answers>) {
    links.status.newest_answers.set(answers.clone());
    links.answers.put(answers.clone());
}

fn forget(answers: &mut Answers) {
    while answers.len() > KEPT {
        answers.pop_first();
    }
}
