//! Replaces TensorRT if the feature `tensorrt` is off.

use super::{BuildLimits, Watch};
use crate::fault::{Fault, Kind, Result};
use crate::network::Engine;
use crate::network::engines::Host;
use std::convert::Infallible;

/// Cannot be constructed.
pub enum TensorRt {
    Never(Infallible),
}

/// Cannot be constructed.
pub enum DeviceMaps {
    Never(Infallible),
}

impl DeviceMaps {
    pub fn shapes(&self) -> Vec<&[usize]> {
        match *self {
            DeviceMaps::Never(never) => match never {},
        }
    }
}

impl TensorRt {
    pub fn open() -> Result<Self> {
        Err(Fault::new(Kind::Unavailable, "cannot use TensorRT: this program is built without it")
            .cure("build it with --features tensorrt (see docs/tensorrt.md), or set backend = \"cpu\""))
    }

    pub fn open_builder() -> Result<Self> {
        TensorRt::open()
    }

    pub fn host(&self) -> Host {
        match *self {
            TensorRt::Never(never) => match never {},
        }
    }

    pub fn build(&self, _onnx: &[u8], _open: [i64; 3], _limits: &BuildLimits, _watch: &mut Watch) -> Result<Vec<u8>> {
        match *self {
            TensorRt::Never(never) => match never {},
        }
    }

    pub fn load(&self, _engine: &[u8], _outputs: &[String]) -> Result<Box<dyn Engine>> {
        match *self {
            TensorRt::Never(never) => match never {},
        }
    }
}
