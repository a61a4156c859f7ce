//! Tracking against boxes that people set: does a garment of a clip stay one track?

use super::clips::RunEvent;
use super::metrics::Share;
use crate::capture;
use crate::fault::{Fault, Kind, Result};
use crate::geometry::{Camera, Rect};
use crate::metrics::StageTimes;
use crate::pipeline::recognizer::Recognizer;
use crate::pipeline::tracking::new_tracker;
use crate::seam::assignment::assign;
use crate::seam::{Detections, TrackId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// IoU from which a track's box is on a garment.
pub const OVERLAP: f32 = 0.5;

/// One box that was set by a person.
#[derive(Clone, Debug, PartialEq)]
pub struct TrueBox {
    /// Of its clip; empty: neither a garment that is wanted nor nothing, boxes there do not count.
    pub garment: String,
    /// In pixels of the clip.
    pub bounds: Rect<Camera>,
}

/// The boxes of a clip by frame, counted from 0 at the rate at which clips are read ([`capture::RECORDED_RATE`]). Only these frames
/// are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct TrueClip {
    pub file: PathBuf,
    pub frames: BTreeMap<u64, Vec<TrueBox>>,
}

#[derive(Deserialize)]
struct RawBox {
    clip: String,
    frame: u64,
    garment: String,
    x0: f32,
    y0: f32,
    x1: f32,
    y1: f32,
}

/// Reads a table of boxes: `clip`, `frame`, `garment`, `x0`, `y0`, `x1`, `y1`. Clips are in `folder`.
///
/// # Errors
/// [`Kind::Input`], naming file and row.
pub fn read_clips(table: &Path, folder: &Path) -> Result<Vec<TrueClip>> {
    let bytes = std::fs::read(table).map_err(|error| Fault::io(Kind::Input, "read the table", table, error))?;
    let fault = |what: String| Fault::new(Kind::Input, format!("cannot use the table {}: {what}", table.display()));
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes.as_slice());
    let mut clips: BTreeMap<String, BTreeMap<u64, Vec<TrueBox>>> = BTreeMap::new();
    for (place, raw) in reader.deserialize::<RawBox>().enumerate() {
        let raw = raw.map_err(|error| fault(error.to_string()))?;
        let bounds = Rect::new(raw.x0, raw.y0, raw.x1, raw.y1);
        if !(bounds.width() > 0.0 && bounds.height() > 0.0 && bounds.area().is_finite()) {
            return Err(fault(format!("row {} has an empty box", place + 1)));
        }
        let boxes = clips.entry(raw.clip).or_default().entry(raw.frame).or_default();
        boxes.push(TrueBox { garment: raw.garment, bounds });
    }
    if clips.is_empty() {
        return Err(fault("it has no rows".into()));
    }
    Ok(clips.into_iter().map(|(clip, frames)| TrueClip { file: folder.join(clip), frames }).collect())
}

/// How well garments were followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackCounts {
    /// Garments, and the tracks that were on one of them or on nothing in a compared frame.
    pub garments: usize,
    pub tracks: usize,
    /// Boxes that people set, boxes of tracks, and the pairs of them.
    pub wanted: usize,
    pub seen: usize,
    pub found: usize,
    /// Pairs that remain if each garment is one track and each track one garment.
    pub kept: usize,
    /// How often a garment goes on as another track.
    pub switches: usize,
    /// How often a garment is lost and found again.
    pub fragments: usize,
}

impl TrackCounts {
    /// IDF1: twice the kept pairs in all boxes, wanted and seen (Ristani et al. 2016).
    pub fn idf1(&self) -> f64 {
        2.0 * self.kept as f64 / (self.wanted + self.seen).max(1) as f64
    }

    /// Share of the wanted boxes that a track is on.
    pub fn recall(&self) -> Share {
        Share::new(self.found as f64, self.wanted)
    }

    pub fn add(&mut self, other: &TrackCounts) {
        self.garments += other.garments;
        self.tracks += other.tracks;
        self.wanted += other.wanted;
        self.seen += other.seen;
        self.found += other.found;
        self.kept += other.kept;
        self.switches += other.switches;
        self.fragments += other.fragments;
    }
}

/// Boxes of the tracks in a compared frame.
pub type SeenFrames = BTreeMap<u64, Vec<(TrackId, Rect<Camera>)>>;

