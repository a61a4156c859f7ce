//! Whether the mirror gets on: a frame that came must become pixels, and no stage may stand still. Pure, so that days of it can be
//! tested in a moment.

use super::Links;
use super::stage::Stage;
use std::time::Duration;

/// The signs of life at one moment. All times are the program's clock.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    pub now: Duration,
    /// When each running stage last got on; `None`: it does not run.
    pub beats: [Option<Duration>; Stage::ALL.len()],
    /// Since when a frame has been waiting to be shown.
    pub unshown_since: Option<Duration>,
    /// When the panel was last given a picture.
    pub last_present: Option<Duration>,
}

impl Pulse {
    /// The signs of life of the stages that run.
    pub fn feel(links: &Links, runs: impl Fn(Stage) -> bool) -> Self {
        Pulse {
            // Before the beats: what beats in between is not in the future.
            now: links.clock.now(),
            beats: Stage::ALL.map(|stage| runs(stage).then(|| links.status.last_beat(stage))),
            unshown_since: links.status.unshown_since(),
            last_present: links.status.last_present(),
        }
    }

    /// The stage that has not got on for longer than `limit`, if one has not. Where several stand still, the first in the way
    /// of a frame holds up the others.
    pub fn stalled(&self, limit: Duration) -> Option<Stage> {
        let old = |then: Duration| self.now.saturating_sub(then) > limit;
        let still = Stage::ALL.into_iter().find(|stage| self.beats[*stage as usize].is_some_and(old));
        still.or_else(|| self.unshown_since.filter(|since| old(*since)).map(|_| Stage::Show))
    }

    /// Whether frames become pixels, or, while there are none, the screen says so. This and nothing less feeds the system's
    /// watchdog.
    pub fn progresses(&self, limit: Duration) -> bool {
        let recent = |then: Duration| self.now.saturating_sub(then) <= limit;
        self.last_present.is_some_and(recent) && self.unshown_since.is_none_or(recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(15);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn well() -> Pulse {
        Pulse { now: at(100), beats: [Some(at(99)); 4], unshown_since: None, last_present: Some(at(99)) }
    }

    #[test]
    fn all_is_well_even_without_a_camera() {
        assert_eq!(well().stalled(LIMIT), None);
        assert!(well().progresses(LIMIT));
    }

    #[test]
    fn the_stage_that_stands_still_is_named() {
        for stage in Stage::ALL {
            let mut pulse = well();
            pulse.beats[stage as usize] = Some(at(80));
            assert_eq!(pulse.stalled(LIMIT), Some(stage));
            assert_eq!(pulse.stalled(at(30)), None);
            pulse.beats[stage as usize] = None;
            assert_eq!(pulse.stalled(LIMIT), None, "a stage that does not run is not stuck");
        }
        let mut pulse = well();
        pulse.beats = [Some(at(99)), Some(at(10)), Some(at(10)), Some(at(99))];
        assert_eq!(pulse.stalled(LIMIT), Some(Stage::Look));
    }

    #[test]
    fn frames_that_never_become_pixels_are_the_screens_fault_though_every_stage_is_alive() {
        let pulse = Pulse { unshown_since: Some(at(80)), ..well() };
        assert_eq!(pulse.stalled(LIMIT), Some(Stage::Show));
        assert!(!pulse.progresses(LIMIT));
    }

    #[test]
    fn a_screen_that_is_never_drawn_is_no_progress() {
        assert!(!Pulse { last_present: None, ..well() }.progresses(LIMIT));
        assert!(!Pulse { last_present: Some(at(80)), ..well() }.progresses(LIMIT));
    }
}
