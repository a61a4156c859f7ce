//! NVIDIA's libraries, loaded at run time, behind safe types. The only folder of this crate with `unsafe`.
//!
//! The driver is checked first: without it, TensorRT returns invalid pointers. Libraries are never unloaded, since
//! neither CUDA nor TensorRT unloads cleanly.

#![allow(unsafe_code)]

mod context;
#[cfg(test)]
mod device_tests;
mod gpu;
mod interface;
#[cfg(test)]
mod library_tests;
mod nvinfer;

pub use context::{Context, Given};
pub use gpu::{Gpu, Maps};
pub use nvinfer::{LoadedEngine, Nvinfer};
