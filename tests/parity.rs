//! Equality with the published network, step by step and as a whole (docs/seam.md).
//!
//! The steps need only the fixtures (`VETRINA_SHARED`, or `../shared` beside the repository). The whole network also
//! needs the exported parity checkpoint: `scripts/export` into the folder in `VETRINA_PARITY_MODEL`. Tests whose files
//! are missing are skipped with a message.

#![allow(clippy::unwrap_used)]

mod npz;

use npz::array;
use std::path::{Path, PathBuf};
use vetrina::capture::read_picture;
use vetrina::evaluation::protocol::ranks;
use vetrina::evaluation::query_track::published_tracks;
use vetrina::evaluation::record::{DetectionRecord, FrameDetection};
use vetrina::evaluation::reference_gallery::{ReferenceGallery, ReferenceView};
use vetrina::geometry::{Camera, Network, Rect, Size};
use vetrina::metrics::StageTimes;
use vetrina::pipeline::recognizer::Recognizer;
use vetrina::seam::greedy::greedy_tracks;
use vetrina::seam::letterbox::letterbox;
use vetrina::seam::proposals::proposals;
use vetrina::seam::settings::{
    AnchorSettings, FeatureSettings, InputSettings, Prefilter, ProposalSettings, RoiSettings,
};
use vetrina::seam::{Anchors, Detection, Embedding, EmbeddingHead, FeatureMap, Levels, Pyramid, ScoreHead};
use vetrina::tensor::Tensor;

const INPUT: Size = Size::new(320, 320);

fn fixtures() -> Option<PathBuf> {
    let named = std::env::var_os("VETRINA_SHARED").map(PathBuf::from);
    let shared = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let folder = shared.join("parity");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: the parity fixtures are missing");
    None
}

fn model() -> Option<Recognizer> {
    let Some(folder) = std::env::var_os("VETRINA_PARITY_MODEL") else {
        eprintln!("skipped: VETRINA_PARITY_MODEL does not name the exported parity checkpoint");
        return None;
    };
    Some(Recognizer::load(Path::new(&folder)).unwrap())
}

fn floats(path: &Path, name: &str) -> Vec<f32> {
    array(path, name).1.into_iter().map(|value| value as f32).collect()
}

fn tensor(path: &Path, name: &str) -> Tensor {
    let (shape, values) = array(path, name);
    Tensor::new(shape, values.into_iter().map(|value| value as f32).collect::<Vec<f32>>())
}

fn rows(path: &Path, name: &str, length: usize) -> Vec<Vec<f32>> {
    floats(path, name).chunks_exact(length).map(<[f32]>::to_vec).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn published_input(height: usize, width: usize) -> InputSettings {
    InputSettings { height, width, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], prefilter: Prefilter::None }
}

fn published_anchors() -> Anchors {
    Anchors::new(&AnchorSettings {
        sizes: vec![32.0, 64.0, 128.0, 256.0, 512.0],
        ratios: vec![0.5, 1.0, 2.0],
        strides: [4, 8, 16, 32, 64].map(|stride| [stride, stride]).to_vec(),
    })
}

#[test]
fn pictures_are_resized_and_normalised_as_published() {
    let Some(folder) = fixtures() else { return };
    let path = folder.join("preprocess.npz");
    for case in 0..5 {
        let (source, pixels) = array(&path, &format!("c{case}_src_u8"));
        let rgb = pixels.iter().map(|value| *value as u8).collect();
        let picture = vetrina::frame::Picture::new(Size::new(source[1], source[0]), rgb);
        let size = array(&path, &format!("c{case}_size")).1;
        let expected = tensor(&path, &format!("c{case}_out"));
        let (height, width) = (expected.shape()[2], expected.shape()[3]);
        // The published scale leaves a fraction of a pixel on one axis; a letterbox one pixel larger there gives the
        // same scale.
        let sides = [size[0] as usize, size[1] as usize];
        let fits = [[0, 0], [1, 0], [0, 1]].map(|[tall, wide]| published_input(sides[0] + tall, sides[1] + wide));
        let found = fits.iter().map(|settings| (settings, letterbox(&picture, settings)));
        let (settings, (input, _)) = found
            .into_iter()
            .find(|(_, (_, fit))| [fit.scaled.height, fit.scaled.width] == sides)
            .unwrap_or_else(|| panic!("case {case}: no letterbox scales to {sides:?}"));
        let [rows, columns] = sides;
        for channel in 0..3 {
            for y in 0..rows {
                let ours = &input.data()[(channel * settings.height + y) * settings.width..][..columns];
                let theirs = &expected.data()[(channel * height + y) * width..][..columns];
                let difference = largest_difference(ours, theirs);
                assert!(difference < 2e-5, "case {case}, channel {channel}, row {y}: {difference}");
            }
        }
    }
}

