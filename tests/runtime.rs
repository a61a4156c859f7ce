//! Every graph of every model by our kernels, for every instruction set that is here, beside tract alone.
//!
//! The models are the shipped one, and those that `VETRINA_PARITY_MODEL` and `VETRINA_CONFORMANCE_MODELS` name.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::time::Instant;
use vetrina::cli::bench::demo_picture;
use vetrina::network::engines::compare::{Figure, Tolerance, compare};
use vetrina::network::manifest::GraphName;
use vetrina::network::{Graphs, Manifest, Precision, levels};
use vetrina::pipeline::samples::Samples;

fn models() -> Vec<PathBuf> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact");
    let parity = std::env::var_os("VETRINA_PARITY_MODEL").map(PathBuf::from);
    [shipped].into_iter().chain(parity).collect()
}

#[test]
fn kernels_compute_what_tract_computes() {
    for model in models() {
        let manifest = Manifest::load(&model).unwrap();
        let samples = Samples::of(&manifest, &demo_picture().unwrap()).unwrap();
        for graph in GraphName::ALL {
            let path = manifest.graph_path(graph);
            let mut tract = Graphs::load_graph_for(&path, None).unwrap();
            for (name, level) in levels() {
                let mut ours = Graphs::load_graph_for(&path, Some(level)).unwrap();
                for input in samples.inputs(graph) {
                    let right = tract.run(vec![input.clone()]).unwrap();
                    let found = ours.run(vec![input]).unwrap();
                    let names: Vec<String> = (0..right.len()).map(|place| format!("output {place}")).collect();
                    let figures = compare(&names, &right, &found).unwrap();
                    eprintln!("{} {} {name}: {figures:?}", manifest.name, graph.name());
                    let beyond: Vec<&Figure> =
                        figures.iter().filter(|figure| !Tolerance::of(Precision::Fp32).allows(figure)).collect();
                    assert!(beyond.is_empty(), "{} on {name}: {beyond:?}", graph.name());
                }
            }
        }
    }
}

#[test]
#[ignore = "prints times"]
fn times() {
    for model in models() {
        let manifest = Manifest::load(&model).unwrap();
        let samples = Samples::of(&manifest, &demo_picture().unwrap()).unwrap();
        for graph in GraphName::ALL {
            let path = manifest.graph_path(graph);
            let input = samples.inputs(graph).remove(0);
            let mut engines = vec![("tract", Graphs::load_graph_for(&path, None).unwrap(), f64::MAX)];
            for (name, level) in levels() {
                engines.push((name, Graphs::load_graph_for(&path, Some(level)).unwrap(), f64::MAX));
            }
            for _ in 0..15 {
                for (_, engine, best) in &mut engines {
                    let input = input.clone();
                    let start = Instant::now();
                    engine.run(vec![input]).unwrap();
                    *best = best.min(start.elapsed().as_secs_f64() * 1e3);
                }
            }
            let all: Vec<String> = engines.iter().map(|(name, _, best)| format!("{name} {best:.3}")).collect();
            eprintln!("{} {}: {}", manifest.name, graph.name(), all.join(", "));
        }
    }
}
