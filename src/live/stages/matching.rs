//! The match stage: searches the catalogue for every query; adopts a new catalogue between two queries.

use super::stage::StageContext;
use crate::capture::camera::shown;
use crate::catalogue::UnfinishedImport;
use crate::drop_oldest::Taken;
use crate::fault::{Fault, Result};
use crate::live::Links;
use crate::live::control::{StageEnd, StageMessage};
use crate::live::enrol_desk::{ChosenViews, EnrolPhase, EnrolState};
use crate::metrics::StageTimes;
use crate::pipeline::enrol::doubt::doubts;
use crate::pipeline::matcher::Matcher;
use crate::pipeline::track_matches::{self, MatchesByTrack, TrackMatches};
use crate::pipeline::tracking::GarmentQuery;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_millis(200);
/// Interval at which the catalogue's file is checked for changes by another process.
const CHECK: Duration = Duration::from_secs(1);
/// Matches are dropped this long after their frame: the track is over, or no longer prominent.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// Maximum number of tracks with matches; the most recent are kept.
const KEPT: usize = 32;

/// Runs until cancelled.
pub fn run(context: &StageContext, mut matcher: Matcher) -> Result<StageEnd> {
    let links = &context.links;
    let mut matches = Arc::new(MatchesByTrack::new());
    // Generation of the current tracker. Matches of earlier generations are dropped.
    let mut generation = 0;
    publish(links, &matches);
    let mut checked = links.clock.now();
    links.status.products.set(matcher.products() as u64);
    links.enrol.regions.set(matcher.regions().to_vec());
    while !context.is_cancelled() {
        context.heartbeat();
        if let Some(new) = links.matchers.take_now() {
            matcher = new;
            links.status.products.set(matcher.products() as u64);
            // Products of the old catalogue may no longer be on sale.
            matches = Arc::default();
            publish(links, &matches);
        }
        if let Some(chosen) = links.enrol.chosen.take_now() {
            enrol(context, &mut matcher, chosen);
        }
        match links.queries.take(PATIENCE) {
            Taken::Value(query) if query.track.generation < generation => {}
            Taken::Value(query) => {
                generation = query.track.generation;
                let mut times = StageTimes::default();
                let most = links.pipeline().matches_per_garment;
                let by_track = Arc::make_mut(&mut matches);
                track_matches::update(by_track, &query, &mut matcher, most, &mut times);
                forget(by_track, generation, links.clock.now());
                publish(links, &matches);
                links.status.answers.count();
                times.add("capture to match", links.clock.now().saturating_sub(query.meta.captured));
                links.status.stages.merge(&times);
                remember(links, &matches, query, &matcher);
            }
            Taken::Nothing => {}
            Taken::Closed => break,
        }
        let now = links.clock.now();
        if now.saturating_sub(checked) >= CHECK {
            checked = now;
            links.answers.forget_old(now);
            links.control.set_importing(UnfinishedImport::is_active(&links.catalogue()));
            match matcher.catalogue_has_changed() {
                Ok(changed) => {
                    links.status.catalogue_fault.set(None);
                    if changed {
                        take_over(context, &mut matcher, &mut matches);
                    }
                }
                Err(fault) => report_once(links, &fault),
            }
            links.status.catalogue_checks.count();
            if matches.values().any(|found| is_old(found, now)) {
                forget(Arc::make_mut(&mut matches), generation, now);
                publish(links, &matches);
            }
        }
    }
    Ok(StageEnd::Cancelled)
}

/// Another process has changed the catalogue's file. New prices and stock apply immediately, also to matches on the
/// screen; a new catalogue generation triggers a reload.
fn take_over(context: &StageContext, matcher: &mut Matcher, matches: &mut Arc<MatchesByTrack>) {
    match matcher.refresh() {
        Ok(true) => {
            let all = Arc::make_mut(matches).values_mut().flat_map(|one| &mut one.matches);
            if all.fold(false, |changed, found| matcher.renew(found) | changed) {
                publish(&context.links, matches);
            }
        }
        Ok(false) => context.send(StageMessage::CatalogueChanged),
        // The file is locked or damaged: keep serving from memory until the next change.
        Err(fault) => {
            log::warn!("{fault}");
            context.send(StageMessage::CatalogueChanged);
        }
    }
}

/// The catalogue's file is gone, or its folder: a reason that the mirror is not well, and a line in the log when it begins.
fn report_once(links: &Links, fault: &Fault) {
    if links.status.catalogue_fault.set(Some(fault.to_string())).is_none() {
        log::warn!("{fault}");
    }
}

