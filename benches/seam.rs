//! The arithmetic between the graphs at the compact network's sizes: letterbox, proposals, suppression, RoIAlign,
//! top-k.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use vetrina::frame::Picture;
use vetrina::geometry::{Network, Rect, Size};
use vetrina::seam::letterbox::letterbox;
use vetrina::seam::nms::nms;
use vetrina::seam::proposals::{proposals, top_k};
use vetrina::seam::settings::{
    AnchorSettings, FeatureSettings, InputSettings, Prefilter, ProposalSettings, RoiSettings,
};
use vetrina::seam::{Anchors, FeatureMap, Pyramid};
use vetrina::tensor::Tensor;

const INPUT: Size = Size::new(256, 384);
const CHANNELS: usize = 64;
const STRIDES: [usize; 4] = [8, 16, 32, 64];

/// Values from -1 to 1, the same on every run.
fn noise(length: usize, mut state: u64) -> Vec<f32> {
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..length).map(|_| next()).collect()
}

fn grid(stride: usize) -> (usize, usize) {
    (INPUT.height / stride, INPUT.width / stride)
}

fn maps(channels: usize, strides: &[usize]) -> Vec<Tensor> {
    strides
        .iter()
        .map(|&stride| {
            let (height, width) = grid(stride);
            Tensor::new([1, channels, height, width], noise(channels * height * width, stride as u64))
        })
        .collect()
}

fn boxes(count: usize) -> Vec<Rect<Network>> {
    let values = noise(4 * count, 7);
    let place = |value: f32, length: f32| (value + 1.0) / 2.0 * length;
    values
        .chunks_exact(4)
        .map(|v| {
            let (x, y) = (place(v[0], 180.0), place(v[1], 280.0));
            Rect::new(x, y, x + 16.0 + place(v[2], 60.0), y + 16.0 + place(v[3], 88.0))
        })
        .collect()
}

fn pictures(criterion: &mut Criterion) {
    let picture = Picture::new(Size::new(1080, 1920), (0..3 * 1080 * 1920).map(|at| (at % 251) as u8).collect());
    for (name, prefilter) in [("none", Prefilter::None), ("box", Prefilter::Box)] {
        let settings = InputSettings {
            height: INPUT.height,
            width: INPUT.width,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            prefilter,
        };
        criterion.bench_function(&format!("letterbox 1080x1920, prefilter {name}"), |bench| {
            bench.iter(|| letterbox(black_box(&picture), &settings));
        });
    }
}

fn boxes_and_rois(criterion: &mut Criterion) {
    let anchors = Anchors::new(&AnchorSettings {
        sizes: vec![32.0, 64.0, 128.0, 256.0],
        ratios: vec![0.5, 1.0, 2.0],
        strides: STRIDES.map(|stride| [stride, stride]).to_vec(),
    });
    let settings = ProposalSettings { per_level: 300, keep: 100, nms: 0.7, min_side: 1e-3, context: None };
    let (objectness, deltas) = (maps(3, &STRIDES), maps(12, &STRIDES));
    criterion.bench_function("proposals", |bench| {
        bench.iter(|| proposals(black_box(&objectness), &deltas, &anchors, &settings, INPUT));
    });
    criterion.bench_function("top 300 of a level", |bench| {
        bench.iter(|| top_k(black_box(objectness[0].data()), 300, |index| index));
    });
    let many = boxes(300);
    criterion.bench_function("nms of 300", |bench| bench.iter(|| nms(black_box(&many), 0.7, usize::MAX)));
    let features = maps(CHANNELS, &STRIDES[..3]);
    let feature_settings = FeatureSettings { channels: CHANNELS, levels: vec![3, 4, 5] };
    let pyramid = Pyramid::new(features.iter().map(FeatureMap::from).collect(), &feature_settings, INPUT);
    let rois = RoiSettings { canonical_size: 224.0, canonical_level: 4, sampling_ratio: 2 };
    for (count, side) in [(100, 7), (8, 14)] {
        let boxes = boxes(count);
        criterion.bench_function(&format!("roi_align {side}x{side} of {count}"), |bench| {
            bench.iter(|| pyramid.roi_align(black_box(&boxes), side, &rois));
        });
    }
}

criterion_group!(benches, pictures, boxes_and_rois);
criterion_main!(benches);
