//! Detects missing progress: a captured frame must become pixels, and no stage may stall. Pure, so that days can be
//! tested in a moment.

use crate::live::Links;
use crate::live::control::Stage;
use crate::machine::Thread;
use std::collections::BTreeMap;
use std::time::Duration;

/// Even a starved stage counts as stuck after this many times the limit.
const LONGEST: u32 = 4;

/// Last progress of each stage, read at one moment. Times are on the program's clock.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeats {
    pub now: Duration,
    /// Last heartbeat of each running stage; `None`: not running.
    pub beats: [Option<Duration>; Stage::ALL.len()],
    /// Time since which a frame has been waiting to be shown.
    pub unshown_since: Option<Duration>,
    /// Time when the panel last got a picture.
    pub last_present: Option<Duration>,
}

impl Heartbeats {
    /// Reads the heartbeats of the stages for which `runs` is true.
    pub fn read(links: &Links, runs: impl Fn(Stage) -> bool) -> Self {
        Heartbeats {
            // Read the clock first, so that no heartbeat is in the future.
            now: links.clock.now(),
            beats: Stage::ALL.map(|stage| runs(stage).then(|| links.control.last_heartbeat(stage))),
            unshown_since: links.control.unshown_since(),
            last_present: links.control.last_present(),
        }
    }

    /// The stage without progress for longer than `limit`, if any. If several stall, the first in the order of a
    /// frame's path: it blocks the others.
    pub fn stalled(&self, limit: Duration) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| self.is_stalled(*stage, limit))
    }

    fn is_stalled(&self, stage: Stage, limit: Duration) -> bool {
        let old = |then: Duration| self.now.saturating_sub(then) > limit;
        let unshown = self.unshown_since.filter(|_| stage == Stage::Render);
        self.beats[stage as usize].is_some_and(old) || unshown.is_some_and(old)
    }

    /// Whether frames become pixels, or the screen says why there are none. Only this feeds the system's watchdog.
    pub fn progresses(&self, limit: Duration) -> bool {
        let recent = |then: Duration| self.now.saturating_sub(then) <= limit;
        self.last_present.is_some_and(recent) && self.unshown_since.is_none_or(recent)
    }
}

/// State of the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallVerdict {
    /// All make progress, or it is too early to tell.
    Well,
    /// A stage stalls because other programs use the processor. A restart would not help.
    Starved(Stage),
    /// A stage stalls although it could run.
    Stuck(Stage),
}

/// Distinguishes a stage that waits for the processor from one that hangs.
#[derive(Debug, Default)]
pub struct StallDetector {
    /// For each stalled stage: when that was noticed, and the waiting times of its threads at that moment.
    noticed: BTreeMap<Stage, (Duration, Vec<Thread>)>,
}

impl StallDetector {
    /// Judges the stages. Calls `threads` only if a stage stalls. A stalled stage is observed for at least half of
    /// `limit` first, so that a main thread that was itself starved does not judge by the time it slept.
    pub fn judge(&mut self, pulse: &Heartbeats, limit: Duration, threads: impl Fn() -> Vec<Thread>) -> StallVerdict {
        self.noticed.retain(|stage, _| pulse.is_stalled(*stage, limit / 2));
        for stage in Stage::ALL.into_iter().filter(|stage| pulse.is_stalled(*stage, limit / 2)) {
            self.noticed.entry(stage).or_insert_with(|| (pulse.now, threads()));
        }
        let Some(stage) = pulse.stalled(limit) else { return StallVerdict::Well };
        let Some((since, before)) = self.noticed.get(&stage) else { return StallVerdict::Well };
        let watched = pulse.now.saturating_sub(*since);
        match () {
            _ if watched < limit / 2 => StallVerdict::Well,
            _ if pulse.is_stalled(stage, LONGEST * limit) => StallVerdict::Stuck(stage),
            _ if 2 * waited(stage, before, &threads()) >= watched => StallVerdict::Starved(stage),
            _ => StallVerdict::Stuck(stage),
        }
    }
}

