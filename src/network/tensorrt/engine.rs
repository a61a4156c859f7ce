//! Graphs on an NVIDIA GPU.

use super::native::{Context, Gpu, Nvinfer, Plan};
use super::{BuildLimits, Watch};
use crate::fault::{Fault, Kind, Result};
use crate::network::Engine;
use crate::network::engines::Host;
use crate::tensor::Tensor;
use std::sync::Arc;

/// TensorRT and the GPU that it works on.
pub struct TensorRt {
    library: Arc<Nvinfer>,
    /// `None`: it can build, and nothing else.
    gpu: Option<Arc<Gpu>>,
}

impl TensorRt {
    /// # Errors
    /// [`Kind::Unavailable`]: no driver, no GPU, no library, or one of a version that is not known.
    pub fn open() -> Result<Self> {
        let gpu = Gpu::open()?;
        Ok(TensorRt { library: Nvinfer::open()?, gpu: Some(gpu) })
    }

    /// To build only: TensorRT-RTX needs no GPU for that.
    pub fn open_builder() -> Result<Self> {
        let library = Nvinfer::open()?;
        let gpu = if library.rtx { Gpu::open().ok() } else { Some(Gpu::open()?) };
        Ok(TensorRt { library, gpu })
    }

    /// What engines depend on here.
    pub fn host(&self) -> Host {
        let (gpu, driver) = match &self.gpu {
            Some(gpu) => (gpu.name.clone(), gpu.driver_version.clone()),
            None => ("none".into(), "none".into()),
        };
        Host { tensorrt: self.library.version.clone(), gpu, driver }
    }

    /// An ONNX graph to a serialised engine.
    pub fn build(&self, onnx: &[u8], limits: &BuildLimits, watch: &mut Watch) -> Result<Vec<u8>> {
        self.library.build(onnx, limits, watch)
    }

    /// A serialised engine onto the GPU; its outputs will come in the order of `outputs`.
    pub fn load(&self, engine: &[u8], outputs: &[String]) -> Result<Box<dyn Engine>> {
        let Some(gpu) = &self.gpu else {
            return Err(
                Fault::new(Kind::Unavailable, "cannot load an engine without a GPU").cure("say backend = \"cpu\"")
            );
        };
        let plan = self.library.load(gpu, engine)?;
        let order = output_order(&plan, outputs)?;
        Ok(Box::new(TensorRtEngine { plan, order: order.into(), context: None }))
    }
}

/// Where each of `outputs` stands among the engine's.
fn output_order(plan: &Plan, outputs: &[String]) -> Result<Vec<usize>> {
    let refuse = |why: String| {
        Fault::new(Kind::Model, format!("cannot use an engine: {why}")).cure("build it again: vetrina engine build")
    };
    if let Some(odd) = plan.tensors.iter().find(|tensor| !tensor.is_float) {
        return Err(refuse(format!("{:?} is not of 32-bit floats", odd.name)));
    }
    let names: Vec<_> = plan.tensors.iter().filter(|tensor| !tensor.input).map(|tensor| &tensor.name).collect();
    let place = |output: &String| names.iter().position(|name| name.as_bytes() == output.as_bytes());
    outputs.iter().map(|output| place(output).ok_or_else(|| refuse(format!("it has no output {output}")))).collect()
}

struct TensorRtEngine {
    plan: Arc<Plan>,
    order: Arc<[usize]>,
    /// Made by the thread that runs first, since a copy that never runs shall cost nothing.
    context: Option<Context>,
}

impl Engine for TensorRtEngine {
    fn run(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let context = match &mut self.context {
            Some(context) => context,
            None => self.context.insert(Context::new(&self.plan)?),
        };
        let given: Vec<_> = inputs.iter().map(|input| (input.shape(), input.data())).collect();
        let mut outputs: Vec<_> = context.run(&given)?.into_iter().map(Some).collect();
        let in_order = self.order.iter().filter_map(|place| outputs.get_mut(*place).and_then(Option::take));
        Ok(in_order.map(|(shape, data)| Tensor::new(shape, data)).collect())
    }

    fn share(&self) -> Box<dyn Engine> {
        Box::new(TensorRtEngine { plan: self.plan.clone(), order: self.order.clone(), context: None })
    }
}
