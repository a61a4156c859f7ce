//! The GPU: its memory, the feature maps kept there, and the RoIAlign kernel.

use super::super::roi_align;
use super::interface::{DRIVER, Driver, Ptr, open};
use crate::fault::{Fault, Kind, Result};
use crate::seam::RoiGrid;
use crate::tensor::Tensor;
use std::ffi::{CStr, c_void};
use std::ptr::{null, null_mut};
use std::sync::Arc;

// CUdevice_attribute.
const MULTIPROCESSORS: i32 = 16;
const CAPABILITY_MAJOR: i32 = 75;
const CAPABILITY_MINOR: i32 = 76;
/// CUDA_ERROR_OUT_OF_MEMORY
const OUT_OF_MEMORY: i32 = 2;

/// The GPU, usable from any thread.
pub struct Gpu {
    pub(super) driver: Driver,
    context: Ptr,
    /// The RoIAlign kernel, compiled by the driver for this GPU.
    roi_align: Ptr,
    /// For example "Orin, compute capability 8.7, 8 multiprocessors".
    pub name: String,
    /// CUDA version of the driver, for example "12.6".
    pub driver_version: String,
}

// SAFETY: the driver's functions are thread-safe, and `context` is an opaque handle.
unsafe impl Send for Gpu {}
// SAFETY: as above.
unsafe impl Sync for Gpu {}

impl Gpu {
    /// # Errors
    /// [`Kind::Unavailable`]: no driver, or no GPU.
    pub fn open() -> Result<Arc<Self>> {
        let missing = |error: libloading::Error| {
            Fault::new(Kind::Unavailable, "cannot use TensorRT: there is no NVIDIA driver here")
                .cause(error)
                .cure("install it (a Jetson's system image brings it), or set backend = \"cpu\"")
        };
        Gpu::with(Driver::resolve(open(DRIVER).map_err(missing)?).map_err(missing)?)
    }

    /// Opens the driver's first GPU.
    pub(super) fn with(driver: Driver) -> Result<Arc<Self>> {
        let (context, roi_align) = (null_mut(), null_mut());
        let mut gpu = Gpu { driver, context, roi_align, name: String::new(), driver_version: String::new() };
        // SAFETY: every pointer refers to a value of the type that the function writes; the name's length is passed.
        unsafe {
            gpu.check((gpu.driver.init)(0), "start the NVIDIA driver")?;
            let (mut device, mut version) = (0, 0);
            gpu.check((gpu.driver.version)(&mut version), "read the NVIDIA driver's version")?;
            gpu.check((gpu.driver.device)(&mut device, 0), "find a GPU")?;
            let mut name = [0; 128];
            gpu.check((gpu.driver.name)(name.as_mut_ptr(), 127, device), "read the GPU's name")?;
            let name = CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned();
            let mut numbers = [CAPABILITY_MAJOR, CAPABILITY_MINOR, MULTIPROCESSORS];
            for number in &mut numbers {
                let wanted = *number;
                gpu.check((gpu.driver.attribute)(number, wanted, device), "read the GPU's attributes")?;
            }
            let mut context = null_mut();
            gpu.check((gpu.driver.retain)(&mut context, device), "use the GPU")?;
            gpu.context = context;
            let [major, minor, multiprocessors] = numbers;
            gpu.name = format!("{name}, compute capability {major}.{minor}, {multiprocessors} multiprocessors");
            gpu.driver_version = format!("{}.{}", version / 1000, version % 1000 / 10);
        }
        gpu.compile_roi_align()?;
        Ok(Arc::new(gpu))
    }

    fn compile_roi_align(&mut self) -> Result<()> {
        self.make_current()?;
        let (mut module, mut function) = (null_mut(), null_mut());
        // SAFETY: text and name are NUL-terminated; the module is never unloaded and is written before it is read.
        unsafe {
            let code = (self.driver.load_module)(&mut module, roi_align::PTX.as_ptr().cast());
            self.check(code, "compile RoIAlign with the NVIDIA driver")?;
            let code = (self.driver.function)(&mut function, module, c"roi_align".as_ptr());
            self.check(code, "find the RoIAlign kernel")?;
        }
        self.roi_align = function;
        Ok(())
    }

    /// Checks a CUDA result code. `what` completes "cannot ...".
    pub(super) fn check(&self, code: i32, what: &str) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        let mut name = null();
        // SAFETY: the function writes a pointer to a constant string, or leaves it unchanged.
        let named = unsafe { (self.driver.error_name)(code, &mut name) } == 0 && !name.is_null();
        // SAFETY: see above.
        let name = if named { unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned() } else { String::new() };
        let cure = match code {
            OUT_OF_MEMORY => "free some of the GPU's memory, or set model.workers = 1",
            _ => "run nvidia-smi (on a Jetson tegrastats) to see whether the GPU works, or set backend = \"cpu\"",
        };
        Err(Fault::new(Kind::Unavailable, format!("cannot {what}: CUDA error {code} {name}")).cure(cure))
    }

    /// Makes the GPU's context current on this thread.
    pub(super) fn make_current(&self) -> Result<()> {
        // SAFETY: the context was retained and is never released.
        self.check(unsafe { (self.driver.make_current)(self.context) }, "use the GPU on this thread")
    }
}

/// GPU memory that grows and never shrinks.
pub(super) struct Buffer {
    gpu: Arc<Gpu>,
    /// 0: not allocated yet.
    device: u64,
    /// Size in bytes.
    room: usize,
}

impl Buffer {
    pub(super) fn new(gpu: &Arc<Gpu>) -> Self {
        Buffer { gpu: gpu.clone(), device: 0, room: 0 }
    }

