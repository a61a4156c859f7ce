//! NVIDIA's libraries, opened at run time, behind types that are safe to use. The one file of this crate with `unsafe`.
//!
//! The driver is asked first: without one, TensorRT gives pointers that lead nowhere. Libraries stay open until the process
//! ends, since neither CUDA nor TensorRT can be unloaded in order.

#![allow(unsafe_code)]

use super::version::{unknown_version, version_text};
use super::{BuildEvent, BuildLimits, Watch};
use crate::fault::{Fault, Kind, Result};
use libloading::Library;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, PoisonError};

const DRIVER: &str = "libcuda.so.1";
/// What of TensorRT is looked for, best first: the library, its ONNX parser.
const LIBRARIES: [(&str, &str); 3] = [
    ("libnvinfer.so.11", "libnvonnxparser.so.11"),
    ("libnvinfer.so.10", "libnvonnxparser.so.10"),
    ("libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"),
];
/// As `Dims::MAX_DIMS`.
const MAX_RANK: usize = 8;
/// Lines of TensorRT's log that a fault repeats.
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

/// Functions of a library, by their names there.
macro_rules! symbols {
    ($name:ident { $($field:ident: $symbol:literal fn($($argument:ty),*);)* }) => {
        struct $name { $($field: unsafe extern "C" fn($($argument),*) -> i32),* }

        impl $name {
            fn resolve(library: &'static Library) -> std::result::Result<Self, libloading::Error> {
                // SAFETY: the types are those of NVIDIA's headers, and the library stays open for ever.
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
});

type Factory = unsafe extern "C" fn(Ptr, i32) -> Ptr;
type ParserFactory = unsafe extern "C" fn(Ptr, Ptr, i32) -> Ptr;

// As in shim.cpp.
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

/// TensorRT's newest errors: it says why it failed in its log only.
static ERRORS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn errors() -> std::sync::MutexGuard<'static, Vec<String>> {
    ERRORS.lock().unwrap_or_else(PoisonError::into_inner)
}

extern "C" fn log_hook(severity: i32, text: *const c_char) {
    // SAFETY: TensorRT hands over a C string that lives during this call.
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

/// The GPU, ready to be used from any thread.
pub struct Gpu {
    driver: Driver,
    context: Ptr,
    /// "Orin, compute capability 8.7, 8 multiprocessors"
    pub name: String,
    /// CUDA version of the driver, "12.6".
    pub driver_version: String,
}

// SAFETY: the driver's functions may be called from every thread, and `context` is only a name to them.
unsafe impl Send for Gpu {}
// SAFETY: as above.
unsafe impl Sync for Gpu {}

/// Opens a shared library by its name or path, for ever.
fn open(name: &str) -> std::result::Result<&'static Library, libloading::Error> {
    // SAFETY: NVIDIA's libraries have initialisers that may run at any time.
    unsafe { Library::new(name) }.map(|library| &*Box::leak(Box::new(library)))
}

impl Gpu {
    /// # Errors
    /// [`Kind::Unavailable`]: no driver, or no GPU.
    pub fn open() -> Result<Arc<Self>> {
        let missing = |error: libloading::Error| {
            Fault::new(Kind::Unavailable, "cannot use TensorRT: there is no NVIDIA driver here")
                .cause(error)
                .cure("install it (a Jetson's system image brings it), or say backend = \"cpu\"")
        };
        let driver = Driver::resolve(open(DRIVER).map_err(missing)?).map_err(missing)?;
        let mut gpu = Gpu { driver, context: null_mut(), name: String::new(), driver_version: String::new() };
        // SAFETY: every pointer leads to a value of the type that the function writes, and the name's length is told.
        unsafe {
            gpu.check((gpu.driver.init)(0), "start the NVIDIA driver")?;
            let (mut device, mut version) = (0, 0);
            gpu.check((gpu.driver.version)(&mut version), "ask the NVIDIA driver for its version")?;
            gpu.check((gpu.driver.device)(&mut device, 0), "find a GPU")?;
            let mut name = [0; 128];
            gpu.check((gpu.driver.name)(name.as_mut_ptr(), 127, device), "ask the GPU for its name")?;
            let name = CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned();
            let mut numbers = [CAPABILITY_MAJOR, CAPABILITY_MINOR, MULTIPROCESSORS];
            for number in &mut numbers {
                let wanted = *number;
                gpu.check((gpu.driver.attribute)(number, wanted, device), "ask the GPU what it is")?;
            }
            let mut context = null_mut();
            gpu.check((gpu.driver.retain)(&mut context, device), "use the GPU")?;
            gpu.context = context;
            let [major, minor, multiprocessors] = numbers;
            gpu.name = format!("{name}, compute capability {major}.{minor}, {multiprocessors} multiprocessors");
            gpu.driver_version = format!("{}.{}", version / 1000, version % 1000 / 10);
        }
        Ok(Arc::new(gpu))
    }

    /// What the driver answered, as a fault where it is one.
    fn check(&self, code: i32, what: &str) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        let mut name = null();
        // SAFETY: the function writes a pointer to a constant string, or leaves it.
        let named = unsafe { (self.driver.error_name)(code, &mut name) } == 0 && !name.is_null();
        // SAFETY: see above.
        let name = if named { unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned() } else { String::new() };
        let cure = match code {
            OUT_OF_MEMORY => "free some of the GPU's memory, or set model.workers = 1",
            _ => "run nvidia-smi (on a Jetson tegrastats) to see whether the GPU works, or say backend = \"cpu\"",
        };
        Err(Fault::new(Kind::Unavailable, format!("cannot {what}: CUDA error {code} {name}")).cure(cure))
    }

    /// For this thread, from now on.
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
    // SAFETY: `user` is the mutex that `Nvinfer::build` keeps until the builder is done; the rest are C strings or null.
    let (watch, phase) = unsafe { (&*user.cast::<Mutex<&mut Watch>>(), CStr::from_ptr(phase)) };
    let phase = phase.to_string_lossy();
    let event = match event {
        0 => BuildEvent::Begin { phase: &phase, outermost: parent.is_null(), steps: number.max(0) as u32 },
        1 => BuildEvent::Step { phase: &phase, done: number.max(0) as u32 + 1 },
        _ => BuildEvent::End { phase: &phase },
    };
    let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
    // A panic must not go through TensorRT's frames.
    let go_on = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| watch(event)));
    go_on.unwrap_or(false).into()
}

