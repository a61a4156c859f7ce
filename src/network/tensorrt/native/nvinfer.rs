//! TensorRT: builds engines from graphs and loads them.

use super::super::version::{unknown_version, version_text};
use super::super::{BuildEvent, BuildLimits, Watch};
use super::gpu::Gpu;
use super::interface::{
    BuildOptions, Factories, KNOWN, LIBRARIES, Ptr, RawInfo, Shim, missing_dependency, open, shim_for,
};
use crate::fault::{Fault, Kind, Result};
use libloading::Library;
use std::ffi::{CStr, CString, c_char};
use std::ptr::null;
use std::sync::{Arc, Mutex, PoisonError};

/// Lines of TensorRT's log that a fault quotes.
const WORDS: usize = 4;

/// TensorRT's latest errors: it reports the reason of a failure only to its log.
static ERRORS: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub(super) fn errors() -> std::sync::MutexGuard<'static, Vec<String>> {
    ERRORS.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) extern "C" fn log_hook(severity: i32, text: *const c_char) {
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
    pub(super) shim: &'static Shim,
    pub(super) make: Factories,
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
            if let Some(missing) = why.last().and_then(|error| missing_dependency(library, error)) {
                let text = format!("cannot use TensorRT: {library} needs {missing}, which is not here");
                let cure = "install the package that brings it (libnvdla_compiler.so: nvidia-l4t-dla-compiler), or set backend = \"cpu\"";
                return Err(Fault::new(Kind::Unavailable, text).cure(cure));
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
    pub(super) fn fault(&self, what: &str) -> Fault {
        let said = errors().join("; ");
        let memory = ["emory", "allocat"].iter().any(|word| said.contains(word));
        let cure =
            if memory { "free some memory, or set a lower --memory" } else { "set VETRINA_LOG=debug for details" };
        let why = if said.is_empty() { "no reason was logged".to_owned() } else { said };
        Fault::new(Kind::Unavailable, format!("TensorRT {} cannot {what}", self.version)).cause(why).cure(cure)
    }
}

/// An input or output of an engine.
pub struct TensorInfo {
    pub name: CString,
    pub input: bool,
    /// float32. No other type is exchanged.
    pub is_float: bool,
    /// The first dimension is dynamic.
    pub(super) open: bool,
}

/// An engine on the GPU. All contexts share its weights.
pub struct LoadedEngine {
    pub(super) library: Arc<Nvinfer>,
    pub(super) gpu: Arc<Gpu>,
    pub(super) handle: Ptr,
    /// Held while a context is created: one at a time.
    pub(super) making: Mutex<()>,
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
