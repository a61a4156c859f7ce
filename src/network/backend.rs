//! What the graphs run on, and in which precision: what a configuration may say of it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// What runs the graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// tract, everywhere.
    Cpu,
    /// NVIDIA's GPU or an error, never the CPU instead.
    TensorRt,
    /// TensorRT where it is to be had, else the CPU, which is said.
    #[default]
    Auto,
}

/// The type of a graph's inner values.
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
        found.ok_or_else(|| format!("{text:?} is none of fp32, fp16, int8"))
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(Backend::Cpu),
            "tensorrt" => Ok(Backend::TensorRt),
            "auto" => Ok(Backend::Auto),
            _ => Err(format!("{text:?} is none of cpu, tensorrt, auto")),
        }
    }
}

/// Where TensorRT's engines are kept unless said otherwise.
pub const ENGINES: &str = "/var/lib/vetrina/engines";

/// How a model is to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    pub backend: Backend,
    /// Of TensorRT's engines; `None`: fp16 where the model has it, else fp32.
    pub precision: Option<Precision>,
    /// The folder of the engine cache.
    pub engines: PathBuf,
}

impl EngineSettings {
    /// On the CPU.
    pub fn cpu() -> Self {
        EngineSettings { backend: Backend::Cpu, precision: None, engines: ENGINES.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for precision in Precision::ALL {
            assert_eq!(precision.name().parse(), Ok(precision));
        }
        assert_eq!(("tensorrt".parse(), "auto".parse()), (Ok(Backend::TensorRt), Ok(Backend::Auto)));
        assert!("TensorRT".parse::<Backend>().is_err() && "fp8".parse::<Precision>().is_err());
    }
}
