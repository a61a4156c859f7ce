//! Builds TensorRT engines from a model's graphs and verifies them against the CPU.

use super::compare::{Figure, Tolerance, compare, worst_of};
use super::open::{self, Batch};
use super::{EngineCache, Host, Key, Record};
use crate::fault::{Fault, Kind, Result};
use crate::network::backend::Precision;
use crate::network::manifest::{GraphName, Manifest, check_hash};
use crate::network::tensorrt::{BuildLimits, TensorRt, Watch};
use crate::network::tract::output_names;
use crate::network::{Engine, Graphs, Level};
use crate::tensor::Tensor;
use std::path::PathBuf;
use std::time::Instant;

/// An engine that a model needs on this machine.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub graph: GraphName,
    pub key: Key,
    /// The ONNX graph to build it from.
    pub onnx: PathBuf,
    /// Minimum, typical and maximum size of its dynamic dimension.
    pub open: [i64; 3],
}

/// The engines of a model, in the order of its graphs. A graph that the model lacks in `precision` is taken in the next
/// wider precision. `None` selects fp16 if the model has any, otherwise fp32.
///
/// # Errors
/// [`Kind::Model`]: no graph of the model has the requested precision.
pub fn wanted(manifest: &Manifest, precision: Option<Precision>, host: &Host) -> Result<Vec<Wanted>> {
    let most = precision.unwrap_or(Precision::Fp16);
    let all: Vec<Wanted> = GraphName::ALL
        .into_iter()
        .map(|graph| {
            let (precision, onnx, sha256) = manifest.typed_within(graph, most);
            let open = open::sizes(graph, manifest);
            let shapes = open.map(|size| size.to_string()).join(" ");
            Wanted { graph, key: Key::new(graph, sha256, precision, &shapes, host), onnx, open }
        })
        .collect();
    match precision {
        Some(asked) if all.iter().all(|wanted| wanted.key.precision != asked) => {
            let text = format!("the model {} has no graph in {asked}", manifest.name);
            Err(Fault::new(Kind::Model, text).cure(format!("export it with scripts/export --precision {asked}")))
        }
        _ => Ok(all),
    }
}

/// Builds an engine, verifies it against the CPU on `samples` (inputs of its graph) and stores it if the outputs agree.
///
/// # Errors
/// [`Kind::Model`] with the differences if the outputs disagree; TensorRT's error if building or loading fails.
pub fn build(
    tensorrt: &TensorRt,
    manifest: &Manifest,
    wanted: &Wanted,
    samples: &[Tensor],
    limits: &BuildLimits,
    cache: &EngineCache,
    watch: &mut Watch,
) -> Result<Record> {
    let begun = Instant::now();
    let engine = tensorrt.build(&graph(wanted)?, wanted.open, limits, watch)?;
    let build_seconds = begun.elapsed().as_secs_f64();
    let outputs = output_names(&wanted.onnx)?;
    let figures = verify(tensorrt, manifest, wanted, &engine, &outputs, samples)?;
    let record = Record { key: wanted.key.clone(), outputs, figures, build_seconds };
    cache.store(&record, &engine)?;
    Ok(record)
}

/// The ONNX graph to build from: the manifest's, with a dynamic batch if it is a head.
pub fn graph(wanted: &Wanted) -> Result<Vec<u8>> {
    check_hash(&wanted.onnx, &wanted.key.sha256)?;
    let onnx =
        std::fs::read(&wanted.onnx).map_err(|error| Fault::io(Kind::Model, "read the graph", &wanted.onnx, error));
    open::with_batch(wanted.graph, onnx?, Batch::Open)
}

/// Compares an engine with the CPU on `samples`.
///
/// # Errors
/// [`Kind::Model`] with the differences if they exceed the tolerance.
pub fn verify(
    tensorrt: &TensorRt,
    manifest: &Manifest,
    wanted: &Wanted,
    engine: &[u8],
    outputs: &[String],
    samples: &[Tensor],
) -> Result<Vec<Figure>> {
    let mut engine = tensorrt.load(engine, outputs)?;
    let mut cpu = Graphs::load_for(manifest, wanted.graph, Some(Level::new()))?;
    agree(wanted, outputs, cpu.as_mut(), engine.as_mut(), samples)
}

