//! The networks: a model folder's manifest, and engines that run its graphs on whole tensors.
//!
//! The arithmetic between the graphs is in [`crate::seam`]. On the CPU, `tract` loads the graphs, `rewrite` and `lower`
//! translate regions of them into a `program` of our kernels, and tract runs the rest. On an NVIDIA GPU, `tensorrt`
//! runs them from the engines cached by `engines`.

pub mod backend;
pub mod engines;
mod lower;
pub mod manifest;
mod program;
mod rewrite;
pub mod tensorrt;
mod tract;

pub use backend::{Backend, EngineSettings, Precision};
pub use manifest::Manifest;
pub use program::{ProgramPlan, StepCost};

use crate::fault::{Fault, Kind, Result};
use crate::seam::{FeatureMap, RoiGrid};
use crate::tensor::Tensor;
use engines::{EngineCache, Key, build};
use manifest::GraphName;
use std::path::Path;
use tensorrt::{DeviceMaps, TensorRt};
use tract::{HeadEngine, HeadGraph, TractEngine};
use vetrina_kernels::Rows;
pub use vetrina_kernels::{Level, levels};

/// Maximum size in bytes of a box head that is loaded a second time, for a single box. A close-up has one box: in a batch of the
/// manifest's 100 it takes forty times as long.
const SMALL_HEAD: u64 = 8 << 20;

/// Garments that the CPU's match head takes at a time: they share its weights and fill its tiles. More gain nothing.
const GARMENTS: usize = 4;

/// A loaded graph, ready to run.
pub trait Engine: Send {
    /// Runs the graph. Inputs and outputs are in the graph's order.
    fn run(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>>;

    /// Runs a trunk on `image`. Its first `levels` outputs, the feature maps, stay on the device; the others are
    /// returned.
    fn run_trunk(&mut self, image: Tensor, levels: usize) -> Result<(FeatureMaps, Vec<Tensor>)> {
        let mut outputs = self.run(vec![image])?;
        let rest = outputs.split_off(levels.min(outputs.len()));
        Ok((FeatureMaps::Host(outputs.iter().map(FeatureMap::from).collect()), rest))
    }

    /// Runs a head on RoIs of feature maps on the device, with `samples` x `samples` samples per bin. Unused rows of a
    /// fixed batch are zero.
    ///
    /// # Errors
    /// [`Kind::Internal`]: the engine does not run on the device.
    fn run_head(&mut self, _maps: &DeviceMaps, _grids: &[RoiGrid], _samples: usize) -> Result<Vec<Tensor>> {
        Err(Fault::new(Kind::Internal, "a head on the CPU was given feature maps on the GPU"))
    }

    /// The products along the channels with which a head begins, for the first, second, ... RoI of a row. They are linear, as
    /// RoIAlign is, and may be applied to the feature maps instead. Empty: the head begins with something else.
    fn mixes(&self) -> Vec<&Rows> {
        Vec::new()
    }

    /// Runs a head on RoIs of feature maps that are mixed already, a tensor of RoIs for each of [`Engine::mixes`].
    ///
    /// # Errors
    /// [`Kind::Internal`]: other tensors than that.
    fn run_mixed(&mut self, _rois: &[Tensor]) -> Result<Vec<Tensor>> {
        Err(Fault::new(Kind::Internal, "a head that mixes no channels was given mixed RoIs"))
    }

    /// The graph's steps with their minimum time in `rounds` runs. `None`: the engine cannot tell.
    fn plan(&self, _rounds: usize) -> Option<ProgramPlan> {
        None
    }

    /// Another engine with the same weights, for another thread.
    fn share(&self) -> Box<dyn Engine>;
}

/// Feature maps of one picture, kept where the trunk ran.
pub enum FeatureMaps {
    /// In main memory.
    Host(Vec<FeatureMap>),
    /// In GPU memory.
    Device(DeviceMaps),
}

impl FeatureMaps {
    /// Shape of each map: 1 x channels x height x width.
    pub fn shapes(&self) -> Vec<Vec<usize>> {
        match self {
            FeatureMaps::Host(maps) => maps.iter().map(|map| map.shape().to_vec()).collect(),
            FeatureMaps::Device(maps) => maps.shapes().into_iter().map(<[usize]>::to_vec).collect(),
        }
    }
}

/// The graphs of one model.
pub struct Graphs {
    /// image 1 x 3 x h x w -> per level: features, objectness, deltas
    pub trunk: Box<dyn Engine>,
    /// rois n x 7 x 7 x channels -> class logits, box deltas
    pub box_head: Box<dyn Engine>,
    /// rois n x 14 x 14 x channels -> match embedding, aggregation embedding
    pub match_head: Box<dyn Engine>,
    /// sequence t x embedding -> query, attention
    pub aggregator: Box<dyn Engine>,
    pub runs_on: RunsOn,
}

/// The backend that runs a model's graphs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunsOn {
    /// For example "the CPU", "TensorRT 10.3.0 in fp16".
    pub name: String,
    /// Keys of the TensorRT engines. Empty on the CPU.
    pub engines: Vec<Key>,
    /// Why the CPU is used although TensorRT was preferred ([`Backend::Auto`]).
    pub fallback: Option<String>,
}

