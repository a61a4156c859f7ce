//! Tests against NVIDIA's interfaces: struct layouts always, the libraries themselves if installed.

use super::super::roi_align::{self, Roi};
use super::super::{BuildEvent, BuildLimits};
use super::interface::{BuildOptions, DRIVER, Factories, RawInfo, missing_dependency, open, shim_for};
use super::{Gpu, Nvinfer};
use crate::fault::{Kind, Result};
use crate::geometry::{Rect, Size};
use crate::network::engines::open::{Batch, sizes, with_batch};
use crate::network::manifest::{GraphName, check_hash};
use crate::network::{Manifest, Precision};
use crate::seam::settings::{FeatureSettings, RoiSettings};
use crate::seam::{FeatureMap, Levels, Pyramid, RoiGrid};
use crate::tensor::Tensor;
use proptest::prelude::*;

#[test]
fn only_known_versions_have_a_shim() {
    assert!(shim_for(8_601).is_none() && shim_for(120_000).is_none());
    assert!([100_300, 110_400, 10_701].into_iter().any(|version| shim_for(version).is_some()));
}

#[test]
fn struct_layouts_match_the_shim() {
    // Computed by hand from shim.cpp and roi_align.cu, for 64-bit machines.
    assert_eq!((size_of::<Factories>(), size_of::<BuildOptions>(), size_of::<RawInfo>()), (40, 64, 24));
    assert_eq!((size_of::<Roi>(), align_of::<Roi>()), (32, 8));
}

unsafe extern "C" {
    /// `roi_align.cu`, compiled as C++.
    pub fn vetrina_roi_align_on_the_cpu(
        rois: *const Roi,
        count: i32,
        padded: i32,
        channels: i32,
        side: i32,
        samples: i32,
        out: *mut f32,
    );
}

/// The kernel's arithmetic on the CPU, with the interface of `Gpu::roi_align`.
fn align(maps: &[Tensor], grids: &[RoiGrid], samples: usize, shape: &[usize]) -> Result<Vec<f32>> {
    let place = |map: &Tensor| roi_align::Place {
        address: map.data().as_ptr() as u64,
        channels: map.shape()[1],
        height: map.shape()[2],
        width: map.shape()[3],
    };
    let places: Vec<_> = maps.iter().map(place).collect();
    let mut rois = vec![];
    let job = roi_align::Job::new(shape, &places, grids, samples, &mut rois)?;
    let mut out = vec![f32::NAN; job.bytes() / 4];
    let [count, channels, side, samples] = job.numbers;
    // SAFETY: maps, RoIs and result have the sizes in the job.
    unsafe {
        let (rois, padded) = (rois.as_ptr(), shape[0] as i32);
        vetrina_roi_align_on_the_cpu(rois, count, padded, channels, side, samples, out.as_mut_ptr());
    }
    Ok(out)
}

#[test]
fn the_kernel_passes_the_startup_check() {
    roi_align::check(align).unwrap();
}

proptest! {
    /// Boxes of any position and size, also outside the maps: equal to the CPU's RoIAlign up to rounding.
    #[test]
    fn the_kernel_equals_roi_align_on_the_cpu(
        boxes in prop::collection::vec((-40f32..300.0, -40f32..200.0, 0f32..320.0, 0f32..220.0), 0..4),
        seed in prop::collection::vec(-4f32..4.0, 97),
        side in prop::sample::select(vec![7usize, 14]),
        channels in 1usize..40,
        samples in 1usize..=4,
    ) {
        let features = FeatureSettings { channels, levels: vec![3, 4, 5] };
        let settings = RoiSettings { canonical_size: 224.0, canonical_level: 4, sampling_ratio: samples };
        let input = Size::new(256, 160);
        let map = |stride: usize| {
            let (height, width) = (input.height / stride, input.width / stride);
            let values = (0..channels * height * width).map(|at| seed[at * at % 97]).collect();
            Tensor::new([1, channels, height, width], values)
        };
        let maps = [8, 16, 32].map(map);
        let boxes: Vec<_> = boxes.into_iter().map(|(x, y, w, h)| Rect::new(x, y, x + w, y + h)).collect();
        let wanted = Pyramid::new(maps.iter().map(FeatureMap::from).collect(), &features, input).roi_align(&boxes, side, &settings);
        let grids = maps.iter().map(|map| [map.shape()[2], map.shape()[3]]);
        let levels = Levels::new(grids, &features, input);
        let grids: Vec<_> = boxes.iter().map(|bounds| levels.grid(bounds, side, &settings)).collect();
        let found = align(&maps, &grids, samples, &[4, side, side, channels]).unwrap();
        let padded = wanted.data().iter().copied().chain(std::iter::repeat(0.0));
        for (place, (found, wanted)) in found.iter().zip(padded).enumerate() {
            prop_assert!((found - wanted).abs() < 2e-4, "{place}: {found} instead of {wanted}");
        }
    }
}

/// NVIDIA's libraries, if installed (`scripts/check-tensorrt` downloads them and sets the variable).
fn library(name: &str) -> Option<std::path::PathBuf> {
    let Some(folder) = std::env::var_os("VETRINA_TENSORRT_LIBRARIES") else {
        eprintln!("skipped: VETRINA_TENSORRT_LIBRARIES does not contain {name}");
        return None;
    };
    let path = std::path::PathBuf::from(folder).join(name);
    assert!(path.exists(), "{} does not exist", path.display());
    Some(path)
}

