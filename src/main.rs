//! The binary: passes the command line to [`vetrina::cli`] and exits with its code.

use std::process::ExitCode;

fn main() -> ExitCode {
    vetrina::cli::main()
}
