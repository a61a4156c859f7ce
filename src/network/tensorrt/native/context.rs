//! Runs an engine: one context for each thread.

use super::super::roi_align::{self, Roi};
use super::gpu::{Buffer, Map, Maps};
use super::interface::Ptr;
use super::nvinfer::{LoadedEngine, errors};
use crate::fault::{Fault, Kind, Result};
use crate::seam::RoiGrid;
use std::ptr::null_mut;
use std::sync::{Arc, PoisonError};

/// Equals `Dims::MAX_DIMS`.
const MAX_RANK: usize = 8;
/// CU_STREAM_NON_BLOCKING
const NON_BLOCKING: u32 = 1;

/// Input of a run.
pub enum Given<'a> {
    /// Shape and values of each input, in the engine's order.
    Values(&'a [(&'a [usize], &'a [f32])]),
    /// The only input is computed on the GPU: RoIs of `maps`, `samples` x `samples` per bin, padded with zeros.
    Rois { maps: &'a Maps, grids: &'a [RoiGrid], samples: usize },
}

/// Shape and values.
pub type Output = (Vec<usize>, Vec<f32>);

/// Execution state of one thread: a stream, and device buffers kept between runs.
pub struct Context {
    plan: Arc<LoadedEngine>,
    handle: Ptr,
    stream: Ptr,
    /// One per tensor.
    buffers: Vec<Buffer>,
    /// Feature maps for reuse: as many as were held at the same time.
    kept: Vec<Maps>,
    /// Input of the RoIAlign kernel, in main memory and on the GPU.
    rois: Vec<Roi>,
    rois_there: Buffer,
}

// SAFETY: `&mut` guarantees one thread at a time, and every run makes the GPU's context current.
unsafe impl Send for Context {}

impl Context {
    /// # Errors
    /// [`Kind::Unavailable`]: not enough memory.
    pub fn new(plan: &Arc<LoadedEngine>) -> Result<Self> {
        let gpu = &plan.gpu;
        gpu.make_current()?;
        let mut stream = null_mut();
        // SAFETY: the function writes a stream.
        gpu.check(unsafe { (gpu.driver.new_stream)(&mut stream, NON_BLOCKING) }, "create a CUDA stream")?;
        let buffers = plan.tensors.iter().map(|_| Buffer::new(gpu)).collect();
        let (kept, rois, rois_there) = (Vec::new(), Vec::new(), Buffer::new(gpu));
        // From here on, Drop releases what was created.
        let mut context = Context { plan: plan.clone(), handle: null_mut(), stream, buffers, kept, rois, rois_there };
        let one_at_a_time = plan.making.lock().unwrap_or_else(PoisonError::into_inner);
        errors().clear();
        // SAFETY: the engine's handle lives as long as the engine.
        context.handle = unsafe { (plan.library.shim.new_context)(plan.handle) };
        drop(one_at_a_time);
        if context.handle.is_null() {
            return Err(plan.library.fault("allocate the memory to run an engine"));
        }
        Ok(context)
    }

    /// Runs the engine. Outputs are given by tensor index: `keep` stay on the GPU, `back` are copied back.
    pub fn run(&mut self, given: Given, keep: &[usize], back: &[usize]) -> Result<(Maps, Vec<Output>)> {
        self.plan.gpu.make_current()?;
        errors().clear();
        let mut outputs = Vec::new();
        let queued = self.queue(&given, keep, back, &mut outputs);
        let gpu = &self.plan.gpu;
        // SAFETY: the stream is this context's. Queued work reads the input and writes `outputs` until this returns.
        let done = gpu.check(unsafe { (gpu.driver.synchronize)(self.stream) }, "run an engine on the GPU");
        let maps = queued?;
        done.map(|()| (maps, outputs))
    }

    /// Queues copies and kernels. Values pushed to `outputs` are written until the stream is synchronised.
    fn queue(&mut self, given: &Given, keep: &[usize], back: &[usize], outputs: &mut Vec<Output>) -> Result<Maps> {
        let plan = self.plan.clone();
        match given {
            Given::Values(inputs) => self.queue_inputs(inputs)?,
            Given::Rois { maps, grids, samples } => self.queue_rois(maps, grids, *samples)?,
        }
        let maps = self.maps(keep)?;
        for &index in back {
            let shape = self.shape(index)?;
            let values = vec![0.0; shape.iter().product()];
            let device = self.buffers[index].reserve(size_of_val(&values[..]))?;
            self.bind(index, device)?;
            outputs.push((shape, values));
        }
        // SAFETY: context and stream belong to this value.
        if unsafe { (plan.library.shim.enqueue)(self.handle, self.stream) } == 0 {
            return Err(plan.library.fault("run an engine"));
        }
        for (&index, (_, values)) in back.iter().zip(outputs.iter_mut()) {
            self.buffers[index].download(values, self.stream)?;
        }
        Ok(maps)
    }

