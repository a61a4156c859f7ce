//! Graphs on the CPU: tract loads and simplifies them, and runs the operators that we have no kernels for.
//! Single-threaded: several frames in parallel scale better than threads inside an operator.

use super::engines::open::{Batch, with_batch};
use super::manifest::GraphName;
use super::program::{GraphProgram, ProgramPlan};
use super::rewrite::{RegionOp, rewrite};
use super::{Engine, FeatureMaps};
use crate::fault::{Fault, Kind, Result};
use crate::seam::FeatureMap;
use crate::tensor::Tensor;
use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tract_onnx::prelude::{Framework, InferenceModelExt, IntoRunnable, TValue, TractResult, TypedRunnableModel};
use tract_onnx::prelude::{TVec, Tensor as TractTensor, TypedModel};
use vetrina_kernels::{Level, Rows};

#[derive(Clone)]
pub struct TractEngine {
    path: PathBuf,
    graph: Graph,
}

/// How a graph is run.
#[derive(Clone)]
enum Graph {
    /// The whole graph is one program.
    Program(Arc<GraphProgram>),
    /// tract, with programs as some of its operators.
    Plan(Arc<TypedRunnableModel>),
}

impl TractEngine {
    /// Loads and optimises an ONNX graph with kernels for an instruction set. `None`: tract alone.
    ///
    /// # Errors
    /// [`Kind::Model`]: not an ONNX graph, or not supported by tract.
    pub fn load(path: &Path, level: Option<Level>) -> Result<Self> {
        TractEngine::from_onnx(path, &read(path)?, level)
    }

    fn from_onnx(path: &Path, onnx: &[u8], level: Option<Level>) -> Result<Self> {
        let graph = Self::graph(onnx, level).map_err(|error| {
            let text = format!("cannot load the graph {}", path.display());
            Fault::new(Kind::Model, text).cause(format!("{error:#}")).cure("export the model again")
        })?;
        Ok(TractEngine { path: path.into(), graph })
    }

    fn graph(onnx: &[u8], level: Option<Level>) -> TractResult<Graph> {
        // Inner shapes from the exporter are only hints; the input's shape decides.
        let loader = tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
        let mut model = loader.model_for_read(&mut &*onnx)?.into_typed()?;
        if let Some(level) = level {
            rewrite(&mut model, level)?;
            if let Some(program) = whole(&model)? {
                return Ok(Graph::Program(program));
            }
        }
        Ok(Graph::Plan(model.into_optimized()?.into_runnable()?))
    }

    fn fault(&self, error: impl std::fmt::Display) -> Fault {
        let text = format!("cannot run the graph {}: {error:#}", self.path.display());
        Fault::new(Kind::Model, text).cure("check that the manifest's shapes are the graph's")
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Fault::io(Kind::Model, "read the graph", path, error))
}

/// The program, if it covers the whole graph with inputs and outputs in the graph's order.
fn whole(model: &TypedModel) -> TractResult<Option<Arc<GraphProgram>>> {
    let (inputs, outputs) = (model.input_outlets()?, model.output_outlets()?);
    let Some(region) = outputs.first().map(|outlet| model.node(outlet.node)) else { return Ok(None) };
    let Some(RegionOp(program)) = region.op_as::<RegionOp>() else { return Ok(None) };
    let in_order = outputs.len() == region.outputs.len()
        && outputs.iter().enumerate().all(|(slot, outlet)| (outlet.node, outlet.slot) == (region.id, slot));
    Ok((in_order && region.inputs[..] == *inputs).then(|| program.clone()))
}

/// A head on the CPU: one graph for many boxes, and where that pays one for a single box.
#[derive(Clone)]
pub struct HeadEngine {
    pub all: HeadGraph,
    pub single: Option<HeadGraph>,
    /// Up to so many boxes beyond whole batches are run one by one.
    pub singly: usize,
}

impl HeadEngine {
    /// How many of `rois` run in batches; the others run one box at a time.
    fn in_batches(&self, rois: usize) -> usize {
        let Some(single) = &self.single else { return rois };
        let rest = rois % self.all.batch;
        if rest > 0 && rest <= self.singly * single.batch { rois - rest } else { rois }
    }
}

