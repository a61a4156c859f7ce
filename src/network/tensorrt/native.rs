//! NVIDIA's libraries, loaded at run time, behind safe types. The only file of this crate with `unsafe`.
//!
//! The driver is checked first: without it, TensorRT returns invalid pointers. Libraries are never unloaded, since
//! neither CUDA nor TensorRT unloads cleanly.

#![allow(unsafe_code)]

use super::roi_align::{self, Roi};
use super::version::{unknown_version, version_text};
use super::{BuildEvent, BuildLimits, Watch};
use crate::fault::{Fault, Kind, Result};
use crate::seam::RoiGrid;
use crate::tensor::Tensor;
use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, PoisonError};

const DRIVER: &str = "libcuda.so.1";
/// TensorRT libraries to try, best first, each with its ONNX parser.
const LIBRARIES: [(&str, &str); 3] = [
    ("libnvinfer.so.11", "libnvonnxparser.so.11"),
    ("libnvinfer.so.10", "libnvonnxparser.so.10"),
    ("libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"),
];
/// Equals `Dims::MAX_DIMS`.
const MAX_RANK: usize = 8;
/// Lines of TensorRT's log that a fault quotes.
const WORDS: usize = 4;

// CUdevice_attribute.
const MULTIPROCESSORS: i32 = 16;
const CAPABILITY_MAJOR: i32 = 75;
const CAPABILITY_MINOR: i32 = 76;
/// CUDA_ERROR_OUT_OF_MEMORY
const OUT_OF_MEMORY: i32 = 2;
/// CU_STREAM_NON_BLOCKING
const NON_BLOCKING: u32 = 1;

type Ptr = *mut c_void;

/// Defines a struct of function pointers and loads them by symbol name.
macro_rules! symbols {
    ($name:ident { $($field:ident: $symbol:literal fn($($argument:ty),*);)* }) => {
        struct $name { $($field: unsafe extern "C" fn($($argument),*) -> i32),* }

        impl $name {
            fn resolve(library: &'static Library) -> std::result::Result<Self, libloading::Error> {
                // SAFETY: the types are those of NVIDIA's headers, and the library is never unloaded.
                unsafe { Ok($name { $($field: *library.get($symbol)?),* }) }
            }
        }
    };
}

symbols!(Driver {
    init: b"cuInit\0" fn(u32);
    error_name: b"cuGetErrorName\0" fn(i32, *mut *const c_char);
    version: b"cuDriverGetVersion\0" fn(*mut i32);
    device: b"cuDeviceGet\0" fn(*mut i32, i32);
    name: b"cuDeviceGetName\0" fn(*mut c_char, i32, i32);
    attribute: b"cuDeviceGetAttribute\0" fn(*mut i32, i32, i32);
    retain: b"cuDevicePrimaryCtxRetain\0" fn(*mut Ptr, i32);
    make_current: b"cuCtxSetCurrent\0" fn(Ptr);
    alloc: b"cuMemAlloc_v2\0" fn(*mut u64, usize);
    free: b"cuMemFree_v2\0" fn(u64);
    to_device: b"cuMemcpyHtoDAsync_v2\0" fn(u64, *const c_void, usize, Ptr);
    to_host: b"cuMemcpyDtoHAsync_v2\0" fn(Ptr, u64, usize, Ptr);
    new_stream: b"cuStreamCreate\0" fn(*mut Ptr, u32);
    free_stream: b"cuStreamDestroy_v2\0" fn(Ptr);
    synchronize: b"cuStreamSynchronize\0" fn(Ptr);
    load_module: b"cuModuleLoadData\0" fn(*mut Ptr, *const c_void);
    function: b"cuModuleGetFunction\0" fn(*mut Ptr, Ptr, *const c_char);
    launch: b"cuLaunchKernel\0" fn(Ptr, u32, u32, u32, u32, u32, u32, u32, Ptr, *mut *const c_void, *mut Ptr);
});

