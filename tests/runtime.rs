//! Our kernels, for every instruction set of this machine, compared with tract alone: every graph, and the ranking of a
//! catalogue.
//!
//! The models are the shipped one and the one in `VETRINA_PARITY_MODEL`. `--ignored` prints times.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vetrina::capture::read_picture;
use vetrina::catalogue::Gallery;
use vetrina::cli::bench::demo_picture;
use vetrina::fault::Result;
use vetrina::frame::Picture;
use vetrina::geometry::{Camera, Rect};
use vetrina::metrics::{Measure, StageTimes};
use vetrina::network::engines::compare::{Figure, Tolerance, compare};
use vetrina::network::manifest::GraphName;
use vetrina::network::{Engine, Graphs, Level, Manifest, Precision, RunsOn, levels};
use vetrina::pipeline::graph_inputs::GraphInputs;
use vetrina::pipeline::recognizer::Recognizer;
use vetrina::seam::Embedding;
use vetrina::tensor::Tensor;
use vetrina_kernels::Rows;

/// Maximum difference of an output relative to its largest value, for the same sums in another order. (For engines that
/// compute the same; `Tolerance` is wider.)
const SAME: f64 = 1e-4;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn models() -> Vec<Arc<Manifest>> {
    let parity = std::env::var_os("VETRINA_PARITY_MODEL").map(PathBuf::from);
    let folders = [root().join("models/compact")].into_iter().chain(parity);
    folders.map(|folder| Arc::new(Manifest::load(&folder).unwrap())).collect()
}

#[test]
fn kernels_compute_what_tract_computes() {
    for (place, manifest) in models().iter().enumerate() {
        // The parity model has fifty layers, which amplify rounding errors.
        let same = if place == 0 { SAME } else { Tolerance::of(Precision::Fp32).worst };
        let samples = GraphInputs::of(manifest, &demo_picture().unwrap()).unwrap();
        for graph in GraphName::ALL {
            let mut tract = Graphs::load_for(manifest, graph, None).unwrap();
            for (name, level) in levels() {
                let mut ours = Graphs::load_for(manifest, graph, Some(level)).unwrap();
                for input in samples.inputs(graph) {
                    let right = tract.run(vec![input.clone()]).unwrap();
                    let found = ours.run(vec![input]).unwrap();
                    let names: Vec<String> = (0..right.len()).map(|place| format!("output {place}")).collect();
                    let figures = compare(&names, &right, &found).unwrap();
                    // NaN counts as a difference.
                    let beyond: Vec<&Figure> =
                        figures.iter().filter(|figure| figure.worst > same || figure.worst.is_nan()).collect();
                    assert!(beyond.is_empty(), "{} of {} on {name}: {beyond:?}", graph.name(), manifest.name);
                }
            }
        }
    }
}

/// Heads run in batches: however many boxes there are, each gets the row that it gets alone.
#[test]
fn heads_take_any_number_of_boxes() {
    for manifest in models() {
        let samples = GraphInputs::of(&manifest, &demo_picture().unwrap()).unwrap();
        for (graph, each, counts) in [
            (GraphName::BoxHead, manifest.proposals.rois_each(), vec![0, 1, 2, 41]),
            (GraphName::MatchHead, 1, vec![0, 1, 2, 3, 4, 5, 7]),
        ] {
            let [input, ..] = &samples.inputs(graph)[..] else { panic!("no RoIs of {}", manifest.name) };
            let [_, shape @ ..] = input.shape() else { panic!("{:?}", input.shape()) };
            let length = each * shape.iter().product::<usize>();
            let most = counts.iter().copied().max().unwrap();
            // As many RoIs as needed, all of them different.
            let data: Vec<f32> = (0..most * length)
                .map(|at| input.data()[at % input.data().len()] * (1.0 + (at / input.data().len()) as f32 / 8.0))
                .collect();
            let mut head = Graphs::load_for(&manifest, graph, Some(Level::new())).unwrap();
            let mut rows_of = |first: usize, count: usize| {
                let rois = data[first * length..][..count * length].to_vec();
                head.run(vec![Tensor::new([&[each * count], shape].concat(), rois)]).unwrap()
            };
            let alone: Vec<Vec<Tensor>> = (0..most).map(|place| rows_of(place, 1)).collect();
            for count in counts {
                for (output, together) in rows_of(0, count).iter().enumerate() {
                    let columns = alone[0][output].data().len();
                    assert_eq!(together.shape(), [count, columns]);
                    for (row, alone) in together.data().chunks(columns).zip(&alone) {
                        let pairs = row.iter().zip(alone[output].data());
                        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                        assert!(worst < 1e-4, "{count} boxes of the {} of {}: {worst}", graph.name(), manifest.name);
                    }
                }
            }
        }
    }
}

/// A head that does not say which channels it mixes: RoIs have all of them.
struct Unmixed(Box<dyn Engine>);

impl Engine for Unmixed {
    fn run(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        self.0.run(inputs)
    }

    fn share(&self) -> Box<dyn Engine> {
        Box::new(Unmixed(self.0.share()))
    }
}

