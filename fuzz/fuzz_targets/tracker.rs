//! Any detections in any frames, with restarts of tracker and camera in between: no track identity is ever used twice, and no track
//! goes on at another camera.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::time::Duration;
use vetrina::frame::FrameMeta;
use vetrina::geometry::{Rect, Size};
use vetrina::seam::{Detection, Detections, ScoreHead, TrackId, TrackSettings, Tracker};

const SIZE: Size = Size { width: 640, height: 480 };
const CLASSES: u8 = 4;

/// Creates a tracker as a restarted stage does.
fn tracker(generation: u32) -> Tracker {
    Tracker::new(generation, TrackSettings::default(), ScoreHead { weight: vec![-4.0, -4.0], bias: 1.0 })
}

/// Mostly values in a network's range, sometimes arbitrary ones.
fn number(input: &mut Unstructured, wild: bool, scale: f32) -> Result<f32> {
    Ok(if wild { input.arbitrary()? } else { f32::from(input.arbitrary::<u8>()?) / 255.0 * scale })
}

fn detection(input: &mut Unstructured) -> Result<Detection> {
    let wild = input.ratio(1, 32)?;
    let mut next = |scale| number(input, wild, scale);
    let (x, y, width, height) = (next(640.0)?, next(480.0)?, next(320.0)?, next(240.0)?);
    let embedding = [next(2.0)? - 1.0, next(2.0)? - 1.0];
    Ok(Detection {
        bounds: Rect::new(x, y, x + width, y + height),
        class: usize::from(input.arbitrary::<u8>()? % CLASSES),
        score: number(input, wild, 1.0)?,
        match_embedding: embedding.into(),
        aggregation_embedding: embedding.into(),
    })
}

fn play(input: &mut Unstructured) -> Result<()> {
    let settings = TrackSettings::default();
    let (mut generation, mut source, mut sequence, mut captured) = (0, 0, 0, Duration::ZERO);
    let mut tracker = self::tracker(generation);
    let (mut known, mut alive) = (HashSet::<TrackId>::new(), HashSet::<TrackId>::new());
    while !input.is_empty() {
        if input.ratio(1, 64)? {
            generation += 1;
            tracker = self::tracker(generation);
            alive.clear();
        }
        // The camera was reopened: its frames count from 0 again.
        if input.ratio(1, 64)? {
            (source, sequence) = (source + 1, 0);
            alive.clear();
        }
        sequence += 1 + u64::from(input.ratio(1, 4)?);
        captured += Duration::from_millis(u64::from(input.arbitrary::<u8>()?) * 8);
        let detections = (0..input.arbitrary::<u8>()? % 6).map(|_| detection(input)).collect::<Result<Vec<_>>>()?;
        let (found, meta) = (detections.len(), FrameMeta { source, sequence, captured });
        tracker.update(Detections { meta, size: SIZE, detections });
        let tracks = tracker.tracks();
        let ids: HashSet<TrackId> = tracks.iter().map(|track| track.id).collect();
        assert_eq!(ids.len(), tracks.len(), "two garments have one number");
        assert!(ids.iter().all(|id| alive.contains(id) || !known.contains(id)), "a number came back");
        assert!(tracks.iter().filter(|track| track.seen_in_last_frame).count() <= found);
        for track in tracks {
            assert!((1..=settings.window).contains(&track.observations.len()));
            assert!(track.class < usize::from(CLASSES));
            assert!(captured - track.last_seen.captured <= settings.gap);
            assert_eq!(track.observations.latest().map(|latest| latest.meta), Some(track.last_seen));
        }
        known.extend(&ids);
        alive = ids;
    }
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    // Input that ends within a frame ends the run.
    let _ = play(&mut Unstructured::new(bytes));
});
