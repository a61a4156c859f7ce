//! The second pass, and given boxes, with the shipped model.

#![allow(clippy::unwrap_used)]

use image::{RgbImage, imageops};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vetrina::capture;
use vetrina::frame::Picture;
use vetrina::geometry::{Camera, Rect, Size};
use vetrina::metrics::StageTimes;
use vetrina::pipeline::recognizer::Recognizer;
use vetrina::seam::Detection;

const FOCUS: &str = "\n[focus]\nbelow = 0.5\nfill = 0.7\nscore = 0.1\nlooks = 2\n";
/// A frame of the demo's first clip that shows the whole person.
const SHOWN: u64 = 45;

fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The shipped model with or without the second pass.
fn recognizer(focus: bool) -> Recognizer {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(repository("models/compact")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    let manifest = fs::read_to_string(copy.path().join("model.toml")).unwrap();
    let (before, after) = manifest.split_once("\n[focus]\n").unwrap_or((&manifest, ""));
    let rest = after.find("\n[").map_or("", |place| &after[place..]);
    let added = if focus { FOCUS } else { "" };
    fs::write(copy.path().join("model.toml"), format!("{before}{rest}{added}")).unwrap();
    Recognizer::load(copy.path()).unwrap()
}

/// A demo frame with the boxes of the worn garments.
fn frame() -> (Arc<Picture>, Vec<Rect<Camera>>) {
    let mut source = capture::open(&repository("demo/clips/1.mjpg").display().to_string()).unwrap();
    let frame = std::iter::from_fn(|| source.next().unwrap()).find(|frame| frame.meta.sequence == SHOWN).unwrap();
    let truth: serde_json::Value = serde_json::from_slice(&fs::read(repository("demo/truth.json")).unwrap()).unwrap();
    let boxes = truth["clips"][0]["frames"][SHOWN as usize]["boxes"].as_array().unwrap().iter().map(|garment| {
        let side = |place: usize| garment["box"][place].as_f64().unwrap() as f32;
        Rect::new(side(0), side(1), side(2), side(3))
    });
    (frame.picture, boxes.collect())
}

/// The frame as a part of a large landscape picture, where the network sees it 85 pixels high; with the boxes moved
/// accordingly.
fn far_away(picture: &Picture, boxes: &[Rect<Camera>]) -> (Picture, Vec<Rect<Camera>>) {
    let (width, height) = (picture.size().width as u32, picture.size().height as u32);
    let near = RgbImage::from_raw(width, height, picture.rgb().to_vec()).unwrap();
    let mut wide = RgbImage::from_pixel(2880, 1620, image::Rgb([128, 126, 120]));
    imageops::replace(&mut wide, &near, 1650, 90);
    let boxes = boxes.iter().map(|bounds| bounds.shifted(1650.0, 90.0)).collect();
    (Picture::new(Size::new(2880, 1620), wide.into_raw()), boxes)
}

/// Best overlap with `bounds` of any detection with at least this score.
fn best(found: &[Detection], bounds: &Rect<Camera>, score: f32) -> f32 {
    let sure = found.iter().filter(|detection| detection.score >= score);
    sure.map(|detection| detection.bounds.iou(bounds)).fold(0.0, f32::max)
}

#[test]
fn the_second_pass_finds_small_persons_better_and_changes_nothing_else() {
    let (picture, boxes) = frame();
    let (mut once, mut twice) = (recognizer(false), recognizer(true));
    let see = |recognizer: &mut Recognizer, picture: &Picture| {
        let mut times = StageTimes::default();
        let found = recognizer.recognize(picture, &mut times).unwrap();
        let looks = times.summaries().iter().find(|stage| stage.stage == "trunk").map_or(0, |stage| stage.count);
        (found, looks)
    };
    // Large in an upright picture: a single pass, and bitwise equal results.
    let ((first, _), (second, looks)) = (see(&mut once, &picture), see(&mut twice, &picture));
    assert_eq!(looks, 1);
    assert_eq!(first.len(), second.len());
    for (a, b) in first.iter().zip(&second) {
        assert_eq!((a.bounds, a.class, a.score), (b.bounds, b.class, b.score));
        assert_eq!(a.match_embedding, b.match_embedding);
    }
    // Small in a landscape picture.
    let (wide, boxes) = far_away(&picture, &boxes);
    let ((small, _), (focused, looks)) = (see(&mut once, &wide), see(&mut twice, &wide));
    assert!((2..=3).contains(&looks), "{looks} looks");
    let sum = |found: &[Detection]| boxes.iter().map(|bounds| best(found, bounds, 0.3)).sum::<f32>();
    assert!(sum(&focused) > sum(&small), "{} against {}", sum(&focused), sum(&small));
    assert!(focused.is_sorted_by(|a, b| a.score >= b.score));
    let inside = Rect::<Camera>::new(0.0, 0.0, 2880.0, 1620.0);
    assert!(focused.iter().all(|found| inside.intersection(&found.bounds) >= 0.999 * found.bounds.area()));
}

#[test]
fn a_given_box_is_embedded_like_a_detected_one() {
    let (picture, boxes) = frame();
    let mut once = recognizer(false);
    let times = &mut StageTimes::default();
    let found = once.recognize(&picture, times).unwrap();
    let given = once.recognize_in(&picture, found[0].bounds, times).unwrap();
    assert_eq!(given.bounds, found[0].bounds);
    let embeddings = found[0].match_embedding.iter().zip(given.match_embedding.iter());
    let scale = found[0].match_embedding.iter().fold(0f32, |most, value| most.max(value.abs()));
    let difference = embeddings.fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(difference < 1e-3 * scale, "{difference} of {scale}");
    assert!((0.0..=1.0).contains(&given.score) && given.class < once.manifest().classes.len());
    // With the second pass the crop around the box decides, wherever the person is in the picture.
    let mut twice = recognizer(true);
    let (wide, moved) = far_away(&picture, &boxes);
    for (here, there) in boxes.iter().zip(&moved) {
        let (near, far) =
            (twice.recognize_in(&picture, *here, times).unwrap(), twice.recognize_in(&wide, *there, times).unwrap());
        let head = twice.manifest().match_score();
        let blank = twice.recognize_in(&wide, Rect::new(100.0, 100.0, 300.0, 500.0), times).unwrap();
        let alike = head.logit(&near.match_embedding, &far.match_embedding);
        assert!(alike > head.logit(&near.match_embedding, &blank.match_embedding), "{alike}");
    }
}