/// The shipped box head mixes a box's channels and those of its surroundings: in the maps, the result is that in the RoIs.
#[test]
fn channels_mixed_in_the_maps_give_the_same_garments() {
    let manifest = models().remove(0);
    let graphs = Graphs::load(&manifest).unwrap();
    let channels: Vec<[usize; 2]> = graphs.box_head.mixes().into_iter().map(Rows::shape).collect();
    assert_eq!(channels, [[214, 64], [214, 32]]);
    let mut plain = graphs.share();
    plain.box_head = Box::new(Unmixed(plain.box_head));
    let picture = demo_picture().unwrap();
    let [mixed, plain] = [graphs, plain].map(|graphs| {
        let mut recognizer = Recognizer::new(manifest.clone(), graphs);
        recognizer.find_garments(&picture, &mut StageTimes::default()).unwrap()
    });
    assert!(mixed.len() > 1 && mixed.len() == plain.len(), "{} and {}", mixed.len(), plain.len());
    for (mixed, plain) in mixed.iter().zip(&plain) {
        let sides = |bounds: Rect<Camera>| [bounds.x1, bounds.y1, bounds.x2, bounds.y2];
        let apart = sides(mixed.bounds).into_iter().zip(sides(plain.bounds)).map(|(a, b)| (a - b).abs());
        assert!(mixed.class == plain.class && apart.fold(0.0, f32::max) < 0.01, "{mixed:?}, {plain:?}");
        assert!((mixed.score - plain.score).abs() < 1e-4, "{mixed:?}, {plain:?}");
    }
}

/// The shipped model's graphs of fixed size must be complete programs: a step left to tract is slow.
#[test]
fn shipped_graphs_are_programs() {
    let manifest = Manifest::load(&root().join("models/compact")).unwrap();
    for graph in [GraphName::Trunk, GraphName::BoxHead, GraphName::MatchHead] {
        let plan = Graphs::load_for(&manifest, graph, Some(Level::new())).unwrap().plan(1).unwrap();
        assert!(plan.by_tract.is_empty() && !plan.steps.is_empty(), "{}: {:?}", graph.name(), plan.by_tract);
    }
}

/// Every picture of the demo as one garment, embedded by kernels for `level` or by tract alone.
fn embeddings(manifest: &Arc<Manifest>, level: Option<Level>, pictures: &[Picture]) -> Vec<[Embedding; 2]> {
    let load = |graph| Graphs::load_for(manifest, graph, level).unwrap();
    let graphs = Graphs {
        trunk: load(GraphName::Trunk),
        box_head: load(GraphName::BoxHead),
        match_head: load(GraphName::MatchHead),
        aggregator: load(GraphName::Aggregator),
        runs_on: RunsOn::cpu(),
    };
    let mut recognizer = Recognizer::new(manifest.clone(), graphs);
    let whole = |picture: &Picture| Rect::new(0.0, 0.0, picture.size().width as f32, picture.size().height as f32);
    pictures
        .iter()
        .map(|picture| {
            let found = recognizer.recognize_in(picture, whole(picture), &mut StageTimes::default()).unwrap();
            [found.match_embedding, found.aggregation_embedding]
        })
        .collect()
}

/// Meaning of "the same model" on a CPU: a catalogue embedded by tract ranks the same for queries of our kernels.
#[test]
fn catalogues_embedded_by_tract_rank_the_same() {
    let manifest = models().remove(0);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join("demo/pictures")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let pictures: Vec<Picture> = files.iter().map(|file| read_picture(file).unwrap()).collect();
    let tract = embeddings(&manifest, None, &pictures);
    for (name, level) in levels() {
        let ours = embeddings(&manifest, Some(level), &pictures);
        let (single, several) = (&manifest.matching, &manifest.aggregation);
        for (head, weight, bias) in [(0, &single.weight, single.bias), (1, &several.weight, several.bias)] {
            let rows = tract.iter().flat_map(|pair| pair[head].iter().copied()).collect();
            let gallery = Gallery::new(weight, bias, rows, (0..pictures.len() as u32).collect());
            for (file, (theirs, ours)) in files.iter().zip(tract.iter().zip(&ours)) {
                let [right, found] = [theirs, ours].map(|pair| gallery.search(&pair[head], pictures.len()));
                for (right, found) in right.iter().zip(&found) {
                    // Scores this close count as ties.
                    let tie = (right.logit - found.logit).abs() < 1e-3;
                    assert!(
                        right.product == found.product || tie,
                        "{} on {name}: {right:?}, {found:?}",
                        file.display()
                    );
                }
            }
        }
    }
}

/// For scripts/compare-runtimes: a line of JSON for each graph of the shipped model, medians of processor time in ms.
#[test]
#[ignore = "prints times"]
fn times() {
    let manifest = models().remove(0);
    let runs: usize = std::env::var("VETRINA_RUNS").map_or(15, |runs| runs.parse().unwrap());
    let samples = GraphInputs::of(&manifest, &demo_picture().unwrap()).unwrap();
    for graph in GraphName::ALL {
        let input = samples.inputs(graph).remove(0);
        let mut engines = vec![("tract alone", Graphs::load_for(&manifest, graph, None).unwrap())];
        for (name, level) in levels() {
            engines.push((name, Graphs::load_for(&manifest, graph, Some(level)).unwrap()));
        }
        let mut times = StageTimes::by(Measure::Processor);
        for _ in 0..runs {
            for (name, engine) in &mut engines {
                let input = input.clone();
                times.time(name, || engine.run(vec![input]).unwrap());
            }
        }
        let ms = times.summaries().into_iter().map(|summary| (summary.stage, summary.median.as_secs_f64() * 1e3));
        println!("{}", serde_json::json!({ "graph": graph.name(), "ms": ms.collect::<BTreeMap<_, _>>() }));
    }
}