/// TensorRT's library, and the shim that fits it.
pub struct Nvinfer {
    shim: &'static Shim,
    make: Factories,
    /// "10.3.0", or "RTX 1.7.1".
    pub version: String,
    /// TensorRT-RTX builds without a GPU.
    pub rtx: bool,
}

impl Nvinfer {
    /// The newest TensorRT that is installed.
    ///
    /// # Errors
    /// [`Kind::Unavailable`]: none, or none that this program knows.
    pub fn open() -> Result<Arc<Self>> {
        let mut why = Vec::new();
        for (library, parser) in LIBRARIES {
            match open(library) {
                Ok(opened) => return Nvinfer::with(library, opened, parser),
                Err(error) => why.push(error.to_string()),
            }
        }
        Err(Fault::new(Kind::Unavailable, "cannot use TensorRT: its library is not here")
            .cause(why.join("; "))
            .cure("install libnvinfer10 or later (JetPack's package tensorrt), or say backend = \"cpu\""))
    }

    #[cfg(test)]
    /// The library at `path`, which may lack a builder; with its parser where there is one.
    pub fn open_file(path: &std::path::Path, parser: &std::path::Path) -> Result<Arc<Self>> {
        let name = path.display().to_string();
        let opened = open(&name).map_err(|error| {
            Fault::new(Kind::Unavailable, format!("cannot open {name}")).cause(error).cure("install TensorRT again")
        })?;
        Nvinfer::with(&name, opened, &parser.display().to_string())
    }

