//! `vetrina check-config`: checks a configuration and prints it with every default filled in.

use super::table::print;
use crate::config::{Config, DEFAULT_PATH};
use crate::fault::Result;
use clap::Args;
use std::path::PathBuf;

/// Check a configuration file and print it with every default filled in
#[derive(Args, Clone, Debug)]
pub struct CheckConfigArgs {
    /// Configuration file
    #[arg(value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
}

pub fn run(args: &CheckConfigArgs) -> Result<()> {
    let config = Config::load(&args.config)?;
    print(config.to_toml()?.trim_end())
}
