//! An enrolment from a clip or a camera, without a screen.

use super::{EnrolSession, EnrolSettings, EnrolTarget};
use crate::capture::{Source, Step};
use crate::catalogue::WornProduct;
use crate::fault::Result;
use crate::frame::Frame;
use crate::pipeline::close_ups::CloseUps;
use crate::pipeline::recognizer::Recognizer;
use crate::pipeline::tracking::tracker_from;
use crate::pipeline::workers::recognize_in_order;
use crate::seam::{Detections, TrackSettings};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Garments that are embedded from crops of their own.
const GARMENTS: usize = 4;
/// A camera that gives no frame for this long is away.
const SILENCE: Duration = Duration::from_secs(8);

/// A source that ends when the enrolment is over.
struct UntilOver<'s> {
    source: &'s mut dyn Source,
    over: &'s AtomicBool,
}

impl Source for UntilOver<'_> {
    fn next(&mut self) -> Result<Option<Frame>> {
        let waiting = Instant::now();
        while !self.over.load(Ordering::Relaxed) {
            match self.source.step()? {
                Step::Frame(frame) => return Ok(Some(frame)),
                Step::End => break,
                Step::NotYet if waiting.elapsed() > SILENCE => return Err(crate::capture::camera::silent()),
                Step::NotYet => {}
            }
        }
        Ok(None)
    }
}

/// Watches until the source ends or the enrolment is over. `observe` is told how far it is after every frame.
pub fn watch(
    source: &mut dyn Source,
    recognizers: &mut [Recognizer],
    targets: Vec<EnrolTarget>,
    settings: EnrolSettings,
    mut observe: impl FnMut(&EnrolSession),
) -> Result<Vec<WornProduct>> {
    let manifest = recognizers[0].manifest();
    let mut session = EnrolSession::new(targets, manifest, settings);
    let mut tracker = tracker_from(manifest, TrackSettings::default().begin);
    let mut close_ups = CloseUps::new(&recognizers[0], GARMENTS);
    let over = AtomicBool::new(false);
    recognize_in_order(&mut UntilOver { source, over: &over }, recognizers, |frame, detections, times| {
        tracker.update(Detections { meta: frame.meta, size: frame.picture.size(), detections });
        if let Some(close_ups) = &mut close_ups {
            close_ups.update(&mut tracker, &frame, GARMENTS, times)?;
        }
        session.observe(&frame, tracker.tracks());
        over.store(session.is_over(), Ordering::Relaxed);
        observe(&session);
        Ok(())
    })?;
    Ok(session.chosen())
}