impl Engine for HeadEngine {
    fn run(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let [rois] = &inputs[..] else { return Err(self.all.engine.fault("a head takes one input")) };
        let count = rois.shape().first().copied().unwrap_or(0);
        let whole = self.in_batches(count);
        let mut rows = HeadRows::default();
        if whole > 0 || count == 0 {
            self.all.run(rois, 0..whole, &mut rows)?;
        }
        if let Some(single) = self.single.as_ref().filter(|_| whole < count) {
            single.run(rois, whole..count, &mut rows)?;
        }
        Ok(rows.tensors())
    }

    fn mixes(&self) -> Vec<&Rows> {
        match &self.all.engine.graph {
            Graph::Program(program) => program.mixes().collect(),
            Graph::Plan(_) => Vec::new(),
        }
    }

    fn run_mixed(&mut self, rois: &[Tensor]) -> Result<Vec<Tensor>> {
        let mut rows = HeadRows::default();
        self.all.run_mixed(rois, &mut rows)?;
        Ok(rows.tensors())
    }

    fn share(&self) -> Box<dyn Engine> {
        Box::new(self.clone())
    }

    fn plan(&self, rounds: usize) -> Option<ProgramPlan> {
        self.all.engine.plan(rounds)
    }
}

/// A head's graph that runs so many RoIs at a time, whatever the file's batch.
#[derive(Clone)]
pub struct HeadGraph {
    engine: TractEngine,
    /// RoIs per run of the graph.
    batch: usize,
}

impl HeadGraph {
    /// Loads a head that runs `rows` rows of the result at a time, each from `each` RoIs.
    ///
    /// # Errors
    /// As [`TractEngine::load`].
    pub fn load(path: &Path, head: GraphName, [rows, each]: [usize; 2], level: Option<Level>) -> Result<Self> {
        let onnx = with_batch(head, read(path)?, Batch::Rows(rows))?;
        Ok(HeadGraph { engine: TractEngine::from_onnx(path, &onnx, level)?, batch: rows * each })
    }

    /// Adds the head's rows for the `range` of the RoIs, in batches.
    fn run(&self, rois: &Tensor, range: Range<usize>, rows: &mut HeadRows) -> Result<()> {
        let batch = self.batch;
        self.each_batch(std::slice::from_ref(rois), batch, range, rows, |values| match &self.engine.graph {
            Graph::Program(program) if *program.input_lengths() == [values[0].len()] => Ok(program.run(&[&values[0]])),
            _ => {
                let shape = [&[batch], &rois.shape()[1..]].concat();
                self.engine.run_once(vec![Tensor::new(shape, values[0].to_vec())])
            }
        })
    }

    /// Adds the head's rows for mixed RoIs, in batches.
    fn run_mixed(&self, rois: &[Tensor], rows: &mut HeadRows) -> Result<()> {
        let batch = self.batch / rois.len().max(1);
        let count = rois.first().and_then(|rois| rois.shape().first()).copied().unwrap_or(0);
        let fault = |text| self.engine.fault(text);
        self.each_batch(rois, batch, 0..count, rows, |values| {
            let values: Vec<&[f32]> = values.iter().map(|values| &**values).collect();
            let Graph::Program(program) = &self.engine.graph else { return Err(fault("it does not mix channels")) };
            program.run_mixed(&values).ok_or_else(|| fault("the mixed RoIs have other lengths than its own"))
        })
    }

    /// Runs `batch` entries of each tensor at a time; the last batch is padded with zeros.
    fn each_batch(
        &self,
        tensors: &[Tensor],
        batch: usize,
        range: Range<usize>,
        rows: &mut HeadRows,
        run: impl Fn(&[Cow<[f32]>]) -> Result<Vec<Tensor>>,
    ) -> Result<()> {
        if tensors.iter().any(|tensor| tensor.shape().is_empty()) {
            return Err(self.engine.fault("the RoIs have no first axis"));
        }
        for start in (range.start..range.end.max(range.start + 1)).step_by(batch) {
            let taken = batch.min(range.end - start);
            let parts = tensors.iter().map(|tensor| {
                let length = tensor.shape()[1..].iter().product::<usize>();
                let mut values = Cow::from(&tensor.data()[start * length..(start + taken) * length]);
                if taken < batch {
                    values.to_mut().resize(batch * length, 0.0);
                }
                values
            });
            let outputs = run(&parts.collect::<Vec<_>>())?;
            rows.0.resize_with(outputs.len(), Default::default);
            for ((columns, rows), output) in rows.0.iter_mut().zip(&outputs) {
                let [height, width] = *output.shape() else {
                    return Err(self.engine.fault("a head's output has no rows"));
                };
                *columns = width;
                rows.extend_from_slice(&output.data()[..taken * height / batch * width]);
            }
        }
        Ok(())
    }
}

