//! The recognizer for shop pictures, stills and clips, with its detections cached.

use super::cache::Cache;
use super::noise::{Noise, published};
use super::pairs::QueryRow;
use super::random::{Reservoir, SeededRng};
use super::record::{DetectionRecord, FrameDetection};
use crate::capture::{self, Source, read_picture};
use crate::fault::{Fault, Kind, Result};
use crate::frame::{Frame, Picture};
use crate::geometry::{Camera, Rect, Size};
use crate::metrics::StageTimes;
use crate::network::Manifest;
use crate::pipeline::aggregator::Aggregator;
use crate::pipeline::close_ups::CloseUps;
use crate::pipeline::recognizer::{Candidate, Recognizer, largest, product_of};
use crate::pipeline::workers::recognize_in_order;
use crate::seam::{Detection, Embedding, Region, is_detail};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Score of the substitute: the whole picture, if nothing is found in it (docs/seam.md §4).
const SUBSTITUTE_SCORE: f32 = 0.1;
/// Class of the substitute: none of the model's.
const NO_CLASS: usize = u32::MAX as usize;
/// IoU with the given box from which a query counts as detected.
pub const DETECTED_IOU: f32 = 0.5;

/// Recognizers of one model, one per thread, with a cache of their results.
pub struct CachedRecognizer {
    workers: Vec<Recognizer>,
    aggregator: Aggregator,
    cache: Cache,
}

/// A shop picture's product: by the published rule, and by its region if known.
#[derive(Clone, Debug)]
pub struct ShopDetections {
    pub largest: FrameDetection,
    pub of_region: FrameDetection,
    /// The picture shows a part of the product of its region from near.
    pub detail: bool,
}

/// A still's garment: in the given box, and in the detected box.
#[derive(Clone, Debug)]
pub struct StillDetections {
    pub given: Detection,
    pub found: Option<Detection>,
}

/// Selected frames as a source for the frame workers.
struct ChosenFrames(VecDeque<Frame>);

impl Source for ChosenFrames {
    fn next(&mut self) -> Result<Option<Frame>> {
        Ok(self.0.pop_front())
    }
}

impl CachedRecognizer {
    pub fn new(workers: Vec<Recognizer>, cache: Cache) -> Self {
        let aggregator = workers[0].aggregator();
        CachedRecognizer { workers, aggregator, cache }
    }

    pub fn manifest(&self) -> &Manifest {
        self.workers[0].manifest()
    }

    /// Fuses a window into one embedding with the aggregation graph.
    pub fn aggregate(&mut self, window: &[Embedding]) -> Result<Embedding> {
        self.aggregator.aggregate(window, &mut StageTimes::default())
    }

    /// The product in a shop picture; the whole picture if nothing is found.
    pub fn shop_picture(&mut self, path: &Path, region: Option<Region>) -> Result<ShopDetections> {
        let key = format!("shop {} {}", region.map_or("any", Region::name), identity(path)?);
        let record = match self.cache.get(&key) {
            Some(record) => record,
            None => {
                let record = self.recognize_shop_picture(&read_picture(path)?, region)?;
                self.cache.put(&key, &record)?;
                record
            }
        };
        let mut seen = record.detections.into_iter();
        match (seen.next(), seen.next()) {
            (Some(largest), of_region) => {
                let of_region = of_region.unwrap_or_else(|| largest.clone());
                let detail = !of_region.substitute && is_detail(of_region.detection.bounds, record.size);
                Ok(ShopDetections { of_region, largest, detail })
            }
            _ => Err(Fault::new(Kind::Internal, format!("the record of {} is empty", path.display()))),
        }
    }

    fn recognize_shop_picture(&mut self, picture: &Picture, region: Option<Region>) -> Result<DetectionRecord> {
        let regions = self.manifest().class_regions();
        let choose = |found: &[Candidate]| {
            let of_region = region.and_then(|region| product_of(found, &regions, Some(region)));
            let mut places: Vec<usize> = largest(found).into_iter().chain(of_region).collect();
            places.dedup();
            places
        };
        let found = self.workers[0].recognize_some(picture, &mut StageTimes::default(), choose)?;
        let mut detections: Vec<FrameDetection> =
            found.into_iter().map(|detection| FrameDetection { frame: 0, detection, substitute: false }).collect();
        if detections.is_empty() {
            detections.push(self.substitute(picture, 0)?);
        }
        Ok(DetectionRecord { size: picture.size(), frames: vec![0], detections })
    }

    /// The garment of a still: in the given box, and as detected.
    pub fn still(&mut self, query: &QueryRow) -> Result<StillDetections> {
        let bounds = query.bounds;
        let key = format!("still, close up {:?} {:?} {}", query.frame, bounds.corners(), identity(&query.file)?);
        let record = match self.cache.get(&key) {
            Some(record) => record,
            None => {
                let record = self.recognize_still(&still(query)?, bounds)?;
                self.cache.put(&key, &record)?;
                record
            }
        };
        let mut seen = record.detections.into_iter().map(|seen| seen.detection);
        let given =
            seen.next().ok_or_else(|| Fault::new(Kind::Internal, format!("the record of {} is empty", query.id)))?;
        Ok(StillDetections { given, found: seen.next() })
    }

