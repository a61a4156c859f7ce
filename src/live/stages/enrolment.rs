//! The part of the recognize stage that enrols: it watches the tracked garments when staff has asked for that and whoever wears them
//! agreed.

use crate::frame::Frame;
use crate::live::Links;
use crate::live::enrol_desk::{ChosenViews, EnrolOrder, EnrolPhase, EnrolState};
use crate::network::Manifest;
use crate::pipeline::enrol::{EnrolSession, EnrolSettings, EnrolTarget, ViewsTaken};
use crate::pipeline::tracking::TrackingStage;
use std::time::Duration;

/// A yes is waited for so long.
const ASKING: Duration = Duration::from_secs(60);

/// The enrolment of a recognize stage, if there is one.
#[derive(Default)]
pub struct StageEnrolment {
    asked: Option<Asked>,
    session: Option<EnrolSession>,
}

/// Products that staff named; nobody has agreed yet.
struct Asked {
    targets: Vec<EnrolTarget>,
    since: Duration,
}

impl StageEnrolment {
    /// Carries out what staff asked for. Called often, also while there are no frames.
    pub fn obey(&mut self, links: &Links, manifest: &Manifest) {
        let now = links.clock.now();
        while let Some(order) = links.enrol.orders.take_now() {
            match order {
                EnrolOrder::Ask(targets) => {
                    self.session = None;
                    self.asked = Some(Asked { targets, since: now });
                }
                EnrolOrder::Agree => {
                    if let Some(asked) = self.asked.take() {
                        let session = EnrolSession::new(asked.targets, manifest, EnrolSettings::default());
                        self.session = Some(session);
                        self.publish(links, EnrolPhase::Countdown, EnrolSettings::default().countdown);
                    }
                }
                EnrolOrder::NextRegion(at) => self.next_region(links, at),
                EnrolOrder::Cancel => self.end(links, manifest, "cancelled: nothing was kept"),
            }
        }
        let Some(asked) = &self.asked else { return };
        let left = ASKING.saturating_sub(now.saturating_sub(asked.since));
        if left.is_zero() {
            return self.end(links, manifest, "nobody agreed within a minute: nothing was kept");
        }
        let waiting = EnrolSession::new(asked.targets.clone(), manifest, EnrolSettings::default());
        links.enrol.state.set(EnrolState {
            phase: EnrolPhase::Asking,
            garments: waiting.progress(),
            seconds_left: seconds(left),
            ..EnrolState::default()
        });
    }

    /// Takes in a frame that was tracked.
    pub fn observe(&mut self, links: &Links, frame: &Frame, tracking: &TrackingStage) {
        let Some(session) = &mut self.session else { return };
        session.observe(frame, tracking.tracks());
        let (countdown, left) = (session.countdown(), session.left());
        if !session.is_over() {
            let (phase, left) =
                if countdown.is_zero() { (EnrolPhase::Watching, left) } else { (EnrolPhase::Countdown, countdown) };
            return self.publish(links, phase, left);
        }
        let products = session.chosen();
        if products.iter().all(|product| product.views.is_empty()) {
            let words = "no good view was seen: stand so that the whole garment is in the picture, in good light";
            return self.end(links, tracking.manifest(), words);
        }
        self.publish(links, EnrolPhase::Storing, Duration::ZERO);
        links.enrol.chosen.put(ChosenViews { products, garments: session_progress(&self.session) });
        self.session = None;
    }

    /// Another part of the body is meant. Once views are taken the garment is settled.
    fn next_region(&mut self, links: &Links, at: usize) {
        if let Some(asked) = &mut self.asked {
            EnrolTarget::next_region(&mut asked.targets.iter_mut().collect::<Vec<_>>(), at);
        } else if let Some(session) = &mut self.session
            && session.next_region(at)
        {
            let left = session.countdown();
            self.publish(links, EnrolPhase::Countdown, left);
        }
    }

    fn publish(&self, links: &Links, phase: EnrolPhase, left: Duration) {
        let garments = session_progress(&self.session);
        links.enrol.state.set(EnrolState { phase, garments, seconds_left: seconds(left), ..EnrolState::default() });
    }

    fn end(&mut self, links: &Links, manifest: &Manifest, words: &str) {
        let waiting =
            self.asked.take().map(|asked| EnrolSession::new(asked.targets, manifest, EnrolSettings::default()));
        let Some(ended) = self.session.take().or(waiting) else { return };
        links.enrol.state.set(EnrolState::failed(ended.progress(), words));
    }
}

fn session_progress(session: &Option<EnrolSession>) -> Vec<ViewsTaken> {
    session.as_ref().map(EnrolSession::progress).unwrap_or_default()
}

/// Whole seconds, the begun one counted.
fn seconds(left: Duration) -> u64 {
    left.as_millis().div_ceil(1000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::config::Config;
    use crate::seam::Region;
    use std::path::Path;
    use std::sync::Arc;

    #[test]
    fn another_part_of_the_body_is_meant_from_the_question_to_the_end_of_the_countdown() {
        let manifest = Manifest::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact")).unwrap();
        let links = Links::new(&Config::default().live(Path::new("model")), Arc::new(SimulatedClock::default()));
        let mut stage = StageEnrolment::default();
        let mut after = |order: EnrolOrder| {
            links.enrol.orders.put(order);
            stage.obey(&links, &manifest);
            let state = links.enrol.state.get();
            (state.phase, state.garments.iter().map(|garment| garment.region).collect::<Vec<_>>())
        };
        let target = |id: &str, region| EnrolTarget { id: id.into(), title: id.into(), region };
        let (upper, lower, dress) = (Some(Region::Upper), Some(Region::Lower), Some(Region::Dress));
        let asked = vec![target("jeans", lower), target("shirt", upper)];
        assert_eq!(after(EnrolOrder::Ask(asked)), (EnrolPhase::Asking, vec![lower, upper]));
        assert_eq!(after(EnrolOrder::NextRegion(1)), (EnrolPhase::Asking, vec![upper, lower]));
        assert_eq!(after(EnrolOrder::NextRegion(1)), (EnrolPhase::Asking, vec![lower, dress]));
        assert_eq!(after(EnrolOrder::NextRegion(2)), (EnrolPhase::Asking, vec![lower, dress]), "there is none");
        assert_eq!(after(EnrolOrder::Agree), (EnrolPhase::Countdown, vec![lower, dress]));
        assert_eq!(after(EnrolOrder::NextRegion(1)), (EnrolPhase::Countdown, vec![lower, upper]));
    }
}
