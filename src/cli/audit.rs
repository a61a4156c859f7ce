//! `vetrina audit`: who looked at the camera's picture, recorded, or changed something.

use super::table::{Table, json, print};
use crate::config::{Config, DEFAULT_PATH};
use crate::fault::{Fault, Kind, Result};
use clap::{Args, value_parser};
use std::path::PathBuf;

/// Print the audit log, the newest lines last, and check that no line was changed or taken out
#[derive(Args, Clone, Debug)]
pub struct AuditArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    pub config: PathBuf,
    /// The last N lines
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..))]
    pub lines: u32,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &AuditArgs) -> Result<()> {
    let log = Config::load(&args.config)?.audit_log();
    let reading = log.read()?;
    let skipped = reading.entries.len().saturating_sub(args.lines as usize);
    let entries = &reading.entries[skipped..];
    if args.json {
        print(&json(&entries)?)?;
    } else if entries.is_empty() {
        print(&format!("there is nothing in {} yet", log.path().display()))?;
    } else {
        let mut table = Table::new(&["time", "who", "from", "what", "detail"]).widest(60);
        for entry in entries {
            let from = entry.from.clone().unwrap_or_default();
            table.row([entry.time.local(), entry.who.clone(), from, entry.action.words().into(), entry.detail.clone()]);
        }
        print(&table.render())?;
    }
    if reading.broken.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = reading.broken.iter().map(ToString::to_string).collect();
    let text = format!("{}: something was changed, or cut off, at line {}", log.path().display(), lines.join(", "));
    Err(Fault::new(Kind::Input, text).cure("compare it with a copy"))
}
