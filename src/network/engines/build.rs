//! From a model's graphs to engines that agree with the CPU.

use super::compare::{Figure, Tolerance, compare, worst_of};
use super::{EngineCache, Host, Key, Record};
use crate::fault::{Fault, Kind, Result};
use crate::network::Engine;
use crate::network::backend::Precision;
use crate::network::manifest::{GraphName, Manifest, check_hash};
use crate::network::tensorrt::{BuildLimits, TensorRt, Watch};
use crate::network::tract::{TractEngine, output_names};
use crate::tensor::Tensor;
use std::path::PathBuf;
use std::time::Instant;

/// Least, usual and greatest length of the aggregator's sequence, the one dimension that graphs leave open. A single
/// observation does not reach it.
pub const OPEN: [i64; 3] = [2, 10, 100];

/// An engine that a model wants on this machine.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub graph: GraphName,
    pub key: Key,
    /// The graph that it is built from.
    pub onnx: PathBuf,
}

/// The engines of a model, in the graphs' order. A graph that the model lacks in `precision` is taken in the next wider one;
/// `None` is fp16 where there is any, else fp32.
///
/// # Errors
/// [`Kind::Model`]: no graph of the model has the precision that was asked for.
pub fn wanted(manifest: &Manifest, precision: Option<Precision>, host: &Host) -> Result<Vec<Wanted>> {
    let most = precision.unwrap_or(Precision::Fp16);
    let shapes = OPEN.map(|size| size.to_string()).join(" ");
    let all: Vec<Wanted> = GraphName::ALL
        .into_iter()
        .map(|graph| {
            let (precision, onnx, sha256) = manifest.typed_within(graph, most);
            Wanted { graph, key: Key::new(graph, sha256, precision, &shapes, host), onnx }
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

/// Builds an engine, compares it with the CPU on `samples` (inputs of its graph) and keeps it if it agrees.
///
/// # Errors
/// [`Kind::Model`] with the figures where it disagrees; what TensorRT says where it cannot be built or loaded.
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
    let engine = tensorrt.build(&graph(wanted)?, limits, watch)?;
    let build_seconds = begun.elapsed().as_secs_f64();
    let outputs = output_names(&wanted.onnx)?;
    let figures = verify(tensorrt, manifest, wanted, &engine, &outputs, samples)?;
    let record = Record { key: wanted.key.clone(), outputs, figures, build_seconds };
    cache.store(&record, &engine)?;
    Ok(record)
}

/// The bytes of the graph that an engine is built from, which are those that the manifest means.
pub fn graph(wanted: &Wanted) -> Result<Vec<u8>> {
    check_hash(&wanted.onnx, &wanted.key.sha256)?;
    std::fs::read(&wanted.onnx).map_err(|error| Fault::io(Kind::Model, "read the graph", &wanted.onnx, error))
}

/// How an engine compares with the CPU.
///
/// # Errors
/// [`Kind::Model`] with the figures where it disagrees.
pub fn verify(
    tensorrt: &TensorRt,
    manifest: &Manifest,
    wanted: &Wanted,
    engine: &[u8],
    outputs: &[String],
    samples: &[Tensor],
) -> Result<Vec<Figure>> {
    let mut engine = tensorrt.load(engine, outputs)?;
    let mut cpu = TractEngine::load(&manifest.graph_path(wanted.graph))?;
    agree(wanted, outputs, &mut cpu, engine.as_mut(), samples)
}

/// Runs both on every sample; the worst figure of each output.
fn agree(
    wanted: &Wanted,
    outputs: &[String],
    cpu: &mut dyn Engine,
    other: &mut dyn Engine,
    samples: &[Tensor],
) -> Result<Vec<Figure>> {
    let (name, precision) = (wanted.graph.name(), wanted.key.precision);
    let refuse = |why: String| {
        Fault::new(Kind::Model, format!("the engine of the {name} in {precision} is not used: {why}"))
            .cure("say another --precision, or backend = \"cpu\"")
    };
    if samples.is_empty() {
        return Err(refuse("there was nothing to compare it with the CPU on".into()));
    }
    let mut runs = Vec::new();
    for sample in samples {
        let right = cpu.run(vec![sample.clone()])?;
        runs.push(compare(outputs, &right, &other.run(vec![sample.clone()])?).map_err(refuse)?);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::engines::tests::host;

    /// Adds to its input.
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

    fn shipped() -> Manifest {
        Manifest::load(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/compact")).unwrap()
    }

    #[test]
    fn a_precision_that_no_graph_has_is_refused_and_left_to_itself_the_best_is_taken() {
        let manifest = shipped();
        let engines = wanted(&manifest, None, &host()).unwrap();
        assert_eq!(engines.len(), GraphName::ALL.len());
        assert!(engines.iter().all(|wanted| wanted.onnx.exists()));
        let fault = wanted(&manifest, Some(Precision::Int8), &host()).unwrap_err();
        assert_eq!(fault.kind(), Kind::Model);
        assert!(fault.to_string().contains("--precision int8"), "{fault}");
    }

    #[test]
    fn a_disagreement_is_refused_with_its_figures() {
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
}