type Factory = unsafe extern "C" fn(Ptr, i32) -> Ptr;
type ParserFactory = unsafe extern "C" fn(Ptr, Ptr, i32) -> Ptr;

// Must match shim.cpp.
#[repr(C)]
struct Factories {
    version: i32,
    builder: Option<Factory>,
    runtime: Option<Factory>,
    parser: Option<ParserFactory>,
    log: extern "C" fn(i32, *const c_char),
}

#[repr(C)]
struct BuildOptions {
    workspace: u64,
    dram: u64,
    least: i64,
    usual: i64,
    most: i64,
    capability: i32,
    user: Ptr,
    progress: unsafe extern "C" fn(Ptr, i32, *const c_char, *const c_char, i32) -> i32,
}

#[repr(C)]
struct RawInfo {
    name: *const c_char,
    input: i32,
    is_float: i32,
    open: i32,
}

#[repr(C)]
struct Shim {
    build: unsafe extern "C" fn(*const Factories, *const c_void, usize, *const BuildOptions) -> Ptr,
    blob_data: unsafe extern "C" fn(Ptr, *mut usize) -> *const c_void,
    free_blob: unsafe extern "C" fn(Ptr),
    load: unsafe extern "C" fn(*const Factories, *const c_void, usize) -> Ptr,
    unload: unsafe extern "C" fn(Ptr),
    tensor_count: unsafe extern "C" fn(Ptr) -> i32,
    tensor_info: unsafe extern "C" fn(Ptr, i32, *mut RawInfo),
    new_context: unsafe extern "C" fn(Ptr) -> Ptr,
    free_context: unsafe extern "C" fn(Ptr),
    set_input_shape: unsafe extern "C" fn(Ptr, *const c_char, *const i64, i32) -> i32,
    tensor_shape: unsafe extern "C" fn(Ptr, *const c_char, *mut i64) -> i32,
    set_address: unsafe extern "C" fn(Ptr, *const c_char, u64) -> i32,
    enqueue: unsafe extern "C" fn(Ptr, Ptr) -> i32,
}

// SAFETY: each is a constant table that build.rs compiled from shim.cpp, with the layout of `Shim`.
unsafe extern "C" {
    #[cfg(tensorrt_10)]
    safe static vetrina_shim_10: Shim;
    #[cfg(tensorrt_11)]
    safe static vetrina_shim_11: Shim;
    #[cfg(tensorrt_rtx)]
    safe static vetrina_shim_rtx: Shim;
}

/// TensorRT's latest errors: it reports the reason of a failure only to its log.
static ERRORS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn errors() -> std::sync::MutexGuard<'static, Vec<String>> {
    ERRORS.lock().unwrap_or_else(PoisonError::into_inner)
}

extern "C" fn log_hook(severity: i32, text: *const c_char) {
    // SAFETY: TensorRT passes a C string that is valid during this call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy().trim().to_owned();
    if severity >= 2 {
        log::debug!("TensorRT: {text}");
        return;
    }
    log::debug!("TensorRT, error: {text}");
    let mut errors = errors();
    if errors.len() == WORDS {
        errors.remove(0);
    }
    errors.push(text);
}

