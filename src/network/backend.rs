//! Backend and precision of the network, as the configuration names them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Which library runs the graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// tract and our kernels, on the CPU. Works everywhere.
    Cpu,
    /// TensorRT on an NVIDIA GPU. An error if it is not available; no fallback to the CPU.
    TensorRt,
    /// TensorRT if available, otherwise the CPU; the fallback is logged.
    #[default]
    Auto,
}

/// Data type of the tensors inside a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    Fp32,
    Fp16,
    Int8,
}

impl Precision {
    pub const ALL: [Precision; 3] = [Precision::Fp32, Precision::Fp16, Precision::Int8];

    pub fn name(self) -> &'static str {
        match self {
            Precision::Fp32 => "fp32",
            Precision::Fp16 => "fp16",
            Precision::Int8 => "int8",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Precision::ALL.into_iter().find(|precision| precision.name() == text);
        found.ok_or_else(|| format!("{text:?} is not one of fp32, fp16, int8"))
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(Backend::Cpu),
            "tensorrt" => Ok(Backend::TensorRt),
            "auto" => Ok(Backend::Auto),
            _ => Err(format!("{text:?} is not one of cpu, tensorrt, auto")),
        }
    }
}

/// Default folder of the TensorRT engine cache.
pub const ENGINES: &str = "/var/lib/vetrina/engines";

/// Backend settings of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    pub backend: Backend,
    /// Precision of TensorRT engines. `None`: fp16 if the model has it, otherwise fp32.
    pub precision: Option<Precision>,
    /// Folder of the engine cache.
    pub engines: PathBuf,
}

impl EngineSettings {
    /// The CPU backend.
    pub fn cpu() -> Self {
        EngineSettings { backend: Backend::Cpu, precision: None, engines: ENGINES.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse(), Ok(precision));
        }
        assert_eq!(("tensorrt".parse(), "auto".parse()), (Ok(Backend::TensorRt), Ok(Backend::Auto)));
        assert!("TensorRT".parse::<Backend>().is_err() && "fp8".parse::<Precision>().is_err());
    }
}