/// Stores the views of an enrolment and triggers a reload of the catalogue.
fn enrol(context: &StageContext, matcher: &mut Matcher, chosen: ChosenViews) {
    let links = &context.links;
    let camera = shown(&links.camera().source);
    let doubts = doubts(matcher, &chosen.products);
    let state = match matcher.enrol(&camera, &chosen.products) {
        Ok(enrolment) => {
            let words = format!("enrolment {}: {}", enrolment.number, enrolment.views_text());
            let words = doubts.into_iter().fold(words, |words, doubt| format!("{words}; {doubt}"));
            log::info!("{words}");
            context.send(StageMessage::CatalogueChanged);
            EnrolState {
                phase: EnrolPhase::Done,
                garments: chosen.garments,
                seconds_left: 0,
                number: Some(enrolment.number),
                words: Some(words),
            }
        }
        Err(fault) => {
            log::warn!("nothing was enrolled: {fault}");
            EnrolState::failed(chosen.garments, fault.to_string())
        }
    };
    links.enrol.state.set(state);
}

/// Keeps the current matches of a query's track, for staff to judge.
fn remember(links: &Links, matches: &MatchesByTrack, query: GarmentQuery, matcher: &Matcher) {
    let Some(found) = matches.get(&query.track) else { return };
    let region = matcher.regions().get(found.class).copied().flatten();
    links.answers.remember(query, links.clock.now(), found, region, &matcher.model().descriptor_hash);
}

fn publish(links: &Links, matches: &Arc<MatchesByTrack>) {
    links.status.newest_matches.set(matches.clone());
    links.matches.put(matches.clone());
}

/// Drops old matches, and those of trackers before `generation`. If more than [`KEPT`] tracks remain, drops those with the oldest matches.
fn forget(matches: &mut MatchesByTrack, generation: u32, now: Duration) {
    matches.retain(|track, found| track.generation == generation && !is_old(found, now));
    while matches.len() > KEPT {
        let oldest = matches.iter().min_by_key(|(_, found)| found.since).map(|(track, _)| *track);
        oldest.map(|track| matches.remove(&track));
    }
}

fn is_old(found: &TrackMatches, now: Duration) -> bool {
    now.saturating_sub(found.since) > KEPT_FOR
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::TrackId;

    /// The promise of docs/http-api.md, with a screen of ten pictures a second. tests/updates.rs counts the checks.
    #[test]
    fn what_changed_is_shown_within_two_seconds() {
        let tick = Duration::from_millis(100);
        assert!(CHECK + PATIENCE + tick < Duration::from_secs(2));
    }

    fn matches_of(ids: impl IntoIterator<Item = (u32, u64, u64)>) -> MatchesByTrack {
        let found = |seconds| TrackMatches {
            since: Duration::from_secs(seconds),
            class: 0,
            label: String::new(),
            queries: 1,
            detection_score: 1.0,
            matches: Vec::new(),
            accepted: 0,
        };
        ids.into_iter().map(|(generation, number, since)| (TrackId { generation, number }, found(since))).collect()
    }

    #[test]
    fn the_oldest_matches_are_forgotten_whatever_their_numbers() {
        let id = |number| TrackId { generation: 1, number };
        // The track with the lowest number has the newest matches, the one with the highest the oldest.
        let mut matches = matches_of((0..40).map(|n| (1, 1000 + n, 100 + n)).chain([(1, 0, 141), (1, 5000, 99)]));
        forget(&mut matches, 1, Duration::from_secs(129));
        assert_eq!(matches.len(), KEPT);
        assert!(matches.contains_key(&id(0)) && matches.contains_key(&id(1039)));
        assert!(!matches.contains_key(&id(5000)) && !matches.contains_key(&id(1000)));
        forget(&mut matches, 1, Duration::from_secs(141) + KEPT_FOR);
        assert_eq!(matches.keys().collect::<Vec<_>>(), [&id(0)]);
    }

    #[test]
    fn matches_of_an_ended_tracker_are_dropped() {
        let mut matches = matches_of([(1, 7, 100), (2, 7, 100), (2, 8, 100)]);
        forget(&mut matches, 2, Duration::from_secs(101));
        assert!(matches.len() == 2 && matches.keys().all(|track| track.generation == 2), "{matches:?}");
    }
}