/// Follows the garments of every clip as a mirror does, and counts. One step per clip.
///
/// # Errors
/// A clip is missing or unreadable. A clip without ffmpeg is left out instead.
pub fn run(
    clips: &[TrueClip],
    recognizer: &mut Recognizer,
    mut observe: impl FnMut(RunEvent),
) -> Result<Vec<(PathBuf, TrackCounts)>> {
    let mut found = Vec::new();
    for clip in clips {
        match follow(clip, recognizer) {
            Ok(seen) => found.push((clip.file.clone(), count(&clip.frames, &seen))),
            Err(fault) if fault.kind() == Kind::Unavailable => {
                observe(RunEvent::LeftOut(&format!("{} is left out: {fault}", clip.file.display())));
            }
            Err(fault) => return Err(fault),
        }
        observe(RunEvent::Step);
    }
    Ok(found)
}

fn follow(clip: &TrueClip, recognizer: &mut Recognizer) -> Result<SeenFrames> {
    let file = clip.file.display().to_string();
    let mut source = capture::open(&file)?;
    let mut tracker = new_tracker(0, recognizer.manifest());
    let (mut times, mut number, mut seen) = (StageTimes::default(), 0, SeenFrames::new());
    let last = clip.frames.keys().next_back().copied().unwrap_or(0);
    while number <= last
        && let Some(frame) = source.next()?
    {
        let detections = recognizer.recognize(&frame.picture, &mut times)?;
        tracker.update(Detections { meta: frame.meta, size: frame.picture.size(), detections });
        if clip.frames.contains_key(&number) {
            let here = tracker.tracks().iter().filter(|track| track.seen_in_last_frame);
            seen.insert(number, here.map(|track| (track.id, track.bounds)).collect());
        }
        number += 1;
    }
    match number > last {
        true => Ok(seen),
        false => {
            let text = format!("{file} has {number} frames, the table names frame {last}");
            Err(Fault::new(Kind::Input, text).cure("correct the table; frames count from 0, 15 a second"))
        }
    }
}

