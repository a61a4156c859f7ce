//! The functions of NVIDIA's driver and of `shim.cpp` as they are in C, and how their libraries are opened.

use libloading::Library;
use std::ffi::{c_char, c_void};

pub const DRIVER: &str = "libcuda.so.1";
/// TensorRT libraries to try, best first, each with its ONNX parser.
pub const LIBRARIES: [(&str, &str); 3] = [
    ("libnvinfer.so.11", "libnvonnxparser.so.11"),
    ("libnvinfer.so.10", "libnvonnxparser.so.10"),
    ("libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"),
];

pub type Ptr = *mut c_void;

/// Defines a struct of function pointers and loads them by symbol name.
macro_rules! symbols {
    ($name:ident { $($field:ident: $symbol:literal fn($($argument:ty),*);)* }) => {
        pub struct $name { $(pub $field: unsafe extern "C" fn($($argument),*) -> i32),* }

        impl $name {
            pub fn resolve(library: &'static Library) -> std::result::Result<Self, libloading::Error> {
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

pub type Factory = unsafe extern "C" fn(Ptr, i32) -> Ptr;
pub type ParserFactory = unsafe extern "C" fn(Ptr, Ptr, i32) -> Ptr;

// Must match shim.cpp.
#[repr(C)]
pub struct Factories {
    pub version: i32,
    pub builder: Option<Factory>,
    pub runtime: Option<Factory>,
    pub parser: Option<ParserFactory>,
    pub log: extern "C" fn(i32, *const c_char),
}

#[repr(C)]
pub struct BuildOptions {
    pub workspace: u64,
    pub dram: u64,
    pub least: i64,
    pub usual: i64,
    pub most: i64,
    pub capability: i32,
    pub user: Ptr,
    pub progress: unsafe extern "C" fn(Ptr, i32, *const c_char, *const c_char, i32) -> i32,
}

#[repr(C)]
pub struct RawInfo {
    pub name: *const c_char,
    pub input: i32,
    pub is_float: i32,
    pub open: i32,
}

#[repr(C)]
pub struct Shim {
    pub build: unsafe extern "C" fn(*const Factories, *const c_void, usize, *const BuildOptions) -> Ptr,
    pub blob_data: unsafe extern "C" fn(Ptr, *mut usize) -> *const c_void,
    pub free_blob: unsafe extern "C" fn(Ptr),
    pub load: unsafe extern "C" fn(*const Factories, *const c_void, usize) -> Ptr,
    pub unload: unsafe extern "C" fn(Ptr),
    pub tensor_count: unsafe extern "C" fn(Ptr) -> i32,
    pub tensor_info: unsafe extern "C" fn(Ptr, i32, *mut RawInfo),
    pub new_context: unsafe extern "C" fn(Ptr) -> Ptr,
    pub free_context: unsafe extern "C" fn(Ptr),
    pub set_input_shape: unsafe extern "C" fn(Ptr, *const c_char, *const i64, i32) -> i32,
    pub tensor_shape: unsafe extern "C" fn(Ptr, *const c_char, *mut i64) -> i32,
    pub set_address: unsafe extern "C" fn(Ptr, *const c_char, u64) -> i32,
    pub enqueue: unsafe extern "C" fn(Ptr, Ptr) -> i32,
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

/// TensorRT versions that this program was built for.
pub const KNOWN: &[&str] = &[
    #[cfg(tensorrt_10)]
    "10",
    #[cfg(tensorrt_11)]
    "11",
    #[cfg(tensorrt_rtx)]
    "RTX 1",
];

/// The shim for a TensorRT version, if compiled in.
pub fn shim_for(version: i32) -> Option<&'static Shim> {
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

/// Opens a shared library by name or path. It is never closed.
pub fn open(name: &str) -> std::result::Result<&'static Library, libloading::Error> {
    // SAFETY: the initialisers of NVIDIA's libraries may run at any time.
    unsafe { Library::new(name) }.map(|library| &*Box::leak(Box::new(library)))
}

/// The library that `library` needs and the loader did not find, by the loader's own words: they begin with the name of what is missing.
pub fn missing_dependency<'e>(library: &str, error: &'e str) -> Option<&'e str> {
    let (name, rest) = error.split_once(": ")?;
    (rest.contains("No such file") && name.contains(".so") && name != library).then_some(name)
}
