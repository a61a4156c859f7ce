//! NVIDIA's libraries as they are: layouts always, the libraries themselves where somebody has them.

use super::*;
use crate::network::manifest::{GraphName, check_hash};
use crate::network::{Manifest, Precision};

#[test]
fn only_versions_with_a_shim_have_one() {
    assert!(shim_for(8_601).is_none() && shim_for(120_000).is_none());
    assert!([100_300, 110_400, 10_701].into_iter().any(|version| shim_for(version).is_some()));
}

#[test]
fn the_layouts_are_those_of_the_shim() {
    // Counted by hand from shim.cpp, for 64-bit machines.
    assert_eq!((size_of::<Factories>(), size_of::<BuildOptions>(), size_of::<RawInfo>()), (40, 64, 16));
}

/// NVIDIA's own libraries where somebody has them (`scripts/check-tensorrt` fetches and names them).
fn library(name: &str) -> Option<std::path::PathBuf> {
    let Some(folder) = std::env::var_os("VETRINA_TENSORRT_LIBRARIES") else {
        eprintln!("skipped: VETRINA_TENSORRT_LIBRARIES names no folder with {name}");
        return None;
    };
    let path = std::path::PathBuf::from(folder).join(name);
    assert!(path.exists(), "{} is not there", path.display());
    Some(path)
}

fn limits() -> BuildLimits {
    BuildLimits { memory: 1 << 30, open: [2, 10, 100], capability: Some(86) }
}

#[test]
fn the_lean_runtimes_are_taken_for_what_they_are_and_build_nothing() {
    for (name, version) in [("libnvinfer_lean.so.10", "10."), ("libnvinfer_lean.so.11", "11.")] {
        let Some(path) = library(name) else { return };
        let nvinfer = Nvinfer::open_file(&path, std::path::Path::new("none")).unwrap();
        assert!(nvinfer.version.starts_with(version) && !nvinfer.rtx, "{}", nvinfer.version);
        let fault = nvinfer.build(b"", &limits(), &mut |_| true).unwrap_err().to_string();
        assert!(fault.contains("no builder") && fault.contains("lean"), "{fault}");
    }
}

#[test]
fn the_real_builder_refuses_what_is_no_graph_and_can_be_stopped() {
    let Some(path) = library("libtensorrt_rtx.so.1") else { return };
    let parser = path.with_file_name("libtensorrt_onnxparser_rtx.so.1");
    let nvinfer = Nvinfer::open_file(&path, &parser).unwrap();
    assert!(nvinfer.rtx && nvinfer.version.starts_with("RTX 1."), "{}", nvinfer.version);
    for bad in [&b""[..], b"no graph at all", &[0xff; 4096]] {
        let fault = nvinfer.build(bad, &limits(), &mut |_| true).unwrap_err();
        assert_eq!(fault.kind(), Kind::Unavailable);
    }
    let graph = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact/aggregator.onnx");
    let graph = std::fs::read(graph).unwrap();
    let mut steps = 0;
    let engine = nvinfer.build(&graph, &limits(), &mut |event| {
        steps += u32::from(matches!(event, BuildEvent::Step { .. }));
        true
    });
    assert!(engine.unwrap().len() > 1000 && steps > 0, "{steps} steps");
    assert!(nvinfer.build(&graph, &limits(), &mut |_| false).is_err());
}

#[test]
fn without_a_driver_there_is_no_gpu_and_that_is_said() {
    if open(DRIVER).is_ok() {
        eprintln!("skipped: there is a driver here");
        return;
    }
    let Err(fault) = Gpu::open() else { panic!("a GPU without a driver") };
    assert_eq!(fault.kind(), Kind::Unavailable);
    assert!(fault.to_string().contains("driver") && fault.to_string().contains("backend = \"cpu\""), "{fault}");
}

/// Every graph of the shipped model, and of those that `VETRINA_CONFORMANCE_MODELS` names, in every precision that they have.
#[test]
fn the_real_builder_takes_every_graph() {
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
            let begun = std::time::Instant::now();
            let engine = nvinfer.build(&std::fs::read(&graph).unwrap(), &limits(), &mut |_| true);
            let engine = engine.unwrap_or_else(|fault| panic!("{}: {fault}", graph.display()));
            let (megabytes, seconds) = (engine.len() as f64 / 1e6, begun.elapsed().as_secs_f64());
            eprintln!("{} {} in {precision}: {megabytes:.1} MB in {seconds:.1} s", manifest.name, name.name());
        }
    }
}