/// The aggregator's sequence lengths.
const OPEN: [i64; 3] = [2, 10, 100];

fn limits() -> BuildLimits {
    BuildLimits { memory: 1 << 30, capability: Some(86) }
}

#[test]
fn the_lean_runtimes_are_recognized_and_cannot_build() {
    for (name, version) in [("libnvinfer_lean.so.10", "10."), ("libnvinfer_lean.so.11", "11.")] {
        let Some(path) = library(name) else { return };
        let nvinfer = Nvinfer::open_file(&path, std::path::Path::new("none")).unwrap();
        assert!(nvinfer.version.starts_with(version) && !nvinfer.rtx, "{}", nvinfer.version);
        let fault = nvinfer.build(b"", OPEN, &limits(), &mut |_| true).unwrap_err().to_string();
        assert!(fault.contains("no builder") && fault.contains("lean"), "{fault}");
    }
}

#[test]
fn the_real_builder_refuses_invalid_graphs_and_can_be_cancelled() {
    let Some(path) = library("libtensorrt_rtx.so.1") else { return };
    let parser = path.with_file_name("libtensorrt_onnxparser_rtx.so.1");
    let nvinfer = Nvinfer::open_file(&path, &parser).unwrap();
    assert!(nvinfer.rtx && nvinfer.version.starts_with("RTX 1."), "{}", nvinfer.version);
    for bad in [&b""[..], b"no graph at all", &[0xff; 4096]] {
        let fault = nvinfer.build(bad, OPEN, &limits(), &mut |_| true).unwrap_err();
        assert_eq!(fault.kind(), Kind::Unavailable);
    }
    let graph = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact/aggregator.onnx");
    let graph = std::fs::read(graph).unwrap();
    let mut steps = 0;
    let engine = nvinfer.build(&graph, OPEN, &limits(), &mut |event| {
        steps += u32::from(matches!(event, BuildEvent::Step { .. }));
        true
    });
    assert!(engine.unwrap().len() > 1000 && steps > 0, "{steps} steps");
    assert!(nvinfer.build(&graph, OPEN, &limits(), &mut |_| false).is_err());
}

#[test]
fn without_a_driver_the_error_names_it() {
    if open(DRIVER).is_ok() {
        eprintln!("skipped: there is a driver here");
        return;
    }
    let Err(fault) = Gpu::open() else { panic!("a GPU without a driver") };
    assert_eq!(fault.kind(), Kind::Unavailable);
    assert!(fault.to_string().contains("driver") && fault.to_string().contains("backend = \"cpu\""), "{fault}");
}

/// The loader's own words, on a library that was linked to one that is gone.
#[test]
fn what_a_library_needs_and_does_not_find_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let link = |name: &str, more: &[&str]| {
        let mut command = std::process::Command::new("c++");
        command.args(["-shared", "-o"]).arg(path(name)).args(more).current_dir(&folder);
        assert!(command.status().unwrap().success());
    };
    link("libneeded.so", &["-Wl,-soname,libneeded.so"]);
    link("libouter.so", &["-Wl,--no-as-needed", "-L.", "-lneeded"]);
    std::fs::remove_file(path("libneeded.so")).unwrap();
    let outer = path("libouter.so").display().to_string();
    let error = open(&outer).err().map(|error| error.to_string()).unwrap();
    assert_eq!(missing_dependency(&outer, &error), Some("libneeded.so"), "{error}");
    let absent = path("libabsent.so").display().to_string();
    let error = open(&absent).err().map(|error| error.to_string()).unwrap();
    assert_eq!(missing_dependency(&absent, &error), None, "{error}");
}

/// Builds every graph of the shipped model, and of the models named in `VETRINA_CONFORMANCE_MODELS`, in every
/// precision.
#[test]
fn the_real_builder_accepts_every_graph() {
    let Some(path) = library("libtensorrt_rtx.so.1") else { return };
    let nvinfer = Nvinfer::open_file(&path, &path.with_file_name("libtensorrt_onnxparser_rtx.so.1")).unwrap();
    let named = std::env::var_os("VETRINA_CONFORMANCE_MODELS").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty());
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact");
    for model in named.chain([shipped]) {
        let manifest = Manifest::load(&model).unwrap();
        for (name, precision) in GraphName::ALL.into_iter().flat_map(|name| Precision::ALL.map(|of| (name, of))) {
            let Some((graph, hash)) = manifest.typed_graph(name, precision) else { continue };
            check_hash(&graph, hash).unwrap();
            let onnx = with_batch(name, std::fs::read(&graph).unwrap(), Batch::Open).unwrap();
            let begun = std::time::Instant::now();
            let engine = nvinfer.build(&onnx, sizes(name, &manifest), &limits(), &mut |_| true);
            let engine = engine.unwrap_or_else(|fault| panic!("{}: {fault}", graph.display()));
            let (megabytes, seconds) = (engine.len() as f64 / 1e6, begun.elapsed().as_secs_f64());
            eprintln!("{} {} in {precision}: {megabytes:.1} MB in {seconds:.1} s", manifest.name, name.name());
        }
    }
}
