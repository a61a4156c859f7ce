//! The recognize stage: each frame worker takes the newest frame when it is free; the results are put back into frame
//! order and tracked.

use super::enrolment::StageEnrolment;
use super::stage::{StageContext, no_thread, panicked};
use crate::drop_oldest::Taken;
use crate::fault::{Fault, Kind, Result};
use crate::frame::Frame;
use crate::live::Links;
use crate::live::control::StageEnd;
use crate::live::policy::throttle::rest;
use crate::metrics::StageTimes;
use crate::pipeline::recognizer::Recognizer;
use crate::pipeline::tracking::TrackingStage;
use crate::seam::Detection;
use crate::shutdown::Token;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// Maximum wait before a thread checks for cancellation.
const PATIENCE: Duration = Duration::from_millis(200);
/// The displayed rate is measured over this many frames, or over `RATE_SPAN` if that has fewer.
const RATE_FRAMES: usize = 30;
const RATE_SPAN: Duration = Duration::from_secs(10);
/// The rate is shown after this long, or after `RATE_FRAMES` frames.
const RATE_KNOWN: Duration = Duration::from_secs(1);

/// A garment detected this often counts as a person, so that one false detection does not wake a dark screen.
const PERSON: usize = 2;

/// A frame with its detections.
struct RecognizedFrame {
    /// Sequence number in the order in which frames were taken.
    ticket: u64,
    frame: Frame,
    detections: Result<Vec<Detection>>,
    times: StageTimes,
}

/// Source of frames for the workers: takes and numbers a frame in one step.
struct FrameIntake {
    links: Arc<Links>,
    tickets: Mutex<()>,
    next: AtomicU64,
}

impl FrameIntake {
    fn take(&self) -> Taken<(u64, Frame)> {
        let _one_at_a_time = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        match self.links.to_recognize.take(PATIENCE) {
            Taken::Value(frame) => Taken::Value((self.next.fetch_add(1, Ordering::SeqCst), frame)),
            Taken::Nothing => Taken::Nothing,
            Taken::Closed => Taken::Closed,
        }
    }

    fn taken(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }
}

/// Runs until cancelled. One worker per recognizer; `tracking` processes their results.
pub fn run(context: &StageContext, workers: Vec<Recognizer>, mut tracking: TrackingStage) -> Result<StageEnd> {
    let intake =
        Arc::new(FrameIntake { links: context.links.clone(), tickets: Mutex::new(()), next: AtomicU64::new(0) });
    let (outbox, results) = sync_channel(2 * workers.len());
    for (index, recognizer) in workers.into_iter().enumerate() {
        let (intake, outbox, token) = (intake.clone(), outbox.clone(), context.token().clone());
        let work = move || work(recognizer, &intake, &outbox, &token);
        Builder::new().name(format!("frame-{index}")).spawn(work).map_err(no_thread)?;
    }
    drop(outbox);
    track_in_order(context, &intake, &results, &mut tracking)
}

/// A worker: recognizes the newest frame, repeatedly.
fn work(mut recognizer: Recognizer, intake: &FrameIntake, outbox: &SyncSender<RecognizedFrame>, token: &Token) {
    while !token.is_cancelled() {
        let (ticket, frame) = match intake.take() {
            Taken::Value(taken) => taken,
            Taken::Nothing => continue,
            Taken::Closed => break,
        };
        let mut times = StageTimes::default();
        let start = Instant::now();
        let recognize = AssertUnwindSafe(|| recognizer.recognize(&frame.picture, &mut times));
        let detections = catch_unwind(recognize).unwrap_or_else(|panic| Err(panicked("recognize", panic.as_ref())));
        let spent = start.elapsed();
        times.add("frame", spent);
        let dead = matches!(&detections, Err(fault) if fault.kind() == Kind::Internal);
        if outbox.send(RecognizedFrame { ticket, frame, detections, times }).is_err() || dead {
            break;
        }
        let control = &intake.links.control;
        let watch_only = control.is_dark() || control.gives_way(intake.links.clock.now());
        token.wait(rest(control.throttle_level(), watch_only, spent));
    }
}