    fn recognize_still(&mut self, picture: &Picture, bounds: Rect<Camera>) -> Result<DetectionRecord> {
        let times = &mut StageTimes::default();
        let mut detections = vec![self.workers[0].recognize_in(picture, bounds, times)?];
        // Candidates are sorted by score: take the first that counts.
        let choose = |found: &[Candidate]| -> Vec<usize> {
            found.iter().position(|one| one.bounds.iou(&bounds) >= DETECTED_IOU).into_iter().collect()
        };
        if CloseUps::are_wanted(self.manifest()) {
            let found = self.workers[0].find_garments(picture, times)?;
            for place in choose(&found) {
                // As a mirror embeds it: from a crop of its own. Its score stays that of the whole picture, which decides whether it
                // is found.
                let view = self.workers[0].recognize_in(picture, found[place].bounds, times)?;
                detections.push(Detection { score: found[place].score, ..view });
            }
        } else {
            detections.extend(self.workers[0].recognize_some(picture, times, choose)?);
        }
        let seen = detections.into_iter().map(|detection| FrameDetection { frame: 0, detection, substitute: false });
        Ok(DetectionRecord { size: picture.size(), frames: vec![0], detections: seen.collect() })
    }

    /// Detections in a query's clip: all garments in `count` random frames. `name` and `seed` determine the random
    /// numbers.
    pub fn clip(&mut self, path: &Path, name: &str, count: usize, noise: Noise, seed: u64) -> Result<DetectionRecord> {
        let key = format!("clip {count} {} {seed} {name} {}", noise.name(), identity(path)?);
        if let Some(record) = self.cache.get(&key) {
            return Ok(record);
        }
        let mut rng = SeededRng::new(seed, name);
        let frames = choose_frames(path, count, &mut rng)?;
        let record = self.recognize_frames(frames, noise, &mut rng)?;
        self.cache.put(&key, &record)?;
        Ok(record)
    }

    fn recognize_frames(&mut self, frames: Vec<Frame>, noise: Noise, rng: &mut SeededRng) -> Result<DetectionRecord> {
        let size = frames.first().map_or(Size::new(1, 1), |frame| frame.picture.size());
        let numbers: Vec<u64> = frames.iter().map(|frame| frame.meta.sequence).collect();
        let shown: VecDeque<Frame> = match noise {
            Noise::Off => frames.into(),
            Noise::Published => frames
                .into_iter()
                .map(|frame| Frame { meta: frame.meta, picture: Arc::new(published(&frame.picture, rng)) })
                .collect(),
        };
        let mut seen = Vec::new();
        let mut empty = Vec::new();
        recognize_in_order(&mut ChosenFrames(shown), &mut self.workers, |frame, detections, _| {
            let number = frame.meta.sequence;
            if detections.is_empty() {
                empty.push(frame);
            } else {
                let at = frame.picture.size();
                seen.extend(detections.into_iter().map(|mut detection| {
                    detection.bounds = scaled(detection.bounds, at, size);
                    FrameDetection { frame: number, detection, substitute: false }
                }));
            }
            Ok(())
        })?;
        for frame in empty {
            let mut substitute = self.substitute(&frame.picture, frame.meta.sequence)?;
            substitute.detection.bounds = scaled(substitute.detection.bounds, frame.picture.size(), size);
            seen.push(substitute);
        }
        seen.sort_by_key(|seen| seen.frame);
        Ok(DetectionRecord { size, frames: numbers, detections: seen })
    }

    /// The whole picture as a substitute for a garment.
    fn substitute(&mut self, picture: &Picture, frame: u64) -> Result<FrameDetection> {
        let size = picture.size();
        let whole = Rect::new(0.0, 0.0, size.width as f32, size.height as f32);
        let mut detection = self.workers[0].recognize_in(picture, whole, &mut StageTimes::default())?;
        (detection.class, detection.score) = (NO_CLASS, SUBSTITUTE_SCORE);
        Ok(FrameDetection { frame, detection, substitute: true })
    }
}

/// At most `count` frames of a clip, selected uniformly at random.
fn choose_frames(path: &Path, count: usize, rng: &mut SeededRng) -> Result<Vec<Frame>> {
    let mut source = capture::open_every_frame(&path.display().to_string())?;
    let mut kept = Reservoir::new(count);
    while let Some(frame) = source.next()? {
        kept.offer(frame, rng);
    }
    Ok(kept.into_sorted())
}

/// The picture of a query: a picture file, or a frame of a clip.
pub fn still(query: &QueryRow) -> Result<Picture> {
    query.frame.map_or_else(|| read_picture(&query.file), |number| frame(&query.file, number))
}

/// Frame `number` of a clip, counted from 0.
pub fn frame(clip: &Path, number: u64) -> Result<Picture> {
    let mut source = capture::open_every_frame(&clip.display().to_string())?;
    while let Some(frame) = source.next()? {
        if frame.meta.sequence == number {
            return Ok(Arc::unwrap_or_clone(frame.picture));
        }
    }
    let text = match source.damage() {
        Some(damage) => format!("{} has no undamaged frame {number}: {damage}", clip.display()),
        None => format!("{} has no frame {number}: it ends earlier", clip.display()),
    };
    Err(Fault::new(Kind::Input, text).cure("frame numbers start at 0"))
}

/// Scales a box of a picture of size `from` to the same picture at size `to`.
fn scaled(bounds: Rect<Camera>, from: Size, to: Size) -> Rect<Camera> {
    let (x, y) = (to.width as f32 / from.width as f32, to.height as f32 / from.height as f32);
    Rect::new(bounds.x1 * x, bounds.y1 * y, bounds.x2 * x, bounds.y2 * y)
}

/// Identifies a file or a folder of frames by path, length and modification time.
fn identity(path: &Path) -> Result<String> {
    let fail = |error| Fault::io(Kind::Input, "read", path, error);
    let meta = std::fs::metadata(path).map_err(fail)?;
    let time = meta.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    Ok(format!("{} {} {}", path.display(), meta.len(), time.as_nanos()))
}
