//! The capture stage: keeps a camera open, gives every frame its number and time, and comes back after whatever happens to the
//! camera.

use super::stage::{End, Life};
use crate::capture::camera::{self, CameraSettings, shown};
use crate::capture::{Source, Step};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Frame;
use crate::live::supervise::backoff::Backoff;
use std::time::Duration;

/// Waits between tries to open the camera.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A camera that gives nothing for so long is opened anew.
const SILENCE: Duration = Duration::from_secs(4);
/// A network camera shows nothing before its next key frame, which "smart" encoders send every ten seconds or so.
const NETWORK_SILENCE: Duration = Duration::from_secs(20);
/// How often a wait is interrupted for a heartbeat.
const SLICE: Duration = Duration::from_millis(500);

/// What became of an open camera.
enum Outcome {
    /// The recording is over.
    Over,
    /// It is time to go, or another camera is configured.
    Left,
    /// To be opened anew.
    Lost(Fault),
}

/// Runs until it is told to end, or the recording is over.
pub fn run(life: &Life) -> Result<End> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let mut sequence = 0;
    while !life.is_over() {
        life.beat();
        let settings = life.links.camera();
        let outcome = match camera::open(&settings, &life.links.clock, life.token()) {
            Ok(mut source) => stream(life, &settings, source.as_mut(), &mut sequence, &mut backoff),
            Err(fault) => Outcome::Lost(fault),
        };
        match outcome {
            Outcome::Over => return Ok(End::Done),
            Outcome::Left => {}
            Outcome::Lost(fault) => {
                lost(life, &fault);
                pause(life, &settings, backoff.wait());
            }
        }
    }
    Ok(End::Told)
}

/// Hands frames on as long as they come.
fn stream(
    life: &Life,
    settings: &CameraSettings,
    source: &mut dyn Source,
    sequence: &mut u64,
    backoff: &mut Backoff,
) -> Outcome {
    let mut last = life.links.clock.now();
    let mut silence = if camera::is_network(&settings.source) { NETWORK_SILENCE } else { SILENCE };
    let mut corrupt = 0;
    loop {
        if life.is_over() || life.links.camera() != *settings {
            return Outcome::Left;
        }
        life.beat();
        let step = source.step();
        life.links.status.corrupt_frames.add(source.corrupt() - corrupt);
        corrupt = source.corrupt();
        match step {
            Ok(Step::Frame(frame)) => {
                (last, silence) = (life.links.clock.now(), SILENCE);
                backoff.reset();
                hand_on(life, settings, frame, *sequence, source.spent());
                *sequence += 1;
            }
            Ok(Step::NotYet) if life.links.clock.now().saturating_sub(last) > silence => {
                let text = format!("{} gives no frames", shown(&settings.source));
                return Outcome::Lost(Fault::new(Kind::Unavailable, text));
            }
            Ok(Step::NotYet) => {}
            Ok(Step::End) => return Outcome::Over,
            Err(fault) => return Outcome::Lost(fault),
        }
    }
}

fn hand_on(life: &Life, settings: &CameraSettings, mut frame: Frame, sequence: u64, spent: Duration) {
    let links = &life.links;
    let now = links.clock.now();
    frame.meta.sequence = sequence;
    frame.meta.captured = now.saturating_sub(spent);
    if links.status.camera_fault.get().is_some() || sequence == 0 {
        let size = frame.picture.size();
        let words = format!("{}: {}x{}", shown(&settings.source), size.width, size.height);
        log::info!("camera {words}");
        links.status.camera.set(words);
        links.status.camera_fault.set(None);
    }
    links.status.newest_picture.set(Some(frame.picture.clone()));
    links.status.frame(now);
    links.to_show.put(frame.clone());
    links.to_look.put(frame);
}

/// The camera is away: said in the log when it begins, and on the screen as long as it lasts.
fn lost(life: &Life, fault: &Fault) {
    let status = &life.links.status;
    status.reconnects.count();
    status.newest_picture.set(None);
    let words = fault.to_string();
    if status.camera_fault.set(Some(words.clone())).as_ref() != Some(&words) {
        log::warn!("the camera is away: {words}");
    }
}

/// Waits, unless another camera is configured meanwhile.
fn pause(life: &Life, settings: &CameraSettings, wait: Duration) {
    let until = life.links.clock.now() + wait;
    while life.links.clock.now() < until && life.links.camera() == *settings {
        life.beat();
        let left = until.saturating_sub(life.links.clock.now());
        if life.links.clock.wait(life.token(), left.min(SLICE)) {
            return;
        }
    }
}
