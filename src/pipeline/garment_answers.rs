//! Which products the garments of a whole clip or of one picture are, and how that is written as JSON: for `vetrina match` and for
//! pictures that are sent over HTTP.

use super::aggregator::Aggregator;
use super::clip_tracks::{BEGIN_SCORE, ClipTracks, GarmentTrack, MIN_FRAMES};
use super::close_ups::CloseUps;
use super::matcher::{Match, Matcher, Verdict};
use super::recognizer::Recognizer;
use super::tracking::tracker_from;
use crate::capture::{MAX_SIDE, decode_picture};
use crate::fault::{Fault, Kind, Result};
use crate::frame::{Frame, FrameMeta, Picture};
use crate::metrics::StageTimes;
use crate::seam::Detections;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The most pixels of a picture that is sent: more than cameras of phones have at their usual setting.
const MOST_PIXELS: u64 = 16_000_000;

/// A garment with its answer.
pub struct GarmentAnswer<'r> {
    pub garment: &'r GarmentTrack,
    pub matches: Vec<Match>,
}

impl GarmentAnswer<'_> {
    /// What a mirror would say of the garment: that of its best match.
    pub fn verdict(&self) -> Verdict {
        self.matches.first().map_or(Verdict::None, |best| best.verdict)
    }
}

/// The answers for the garments of a clip, the most prominent first: at most `frames` frames of each make its query, and the best
/// `top` products are listed.
pub fn garment_answers<'r>(
    tracks: &'r ClipTracks,
    aggregator: &mut Aggregator,
    matcher: &Matcher,
    frames: usize,
    top: usize,
) -> Result<Vec<GarmentAnswer<'r>>> {
    let mut answers = Vec::new();
    for garment in tracks.garments(MIN_FRAMES) {
        let window = garment.window(frames);
        let query = aggregator.aggregate(&window, &mut StageTimes::default())?;
        answers.push(GarmentAnswer { garment, matches: matcher.search_for(&query, garment.class, top) });
    }
    Ok(answers)
}

/// The answers as JSON: one object a garment.
pub fn answers_json(answers: &[GarmentAnswer], classes: &[String]) -> Value {
    answers
        .iter()
        .map(|answer| {
            json!({
                "class": classes.get(answer.garment.class),
                "score": answer.garment.score,
                "box": answer.garment.bounds.corners(),
                "frames": answer.garment.frames(),
                "verdict": answer.verdict(),
                "matches": answer.matches.iter().enumerate().map(match_json).collect::<Value>(),
            })
        })
        .collect()
}

fn match_json((place, found): (usize, &Match)) -> Value {
    json!({
        "id": found.product.id,
        "group": found.product.group(),
        "title": found.product.title,
        "color": found.product.color,
        "size": found.product.size,
        "price": found.product.price,
        "location": found.product.location,
        "score": found.score,
        "verdict": found.verdict,
        "rank": place + 1,
    })
}

/// Finds the products in single pictures: a network of its own on the CPU, and a catalogue that is loaded anew when it changes.
pub struct PictureMatcher {
    recognizer: Recognizer,
    aggregator: Aggregator,
    matcher: Matcher,
    catalogue: PathBuf,
}

impl PictureMatcher {
    /// Loads model and catalogue.
    pub fn load(model: &Path, catalogue: &Path) -> Result<Self> {
        let recognizer = Recognizer::load(model)?;
        let matcher = Matcher::load(catalogue, recognizer.manifest())?;
        let aggregator = recognizer.aggregator();
        Ok(PictureMatcher { recognizer, aggregator, matcher, catalogue: catalogue.into() })
    }

