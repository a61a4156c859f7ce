//! Engines on an NVIDIA GPU.

use super::native::{Context, Given, Gpu, LoadedEngine, Nvinfer};
use super::{BuildLimits, Watch, roi_align};
use crate::fault::{Fault, Kind, Result};
use crate::network::engines::Host;
use crate::network::{Engine, FeatureMaps};
use crate::seam::RoiGrid;
use crate::tensor::Tensor;
use std::sync::Arc;

pub use super::native::Maps as DeviceMaps;

/// The TensorRT library and the GPU that it uses.
pub struct TensorRt {
    pub(super) library: Arc<Nvinfer>,
    /// `None`: can only build engines.
    pub(super) gpu: Option<Arc<Gpu>>,
}

impl TensorRt {
    /// # Errors
    /// [`Kind::Unavailable`]: no driver, GPU or library; an unknown TensorRT version; or RoIAlign computes wrong values
    /// on this GPU.
    pub fn open() -> Result<Self> {
        let gpu = Gpu::open()?;
        roi_align::check(|maps, grids, samples, shape| gpu.roi_align(maps, grids, samples, shape))?;
        Ok(TensorRt { library: Nvinfer::open()?, gpu: Some(gpu) })
    }

    /// Opens for building only: TensorRT-RTX does not need a GPU for that.
    pub fn open_builder() -> Result<Self> {
        let library = Nvinfer::open()?;
        let gpu = if library.rtx { Gpu::open().ok() } else { Some(Gpu::open()?) };
        Ok(TensorRt { library, gpu })
    }

    /// The parts of an engine's key that depend on this machine.
    pub fn host(&self) -> Host {
        let (gpu, driver) = match &self.gpu {
            Some(gpu) => (gpu.name.clone(), gpu.driver_version.clone()),
            None => ("none".into(), "none".into()),
        };
        Host { tensorrt: self.library.version.clone(), gpu, driver }
    }

    /// Builds a serialised engine from an ONNX graph. `open`: minimum, typical and maximum size of its dynamic
    /// dimension.
    pub fn build(&self, onnx: &[u8], open: [i64; 3], limits: &BuildLimits, watch: &mut Watch) -> Result<Vec<u8>> {
        self.library.build(onnx, open, limits, watch)
    }

    /// Loads a serialised engine onto the GPU. It returns its outputs in the order of `outputs`.
    pub fn load(&self, engine: &[u8], outputs: &[String]) -> Result<Box<dyn Engine>> {
        let Some(gpu) = &self.gpu else {
            return Err(
                Fault::new(Kind::Unavailable, "cannot load an engine without a GPU").cure("set backend = \"cpu\"")
            );
        };
        let plan = self.library.load(gpu, engine)?;
        let order = output_order(&plan, outputs)?;
        Ok(Box::new(TensorRtEngine { plan, order: order.into(), context: None }))
    }
}

/// Index of each of `outputs` among the engine's tensors.
fn output_order(plan: &LoadedEngine, outputs: &[String]) -> Result<Vec<usize>> {
    let refuse = |why: String| {
        Fault::new(Kind::Model, format!("cannot use an engine: {why}")).cure("build it again: vetrina engine build")
    };
    if let Some(odd) = plan.tensors.iter().find(|tensor| !tensor.is_float) {
        return Err(refuse(format!("{:?} is not float32", odd.name)));
    }
    let place = |output: &String| {
        plan.tensors.iter().position(|tensor| !tensor.input && tensor.name.as_bytes() == output.as_bytes())
    };
    outputs.iter().map(|output| place(output).ok_or_else(|| refuse(format!("it has no output {output}")))).collect()
}

struct TensorRtEngine {
    plan: Arc<LoadedEngine>,
    order: Arc<[usize]>,
    /// Created on the first run, by the thread that runs: an unused copy costs nothing.
    context: Option<Context>,
}

impl TensorRtEngine {
    /// Runs the engine. The first `kept` outputs stay on the GPU; the others are returned in the graph's order.
    fn run_on(&mut self, given: Given, kept: usize) -> Result<(DeviceMaps, Vec<Tensor>)> {
        let context = match &mut self.context {
            Some(context) => context,
            None => self.context.insert(Context::new(&self.plan)?),
        };
        let (keep, back) = self.order.split_at(kept.min(self.order.len()));
        let (maps, outputs) = context.run(given, keep, back)?;
        Ok((maps, outputs.into_iter().map(|(shape, data)| Tensor::new(shape, data)).collect()))
    }
}

impl Engine for TensorRtEngine {
    fn run(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let given: Vec<_> = inputs.iter().map(|input| (input.shape(), input.data())).collect();
        Ok(self.run_on(Given::Values(&given), 0)?.1)
    }

    fn run_trunk(&mut self, image: Tensor, levels: usize) -> Result<(FeatureMaps, Vec<Tensor>)> {
        let (maps, rest) = self.run_on(Given::Values(&[(image.shape(), image.data())]), levels)?;
        Ok((FeatureMaps::Device(maps), rest))
    }

    fn run_head(&mut self, maps: &DeviceMaps, grids: &[RoiGrid], samples: usize) -> Result<Vec<Tensor>> {
        Ok(self.run_on(Given::Rois { maps, grids, samples }, 0)?.1)
    }

    fn share(&self) -> Box<dyn Engine> {
        Box::new(TensorRtEngine { plan: self.plan.clone(), order: self.order.clone(), context: None })
    }
}