/// The GPU, usable from any thread.
pub struct Gpu {
    driver: Driver,
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

/// Opens a shared library by name or path. It is never closed.
fn open(name: &str) -> std::result::Result<&'static Library, libloading::Error> {
    // SAFETY: the initialisers of NVIDIA's libraries may run at any time.
    unsafe { Library::new(name) }.map(|library| &*Box::leak(Box::new(library)))
}

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
    fn with(driver: Driver) -> Result<Arc<Self>> {
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
    fn check(&self, code: i32, what: &str) -> Result<()> {
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
    fn make_current(&self) -> Result<()> {
        // SAFETY: the context was retained and is never released.
        self.check(unsafe { (self.driver.make_current)(self.context) }, "use the GPU on this thread")
    }
}

unsafe extern "C" fn progress_hook(
    user: Ptr,
    event: i32,
    phase: *const c_char,
    parent: *const c_char,
    number: i32,
) -> i32 {
    // SAFETY: `user` is the mutex that `Nvinfer::build` keeps until the builder returns; the others are C strings or
    // null.
    let (watch, phase) = unsafe { (&*user.cast::<Mutex<&mut Watch>>(), CStr::from_ptr(phase)) };
    let phase = phase.to_string_lossy();
    let event = match event {
        0 => BuildEvent::Begin { phase: &phase, outermost: parent.is_null(), steps: number.max(0) as u32 },
        1 => BuildEvent::Step { phase: &phase, done: number.max(0) as u32 + 1 },
        _ => BuildEvent::End { phase: &phase },
    };
    let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
    // A panic must not unwind through TensorRT's frames.
    let go_on = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch(event)));
    go_on.unwrap_or(false).into()
}

/// TensorRT's library with its shim.
pub struct Nvinfer {
    shim: &'static Shim,
    make: Factories,
    /// For example "10.3.0" or "RTX 1.7.1".
    pub version: String,
    /// TensorRT-RTX, which builds without a GPU.
    pub rtx: bool,
}

impl Nvinfer {
    /// Opens the newest TensorRT installed.
    ///
    /// # Errors
    /// [`Kind::Unavailable`]: none, or no version that this program supports.
    pub fn open() -> Result<Arc<Self>> {
        let mut why = Vec::new();
        for (library, parser) in LIBRARIES {
            match open(library) {
                Ok(opened) => return Nvinfer::with(library, opened, parser),
                Err(error) => why.push(error.to_string()),
            }
        }
        Err(Fault::new(Kind::Unavailable, "cannot use TensorRT: its library is not installed")
            .cause(why.join("; "))
            .cure("install libnvinfer10 or later (JetPack's package tensorrt), or set backend = \"cpu\""))
    }

    #[cfg(test)]
    /// Opens the library at `path`, which may lack a builder, and its parser if present.
    pub fn open_file(path: &std::path::Path, parser: &std::path::Path) -> Result<Arc<Self>> {
        let name = path.display().to_string();
        let opened = open(&name).map_err(|error| {
            Fault::new(Kind::Unavailable, format!("cannot open {name}")).cause(error).cure("install TensorRT again")
        })?;
        Nvinfer::with(&name, opened, &parser.display().to_string())
    }

    fn with(name: &str, library: &'static Library, parser: &str) -> Result<Arc<Self>> {
        type Version = unsafe extern "C" fn() -> i32;
        // SAFETY: the types are those of NVIDIA's headers; missing functions are `None`.
        let (version, builder, runtime) = unsafe {
            (
                library.get::<Version>(b"getInferLibVersion\0").ok().map(|version| version()),
                library.get(b"createInferBuilder_INTERNAL\0").ok().map(|factory| *factory),
                library.get(b"createInferRuntime_INTERNAL\0").ok().map(|factory| *factory),
            )
        };
        let Some(version) = version else {
            let text = format!("cannot use TensorRT: {name} does not report its version");
            return Err(Fault::new(Kind::Unavailable, text).cure("install TensorRT 10 or 11 again"));
        };
        let shim = shim_for(version).ok_or_else(|| unknown_version(name, version, KNOWN))?;
        // Only a build needs the parser; a build reports it if missing.
        let parser = open(parser).ok();
        // SAFETY: as above.
        let parser = parser.and_then(|parser| unsafe { parser.get(b"createNvOnnxParser_INTERNAL\0") }.ok());
        let make = Factories { version, builder, runtime, parser: parser.map(|factory| *factory), log: log_hook };
        let rtx = version / 10_000 == 1;
        Ok(Arc::new(Nvinfer { shim, make, version: version_text(version), rtx }))
    }