#[test]
fn proposals_are_the_published_ones() {
    let Some(folder) = fixtures() else { return };
    let path = folder.join("case-320x320/frame.npz");
    let objectness: Vec<Tensor> = (0..5).map(|level| tensor(&path, &format!("obj{level}"))).collect();
    let deltas: Vec<Tensor> = (0..5).map(|level| tensor(&path, &format!("delta{level}"))).collect();
    let settings = ProposalSettings { per_level: 1000, keep: 1000, nms: 0.7, min_side: 1e-3, context: None };
    let ours = proposals(&objectness, &deltas, &published_anchors(), &settings, INPUT);
    let expected = rows(&path, "proposals", 4);
    assert_eq!(ours.len(), expected.len());
    let near = |ours: &Rect<Network>, theirs: &[f32]| largest_difference(&ours.corners(), theirs) < 0.01;
    let in_place = ours.iter().zip(&expected).filter(|(ours, theirs)| near(&ours.bounds, theirs)).count();
    assert!(in_place >= 990, "{in_place} of {} proposals in their place", expected.len());
    let present = expected.iter().filter(|theirs| ours.iter().any(|ours| near(&ours.bounds, theirs))).count();
    assert!(present >= 998, "{present} of {} proposals", expected.len());
}

#[test]
fn rois_are_the_published_ones() {
    let Some(folder) = fixtures() else { return };
    let path = folder.join("case-320x320/frame.npz");
    let features: Vec<Tensor> = (2..6).map(|level| tensor(&path, &format!("p{level}"))).collect();
    let feature_settings = FeatureSettings { channels: 256, levels: vec![2, 3, 4, 5] };
    let pyramid = Pyramid::new(features.iter().map(FeatureMap::from).collect(), &feature_settings, INPUT);
    let grids = features.iter().map(|feature| [feature.shape()[2], feature.shape()[3]]);
    let pyramid_levels = Levels::new(grids, &feature_settings, INPUT);
    let settings = RoiSettings { canonical_size: 224.0, canonical_level: 4, sampling_ratio: 2 };
    let boxes = |name: &str| -> Vec<Rect<Network>> {
        rows(&path, name, 4).iter().map(|b| Rect::new(b[0], b[1], b[2], b[3])).collect()
    };
    let proposals = boxes("proposals");
    let levels = floats(&path, "roi_levels");
    for (bounds, level) in proposals.iter().zip(&levels) {
        assert_eq!(pyramid_levels.grid(bounds, 7, &settings).level as f32, *level, "{bounds:?}");
    }
    for (name, boxes, side) in [("roi7_head", &proposals[..32], 7), ("roi14", &boxes("det_boxes")[..], 14)] {
        let expected = tensor(&path, name);
        let ours = pyramid.roi_align(boxes, side, &settings);
        let scale = expected.data().iter().copied().fold(0.0, |a: f32, b| a.max(b.abs()));
        let bins = side * side;
        let mut difference = 0f32;
        for (at, value) in expected.data().iter().enumerate() {
            let (roi, channel, bin) = (at / (256 * bins), at / bins % 256, at % bins);
            difference = difference.max((ours.data()[(roi * bins + bin) * 256 + channel] - value).abs());
        }
        assert!(difference < 1e-4 * scale, "{name}: {difference} of {scale}");
    }
}

#[test]
fn tracks_are_the_published_ones() {
    let Some(folder) = fixtures() else { return };
    let path = folder.join("case-320x320/video.npz");
    let frames: Vec<i64> = array(&path, "det_frame").1.into_iter().map(|frame| frame as i64).collect();
    let (scores, similarity) = (floats(&path, "det_scores"), floats(&path, "self_similarity"));
    let tracks = greedy_tracks(&frames, &scores, |a, b| similarity[a * frames.len() + b]);
    let members: Vec<usize> = array(&path, "tracks_flat").1.into_iter().map(|index| index as usize).collect();
    let mut rest = &members[..];
    let mut expected = Vec::new();
    for length in array(&path, "tracks_len").1 {
        let (track, others) = rest.split_at(length as usize);
        expected.push(track.to_vec());
        rest = others;
    }
    assert_eq!(tracks, expected);
}