    fn with(name: &str, library: &'static Library, parser: &str) -> Result<Arc<Self>> {
        type Version = unsafe extern "C" fn() -> i32;
        // SAFETY: the types are those of NVIDIA's headers; absent functions are `None`.
        let (version, builder, runtime) = unsafe {
            (
                library.get::<Version>(b"getInferLibVersion\0").ok().map(|version| version()),
                library.get(b"createInferBuilder_INTERNAL\0").ok().map(|factory| *factory),
                library.get(b"createInferRuntime_INTERNAL\0").ok().map(|factory| *factory),
            )
        };
        let Some(version) = version else {
            let text = format!("cannot use TensorRT: {name} does not say its version");
            return Err(Fault::new(Kind::Unavailable, text).cure("install TensorRT 10 or 11 again"));
        };
        let shim = shim_for(version).ok_or_else(|| unknown_version(name, version, KNOWN))?;
        // Only a build needs it; its absence is told then.
        let parser = open(parser).ok();
        // SAFETY: as above.
        let parser = parser.and_then(|parser| unsafe { parser.get(b"createNvOnnxParser_INTERNAL\0") }.ok());
        let make = Factories { version, builder, runtime, parser: parser.map(|factory| *factory), log: log_hook };
        let rtx = version / 10_000 == 1;
        Ok(Arc::new(Nvinfer { shim, make, version: version_text(version), rtx }))
    }

    /// An ONNX graph to a serialised engine. The caller has opened a [`Gpu`], or the library is TensorRT-RTX.
    pub fn build(&self, onnx: &[u8], limits: &BuildLimits, watch: &mut Watch) -> Result<Vec<u8>> {
        if self.make.builder.is_none() || self.make.parser.is_none() {
            let text =
                format!("cannot build an engine: TensorRT {} has no builder or no ONNX parser here", self.version);
            let cure = "install libnvonnxparsers beside libnvinfer, and not the lean runtime alone";
            return Err(Fault::new(Kind::Unavailable, text).cure(cure));
        }
        errors().clear();
        let watch = Mutex::new(watch);
        let options = BuildOptions {
            workspace: limits.memory / 4,
            dram: limits.memory,
            least: limits.open[0],
            usual: limits.open[1],
            most: limits.open[2],
            capability: limits.capability.unwrap_or(0),
            user: (&raw const watch).cast_mut().cast(),
            progress: progress_hook,
        };
        // SAFETY: all pointers live until the call returns; the builder is done with `watch` by then.
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
        // SAFETY: nobody holds it any longer.
        unsafe { (self.shim.free_blob)(blob) };
        Ok(bytes)
    }

    /// Puts a serialised engine onto the GPU.
    pub fn load(self: &Arc<Self>, gpu: &Arc<Gpu>, engine: &[u8]) -> Result<Arc<Plan>> {
        if self.make.runtime.is_none() {
            return Err(self.fault("load an engine: the library has no runtime"));
        }
        gpu.make_current()?;
        errors().clear();
        // SAFETY: there is a driver, or no `Gpu` could exist; the bytes live until the call returns.
        let handle = unsafe { (self.shim.load)(&self.make, engine.as_ptr().cast(), engine.len()) };
        if handle.is_null() {
            return Err(self.fault("load an engine"));
        }
        let mut plan =
            Plan { library: self.clone(), gpu: gpu.clone(), handle, making: Mutex::new(()), tensors: vec![] };
        // SAFETY: the handle is the shim's, and it fills in one info a tensor.
        unsafe {
            for index in 0..(self.shim.tensor_count)(handle) {
                let mut raw = RawInfo { name: null(), input: 0, is_float: 0 };
                (self.shim.tensor_info)(handle, index, &mut raw);
                let name = CStr::from_ptr(raw.name).to_owned();
                plan.tensors.push(TensorInfo { name, input: raw.input != 0, is_float: raw.is_float != 0 });
            }
        }
        Ok(Arc::new(plan))
    }

    /// A fault with what TensorRT last logged.
    fn fault(&self, what: &str) -> Fault {
        let said = errors().join("; ");
        let memory = ["emory", "allocat"].iter().any(|word| said.contains(word));
        let cure = if memory { "free some memory, or give a lower --memory" } else { "see VETRINA_LOG=debug for more" };
        let why = if said.is_empty() { "it does not say why".to_owned() } else { said };
        Fault::new(Kind::Unavailable, format!("TensorRT {} cannot {what}", self.version)).cause(why).cure(cure)
    }
}

