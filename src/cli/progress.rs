//! How far a long command is: a bar on a terminal, a line every tenth elsewhere; on stderr. What takes a moment says nothing
//! elsewhere.

use crate::pipeline::import::{ImportProgress, ImportStep};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::time::Duration;

/// Work that is shorter fills no log.
const MOMENT: Duration = Duration::from_secs(1);

/// Counts up to a number that is known beforehand.
pub struct Progress {
    bar: ProgressBar,
    what: String,
    plain: bool,
    /// On a plain output, a line for every step.
    every: bool,
}

impl Progress {
    /// `what` is counted: "pictures".
    pub fn new(count: u64, what: &str) -> Self {
        let plain = !io::stderr().is_terminal();
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(count), target);
        if let Ok(style) = ProgressStyle::with_template(&format!("{{wide_bar}} {{pos}}/{{len}} {what}, {{eta}} left")) {
            bar.set_style(style);
        }
        Progress { bar, what: what.into(), plain, every: false }
    }

    /// A line for every step where there is no terminal: for a program that reads along.
    pub fn every_step(mut self, every: bool) -> Self {
        self.every = every;
        if every && self.plain {
            eprintln!("0 of {} {}", self.bar.length().unwrap_or(0), self.what);
        }
        self
    }

    pub fn step(&self) {
        self.bar.inc(1);
        let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(1).max(1));
        let tenth = 10 * done / all != 10 * (done - 1) / all && self.bar.elapsed() >= MOMENT;
        if self.plain && (self.every || tenth) {
            eprintln!("{done} of {all} {}", self.what);
        }
    }

    /// What was counted so far.
    pub fn done(&self) -> u64 {
        self.bar.position()
    }

    /// A word that does not disturb the bar.
    pub fn say(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Shows how far an import is, step by step.
pub struct ImportProgressBar {
    every: bool,
    step: Option<(ImportStep, Progress)>,
}

impl ImportProgressBar {
    /// `every`: as [`Progress::every_step`], for the pictures that are recognized.
    pub fn new(every: bool) -> Self {
        ImportProgressBar { every, step: None }
    }

    pub fn show(&mut self, progress: ImportProgress) {
        match &self.step {
            Some((step, bar)) if *step == progress.step => bar.step(),
            _ => {
                let what = match progress.step {
                    ImportStep::Read => "pictures read",
                    ImportStep::Recognize => "pictures recognized",
                };
                let every = self.every && progress.step == ImportStep::Recognize;
                self.step = Some((progress.step, Progress::new(progress.of as u64, what).every_step(every)));
            }
        }
        if let Some((_, bar)) = self.step.as_ref().filter(|_| progress.done == progress.of) {
            bar.finish();
        }
    }
}