    /// Builds a serialised engine from an ONNX graph. Requires an open [`Gpu`] or TensorRT-RTX.
    pub fn build(&self, onnx: &[u8], open: [i64; 3], limits: &BuildLimits, watch: &mut Watch) -> Result<Vec<u8>> {
        if self.make.builder.is_none() || self.make.parser.is_none() {
            let text =
                format!("cannot build an engine: TensorRT {} has no builder or no ONNX parser here", self.version);
            let cure = "install libnvonnxparsers and the full libnvinfer, not only the lean runtime";
            return Err(Fault::new(Kind::Unavailable, text).cure(cure));
        }
        errors().clear();
        let watch = Mutex::new(watch);
        let options = BuildOptions {
            workspace: limits.memory / 4,
            dram: limits.memory,
            least: open[0],
            usual: open[1],
            most: open[2],
            capability: limits.capability.unwrap_or(0),
            user: (&raw const watch).cast_mut().cast(),
            progress: progress_hook,
        };
        // SAFETY: all pointers live until the call returns, and the builder does not use `watch` afterwards.
        let blob = unsafe { (self.shim.build)(&self.make, onnx.as_ptr().cast(), onnx.len(), &options) };
        if blob.is_null() {
            return Err(self.fault("build an engine"));
        }
        let mut size = 0;
        // SAFETY: the blob is TensorRT's, with `size` readable bytes until it is freed.
        let bytes = unsafe {
            let data = (self.shim.blob_data)(blob, &mut size).cast::<u8>();
            std::slice::from_raw_parts(data, size).to_vec()
        };
        // SAFETY: no reference to the blob is left.
        unsafe { (self.shim.free_blob)(blob) };
        Ok(bytes)
    }

    /// Loads a serialised engine onto the GPU.
    pub fn load(self: &Arc<Self>, gpu: &Arc<Gpu>, engine: &[u8]) -> Result<Arc<LoadedEngine>> {
        if self.make.runtime.is_none() {
            return Err(self.fault("load an engine: the library has no runtime"));
        }
        gpu.make_current()?;
        errors().clear();
        // SAFETY: a driver is present, otherwise no `Gpu` could exist; the bytes live until the call returns.
        let handle = unsafe { (self.shim.load)(&self.make, engine.as_ptr().cast(), engine.len()) };
        if handle.is_null() {
            return Err(self.fault("load an engine"));
        }
        let mut plan =
            LoadedEngine { library: self.clone(), gpu: gpu.clone(), handle, making: Mutex::new(()), tensors: vec![] };
        // SAFETY: the handle is the shim's; it fills in one info per tensor.
        unsafe {
            for index in 0..(self.shim.tensor_count)(handle) {
                let mut raw = RawInfo { name: null(), input: 0, is_float: 0, open: 0 };
                (self.shim.tensor_info)(handle, index, &mut raw);
                let name = CStr::from_ptr(raw.name).to_owned();
                let [input, is_float, open] = [raw.input, raw.is_float, raw.open].map(|flag| flag != 0);
                plan.tensors.push(TensorInfo { name, input, is_float, open });
            }
        }
        Ok(Arc::new(plan))
    }

    /// A fault that quotes TensorRT's latest log lines. `what` completes "cannot ...".
    fn fault(&self, what: &str) -> Fault {
        let said = errors().join("; ");
        let memory = ["emory", "allocat"].iter().any(|word| said.contains(word));
        let cure =
            if memory { "free some memory, or set a lower --memory" } else { "set VETRINA_LOG=debug for details" };
        let why = if said.is_empty() { "no reason was logged".to_owned() } else { said };
        Fault::new(Kind::Unavailable, format!("TensorRT {} cannot {what}", self.version)).cause(why).cure(cure)
    }
}

/// TensorRT versions that this program was built for.
const KNOWN: &[&str] = &[
    #[cfg(tensorrt_10)]
    "10",
    #[cfg(tensorrt_11)]
    "11",
    #[cfg(tensorrt_rtx)]
    "RTX 1",
];