/// Versions that a shim was compiled for.
const KNOWN: &[&str] = &[
    #[cfg(tensorrt_10)]
    "10",
    #[cfg(tensorrt_11)]
    "11",
    #[cfg(tensorrt_rtx)]
    "RTX 1",
];

/// The shim for a library that says `version`, where it was compiled in.
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
    /// 32-bit floats; nothing else is exchanged.
    pub is_float: bool,
}

/// An engine on the GPU: its weights, which any number of contexts share.
pub struct Plan {
    library: Arc<Nvinfer>,
    gpu: Arc<Gpu>,
    handle: Ptr,
    /// Contexts are made one at a time.
    making: Mutex<()>,
    pub tensors: Vec<TensorInfo>,
}

// SAFETY: TensorRT's engines may be read from every thread; contexts are made under a lock.
unsafe impl Send for Plan {}
// SAFETY: as above.
unsafe impl Sync for Plan {}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: every context holds the plan, so none is left.
        unsafe { (self.library.shim.unload)(self.handle) }
    }
}

/// What one thread runs an engine with: a stream, and device buffers that stay from frame to frame.
pub struct Context {
    plan: Arc<Plan>,
    handle: Ptr,
    stream: Ptr,
    /// One a tensor: address and size in bytes; 0: none yet.
    buffers: Vec<(u64, usize)>,
}

// SAFETY: a context is used by one thread at a time, which `&mut` sees to, and sets the GPU's context itself.
unsafe impl Send for Context {}

impl Context {
    /// # Errors
    /// [`Kind::Unavailable`]: not enough memory.
    pub fn new(plan: &Arc<Plan>) -> Result<Self> {
        let gpu = &plan.gpu;
        gpu.make_current()?;
        let mut stream = null_mut();
        // SAFETY: the function writes a stream.
        gpu.check(unsafe { (gpu.driver.new_stream)(&mut stream, NON_BLOCKING) }, "make a CUDA stream")?;
        let buffers = vec![(0, 0); plan.tensors.len()];
        // From here on, dropping frees what there is.
        let mut context = Context { plan: plan.clone(), handle: null_mut(), stream, buffers };
        let one_at_a_time = plan.making.lock().unwrap_or_else(PoisonError::into_inner);
        errors().clear();
        // SAFETY: the plan's handle lives as long as the plan.
        context.handle = unsafe { (plan.library.shim.new_context)(plan.handle) };
        drop(one_at_a_time);
        if context.handle.is_null() {
            return Err(plan.library.fault("find the memory to run an engine"));
        }
        Ok(context)
    }

    /// Runs the engine: `inputs` in the engine's order, shape and values; outputs likewise.
    pub fn run(&mut self, inputs: &[(&[usize], &[f32])]) -> Result<Vec<(Vec<usize>, Vec<f32>)>> {
        self.plan.gpu.make_current()?;
        errors().clear();
        let mut outputs = Vec::new();
        let queued = self.queue(inputs, &mut outputs);
        let gpu = &self.plan.gpu;
        // SAFETY: the stream is this context's. Whatever was queued reads `inputs` and writes `outputs` until here.
        let done = gpu.check(unsafe { (gpu.driver.synchronize)(self.stream) }, "run an engine on the GPU");
        queued.and(done).map(|()| outputs)
    }

