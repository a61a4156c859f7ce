//! Graphs on the CPU, through tract. Single-threaded: frames side by side scale better than threads inside an operator.

use super::Engine;
use super::rewrite::rewrite;
use crate::fault::{Fault, Kind, Result};
use crate::tensor::Tensor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tract_onnx::prelude::{Framework, InferenceModelExt, IntoRunnable, TValue, TractResult, TypedRunnableModel};
use tract_onnx::prelude::{TVec, Tensor as TractTensor};

pub struct TractEngine {
    path: PathBuf,
    plan: Arc<TypedRunnableModel>,
}

impl TractEngine {
    /// Loads and optimises an ONNX graph.
    ///
    /// # Errors
    /// [`Kind::Model`]: not an ONNX graph, or one that tract cannot run.
    pub fn load(path: &Path) -> Result<Self> {
        let plan = Self::plan(path).map_err(|error| {
            let text = format!("cannot load the graph {}", path.display());
            Fault::new(Kind::Model, text).cause(format!("{error:#}")).cure("export the model again")
        })?;
        Ok(TractEngine { path: path.into(), plan })
    }

    fn plan(path: &Path) -> TractResult<Arc<TypedRunnableModel>> {
        // The exporter's shapes of inner values are hints; the input's shape decides.
        let onnx = tract_onnx::onnx().with_ignore_output_shapes(true).with_ignore_value_info(true);
        let mut model = onnx.model_for_path(path)?.into_typed()?;
        rewrite(&mut model)?;
        model.into_optimized()?.into_runnable()
    }

    fn fault(&self, error: impl std::fmt::Display) -> Fault {
        let text = format!("cannot run the graph {}: {error:#}", self.path.display());
        Fault::new(Kind::Model, text).cure("check that the manifest's shapes are the graph's")
    }
}

/// Names of a graph's outputs, in its order.
pub fn output_names(path: &Path) -> Result<Vec<String>> {
    let proto = tract_onnx::onnx().proto_model_for_path(path).map_err(|error| {
        Fault::new(Kind::Model, format!("cannot read the graph {}", path.display())).cause(format!("{error:#}"))
    })?;
    let outputs = proto.graph.map(|graph| graph.output).unwrap_or_default();
    Ok(outputs.into_iter().map(|output| output.name).collect())
}

impl Engine for TractEngine {
    fn run(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let mut values: TVec<TValue> = TVec::new();
        for input in inputs {
            let shape = input.shape().to_vec();
            let tensor = TractTensor::from_shape(&shape, input.data()).map_err(|error| self.fault(error))?;
            values.push(tensor.into());
        }
        let outputs = self.plan.run(values).map_err(|error| self.fault(error))?;
        outputs.iter().map(|output| self.output(output)).collect()
    }

    fn share(&self) -> Box<dyn Engine> {
        Box::new(TractEngine { path: self.path.clone(), plan: self.plan.clone() })
    }
}

impl TractEngine {
    fn output(&self, output: &TValue) -> Result<Tensor> {
        let view = output.to_plain_array_view::<f32>().map_err(|error| self.fault(error))?;
        Ok(Tensor::new(view.shape().to_vec(), view.iter().copied().collect::<Vec<f32>>()))
    }
}