/// Puts results back into order and tracks the garments.
fn track_in_order(
    context: &StageContext,
    intake: &FrameIntake,
    results: &Receiver<RecognizedFrame>,
    tracking: &mut TrackingStage,
) -> Result<StageEnd> {
    let mut early: BTreeMap<u64, RecognizedFrame> = BTreeMap::new();
    let mut rate = Rate::default();
    let mut enrolment = StageEnrolment::default();
    let mut next = 0;
    while !context.is_cancelled() {
        enrolment.obey(&context.links, tracking.manifest());
        match results.recv_timeout(PATIENCE) {
            Ok(recognized) => drop(early.insert(recognized.ticket, recognized)),
            Err(RecvTimeoutError::Timeout) if intake.taken() == next => context.heartbeat(),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Fault::new(Kind::Internal, "every frame worker has ended"));
            }
        }
        while let Some(recognized) = early.remove(&next) {
            next += 1;
            context.heartbeat();
            track(context, recognized, tracking, &mut enrolment, &mut rate)?;
        }
        context.links.status.in_work.set(intake.taken().saturating_sub(next));
    }
    Ok(StageEnd::Cancelled)
}

fn track(
    context: &StageContext,
    recognized: RecognizedFrame,
    tracking: &mut TrackingStage,
    enrolment: &mut StageEnrolment,
    rate: &mut Rate,
) -> Result<()> {
    let links = &context.links;
    let RecognizedFrame { frame, detections, mut times, .. } = recognized;
    let detections = detections.inspect_err(|_| links.status.recognition_faults.count())?;
    tracking.set_max_garments(links.pipeline().max_garments);
    let queries = tracking.update(&frame, detections, &mut times)?;
    if context.is_cancelled() {
        // A restarted recognize stage may have replaced this one.
        return Ok(());
    }
    enrolment.observe(links, &frame, tracking);
    let tracks = Arc::new(tracking.tracked(frame.meta));
    if tracks.garments.iter().any(|garment| garment.gathered >= PERSON) {
        links.control.person_seen(links.clock.now());
    }
    links.status.newest_tracks.set(Some(tracks.clone()));
    links.track_updates.put(tracks.clone());
    for mut query in queries {
        query.crop = links.answers.crop_of(&frame.picture, &tracks, query.track);
        links.status.queries.count();
        links.queries.put(query);
    }
    let now = links.clock.now();
    links.status.recognized.count();
    links.status.millirate.set(rate.count(now).map_or(0, |rate| (1e3 * rate) as u64));
    times.add("capture to boxes", now.saturating_sub(frame.meta.captured));
    links.status.stages.merge(&times);
    Ok(())
}

/// Frames per second over the last frames.
#[derive(Default)]
struct Rate {
    times: VecDeque<Duration>,
}

impl Rate {
    /// Counts a frame and returns the rate; `None` until it is reliable: the first results arrive in a burst.
    fn count(&mut self, now: Duration) -> Option<f32> {
        self.times.push_back(now);
        while self.times.len() > RATE_FRAMES || self.times.front().is_some_and(|first| now - *first > RATE_SPAN) {
            self.times.pop_front();
        }
        let span = now - *self.times.front()?;
        let known = span >= RATE_KNOWN || self.times.len() == RATE_FRAMES && !span.is_zero();
        known.then(|| (self.times.len() - 1) as f32 / span.as_secs_f32())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_covers_the_last_frames() {
        let mut rate = Rate::default();
        let last = (0..=100).map(|step| rate.count(Duration::from_millis(100 * step))).last().unwrap();
        assert!((last.unwrap() - 10.0).abs() < 1e-3, "{last:?}");
        assert_eq!(rate.count(Duration::from_secs(3600)), None);
    }

    #[test]
    fn a_rate_is_shown_once_it_is_known() {
        let mut rate = Rate::default();
        // Two workers finish their first frames at the same time.
        for moment in [0, 13, 900_000] {
            assert_eq!(rate.count(Duration::from_micros(moment)), None, "{moment}");
        }
        assert_eq!(rate.count(Duration::from_millis(1500)), Some(2.0));
        // At a high rate, `RATE_FRAMES` frames suffice.
        let mut rate = Rate::default();
        let rates: Vec<_> = (0..30).map(|step| rate.count(Duration::from_millis(10 * step))).collect();
        assert!(rates[..29].iter().all(Option::is_none) && (rates[29].unwrap() - 100.0).abs() < 1e-3, "{rates:?}");
    }
}