    /// Queues copies and kernels. What is pushed to `outputs` is written to until the stream is synchronised.
    fn queue(&mut self, inputs: &[(&[usize], &[f32])], outputs: &mut Vec<(Vec<usize>, Vec<f32>)>) -> Result<()> {
        let plan = self.plan.clone();
        let (gpu, shim) = (&plan.gpu, plan.library.shim);
        let mut given = inputs.iter();
        for (index, info) in plan.tensors.iter().enumerate().filter(|(_, info)| info.input) {
            let (shape, values) = given.next().ok_or_else(|| plan.library.fault("run without all inputs"))?;
            let sizes: Vec<i64> = shape.iter().map(|size| *size as i64).collect();
            // SAFETY: name and sizes live during the call.
            let fits =
                unsafe { (shim.set_input_shape)(self.handle, info.name.as_ptr(), sizes.as_ptr(), sizes.len() as i32) };
            if fits == 0 {
                return Err(plan.library.fault(&format!("run an engine on an input of shape {shape:?}")));
            }
            let device = self.buffer(index, size_of_val(*values))?;
            // SAFETY: the buffer has room for as many bytes, and the caller keeps `values` until it has synchronised.
            let code =
                unsafe { (gpu.driver.to_device)(device, values.as_ptr().cast(), size_of_val(*values), self.stream) };
            gpu.check(code, "copy to the GPU")?;
        }
        let mut places = Vec::new();
        for (index, info) in plan.tensors.iter().enumerate().filter(|(_, info)| !info.input) {
            let mut sizes = [0; MAX_RANK];
            // SAFETY: `sizes` has room for every rank.
            let rank = unsafe { (shim.tensor_shape)(self.handle, info.name.as_ptr(), sizes.as_mut_ptr()) };
            let known = usize::try_from(rank).ok().map(|rank| &sizes[..rank]);
            let Some(sizes) = known.filter(|sizes| sizes.iter().all(|size| *size >= 0)) else {
                return Err(plan.library.fault("say how large an output is"));
            };
            let shape: Vec<usize> = sizes.iter().map(|size| *size as usize).collect();
            let values = vec![0.0; shape.iter().product()];
            places.push(self.buffer(index, size_of_val(&values[..]))?);
            outputs.push((shape, values));
        }
        // SAFETY: context and stream are this one's.
        if unsafe { (shim.enqueue)(self.handle, self.stream) } == 0 {
            return Err(plan.library.fault("run an engine"));
        }
        for (device, (_, values)) in places.into_iter().zip(outputs.iter_mut()) {
            let bytes = size_of_val(&values[..]);
            // SAFETY: both have room for as many bytes; the vector is not touched before the stream is synchronised.
            let code = unsafe { (gpu.driver.to_host)(values.as_mut_ptr().cast(), device, bytes, self.stream) };
            gpu.check(code, "copy from the GPU")?;
        }
        Ok(())
    }

    /// The device buffer of a tensor, made anew only where it has grown, and known to the engine.
    fn buffer(&mut self, index: usize, bytes: usize) -> Result<u64> {
        let (gpu, shim) = (&self.plan.gpu, self.plan.library.shim);
        let (mut device, room) = self.buffers[index];
        if bytes > room || device == 0 {
            // SAFETY: nothing is queued that uses the old buffer, since every run ends with a synchronisation.
            unsafe {
                if device != 0 {
                    self.buffers[index] = (0, 0);
                    gpu.check((gpu.driver.free)(device), "free memory on the GPU")?;
                }
                gpu.check((gpu.driver.alloc)(&mut device, bytes.max(1)), "get memory on the GPU")?;
            }
            self.buffers[index] = (device, bytes);
        }
        let name = self.plan.tensors[index].name.as_ptr();
        // SAFETY: the name lives as long as the plan, the buffer until it is replaced here.
        if unsafe { (shim.set_address)(self.handle, name, device) } == 0 {
            return Err(self.plan.library.fault("take a buffer"));
        }
        Ok(device)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let (gpu, shim) = (&self.plan.gpu, self.plan.library.shim);
        if gpu.make_current().is_err() {
            return;
        }
        // SAFETY: all is this context's own, and nothing is queued any longer.
        unsafe {
            if !self.handle.is_null() {
                (shim.free_context)(self.handle);
            }
            for (device, _) in self.buffers.iter().filter(|(device, _)| *device != 0) {
                (gpu.driver.free)(*device);
            }
            (gpu.driver.free_stream)(self.stream);
        }
    }
}

#[cfg(test)]
#[path = "native_tests.rs"]
mod tests;