impl RunsOn {
    pub fn cpu() -> Self {
        RunsOn { name: "the CPU".into(), engines: Vec::new(), fallback: None }
    }

    /// Everything that may change a number, on one line: the name, and each engine's graph, precision, shapes, GPU and
    /// driver.
    pub fn in_full(&self) -> String {
        let engines: Vec<String> = self.engines.iter().map(|key| format!("; {key:?}")).collect();
        self.name.clone() + &engines.concat()
    }
}

impl Graphs {
    /// Loads all graphs of the manifest, on the CPU.
    pub fn load(manifest: &Manifest) -> Result<Self> {
        Graphs::load_with(RunsOn::cpu(), |name| Graphs::load_for(manifest, name, Some(Level::new())))
    }

    /// Loads one graph of a model on the CPU with kernels for an instruction set. `None`: tract alone, for comparison. Heads
    /// accept any number of RoIs.
    pub fn load_for(manifest: &Manifest, graph: GraphName, level: Option<Level>) -> Result<Box<dyn Engine>> {
        let path = manifest.graph_path(graph);
        let (keep, each) = (manifest.proposals.keep, manifest.proposals.rois_each());
        let load = |rows, each| HeadGraph::load(&path, graph, [rows, each], level);
        match graph {
            GraphName::BoxHead => {
                let size = std::fs::metadata(&path)
                    .map_err(|error| Fault::io(Kind::Model, "read the graph", &path, error))?
                    .len();
                let single = (size <= SMALL_HEAD).then(|| load(1, each)).transpose()?;
                Ok(Box::new(HeadEngine { all: load(keep, each)?, single, singly: 1 }))
            }
            GraphName::MatchHead => {
                let (all, single) = (load(GARMENTS, 1)?, Some(load(1, 1)?));
                Ok(Box::new(HeadEngine { all, single, singly: GARMENTS / 2 }))
            }
            _ => Ok(Box::new(TractEngine::load(&path, level)?)),
        }
    }

    /// Loads a graph file on the CPU, with the batch that it was exported for.
    pub fn load_graph(path: &Path) -> Result<Box<dyn Engine>> {
        Ok(Box::new(TractEngine::load(path, Some(Level::new()))?))
    }

    /// Loads all graphs on the configured backend. Does not build engines: a first build takes minutes.
    ///
    /// # Errors
    /// [`Kind::Unavailable`]: TensorRT is required but missing, or its engines are not built.
    pub fn load_on(manifest: &Manifest, settings: &EngineSettings) -> Result<Self> {
        let (graphs, unbuilt) = Graphs::load_meanwhile(manifest, settings)?;
        if !unbuilt {
            return Ok(graphs);
        }
        let text = format!("the engines of {} are not built for this machine", manifest.name);
        let fault = Fault::new(Kind::Unavailable, text).cure("build them: vetrina engine build");
        if settings.backend == Backend::Auto { Ok(graphs.instead(&fault)) } else { Err(fault) }
    }

