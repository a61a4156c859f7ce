//! `vetrina manual`: writes man pages and shell completions, generated from the command line definitions.

use super::{command, table::print};
use crate::fault::{Fault, Kind, Result};
use clap::Args;
use clap_complete::Shell;
use std::fs;
use std::path::{Path, PathBuf};

/// Shells with completions.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Write man pages and shell completions into a folder
#[derive(Args, Clone, Debug)]
pub struct ManualArgs {
    /// Folder to write into: man pages to man1/, completions to completions/
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

pub fn run(args: &ManualArgs) -> Result<()> {
    let (pages, completions) = (args.folder.join("man1"), args.folder.join("completions"));
    for folder in [&pages, &completions] {
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))?;
    }
    clap_mangen::generate_to(command(), &pages).map_err(|error| unwritable(&pages, error))?;
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut command(), "vetrina", &completions)
            .map_err(|error| unwritable(&completions, error))?;
    }
    print(&format!("man pages: {}, completions: {}", pages.display(), completions.display()))
}

fn unwritable(folder: &Path, error: std::io::Error) -> Fault {
    Fault::io(Kind::Storage, "write into", folder, error)
}
