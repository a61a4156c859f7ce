//! The match stage: searches the catalogue for every query, and takes over a new catalogue between two queries.

use super::stage::{StageContext, StageEnd};
use crate::drop_oldest::Taken;
use crate::fault::Result;
use crate::live::Links;
use crate::metrics::StageTimes;
use crate::pipeline::matcher::Matcher;
use crate::pipeline::track_matches::{self, MatchesByTrack};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_millis(200);
/// How often it is checked whether another process has changed the catalogue's file.
const CHECK: Duration = Duration::from_secs(2);
/// Tracks whose matches are kept: the newest.
const KEPT: usize = 32;

/// Runs until it is cancelled.
pub fn run(context: &StageContext, mut matcher: Matcher) -> Result<StageEnd> {
    let links = &context.links;
    let mut matches = Arc::new(MatchesByTrack::new());
    let mut version = matcher.data_version().ok();
    let mut checked = links.clock.now();
    links.status.products.set(matcher.products() as u64);
    while !context.is_cancelled() {
        context.heartbeat();
        if let Some(new) = links.matchers.take_now() {
            matcher = new;
            version = matcher.data_version().ok();
            links.status.products.set(matcher.products() as u64);
            // Matches of the old catalogue may not be for sale any more.
            matches = Arc::default();
            publish(links, &matches);
        }
        match links.queries.take(PATIENCE) {
            Taken::Value(query) => {
                let mut times = StageTimes::default();
                let most = links.pipeline().matches_per_garment;
                let by_track = Arc::make_mut(&mut matches);
                track_matches::update(by_track, &query, &mut matcher, most, &mut times);
                forget(by_track);
                publish(links, &matches);
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
    Ok(StageEnd::Cancelled)
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

fn publish(links: &Links, matches: &Arc<MatchesByTrack>) {
    links.status.newest_matches.set(matches.clone());
    links.matches.put(matches.clone());
}

fn forget(matches: &mut MatchesByTrack) {
    while matches.len() > KEPT {
        matches.pop_first();
    }
}
