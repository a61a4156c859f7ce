//! The capture stage: keeps a camera open, gives every frame a number and a time, and reopens the camera after any
//! failure.

use super::stage::StageContext;
use crate::capture::camera::{self, CameraSettings, shown};
use crate::capture::{Source, Step};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Frame;
use crate::live::control::StageEnd;
use crate::live::supervise::backoff::Backoff;
use std::time::Duration;

/// Wait between attempts to open the camera.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// A camera without a frame for this long is reopened.
const SILENCE: Duration = Duration::from_secs(4);
/// A network camera delivers nothing before its next key frame; "smart" encoders send one about every ten seconds.
const NETWORK_SILENCE: Duration = Duration::from_secs(20);
/// Maximum wait between heartbeats.
const SLICE: Duration = Duration::from_millis(500);

/// Why the frames of an open camera ended.
enum StreamEnd {
    /// The recording is over.
    Over,
    /// The stage was cancelled, or another camera is configured.
    Left,
    /// The camera failed: reopen it.
    Lost(Fault),
}

/// Runs until cancelled, or until the recording is over.
pub fn run(context: &StageContext) -> Result<StageEnd> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let links = &context.links;
    while !context.is_cancelled() {
        context.heartbeat();
        let settings = context.links.camera();
        // The status names this camera while it is away, too.
        links.status.camera.set(shown(&settings.source));
        links.control.open_camera();
        let outcome = match camera::open(&settings, &links.clock, context.token()) {
            Ok(mut source) => stream(context, &settings, source.as_mut(), &mut backoff),
            Err(fault) => StreamEnd::Lost(fault),
        };
        match outcome {
            StreamEnd::Over => return Ok(StageEnd::Finished),
            StreamEnd::Left => {}
            StreamEnd::Lost(fault) => {
                lost(context, &fault);
                pause(context, &settings, backoff.wait());
            }
        }
    }
    Ok(StageEnd::Cancelled)
}

/// Passes frames on until the camera ends, fails or is replaced.
fn stream(
    context: &StageContext,
    settings: &CameraSettings,
    source: &mut dyn Source,
    backoff: &mut Backoff,
) -> StreamEnd {
    let mut last = context.links.clock.now();
    let mut silence = if camera::is_network(&settings.source) { NETWORK_SILENCE } else { SILENCE };
    let (mut corrupt, mut sequence) = (0, 0);
    loop {
        if context.is_cancelled() || context.links.camera() != *settings {
            return StreamEnd::Left;
        }
        context.heartbeat();
        let step = source.step();
        context.links.status.corrupt_frames.add(source.corrupt() - corrupt);
        corrupt = source.corrupt();
        match step {
            Ok(Step::Frame(frame)) => {
                (last, silence) = (context.links.clock.now(), SILENCE);
                backoff.reset();
                hand_on(context, settings, frame, sequence, source.spent());
                sequence += 1;
            }
            Ok(Step::NotYet) if context.links.clock.now().saturating_sub(last) > silence => {
                let text = format!("{} gives no frames", shown(&settings.source));
                return StreamEnd::Lost(Fault::new(Kind::Unavailable, text));
            }
            Ok(Step::NotYet) => {}
            Ok(Step::End) => return StreamEnd::Over,
            Err(fault) => return StreamEnd::Lost(fault),
        }
    }
}

fn hand_on(context: &StageContext, settings: &CameraSettings, mut frame: Frame, sequence: u64, spent: Duration) {
    let links = &context.links;
    if context.is_cancelled() {
        // The camera blocked for long: a restarted capture stage may have replaced this one.
        return;
    }
    let now = links.clock.now();
    frame.meta.source = links.control.camera_opening();
    frame.meta.sequence = sequence;
    frame.meta.captured = now.saturating_sub(spent);
    if sequence == 0 {
        let size = frame.picture.size();
        let words = format!("{}: {}x{}", shown(&settings.source), size.width, size.height);
        log::info!("camera {words}");
        links.status.camera.set(words);
        links.status.camera_fault.set(None);
        links.control.set_camera_away(false);
    }
    links.status.newest_picture.set(Some(frame.picture.clone()));
    links.status.frames.count();
    links.control.captured(now);
    links.to_render.put(frame.clone());
    links.to_recognize.put(frame);
}

/// The camera is away: log it once and show it on the screen.
fn lost(context: &StageContext, fault: &Fault) {
    let status = &context.links.status;
    status.reconnects.count();
    status.newest_picture.set(None);
    context.links.control.set_camera_away(true);
    let words = fault.to_string();
    if status.camera_fault.set(Some(words.clone())).as_ref() != Some(&words) {
        log::warn!("the camera is away: {words}");
    }
}

/// Waits; returns early if another camera is configured.
fn pause(context: &StageContext, settings: &CameraSettings, wait: Duration) {
    let until = context.links.clock.now() + wait;
    while context.links.clock.now() < until && context.links.camera() == *settings {
        context.heartbeat();
        let left = until.saturating_sub(context.links.clock.now());
        if context.links.clock.wait(context.token(), left.min(SLICE)) {
            return;
        }
    }
}