/// Longest time that a thread of the stage has waited for a processor since `before`.
fn waited(stage: Stage, before: &[Thread], now: &[Thread]) -> Duration {
    let growth = now.iter().filter(|thread| stage.owns(&thread.name)).map(|thread| {
        let then = before.iter().find(|old| old.id == thread.id).map_or(Duration::ZERO, |old| old.waited);
        thread.waited.saturating_sub(then)
    });
    growth.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(15);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn well() -> Heartbeats {
        Heartbeats { now: at(100), beats: [Some(at(99)); 4], unshown_since: None, last_present: Some(at(99)) }
    }

    #[test]
    fn all_is_well_even_without_a_camera() {
        assert_eq!(well().stalled(LIMIT), None);
        assert!(well().progresses(LIMIT));
    }

    #[test]
    fn the_stalled_stage_is_named() {
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
        assert_eq!(pulse.stalled(LIMIT), Some(Stage::Recognize));
    }

    #[test]
    fn frames_that_never_become_pixels_stall_the_render_stage() {
        let pulse = Heartbeats { unshown_since: Some(at(80)), ..well() };
        assert_eq!(pulse.stalled(LIMIT), Some(Stage::Render));
        assert!(!pulse.progresses(LIMIT));
    }

    #[test]
    fn a_screen_that_is_never_drawn_is_not_progress() {
        assert!(!Heartbeats { last_present: None, ..well() }.progresses(LIMIT));
        assert!(!Heartbeats { last_present: Some(at(80)), ..well() }.progresses(LIMIT));
    }

    /// Verdicts second by second for a stage with its last heartbeat at second 80, whose thread waits for `share` of
    /// the time.
    fn verdicts(stage: Stage, thread: &str, share: f64, seconds: impl IntoIterator<Item = u64>) -> Vec<StallVerdict> {
        let mut stall_detector = StallDetector::default();
        let judge = |second: u64| {
            let mut pulse = Heartbeats { now: at(second), beats: [Some(at(second)); 4], ..well() };
            pulse.beats[stage as usize] = Some(at(80));
            let waited = at(1000) + at(second).mul_f64(share);
            let threads = [Thread { id: 7, name: thread.into(), waited }, Thread { id: 8, ..thread_of_main(second) }];
            stall_detector.judge(&pulse, LIMIT, || threads.to_vec())
        };
        seconds.into_iter().map(judge).collect()
    }

    /// This thread belongs to no stage: its waiting excuses none.
    fn thread_of_main(second: u64) -> Thread {
        Thread { id: 0, name: "vetrina".into(), waited: at(second) }
    }

    #[test]
    fn a_stage_that_waits_for_the_processor_is_starved_and_another_is_stuck() {
        let starved = verdicts(Stage::Capture, "capture", 0.9, 81..=110);
        assert!(starved[..15].iter().all(|verdict| *verdict == StallVerdict::Well), "{starved:?}");
        assert!(starved[15..].iter().all(|verdict| *verdict == StallVerdict::Starved(Stage::Capture)), "{starved:?}");
        let stuck = verdicts(Stage::Capture, "capture", 0.2, 81..=96);
        assert_eq!((stuck[14], stuck[15]), (StallVerdict::Well, StallVerdict::Stuck(Stage::Capture)));
        let others = verdicts(Stage::Render, "capture", 0.9, 81..=96);
        assert_eq!(others[15], StallVerdict::Stuck(Stage::Render), "another stage's waiting excuses nothing");
        let worker = verdicts(Stage::Recognize, "frame-3", 0.9, 81..=96);
        assert_eq!(worker[15], StallVerdict::Starved(Stage::Recognize));
    }

    #[test]
    fn a_starved_stage_counts_as_stuck_eventually() {
        let verdicts = verdicts(Stage::Match, "match", 1.0, 81..=141);
        assert_eq!(verdicts[59], StallVerdict::Starved(Stage::Match));
        assert_eq!(verdicts[60], StallVerdict::Stuck(Stage::Match));
    }

    #[test]
    fn time_that_main_slept_is_not_judged_immediately() {
        let verdicts = verdicts(Stage::Render, "render", 0.0, [81, 130, 134, 138]);
        assert_eq!(
            verdicts,
            [StallVerdict::Well, StallVerdict::Well, StallVerdict::Well, StallVerdict::Stuck(Stage::Render)]
        );
    }

    #[test]
    fn without_scheduling_statistics_a_stalled_stage_is_stuck() {
        let mut stall_detector = StallDetector::default();
        let pulse = |second| Heartbeats { now: at(second), beats: [Some(at(80)); 4], ..well() };
        assert_eq!(stall_detector.judge(&pulse(88), LIMIT, Vec::new), StallVerdict::Well);
        assert_eq!(stall_detector.judge(&pulse(96), LIMIT, Vec::new), StallVerdict::Stuck(Stage::Capture));
    }
}