/// The shim for a TensorRT version, if compiled in.
fn shim_for(version: i32) -> Option<&'static Shim> {
    match version / 10_000 {
        #[cfg(tensorrt_10)]
        10 => Some(&vetrina_shim_10),
        #[cfg(tensorrt_11)]
        11 => Some(&vetrina_shim_11),
        #[cfg(tensorrt_rtx)]
        1 => Some(&vetrina_shim_rtx),
        _ => None,
    }
}

/// An input or output of an engine.
pub struct TensorInfo {
    pub name: CString,
    pub input: bool,
    /// float32. No other type is exchanged.
    pub is_float: bool,
    /// The first dimension is dynamic.
    open: bool,
}

/// An engine on the GPU. All contexts share its weights.
pub struct LoadedEngine {
    library: Arc<Nvinfer>,
    gpu: Arc<Gpu>,
    handle: Ptr,
    /// Held while a context is created: one at a time.
    making: Mutex<()>,
    pub tensors: Vec<TensorInfo>,
}

// SAFETY: TensorRT's engines may be read from any thread; contexts are created under a lock.
unsafe impl Send for LoadedEngine {}
// SAFETY: as above.
unsafe impl Sync for LoadedEngine {}

impl Drop for LoadedEngine {
    fn drop(&mut self) {
        // SAFETY: every context holds a reference to the engine, so none is left.
        unsafe { (self.library.shim.unload)(self.handle) }
    }
}

/// GPU memory that grows and never shrinks.
struct Buffer {
    gpu: Arc<Gpu>,
    /// 0: not allocated yet.
    device: u64,
    /// Size in bytes.
    room: usize,
}

impl Buffer {
    fn new(gpu: &Arc<Gpu>) -> Self {
        Buffer { gpu: gpu.clone(), device: 0, room: 0 }
    }

    /// Returns the address of at least `bytes` bytes. Growing frees the old memory, which no queued work may use: every
    /// run ends with a synchronisation.
    fn reserve(&mut self, bytes: usize) -> Result<u64> {
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
    fn upload<T: Copy>(&mut self, values: &[T], stream: Ptr) -> Result<u64> {
        let bytes = size_of_val(values);
        let device = self.reserve(bytes)?;
        // SAFETY: the buffer has room for the bytes, and the caller keeps `values`.
        let code = unsafe { (self.gpu.driver.to_device)(device, values.as_ptr().cast(), bytes, stream) };
        self.gpu.check(code, "copy to the GPU").map(|()| device)
    }

    /// Queues a copy into `values`, which must live and stay untouched until the stream is synchronised.
    fn download(&self, values: &mut [f32], stream: Ptr) -> Result<()> {
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
struct Map {
    buffer: Buffer,
    /// 1 x channels x height x width
    shape: Vec<usize>,
}

/// Feature maps of one picture on the GPU. They are not overwritten while a copy of this value exists.
#[derive(Clone)]
pub struct Maps(Arc<Vec<Map>>);

impl Maps {
    /// Shape of each map: 1 x channels x height x width.
    pub fn shapes(&self) -> Vec<&[usize]> {
        self.0.iter().map(|map| &map.shape[..]).collect()
    }

    /// Whether no other copy exists.
    fn is_free(&mut self) -> bool {
        Arc::get_mut(&mut self.0).is_some()
    }

    /// Address and sizes of each map, for the kernel.
    fn places(&self) -> Vec<roi_align::Place> {
        let place = |map: &Map| roi_align::Place {
            address: map.buffer.device,
            channels: map.shape[1],
            height: map.shape[2],
            width: map.shape[3],
        };
        self.0.iter().filter(|map| map.shape.len() == 4).map(place).collect()
    }
}

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

impl Gpu {
    /// Queues RoIAlign. `rois` and `out` are GPU addresses with room for the job's input and output.
    fn launch_roi_align(&self, job: &roi_align::Job, rois: u64, out: u64, stream: Ptr) -> Result<()> {
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

#[cfg(test)]
#[path = "native_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "device_tests.rs"]
mod device_tests;
