//! Backend flags shared by several commands.

use super::places;
use crate::fault::Result;
use crate::network::backend::ENGINES;
use crate::network::{Backend, EngineSettings, Precision};
use crate::pipeline::recognizer::Recognizer;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Clone, Debug)]
pub struct BackendArgs {
    /// What runs the network: cpu, tensorrt, or auto (TensorRT where its engines are built, else the CPU)
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pub backend: Backend,
    #[command(flatten)]
    pub engines: EngineArgs,
}

#[derive(Args, Clone, Debug)]
pub struct EngineArgs {
    /// Precision of TensorRT's engines: fp32, fp16 or int8 [default: fp16 where the model has it, else fp32]
    #[arg(long, value_name = "TYPE")]
    pub precision: Option<Precision>,
    /// Folder of TensorRT's engines
    #[arg(long, value_name = "DIR", default_value = ENGINES)]
    pub engines: PathBuf,
}

impl BackendArgs {
    /// What the flags say.
    pub fn settings(&self) -> EngineSettings {
        let EngineArgs { precision, engines } = self.engines.clone();
        EngineSettings { backend: self.backend, precision, engines }
    }

    /// Loads the named model, or the shipped one, on this backend.
    pub fn load(&self, model: &Option<PathBuf>) -> Result<Recognizer> {
        Recognizer::load_on(&places::model(model)?, &self.settings())
    }
}
