//! A video data set in MovingFashion's layout (docs/seam.md §9): one JSON object, keyed by product.

use crate::fault::{Fault, Kind, Result, plain_words};
use crate::geometry::{Camera, Rect};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Frames without a box use the nearest annotated box up to this many frames away.
const NEAR: u64 = 12;

/// Boxes of one product in one video, by frame number, in the video's pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracklet(BTreeMap<u64, Rect<Camera>>);

/// One product: its shop picture and the videos that show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotated {
    pub id: String,
    /// Path under the data root.
    pub picture: String,
    pub videos: Vec<String>,
    /// `source` 0 (Hard); otherwise Regular.
    pub hard: bool,
    /// One per video, if annotated.
    pub tracklets: Vec<Tracklet>,
}

#[derive(Deserialize)]
struct AnnotationEntry {
    img_path: String,
    video_paths: Vec<String>,
    source: u8,
    #[serde(default)]
    tracklets: Option<Vec<BTreeMap<u64, [f32; 4]>>>,
}

/// Reads an annotation file. Products are in the order of their ids.
///
/// # Errors
/// [`Kind::Input`]: missing, malformed, or without products.
pub fn read(path: &Path) -> Result<Vec<Annotated>> {
    let bytes = std::fs::read(path).map_err(|error| Fault::io(Kind::Input, "read the annotations", path, error))?;
    parse(&bytes).map_err(|fault| {
        Fault::new(Kind::Input, format!("cannot use the annotations {}", path.display()))
            .cause(fault)
            .cure("expected a JSON object: product id -> img_path, video_paths, source, tracklets")
    })
}

/// Parses an annotation file's bytes.
pub fn parse(bytes: &[u8]) -> Result<Vec<Annotated>> {
    let entries: BTreeMap<String, AnnotationEntry> =
        serde_json::from_slice(bytes).map_err(|error| Fault::new(Kind::Input, plain_words(&error.to_string())))?;
    if entries.is_empty() {
        return Err(Fault::new(Kind::Input, "it contains no product"));
    }
    entries.into_iter().map(|(id, entry)| annotated(id, entry)).collect()
}

fn annotated(id: String, entry: AnnotationEntry) -> Result<Annotated> {
    let fault = |what: &str| Err(Fault::new(Kind::Input, format!("the product {id:?} {what}")));
    let tracklets = entry.tracklets.unwrap_or_default();
    if entry.video_paths.is_empty() {
        return fault("has no video");
    }
    if entry.source > 1 {
        return fault("must have source 0 (Hard) or 1 (Regular)");
    }
    if !tracklets.is_empty() && tracklets.len() != entry.video_paths.len() {
        return fault("must have one tracklet per video");
    }
    let boxes = |tracklet: BTreeMap<u64, [f32; 4]>| {
        Tracklet(tracklet.into_iter().map(|(frame, [a, b, c, d])| (frame, Rect::new(a, b, c, d))).collect())
    };
    Ok(Annotated {
        id,
        picture: entry.img_path,
        videos: entry.video_paths,
        hard: entry.source == 0,
        tracklets: tracklets.into_iter().map(boxes).collect(),
    })
}

impl Tracklet {
    pub fn new(boxes: impl IntoIterator<Item = (u64, Rect<Camera>)>) -> Self {
        Tracklet(boxes.into_iter().collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The box at `frame`, or at the nearest annotated frame within `NEAR`.
    pub fn at(&self, frame: u64) -> Option<Rect<Camera>> {
        let before = self.0.range(..=frame).next_back();
        let after = self.0.range(frame..).next();
        let nearest = before.into_iter().chain(after).min_by_key(|(other, _)| other.abs_diff(frame))?;
        (nearest.0.abs_diff(frame) <= NEAR).then_some(*nearest.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_read() {
        let text = r#"{
            "b": {"img_path": "b.jpg", "video_paths": ["b.mp4", "c.mp4"], "source": 0, "more": 1},
            "a": {"img_path": "a.jpg", "video_paths": ["a.mp4"], "source": 1,
                  "tracklets": [{"7": [1, 2, 3.5, 4], "40": [5, 5, 9, 9]}]}
        }"#;
        let products = parse(text.as_bytes()).unwrap();
        assert_eq!(
            products.iter().map(|one| (one.id.as_str(), one.hard)).collect::<Vec<_>>(),
            [("a", false), ("b", true)]
        );
        let tracklet = &products[0].tracklets[0];
        assert_eq!(tracklet.at(9), Some(Rect::new(1.0, 2.0, 3.5, 4.0)));
        assert_eq!(tracklet.at(30), Some(Rect::new(5.0, 5.0, 9.0, 9.0)));
        assert_eq!((tracklet.at(20), tracklet.at(53)), (None, None));
        assert!(products[1].tracklets.is_empty());
    }

    #[test]
    fn errors_name_the_problem() {
        for (text, named) in [
            ("[]", "give an object in braces"),
            ("{}", "no product"),
            (r#"{"a": {"img_path": "a.jpg", "video_paths": [], "source": 1}}"#, "no video"),
            (r#"{"a": {"img_path": "a.jpg", "video_paths": ["v"], "source": 2}}"#, "source"),
            (r#"{"a": {"img_path": "a.jpg", "video_paths": ["v"], "source": 1, "tracklets": [{}, {}]}}"#, "tracklet"),
            (r#"{"a": {"video_paths": ["v"], "source": 1}}"#, "img_path"),
        ] {
            let fault = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(fault.contains(named), "{text}: {fault}");
        }
    }
}