    /// The garments of a picture with their `top` best products, as JSON: `size` and `garments`.
    pub fn answer(&mut self, picture: Picture, catalogue: &Path, top: usize) -> Result<Value> {
        // While the file is gone, what is in memory answers.
        let has_changed = self.matcher.catalogue_has_changed().unwrap_or(false);
        if self.catalogue != catalogue || has_changed {
            self.matcher = Matcher::load(catalogue, self.recognizer.manifest())?;
            self.catalogue = catalogue.into();
        }
        let size = picture.size();
        let meta = FrameMeta { source: 0, sequence: 0, captured: Duration::ZERO };
        let frame = Frame { meta, picture: Arc::new(picture) };
        let mut times = StageTimes::default();
        let detections = self.recognizer.recognize(&frame.picture, &mut times)?;
        let mut tracker = tracker_from(self.recognizer.manifest(), BEGIN_SCORE);
        tracker.update(Detections { meta, size, detections });
        if let Some(mut close_ups) = CloseUps::new(&self.recognizer, usize::MAX) {
            close_ups.update(&mut tracker, &frame, usize::MAX, &mut times)?;
        }
        let mut tracks = ClipTracks::default();
        tracks.observe(tracker.tracks());
        let answers = garment_answers(&tracks, &mut self.aggregator, &self.matcher, 1, top)?;
        let classes = &self.recognizer.manifest().classes;
        Ok(json!({ "size": [size.width, size.height], "garments": answers_json(&answers, classes) }))
    }
}

/// Decodes a picture that somebody sent: JPEG or PNG, of a size that the mirror has memory for.
///
/// # Errors
/// [`Kind::Input`]: it is something else, damaged, or too large.
pub fn decode_sent_picture(bytes: &[u8]) -> Result<Picture> {
    let fault = |text: &str| Fault::new(Kind::Input, format!("cannot read the picture: {text}"));
    let is_jpeg = bytes.starts_with(&[0xff, 0xd8]);
    if !is_jpeg && !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Err(fault("it is neither JPEG nor PNG").cure("send the file's bytes as the body"));
    }
    let format = if is_jpeg { image::ImageFormat::Jpeg } else { image::ImageFormat::Png };
    let size = image::ImageReader::with_format(std::io::Cursor::new(bytes), format).into_dimensions();
    let (width, height) = size.map_err(|error| fault("its head is damaged").cause(error).cure("save it again"))?;
    let too_long = width.max(height) as usize > MAX_SIDE;
    if too_long || u64::from(width) * u64::from(height) > MOST_PIXELS {
        let text = format!("{width}x{height} pixels are too many");
        return Err(fault(&text).cure(format!("send at most {} million", MOST_PIXELS / 1_000_000)));
    }
    decode_picture(bytes, "that was sent")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    #[test]
    fn only_pictures_that_there_is_memory_for_are_decoded() {
        let noise = (0..3 * 64 * 64).map(|i| (i * 7919 % 251) as u8).collect();
        let jpeg = Picture::new(Size::new(64, 64), noise).jpeg(90).unwrap();
        assert_eq!(decode_sent_picture(&jpeg).unwrap().size(), Size::new(64, 64));
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(8, 6).write_to(&mut png, image::ImageFormat::Png).unwrap();
        let png = png.into_inner();
        assert_eq!(decode_sent_picture(&png).unwrap().size(), Size::new(8, 6));
        for (bytes, why) in [
            (&b""[..], "neither JPEG nor PNG"),
            (b"GIF89a", "neither JPEG nor PNG"),
            (&jpeg[..3], "damaged"),
            (&jpeg[..jpeg.len() / 2], "cut short"),
            (&png[..20], "damaged"),
        ] {
            let fault = decode_sent_picture(bytes).unwrap_err();
            assert!(fault.kind() == Kind::Input && fault.to_string().contains(why), "{fault}");
        }
        // 5000 x 5000 in the head; its check sum is not looked at before.
        let mut large = png;
        large[16..24].copy_from_slice(&[0, 0, 0x13, 0x88, 0, 0, 0x13, 0x88]);
        let fault = decode_sent_picture(&large).unwrap_err().to_string();
        assert!(fault.contains("too many") || fault.contains("damaged"), "{fault}");
    }
}
