//! Many frames on several threads, handed on in their own order.
//!
//! Frames go round: frame `i` to worker `i % n`, and results are taken back in the same round, so that what follows is as
//! deterministic as on one thread. Each worker's engine is single-threaded: that scales where threads inside an operator
//! do not.

use super::recognizer::Recognizer;
use crate::capture::Source;
use crate::fault::{Fault, Kind, Result};
use crate::frame::Frame;
use crate::metrics::StageTimes;
use crate::seam::Detection;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

/// Frames that may wait for one worker: one at work, one ready.
const AHEAD: usize = 2;

type WorkerResult = (Frame, Result<Vec<Detection>>, StageTimes);

struct Worker {
    frames: SyncSender<Frame>,
    results: Receiver<WorkerResult>,
}

/// Recognizes every frame of `source`, one thread a recognizer, and hands each to `each` in order. Returns how long the
/// stages took, `decode` included.
pub fn recognize_in_order(
    source: &mut dyn Source,
    recognizers: &mut [Recognizer],
    mut each: impl FnMut(Frame, Vec<Detection>, &mut StageTimes) -> Result<()>,
) -> Result<StageTimes> {
    let mut times = StageTimes::default();
    thread::scope(|scope| {
        let workers: Vec<Worker> = recognizers
            .iter_mut()
            .map(|recognizer| {
                let (frames, inbox) = sync_channel(AHEAD);
                let (outbox, results) = sync_channel(AHEAD);
                scope.spawn(move || work(recognizer, &inbox, &outbox));
                Worker { frames, results }
            })
            .collect();
        let (mut sent, mut taken) = (0usize, 0usize);
        loop {
            let start = Instant::now();
            let frame = source.next()?;
            let decoding = start.elapsed();
            match frame {
                Some(frame) => {
                    times.add("decode", decoding);
                    workers[sent % workers.len()].frames.send(frame).map_err(|_| died())?;
                    sent += 1;
                }
                None => break,
            }
            while sent - taken >= AHEAD * workers.len() {
                take(&workers, &mut taken, &mut times, &mut each)?;
            }
        }
        while taken < sent {
            take(&workers, &mut taken, &mut times, &mut each)?;
        }
        Ok(times)
    })
}

fn work(recognizer: &mut Recognizer, inbox: &Receiver<Frame>, outbox: &SyncSender<WorkerResult>) {
    while let Ok(frame) = inbox.recv() {
        let mut times = StageTimes::default();
        let start = Instant::now();
        let detections = recognizer.recognize(&frame.picture, &mut times);
        times.add("frame", start.elapsed());
        if outbox.send((frame, detections, times)).is_err() {
            break;
        }
    }
}

fn take(
    workers: &[Worker],
    taken: &mut usize,
    times: &mut StageTimes,
    each: &mut impl FnMut(Frame, Vec<Detection>, &mut StageTimes) -> Result<()>,
) -> Result<()> {
    let (frame, detections, spent) = workers[*taken % workers.len()].results.recv().map_err(|_| died())?;
    *taken += 1;
    times.merge(spent);
    each(frame, detections?, times)
}

fn died() -> Fault {
    Fault::new(Kind::Internal, "a frame worker ended before its work was done")
}

/// `recognizer` and its copies, one per core, at most four.
pub fn frame_workers(recognizer: Recognizer) -> Vec<Recognizer> {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(4);
    let mut workers = vec![recognizer];
    for _ in 1..cores {
        workers.push(workers[0].share());
    }
    workers
}