/// A head's outputs, batch by batch: columns and values of each.
#[derive(Default)]
struct HeadRows(Vec<(usize, Vec<f32>)>);

impl HeadRows {
    fn tensors(self) -> Vec<Tensor> {
        let of = |(columns, rows): (usize, Vec<f32>)| Tensor::new([rows.len() / columns.max(1), columns], rows);
        self.0.into_iter().map(of).collect()
    }
}

/// Names of a graph's outputs, in the graph's order.
pub fn output_names(path: &Path) -> Result<Vec<String>> {
    let proto = tract_onnx::onnx().proto_model_for_path(path).map_err(|error| {
        Fault::new(Kind::Model, format!("cannot read the graph {}", path.display())).cause(format!("{error:#}"))
    })?;
    let outputs = proto.graph.map(|graph| graph.output).unwrap_or_default();
    Ok(outputs.into_iter().map(|output| output.name).collect())
}

impl Engine for TractEngine {
    fn run(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        self.run_once(inputs)
    }

    fn run_trunk(&mut self, image: Tensor, levels: usize) -> Result<(FeatureMaps, Vec<Tensor>)> {
        let images = vec![image];
        let (maps, rest) = match &self.graph {
            Graph::Program(program) => program.run_to_maps(&self.fitting(program, &images)?, levels),
            Graph::Plan(plan) => {
                let mut outputs = self.run_plan(plan, images)?;
                let rest = outputs.split_off(levels.min(outputs.len()));
                (outputs.iter().map(FeatureMap::from).collect(), rest)
            }
        };
        Ok((FeatureMaps::Host(maps), rest))
    }

    fn share(&self) -> Box<dyn Engine> {
        Box::new(self.clone())
    }

    fn plan(&self, rounds: usize) -> Option<ProgramPlan> {
        let mut all = ProgramPlan::default();
        match &self.graph {
            Graph::Program(program) => all.steps = program.measure(rounds),
            Graph::Plan(plan) => {
                for node in plan.model().nodes() {
                    match node.op_as::<RegionOp>() {
                        Some(RegionOp(program)) => all.steps.extend(program.measure(rounds)),
                        None if matches!(&*node.op.name(), "Const" | "Source") => {}
                        None => all.by_tract.push(format!("{} {}", node.op.name(), node.name)),
                    }
                }
            }
        }
        Some(all)
    }
}

impl TractEngine {
    fn run_once(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        match &self.graph {
            Graph::Program(program) => Ok(program.run(&self.fitting(program, &inputs)?)),
            Graph::Plan(plan) => self.run_plan(plan, inputs),
        }
    }

    /// The values of the inputs, if their lengths match the program.
    fn fitting<'a>(&self, program: &GraphProgram, inputs: &'a [Tensor]) -> Result<Vec<&'a [f32]>> {
        let data: Vec<&[f32]> = inputs.iter().map(Tensor::data).collect();
        let lengths: Vec<usize> = data.iter().map(|data| data.len()).collect();
        if lengths != program.input_lengths() {
            return Err(self.fault(format!("inputs of {lengths:?} values instead of {:?}", program.input_lengths())));
        }
        Ok(data)
    }

    fn run_plan(&self, plan: &Arc<TypedRunnableModel>, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let mut values: TVec<TValue> = TVec::new();
        for input in inputs {
            let shape = input.shape().to_vec();
            let tensor = TractTensor::from_shape(&shape, input.data()).map_err(|error| self.fault(error))?;
            values.push(tensor.into());
        }
        let outputs = plan.run(values).map_err(|error| self.fault(error))?;
        outputs.iter().map(|output| self.output(output)).collect()
    }

    fn output(&self, output: &TValue) -> Result<Tensor> {
        let view = output.to_plain_array_view::<f32>().map_err(|error| self.fault(error))?;
        Ok(Tensor::new(view.shape().to_vec(), view.iter().copied().collect::<Vec<f32>>()))
    }
}