    fn queue_inputs(&mut self, inputs: &[(&[usize], &[f32])]) -> Result<()> {
        let plan = self.plan.clone();
        let mut given = inputs.iter();
        for index in (0..plan.tensors.len()).filter(|index| plan.tensors[*index].input) {
            let (shape, values) = given.next().ok_or_else(|| plan.library.fault("run without all inputs"))?;
            let sizes: Vec<i64> = shape.iter().map(|size| *size as i64).collect();
            self.set_shape(index, &sizes)?;
            let device = self.buffers[index].upload(values, self.stream)?;
            self.bind(index, device)?;
        }
        Ok(())
    }

    /// Queues RoIAlign into the engine's input.
    fn queue_rois(&mut self, maps: &Maps, grids: &[RoiGrid], samples: usize) -> Result<()> {
        let input = self.plan.tensors.iter().position(|tensor| tensor.input).unwrap_or_default();
        if self.plan.tensors[input].open {
            let mut sizes = self.sizes(input)?;
            sizes[0] = grids.len().max(1) as i64;
            self.set_shape(input, &sizes)?;
        }
        let shape = self.shape(input)?;
        let job = roi_align::Job::new(&shape, &maps.places(), grids, samples, &mut self.rois)?;
        let out = self.buffers[input].reserve(job.bytes())?;
        self.bind(input, out)?;
        let rois = self.rois_there.upload(&self.rois, self.stream)?;
        self.plan.gpu.launch_roi_align(&job, rois, out, self.stream)
    }

    /// Maps that nobody holds, bound to the outputs `keep`.
    fn maps(&mut self, keep: &[usize]) -> Result<Maps> {
        if keep.is_empty() {
            return Ok(Maps(Arc::default()));
        }
        let free = self.kept.iter_mut().position(Maps::is_free);
        let mut maps = free.map_or_else(|| Maps(Arc::default()), |free| self.kept.swap_remove(free));
        let list = Arc::get_mut(&mut maps.0).ok_or_else(|| Fault::new(Kind::Internal, "maps are in use"))?;
        list.resize_with(keep.len(), || Map { buffer: Buffer::new(&self.plan.gpu), shape: Vec::new() });
        for (map, &index) in list.iter_mut().zip(keep) {
            map.shape = self.shape(index)?;
            let device = map.buffer.reserve(map.shape.iter().product::<usize>() * size_of::<f32>())?;
            self.bind(index, device)?;
        }
        self.kept.push(maps.clone());
        Ok(maps)
    }

    /// Shape of a tensor in this run.
    fn shape(&self, index: usize) -> Result<Vec<usize>> {
        let known =
            |size: i64| usize::try_from(size).map_err(|_| self.plan.library.fault("determine the size of a tensor"));
        self.sizes(index)?.into_iter().map(known).collect()
    }

    /// As [`Context::shape`]; -1 if not known yet.
    fn sizes(&self, index: usize) -> Result<Vec<i64>> {
        let library = &self.plan.library;
        let mut sizes = [0; MAX_RANK];
        let name = self.plan.tensors[index].name.as_ptr();
        // SAFETY: `sizes` has room for the maximum rank.
        let rank = unsafe { (library.shim.tensor_shape)(self.handle, name, sizes.as_mut_ptr()) };
        let rank = usize::try_from(rank).ok().filter(|rank| *rank > 0);
        rank.map(|rank| sizes[..rank].to_vec()).ok_or_else(|| library.fault("determine the rank of a tensor"))
    }

    fn set_shape(&self, index: usize, sizes: &[i64]) -> Result<()> {
        let library = &self.plan.library;
        let (name, rank) = (self.plan.tensors[index].name.as_ptr(), sizes.len() as i32);
        // SAFETY: name and sizes live during the call.
        let fits = unsafe { (library.shim.set_input_shape)(self.handle, name, sizes.as_ptr(), rank) } != 0;
        if fits { Ok(()) } else { Err(library.fault(&format!("run an engine on an input of shape {sizes:?}"))) }
    }

    /// Sets the address of a tensor.
    fn bind(&self, index: usize, device: u64) -> Result<()> {
        let library = &self.plan.library;
        let name = self.plan.tensors[index].name.as_ptr();
        // SAFETY: the name lives as long as the engine; buffers are freed or moved only between runs.
        let taken = unsafe { (library.shim.set_address)(self.handle, name, device) } != 0;
        if taken { Ok(()) } else { Err(library.fault("set the address of a tensor")) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let (gpu, shim) = (&self.plan.gpu, self.plan.library.shim);
        if gpu.make_current().is_err() {
            return;
        }
        // SAFETY: both belong to this context, and no work is queued.
        unsafe {
            if !self.handle.is_null() {
                (shim.free_context)(self.handle);
            }
            (gpu.driver.free_stream)(self.stream);
        }
    }
}