    /// As [`Graphs::load_on`], but runs on the CPU while engines are not built. The flag says that there are engines to
    /// build.
    pub fn load_meanwhile(manifest: &Manifest, settings: &EngineSettings) -> Result<(Self, bool)> {
        if settings.backend == Backend::Cpu {
            return Ok((Graphs::load(manifest)?, false));
        }
        match Graphs::load_tensorrt(manifest, settings) {
            Ok(Some(graphs)) => Ok((graphs, false)),
            Ok(None) => Ok((Graphs::load(manifest)?, true)),
            Err(fault) if settings.backend == Backend::Auto => Ok((Graphs::load(manifest)?.instead(&fault), false)),
            Err(fault) => Err(fault),
        }
    }

    /// Notes and logs that the CPU is used because TensorRT is not available.
    fn instead(mut self, why: &Fault) -> Self {
        log::info!("the CPU runs the network: {}", why.reason());
        self.runs_on.fallback = Some(why.to_string());
        self
    }

    /// Loads all graphs on TensorRT. `None`: TensorRT is available, but an engine is not built yet.
    ///
    /// # Errors
    /// [`Kind::Unavailable`]: no driver, GPU or library, or not enough memory.
    pub fn load_tensorrt(manifest: &Manifest, settings: &EngineSettings) -> Result<Option<Self>> {
        let tensorrt = TensorRt::open()?;
        let host = tensorrt.host();
        let wanted = build::wanted(manifest, settings.precision, &host)?;
        let cache = EngineCache::new(&settings.engines);
        let precision = wanted.iter().map(|wanted| wanted.key.precision).max().unwrap_or(Precision::Fp32);
        let runs_on = RunsOn {
            name: format!("TensorRT {} in {precision}", host.tensorrt),
            engines: wanted.iter().map(|wanted| wanted.key.clone()).collect(),
            fallback: None,
        };
        let mut engines = Vec::new();
        for wanted in &wanted {
            let Some((record, engine)) = cache.find(&wanted.key) else { return Ok(None) };
            engines.push((wanted.graph, tensorrt.load(&engine, &record.outputs)?));
        }
        let graphs = Graphs::load_with(runs_on, |name| {
            let place = engines.iter().position(|(graph, _)| *graph == name);
            let missing = || Fault::new(Kind::Internal, format!("the {} has no engine", name.name()));
            Ok(engines.swap_remove(place.ok_or_else(missing)?).1)
        });
        graphs.map(Some)
    }

    fn load_with(runs_on: RunsOn, mut engine: impl FnMut(GraphName) -> Result<Box<dyn Engine>>) -> Result<Self> {
        Ok(Graphs {
            trunk: engine(GraphName::Trunk)?,
            box_head: engine(GraphName::BoxHead)?,
            match_head: engine(GraphName::MatchHead)?,
            aggregator: engine(GraphName::Aggregator)?,
            runs_on,
        })
    }

    /// The same graphs for another thread, sharing the weights.
    pub fn share(&self) -> Self {
        Graphs {
            trunk: self.trunk.share(),
            box_head: self.box_head.share(),
            match_head: self.match_head.share(),
            aggregator: self.aggregator.share(),
            runs_on: self.runs_on.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::engines::Host;
    use super::*;

    #[test]
    fn runs_on_differs_when_driver_or_shapes_differ() {
        let on = |gpu: &str, precision| {
            let host = Host { tensorrt: "10.3.0".into(), gpu: gpu.into(), driver: "540".into() };
            let engines = vec![Key::new(GraphName::Trunk, "ab", precision, "1 1 1", &host)];
            RunsOn { name: "TensorRT 10.3.0 in fp16".into(), engines, fallback: None }.in_full()
        };
        let all = [on("Orin", Precision::Fp16), on("Orin", Precision::Int8), on("H100", Precision::Fp16)];
        assert!(all[0] != all[1] && all[0] != all[2] && all[0] != RunsOn::cpu().in_full());
    }
}