/// Compares the boxes of a clip's tracks with those that people set.
pub fn count(wanted: &BTreeMap<u64, Vec<TrueBox>>, seen: &SeenFrames) -> TrackCounts {
    let mut counts = TrackCounts::default();
    // Pairs of each garment with each track, and the tracks of each garment, frame by frame.
    let mut together: BTreeMap<(&str, TrackId), usize> = BTreeMap::new();
    let mut followed: BTreeMap<&str, Vec<Option<TrackId>>> = BTreeMap::new();
    let mut tracks: Vec<TrackId> = Vec::new();
    for (frame, boxes) in wanted {
        let none = Vec::new();
        let shown = seen.get(frame).unwrap_or(&none);
        let iou = |b: usize, s: usize| Some(boxes[b].bounds.iou(&shown[s].1)).filter(|iou| *iou >= OVERLAP);
        // A garment that is wanted comes first where boxes lie on one another.
        let value = |b: usize, s: usize| iou(b, s).map(|iou| if boxes[b].garment.is_empty() { iou } else { 2.0 + iou });
        let pairs = assign(boxes.len(), shown.len(), value);
        let track_of = |b: usize| pairs.iter().find(|pair| pair.0 == b).map(|pair| shown[pair.1].0);
        for (b, one) in boxes.iter().enumerate().filter(|(_, one)| !one.garment.is_empty()) {
            counts.wanted += 1;
            followed.entry(&one.garment).or_default().push(track_of(b));
            if let Some(track) = track_of(b) {
                counts.found += 1;
                *together.entry((&one.garment, track)).or_default() += 1;
            }
        }
        for (s, (track, _)) in shown.iter().enumerate() {
            let on_neither = (0..boxes.len()).any(|b| boxes[b].garment.is_empty() && iou(b, s).is_some());
            if pairs.iter().any(|pair| pair.1 == s && !boxes[pair.0].garment.is_empty()) || !on_neither {
                counts.seen += 1;
                tracks.push(*track);
            }
        }
    }
    tracks.sort_unstable();
    tracks.dedup();
    let garments: Vec<&str> = followed.keys().copied().collect();
    (counts.garments, counts.tracks) = (garments.len(), tracks.len());
    let frames = |g: usize, t: usize| together.get(&(garments[g], tracks[t])).copied();
    let kept = assign(garments.len(), tracks.len(), |g, t| frames(g, t).map(|frames| frames as f32));
    counts.kept = kept.into_iter().filter_map(|(g, t)| frames(g, t)).sum();
    for tracks in followed.values() {
        let known: Vec<TrackId> = tracks.iter().copied().flatten().collect();
        counts.switches += known.windows(2).filter(|two| two[0] != two[1]).count();
        // Runs of frames with a track; all but the first begin after a loss.
        let runs = tracks
            .iter()
            .zip(std::iter::once(&None).chain(tracks))
            .filter(|(now, before)| now.is_some() && before.is_none());
        counts.fragments += runs.count().saturating_sub(1);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> TrackId {
        TrackId { generation: 0, number }
    }

    fn at(x: f32) -> Rect<Camera> {
        Rect::new(x, 0.0, x + 10.0, 10.0)
    }

    fn wanted(rows: &[(u64, &str, f32)]) -> BTreeMap<u64, Vec<TrueBox>> {
        let mut frames: BTreeMap<u64, Vec<TrueBox>> = BTreeMap::new();
        for (frame, garment, x) in rows {
            frames.entry(*frame).or_default().push(TrueBox { garment: (*garment).into(), bounds: at(*x) });
        }
        frames
    }

    #[test]
    fn a_garment_that_changes_its_track_is_a_switch_and_one_that_is_lost_a_fragment() {
        let truth = wanted(&[(0, "shirt", 0.0), (3, "shirt", 1.0), (6, "shirt", 2.0), (9, "shirt", 3.0)]);
        let seen: SeenFrames =
            [(0, vec![(id(1), at(0.0))]), (3, vec![(id(1), at(1.0))]), (6, vec![]), (9, vec![(id(2), at(3.0))])].into();
        let counts = count(&truth, &seen);
        let expected =
            TrackCounts { garments: 1, tracks: 2, wanted: 4, seen: 3, found: 3, kept: 2, switches: 1, fragments: 1 };
        assert_eq!(counts, expected);
        assert!((counts.idf1() - 4.0 / 7.0).abs() < 1e-9);
    }

    #[test]
    fn two_garments_that_swap_tracks_keep_half() {
        let truth = wanted(&[(0, "a", 0.0), (0, "b", 50.0), (1, "a", 0.0), (1, "b", 50.0)]);
        let seen: SeenFrames =
            [(0, vec![(id(1), at(0.0)), (id(2), at(50.0))]), (1, vec![(id(2), at(0.0)), (id(1), at(50.0))])].into();
        let counts = count(&truth, &seen);
        assert_eq!((counts.found, counts.kept, counts.switches, counts.fragments), (4, 2, 2, 0));
    }

    #[test]
    fn what_is_neither_does_not_count_and_a_stray_box_does() {
        let truth = wanted(&[(0, "a", 0.0), (0, "", 50.0)]);
        let seen: SeenFrames = [(0, vec![(id(1), at(0.0)), (id(2), at(50.0)), (id(3), at(90.0))])].into();
        let counts = count(&truth, &seen);
        assert_eq!((counts.garments, counts.tracks, counts.wanted, counts.seen, counts.kept), (1, 2, 1, 2, 1));
    }

    #[test]
    fn a_table_names_its_faults() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("boxes.csv");
        let read = |text: &str| {
            std::fs::write(&table, text).unwrap();
            read_clips(&table, Path::new("clips")).map_err(|fault| fault.to_string())
        };
        let header = "clip,frame,garment,x0,y0,x1,y1\n";
        assert!(read(header).unwrap_err().contains("it has no rows"));
        assert!(read(&format!("{header}a.mp4,0,shirt,5,5,5,9\n")).unwrap_err().contains("row 1 has an empty box"));
        let clips = read(&format!("{header}a.mp4,6,shirt,5,5,8,9\na.mp4,6,,0,0,8,9\nb.mp4,0,x,1,1,2,2\n")).unwrap();
        assert_eq!((clips.len(), clips[0].frames[&6].len()), (2, 2));
        assert_eq!(clips[0].file, Path::new("clips/a.mp4"));
    }
}