    /// Returns the address of at least `bytes` bytes. Growing frees the old memory, which no queued work may use: every
    /// run ends with a synchronisation.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<u64> {
        if bytes > self.room || self.device == 0 {
            self.free()?;
            let mut device = 0;
            // SAFETY: the function writes an address.
            let code = unsafe { (self.gpu.driver.alloc)(&mut device, bytes.max(1)) };
            self.gpu.check(code, "allocate GPU memory")?;
            (self.device, self.room) = (device, bytes);
        }
        Ok(self.device)
    }

    /// Queues a copy of `values` to the GPU and returns its address. `values` must live until the stream is
    /// synchronised.
    pub(super) fn upload<T: Copy>(&mut self, values: &[T], stream: Ptr) -> Result<u64> {
        let bytes = size_of_val(values);
        let device = self.reserve(bytes)?;
        // SAFETY: the buffer has room for the bytes, and the caller keeps `values`.
        let code = unsafe { (self.gpu.driver.to_device)(device, values.as_ptr().cast(), bytes, stream) };
        self.gpu.check(code, "copy to the GPU").map(|()| device)
    }

    /// Queues a copy into `values`, which must live and stay untouched until the stream is synchronised.
    pub(super) fn download(&self, values: &mut [f32], stream: Ptr) -> Result<()> {
        let bytes = size_of_val(values).min(self.room);
        // SAFETY: both have the same number of bytes, and the caller keeps `values`.
        let code = unsafe { (self.gpu.driver.to_host)(values.as_mut_ptr().cast(), self.device, bytes, stream) };
        self.gpu.check(code, "copy from the GPU")
    }

    fn free(&mut self) -> Result<()> {
        let device = std::mem::take(&mut self.device);
        // SAFETY: the memory belongs to this buffer and is no longer used.
        if device == 0 { Ok(()) } else { self.gpu.check(unsafe { (self.gpu.driver.free)(device) }, "free memory") }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // A failed free cannot be reported from here; the process's exit frees the memory.
        let _ = self.gpu.make_current().and_then(|()| self.free());
    }
}

/// A feature map on the GPU.
pub(super) struct Map {
    pub(super) buffer: Buffer,
    /// 1 x channels x height x width
    pub(super) shape: Vec<usize>,
}

/// Feature maps of one picture on the GPU. They are not overwritten while a copy of this value exists.
#[derive(Clone)]
pub struct Maps(pub(super) Arc<Vec<Map>>);

impl Maps {
    /// Shape of each map: 1 x channels x height x width.
    pub fn shapes(&self) -> Vec<&[usize]> {
        self.0.iter().map(|map| &map.shape[..]).collect()
    }

    /// Whether no other copy exists.
    pub(super) fn is_free(&mut self) -> bool {
        Arc::get_mut(&mut self.0).is_some()
    }

    /// Address and sizes of each map, for the kernel.
    pub(super) fn places(&self) -> Vec<roi_align::Place> {
        let place = |map: &Map| roi_align::Place {
            address: map.buffer.device,
            channels: map.shape[1],
            height: map.shape[2],
            width: map.shape[3],
        };
        self.0.iter().filter(|map| map.shape.len() == 4).map(place).collect()
    }
}

impl Gpu {
    /// Queues RoIAlign. `rois` and `out` are GPU addresses with room for the job's input and output.
    pub(super) fn launch_roi_align(&self, job: &roi_align::Job, rois: u64, out: u64, stream: Ptr) -> Result<()> {
        let [count, channels, side, samples] = job.numbers;
        let mut arguments: [*const c_void; 6] = [
            (&raw const rois).cast(),
            (&raw const count).cast(),
            (&raw const channels).cast(),
            (&raw const side).cast(),
            (&raw const samples).cast(),
            (&raw const out).cast(),
        ];
        let [grid_x, grid_y] = job.grid;
        let [block_x, block_y] = job.block;
        // SAFETY: the arguments match the kernel's in type and order, and are read during the call.
        let code = unsafe {
            let (kernel, list) = (self.roi_align, arguments.as_mut_ptr());
            (self.driver.launch)(kernel, grid_x, grid_y, 1, block_x, block_y, 1, 0, stream, list, null_mut())
        };
        self.check(code, "queue RoIAlign on the GPU")
    }

    /// RoIAlign of maps in main memory (each 1 x channels x height x width) into `shape`, to check the kernel.
    pub fn roi_align(
        self: &Arc<Self>,
        maps: &[Tensor],
        grids: &[RoiGrid],
        samples: usize,
        shape: &[usize],
    ) -> Result<Vec<f32>> {
        self.make_current()?;
        // The default stream: slow and simple.
        let stream = null_mut();
        let mut list = Vec::new();
        for map in maps {
            let mut buffer = Buffer::new(self);
            buffer.upload(map.data(), stream)?;
            list.push(Map { buffer, shape: map.shape().to_vec() });
        }
        let maps = Maps(Arc::new(list));
        let mut rois = Vec::new();
        let job = roi_align::Job::new(shape, &maps.places(), grids, samples, &mut rois)?;
        let (mut rois_there, mut out) = (Buffer::new(self), Buffer::new(self));
        let (rois, device) = (rois_there.upload(&rois, stream)?, out.reserve(job.bytes())?);
        let mut values = vec![0.0; shape.iter().product()];
        let launched = self.launch_roi_align(&job, rois, device, stream);
        let queued = launched.and_then(|()| out.download(&mut values, stream));
        // SAFETY: the default stream always exists; queued work uses `rois` and `values` until this returns.
        let done = self.check(unsafe { (self.driver.synchronize)(stream) }, "run RoIAlign on the GPU");
        queued.and(done).map(|()| values)
    }
}
