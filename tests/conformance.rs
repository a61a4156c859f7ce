//! Every graph of a model on every available backend: its outputs equal the CPU's within the tolerance of the
//! precision.
//!
//! Without a GPU it compares the CPU with a copy on another thread, which at least tests sharing. The models are the
//! shipped one and those in `VETRINA_CONFORMANCE_MODELS` (folders separated by colons).

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use vetrina::cli::bench::demo_picture;
use vetrina::geometry::{Camera, Rect};
use vetrina::metrics::StageTimes;
use vetrina::network::engines::EngineCache;
use vetrina::network::engines::build::{build, wanted};
use vetrina::network::engines::compare::{Figure, Tolerance, compare};
use vetrina::network::manifest::GraphName;
use vetrina::network::tensorrt::{BuildLimits, TensorRt};
use vetrina::network::{Backend, Engine, EngineSettings, Graphs, Manifest, Precision};
use vetrina::pipeline::graph_inputs::GraphInputs;
use vetrina::pipeline::recognizer::Recognizer;
use vetrina::tensor::Tensor;

fn models() -> Vec<PathBuf> {
    let named = std::env::var_os("VETRINA_CONFORMANCE_MODELS").unwrap_or_default();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact");
    std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).chain([shipped]).collect()
}

fn engine(graphs: &mut Graphs, name: GraphName) -> &mut Box<dyn Engine> {
    match name {
        GraphName::Trunk => &mut graphs.trunk,
        GraphName::BoxHead => &mut graphs.box_head,
        GraphName::MatchHead => &mut graphs.match_head,
        GraphName::Aggregator => &mut graphs.aggregator,
    }
}

/// Runs every graph on every sample on the CPU and on `other`, and checks the differences against the tolerance of
/// `precision`.
fn hold(manifest: &Manifest, samples: &GraphInputs, mut other: Graphs, precision: Precision) {
    let mut cpu = Graphs::load(manifest).unwrap();
    for graph in GraphName::ALL {
        // A graph that the model lacks in this precision runs in a wider one, whose tolerance applies.
        let (held, _, _) = manifest.typed_within(graph, precision);
        let inputs = samples.inputs(graph);
        assert!(!inputs.is_empty(), "{}: nothing to run it on", graph.name());
        for input in inputs {
            let right = engine(&mut cpu, graph).run(vec![input.clone()]).unwrap();
            let found = engine(&mut other, graph).run(vec![input]).unwrap();
            let names: Vec<String> = (0..right.len()).map(|place| format!("{} output {place}", graph.name())).collect();
            let figures = compare(&names, &right, &found).unwrap();
            let beyond: Vec<&Figure> = figures.iter().filter(|figure| !Tolerance::of(held).allows(figure)).collect();
            assert!(beyond.is_empty(), "{} on {} in {held}: {beyond:?}", manifest.name, other.runs_on.name);
        }
    }
}

/// Embeds a garment in a given box on the CPU and on `other`: tensors kept on the GPU must not change the result.
fn hold_whole(manifest: &Arc<Manifest>, other: Graphs, precision: Precision) {
    let picture = demo_picture().unwrap();
    let (width, height) = (picture.size().width as f32, picture.size().height as f32);
    let bounds = Rect::<Camera>::new(0.3 * width, 0.15 * height, 0.7 * width, 0.55 * height);
    let [cpu, found] = [Graphs::load(manifest).unwrap(), other].map(|graphs| {
        let mut recognizer = Recognizer::new(manifest.clone(), graphs);
        recognizer.recognize_in(&picture, bounds, &mut StageTimes::default()).unwrap()
    });
    let least = match precision {
        Precision::Fp32 => 0.9999,
        Precision::Fp16 => 0.999,
        Precision::Int8 => 0.9,
    };
    for (cpu, found) in
        [(cpu.match_embedding, found.match_embedding), (cpu.aggregation_embedding, found.aggregation_embedding)]
    {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let cosine = dot(&cpu, &found) / (dot(&cpu, &cpu) * dot(&found, &found)).sqrt();
        assert!(cosine >= least, "{} in {precision}: cosine {cosine}", manifest.name);
    }
}