#[test]
fn the_evaluations_tracks_scores_and_ranks_are_the_published_ones() {
    let Some(folder) = fixtures() else { return };
    let path = folder.join("case-320x320/video.npz");
    let record = published_record(&path);
    let parity = published_heads(&folder.join("checkpoint.npz"));
    let mut gallery = ReferenceGallery::new(parity.0.clone(), parity.1);
    let (matching, aggregation) = (rows(&path, "gallery_match", 256), rows(&path, "gallery_aggr", 256));
    for (matching, aggregation) in matching.into_iter().zip(aggregation) {
        gallery.add(None, vec![ReferenceView { matching: matching.into(), aggregation: aggregation.into() }]);
    }
    // Single frames: every box with every product.
    let published = floats(&path, "frame_gallery_logits");
    for (index, seen) in record.detections.iter().enumerate() {
        let logits = gallery.logits(EmbeddingHead::Match, &seen.detection.match_embedding);
        let pairs = published[index * 24..(index + 1) * 24].chunks_exact(2);
        let expected: Vec<f32> = pairs.map(|pair| pair[1] - pair[0]).collect();
        assert!(largest_difference(&logits, &expected) < 1e-2, "box {index}");
    }
    // SEAM: every published track with every product, in the published order.
    let tracks = published_tracks(&record, &parity.0);
    let lengths: Vec<usize> = array(&path, "tracks_len").1.into_iter().map(|length| length as usize).collect();
    assert_eq!(tracks.iter().map(Vec::len).collect::<Vec<_>>(), lengths);
    let (queries, order) = (rows(&path, "query", 256), array(&path, "query_gallery_rank").1);
    let logits = floats(&path, "query_gallery_logits");
    for (number, track) in tracks.iter().enumerate() {
        let found = gallery.logits(EmbeddingHead::Aggregation, &queries[number]);
        let pairs = logits[number * 24..(number + 1) * 24].chunks_exact(2);
        let expected: Vec<f32> = pairs.map(|pair| pair[1] - pair[0]).collect();
        assert!(largest_difference(&found, &expected) < 1e-2, "track {number}");
        for (place, own) in order[number * 12..(number + 1) * 12].iter().enumerate() {
            let mut aggregate = |window: &[Embedding]| {
                assert_eq!(window.len(), track.len());
                Ok(queries[number].clone().into())
            };
            let ranks = ranks(track, *own as usize, &gallery, None, &mut aggregate).unwrap();
            assert_eq!(ranks[0], [Some(place + 1)], "track {number}, product {own}");
        }
    }
}

/// All boxes of the published clip with the published embeddings.
fn published_record(path: &Path) -> DetectionRecord {
    let (frames, scores) = (array(path, "det_frame").1, floats(path, "det_scores"));
    let labels = array(path, "det_labels").1;
    let (matching, aggregation) = (rows(path, "match_features", 256), rows(path, "aggr_features", 256));
    let boxes = rows(path, "det_boxes", 4).into_iter().map(|b| Rect::new(b[0], b[1], b[2], b[3]));
    let seen = boxes.zip(matching.into_iter().zip(aggregation)).enumerate().map(|(index, (bounds, embeddings))| {
        FrameDetection {
            frame: frames[index] as u64,
            detection: Detection {
                bounds,
                class: labels[index] as usize - 1,
                score: scores[index],
                match_embedding: embeddings.0.into(),
                aggregation_embedding: embeddings.1.into(),
            },
            substitute: false,
        }
    });
    DetectionRecord { size: INPUT, detections: seen.collect(), frames: (0..10).collect() }
}

/// The score heads of the published network.
fn published_heads(checkpoint: &Path) -> (ScoreHead, ScoreHead) {
    let head = |name: &str| {
        let weight = rows(checkpoint, &format!("f/roi_heads.{name}.last.weight"), 256);
        let bias = floats(checkpoint, &format!("f/roi_heads.{name}.last.bias"));
        let difference = weight[1].iter().zip(&weight[0]).map(|(one, zero)| one - zero);
        ScoreHead { weight: difference.collect(), bias: bias[1] - bias[0] }
    };
    (head("match_predictor"), head("temporal_aggregator"))
}