/// Runs both engines on every sample. Returns the largest difference per output.
fn agree(
    wanted: &Wanted,
    outputs: &[String],
    cpu: &mut dyn Engine,
    other: &mut dyn Engine,
    samples: &[Tensor],
) -> Result<Vec<Figure>> {
    let (name, precision) = (wanted.graph.name(), wanted.key.precision);
    let refuse = |why: String| {
        Fault::new(Kind::Model, format!("the engine of the {name} in {precision} was rejected: {why}"))
            .cure("choose another --precision or backend = \"cpu\"")
    };
    if samples.is_empty() {
        return Err(refuse("there were no samples to compare it with the CPU".into()));
    }
    let mut runs = Vec::new();
    let mut rights = Vec::new();
    for sample in samples {
        let right = cpu.run(vec![sample.clone()])?;
        runs.push(compare(outputs, &right, &other.run(vec![sample.clone()])?).map_err(refuse)?);
        rights.push(right);
    }
    if wanted.graph == GraphName::MatchHead {
        // All garments of a frame go through in one batch.
        let right: Vec<Tensor> =
            (0..outputs.len()).map(|output| stacked(rights.iter().filter_map(|right| right.get(output)))).collect();
        runs.push(compare(outputs, &right, &other.run(vec![stacked(samples)])?).map_err(refuse)?);
    }
    let figures = worst_of(runs);
    let allowed = Tolerance::of(precision);
    match figures.iter().find(|figure| !allowed.allows(figure)) {
        None => Ok(figures),
        Some(Figure { output, worst, typical }) => Err(refuse(format!(
            "its output {output} differs from the CPU's by up to {worst:.2e} of the largest value and by {typical:.2e} on \
             average; {:.0e} and {:.0e} are allowed",
            allowed.worst, allowed.typical
        ))),
    }
}

/// Concatenates tensors along their first axis.
fn stacked<'a>(parts: impl IntoIterator<Item = &'a Tensor>) -> Tensor {
    let mut shape = Vec::new();
    let mut data = Vec::new();
    for part in parts {
        match shape.first_mut() {
            Some(rows) => *rows += part.shape().first().copied().unwrap_or_default(),
            None => shape = part.shape().to_vec(),
        }
        data.extend_from_slice(part.data());
    }
    Tensor::new(shape, data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::engines::tests::host;

    /// Adds a constant to its input.
    struct Add(f32);

    impl Engine for Add {
        fn run(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
            let sum = inputs[0].data().iter().map(|value| value + self.0).collect();
            Ok(vec![Tensor::new(inputs[0].shape(), sum)])
        }

        fn share(&self) -> Box<dyn Engine> {
            Box::new(Add(self.0))
        }
    }

    /// Returns its input if that has one row, otherwise zeros.
    struct OneByOne;

    impl Engine for OneByOne {
        fn run(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
            let input = &inputs[0];
            Ok(vec![if input.shape()[0] == 1 { input.clone() } else { Tensor::zeros(input.shape()) }])
        }

        fn share(&self) -> Box<dyn Engine> {
            Box::new(OneByOne)
        }
    }

    fn shipped() -> Manifest {
        Manifest::load(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact")).unwrap()
    }

    #[test]
    fn an_unavailable_precision_is_refused_and_the_default_is_the_best_available() {
        let manifest = shipped();
        let engines = wanted(&manifest, None, &host()).unwrap();
        assert_eq!(engines.len(), GraphName::ALL.len());
        assert!(engines.iter().all(|wanted| wanted.onnx.exists()));
        let fault = wanted(&manifest, Some(Precision::Int8), &host()).unwrap_err();
        assert_eq!(fault.kind(), Kind::Model);
        assert!(fault.to_string().contains("--precision int8"), "{fault}");
    }

    #[test]
    fn a_disagreement_is_refused_with_the_differences() {
        let engines = wanted(&shipped(), Some(Precision::Fp32), &host()).unwrap();
        let samples = [Tensor::new([2], vec![1.0, -10.0]), Tensor::new([1], vec![5.0])];
        let names = ["sum".to_owned()];
        let agree =
            |cpu, other, samples: &[Tensor]| agree(&engines[0], &names, &mut Add(cpu), &mut Add(other), samples);
        let figures = agree(0.0, 1e-5, &samples).unwrap();
        assert!(figures.len() == 1 && figures[0].worst > 1e-6, "{figures:?}");
        let fault = agree(0.0, 0.1, &samples).unwrap_err().to_string();
        assert!(fault.contains("sum differs") && fault.contains("2.00e-2"), "{fault}");
        assert!(agree(0.0, 0.0, &[]).is_err());
    }

    #[test]
    fn a_match_head_that_is_wrong_on_a_batch_is_refused() {
        let engines = wanted(&shipped(), Some(Precision::Fp32), &host()).unwrap();
        let samples = [Tensor::new([1, 2], vec![1.0, -10.0]), Tensor::new([1, 2], vec![5.0, 3.0])];
        let refused = |graph: GraphName, samples: &[Tensor]| {
            let engine = engines.iter().find(|wanted| wanted.graph == graph).unwrap();
            agree(engine, &["sum".into()], &mut Add(0.0), &mut OneByOne, samples).is_err()
        };
        assert!(refused(GraphName::MatchHead, &samples) && !refused(GraphName::MatchHead, &samples[..1]));
        assert!(!refused(GraphName::BoxHead, &samples));
    }
}
