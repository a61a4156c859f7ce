//! Progress of a long command. On stderr: a bar on a terminal, otherwise a line every tenth, and nothing for short
//! work. Or JSON lines on stdout for a program that runs the command.

use super::table::print;
use crate::fault::Result;
use crate::live::jobs::event::{JobEvent, JobProgress};
use crate::pipeline::import::{ImportProgress, ImportStep};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Shorter work logs no progress.
const MOMENT: Duration = Duration::from_secs(1);

/// How a command reports its progress
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressFormat {
    /// For people: a bar on a terminal, some lines elsewhere
    #[default]
    Bar,
    /// For a program: one JSON object a line on stdout, the report as the last one
    Json,
}

impl ProgressFormat {
    /// Runs the work of a command. With [`ProgressFormat::Json`] the last line is the report or the fault.
    pub fn conclude<Report: Serialize>(self, work: impl FnOnce() -> Result<Report>) -> Result<Option<Report>> {
        let result = work();
        if self == ProgressFormat::Bar {
            return result.map(Some);
        }
        let event = match &result {
            Ok(report) => JobEvent::Done { report: json!(report) },
            Err(fault) => JobEvent::Failed { error: fault.to_string() },
        };
        print(&event.to_line())?;
        result.map(|_| None)
    }
}

/// Between two lines where the number is not known in advance.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Counts, up to a number where it is known in advance.
pub struct Progress {
    bar: ProgressBar,
    what: String,
    plain: bool,
    format: ProgressFormat,
    /// Lines so far where the number is not known.
    lines: AtomicU64,
}

impl Progress {
    /// `what` is the unit: "pictures".
    pub fn new(count: u64, what: &str) -> Self {
        Progress::with_format(count, what, ProgressFormat::Bar)
    }

    /// Up to a number that may not be known.
    pub fn of(count: Option<u64>, what: &str) -> Self {
        Progress::start(count, what, ProgressFormat::Bar)
    }

    /// As [`Progress::new`], for people or for a program.
    pub fn with_format(count: u64, what: &str, format: ProgressFormat) -> Self {
        Progress::start(Some(count), what, format)
    }

    fn start(count: Option<u64>, what: &str, format: ProgressFormat) -> Self {
        let plain = format == ProgressFormat::Json || !io::stderr().is_terminal();
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(count, target);
        let template = match count {
            Some(_) => format!("{{wide_bar}} {{pos}}/{{len}} {what}, {{eta}} left"),
            None => format!("{{spinner}} {{pos}} {what}"),
        };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        let progress = Progress { bar, what: what.into(), plain, format, lines: AtomicU64::new(0) };
        progress.tell();
        progress
    }

    /// Counts one more.
    pub fn step(&self) {
        self.bar.inc(1);
        let (done, what) = (self.bar.position(), &self.what);
        if self.format == ProgressFormat::Bar && self.plain {
            match self.bar.length() {
                Some(all) if is_tenth(done, all.max(1)) && self.bar.elapsed() >= MOMENT => {
                    eprintln!("{done} of {all} {what}");
                }
                None if self.bar.elapsed().as_secs() / LINE_EVERY.as_secs() > self.lines.load(Ordering::Relaxed) => {
                    self.lines.store(self.bar.elapsed().as_secs() / LINE_EVERY.as_secs(), Ordering::Relaxed);
                    eprintln!("{done} {what}");
                }
                _ => {}
            }
        }
        self.tell();
    }

    /// Writes a JSON line, if requested.
    fn tell(&self) {
        if self.format == ProgressFormat::Json {
            let of = self.bar.length().unwrap_or(0);
            let event = JobEvent::Progress(JobProgress { what: self.what.clone(), done: self.bar.position(), of });
            // The reader may have ended; the work continues.
            let _ = writeln!(io::stdout(), "{}", event.to_line());
        }
    }

    /// The count so far.
    pub fn done(&self) -> u64 {
        self.bar.position()
    }

    /// Prints a line without disturbing the bar.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    /// Takes the bar off the terminal.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Whether `done` has just passed a tenth of all.
fn is_tenth(done: u64, all: u64) -> bool {
    10 * done / all != 10 * done.saturating_sub(1) / all
}

/// Shows the progress of an import, step by step.
#[derive(Default)]
pub struct ImportProgressBar {
    format: ProgressFormat,
    step: Option<(ImportStep, Progress)>,
}

impl ImportProgressBar {
    /// Nothing is shown before the first step.
    pub fn new(format: ProgressFormat) -> Self {
        ImportProgressBar { format, step: None }
    }

    /// Shows how far it is.
    pub fn show(&mut self, progress: ImportProgress) {
        match &self.step {
            Some((step, bar)) if *step == progress.step => bar.step(),
            _ => {
                let what = match progress.step {
                    ImportStep::Fetch => "pictures fetched",
                    ImportStep::Read => "pictures read",
                    ImportStep::Recognize => "pictures recognized",
                };
                let bar = Progress::with_format(progress.of as u64, what, self.format);
                self.step = Some((progress.step, bar));
            }
        }
        if let Some((_, bar)) = self.step.as_ref().filter(|_| progress.done == progress.of) {
            bar.finish();
        }
    }
}
