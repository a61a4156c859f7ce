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
const CHECK: Duration = Duration::from_secs(1);
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
            let before = version;
            version = matcher.data_version().ok().or(before);
            if version != before {
                take_over(links, &mut matcher, &mut matches);
            }
        }
    }
    Ok(StageEnd::Cancelled)
}

/// Another process has changed the catalogue's file. Prices and stock are taken over at once, also for what is on the screen; for
/// another generation the catalogue is to be loaded anew.
fn take_over(links: &Links, matcher: &mut Matcher, matches: &mut Arc<MatchesByTrack>) {
    match matcher.refresh() {
        Ok(true) => {
            let all = Arc::make_mut(matches).values_mut().flat_map(|one| &mut one.matches);
            if all.fold(false, |changed, found| matcher.renew(found) | changed) {
                publish(links, matches);
            }
        }
        Ok(false) => {
            links.status.catalogue_changed.set(true);
        }
        // Locked or gone for the moment: what is in memory serves on, until the next change.
        Err(fault) => {
            log::warn!("{fault}");
            links.status.catalogue_changed.set(true);
        }
    }
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