#[test]
fn copies_for_other_threads_compute_the_same_on_the_cpu() {
    for model in models() {
        let manifest = Arc::new(Manifest::load(&model).unwrap());
        let samples = GraphInputs::of(&manifest, &demo_picture().unwrap()).unwrap();
        let shared = Graphs::load(&manifest).unwrap().share();
        hold_whole(&manifest, shared.share(), Precision::Fp32);
        std::thread::scope(|scope| scope.spawn(|| hold(&manifest, &samples, shared, Precision::Fp32)).join().unwrap());
    }
}

#[test]
fn tensorrt_computes_what_the_cpu_computes() {
    let tensorrt = match TensorRt::open() {
        Ok(tensorrt) => tensorrt,
        Err(fault) => return eprintln!("skipped: {fault}"),
    };
    let folder = tempfile::tempdir().unwrap();
    for model in models() {
        let manifest = Arc::new(Manifest::load(&model).unwrap());
        let samples = GraphInputs::of(&manifest, &demo_picture().unwrap()).unwrap();
        for precision in Precision::ALL {
            let Ok(engines) = wanted(&manifest, Some(precision), &tensorrt.host()) else { continue };
            let cache = EngineCache::new(folder.path());
            let limits = BuildLimits { memory: 2 << 30, capability: None };
            for engine in engines.iter().filter(|engine| cache.find(&engine.key).is_none()) {
                let inputs = samples.inputs(engine.graph);
                build(&tensorrt, &manifest, engine, &inputs, &limits, &cache, &mut |_| true).unwrap();
            }
            let settings = EngineSettings {
                backend: Backend::TensorRt,
                precision: Some(precision),
                engines: folder.path().into(),
            };
            let graphs = Graphs::load_on(&manifest, &settings).unwrap();
            hold_whole(&manifest, graphs.share(), precision);
            hold(&manifest, &samples, graphs, precision);
        }
    }
}

/// The first `count` rows.
fn rows(all: &Tensor, count: usize) -> Tensor {
    let shape: Vec<usize> = std::iter::once(count).chain(all.shape()[1..].iter().copied()).collect();
    let values = shape.iter().product();
    Tensor::new(shape, all.data()[..values].to_vec())
}

/// tract computes Q/DQ graphs in fp32 as written: an int8 graph must be within its tolerance before a GPU runs it.
/// (tract loads no fp16 graphs: its Gemm adds the bias in fp32.)
#[test]
fn int8_graphs_are_within_their_tolerance_on_the_cpu() {
    let mut ran = 0;
    for model in models() {
        let manifest = Arc::new(Manifest::load(&model).unwrap());
        let typed = GraphName::ALL
            .into_iter()
            .filter_map(|graph| Some((graph, manifest.typed_graph(graph, Precision::Int8)?.0)));
        let typed: Vec<_> = typed.collect();
        if typed.is_empty() {
            continue;
        }
        let samples = GraphInputs::of(&manifest, &demo_picture().unwrap()).unwrap();
        let mut cpu = Graphs::load(&manifest).unwrap();
        for (graph, path) in typed {
            let mut input = samples.inputs(graph).remove(0);
            if graph == GraphName::MatchHead {
                // As it stands, the graph takes the batch that it was exported for.
                input = rows(&input, manifest.matching.batch);
            }
            let right = engine(&mut cpu, graph).run(vec![input.clone()]).unwrap();
            let found = Graphs::load_graph(&path).unwrap().run(vec![input]).unwrap();
            let names: Vec<String> = (0..right.len()).map(|place| format!("output {place}")).collect();
            let figures = compare(&names, &right, &found).unwrap();
            let allowed = Tolerance::of(Precision::Int8);
            assert!(figures.iter().all(|figure| allowed.allows(figure)), "{graph:?}: {figures:?}");
            ran += 1;
        }
    }
    if ran == 0 {
        eprintln!("skipped: VETRINA_CONFORMANCE_MODELS contains no model with int8 graphs");
    }
}