#[test]
fn the_still_picture_gives_the_published_detections() {
    let (Some(folder), Some(mut recognizer)) = (fixtures(), model()) else { return };
    let case = folder.join("case-320x320");
    let path = case.join("frame.npz");
    let picture = read_picture(&case.join("frame.png")).unwrap();
    let ours = recognizer.recognize(&picture, &mut StageTimes::default()).unwrap();
    let boxes = rows(&path, "det_boxes", 4);
    let (labels, scores) = (floats(&path, "det_labels"), floats(&path, "det_scores"));
    let matching = rows(&path, "match_features", 256);
    let aggregation = rows(&path, "aggr_features", 256);
    assert_eq!(ours.len(), boxes.len());
    let greatest = |rows: &[Vec<f32>]| rows.iter().flatten().fold(0f32, |a, b| a.max(b.abs()));
    for (index, detection) in ours.iter().enumerate() {
        assert_eq!(detection.class as f32 + 1.0, labels[index]);
        assert!(largest_difference(&detection.bounds.corners(), &boxes[index]) <= 0.01, "box {index}");
        assert!((detection.score - scores[index]).abs() <= 2e-4, "score {index}");
        let difference = largest_difference(&detection.match_embedding, &matching[index]);
        assert!(difference <= 1e-3 * greatest(&matching), "match embedding {index}: {difference}");
        let difference = largest_difference(&detection.aggregation_embedding, &aggregation[index]);
        assert!(difference <= 1e-3 * greatest(&aggregation), "aggregation embedding {index}: {difference}");
    }
}

#[test]
fn the_clip_gives_the_published_detections() {
    let (Some(folder), Some(mut recognizer)) = (fixtures(), model()) else { return };
    let case = folder.join("case-320x320");
    let path = case.join("video.npz");
    let frames = array(&path, "det_frame").1;
    let (boxes, labels) = (rows(&path, "det_boxes", 4), floats(&path, "det_labels"));
    let mut matched = 0;
    for frame in 0..10 {
        let picture = read_picture(&case.join(format!("video/{frame:02}.png"))).unwrap();
        let mut ours = recognizer.recognize(&picture, &mut StageTimes::default()).unwrap();
        for index in (0..boxes.len()).filter(|&index| frames[index] == f64::from(frame)) {
            let b = &boxes[index];
            let bounds = Rect::<Camera>::new(b[0], b[1], b[2], b[3]);
            let same = |ours: &Detection| ours.class as f32 + 1.0 == labels[index] && ours.bounds.iou(&bounds) > 0.98;
            if let Some(place) = ours.iter().position(same) {
                ours.remove(place);
                matched += 1;
            }
        }
    }
    let share = f64::from(matched) / boxes.len() as f64;
    assert!(share >= 0.99, "{matched} of {} detections", boxes.len());
}

#[test]
fn aggregated_queries_and_ranks_are_the_published_ones() {
    let (Some(folder), Some(recognizer)) = (fixtures(), model()) else { return };
    let mut aggregator = recognizer.aggregator();
    let path = folder.join("case-320x320/video.npz");
    let embeddings = rows(&path, "aggr_features", 256);
    let members: Vec<usize> = array(&path, "tracks_flat").1.into_iter().map(|index| index as usize).collect();
    let gallery = rows(&path, "gallery_aggr", 256);
    let (queries, ranks) = (rows(&path, "query", 256), array(&path, "query_gallery_rank").1);
    let head = recognizer.manifest().aggregation_score();
    let mut start = 0;
    for (track, length) in array(&path, "tracks_len").1.into_iter().enumerate() {
        let window: Vec<_> =
            members[start..start + length as usize].iter().map(|&index| embeddings[index].clone().into()).collect();
        start += length as usize;
        let query = aggregator.aggregate(&window, &mut StageTimes::default()).unwrap();
        let scale = queries[track].iter().fold(0f32, |a, b| a.max(b.abs()));
        let difference = largest_difference(&query, &queries[track]);
        assert!(difference <= 1e-4 * scale, "query {track}: {difference} of {scale}");
        let mut order: Vec<usize> = (0..gallery.len()).collect();
        order.sort_by(|&a, &b| head.logit(&query, &gallery[b]).total_cmp(&head.logit(&query, &gallery[a])));
        let expected: Vec<usize> = ranks[track * 12..(track + 1) * 12].iter().map(|rank| *rank as usize).collect();
        assert_eq!(order, expected, "track {track}");
    }
    for length in [1, 2, 5, 10, 16] {
        let window: Vec<_> = rows(&path, &format!("seq{length}_in"), 256).into_iter().map(Into::into).collect();
        let query = aggregator.aggregate(&window, &mut StageTimes::default()).unwrap();
        let expected = floats(&path, &format!("seq{length}_query"));
        let scale = expected.iter().fold(0f32, |a, b| a.max(b.abs()));
        assert!(largest_difference(&query, &expected) <= 1e-4 * scale, "sequence of {length}");
    }
}
