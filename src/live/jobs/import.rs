//! Importing a feed while the mirror runs: `vetrina catalogue import` as a child process, one at a time, that lets the mirror go
//! first. The mirror sees the changed catalogue by itself, as after any import.

use super::child;
use super::event::JobProgress;
use crate::fault::{Fault, Kind, Result};
use crate::shutdown::Token;
use serde::Serialize;
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

/// Where an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// None was begun.
    #[default]
    None,
    Running,
    /// It is known what the import would change.
    Previewed,
    Done,
    Failed,
    /// Somebody ended it; the catalogue is as it was.
    Cancelled,
}

/// The newest import.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ImportStatus {
    pub state: ImportState,
    /// The feed's name, for people.
    pub feed: String,
    /// Nothing is changed: it is found out what would be.
    pub preview: bool,
    /// Pictures recognized, of those that are new.
    pub done: u64,
    pub pictures: u64,
    /// What the import did, or would do, as `catalogue import --json` prints it.
    pub report: Option<Value>,
    pub fault: Option<String>,
}

/// What is imported, where to, and what it may remove.
#[derive(Clone, Copy, Debug)]
pub struct ImportSettings<'a> {
    pub feed: &'a Path,
    /// The folders that the feed's picture paths start from.
    pub images: &'a [&'a Path],
    pub catalogue: &'a Path,
    pub model: &'a Path,
    /// The largest part of the products that it may remove, percent.
    pub max_removals: u32,
    /// Find out what would change, and change nothing.
    pub preview: bool,
}

/// Begins imports and knows how they go.
#[derive(Debug, Default)]
pub struct ImportJob {
    status: Arc<Mutex<ImportStatus>>,
    /// Of the newest import.
    token: Mutex<Token>,
    /// The program ends.
    over: Token,
}

impl ImportJob {
    pub fn status(&self) -> ImportStatus {
        lock(&self.status).clone()
    }

    /// Begins to import a feed that people know as `name`.
    ///
    /// # Errors
    /// [`Kind::Busy`] while another is under way.
    pub fn begin(&self, name: &str, settings: ImportSettings) -> Result<()> {
        let mut status = lock(&self.status);
        if status.state == ImportState::Running {
            return Err(
                Fault::new(Kind::Busy, format!("{} is being imported", status.feed)).cure("wait until it is done")
            );
        }
        let token = if self.over.is_cancelled() { self.over.clone() } else { Token::new() };
        *lock(&self.token) = token.clone();
        let arguments = arguments(settings);
        let shared = self.status.clone();
        let preview = settings.preview;
        let work = move || {
            let result = child::run(&arguments, None, &token, |progress| {
                take_progress(&mut lock(&shared), &progress);
            });
            finish(&mut lock(&shared), result, token.is_cancelled());
        };
        Builder::new().name("import".into()).spawn(work).map_err(|error| {
            Fault::new(Kind::Unavailable, "cannot start an import")
                .cause(error)
                .cure("see what else runs on this machine")
        })?;
        let feed = name.to_owned();
        *status = ImportStatus { state: ImportState::Running, feed, preview, ..ImportStatus::default() };
        log::info!("{} of {name:?} started", if preview { "preview" } else { "import" });
        Ok(())
    }

    /// Ends the import that is under way, or drops the preview; the catalogue stays as it was.
    pub fn cancel(&self) {
        lock(&self.token).cancel();
        let mut status = lock(&self.status);
        if status.state == ImportState::Previewed {
            *status =
                ImportStatus { state: ImportState::Cancelled, feed: status.feed.clone(), ..ImportStatus::default() };
        }
    }

    /// Ends an import that is under way, and begins no other.
    pub fn stop(&self) {
        self.over.cancel();
        lock(&self.token).cancel();
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The child's arguments.
fn arguments(settings: ImportSettings) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        ["catalogue", "import", "--progress", "json", "--background"].map(Into::into).into();
    for folder in settings.images {
        arguments.extend(["--images".into(), folder.into()]);
    }
    for (name, path) in [("--db", settings.catalogue), ("--model", settings.model)] {
        arguments.extend([name.into(), path.into()]);
    }
    arguments.extend(["--max-removals".into(), settings.max_removals.to_string().into()]);
    arguments.extend(settings.preview.then(|| "--dry-run".into()));
    arguments.extend(["--".into(), settings.feed.into()]);
    arguments
}

/// The page shows the pictures that are recognized: reading them takes a moment.
fn take_progress(status: &mut ImportStatus, progress: &JobProgress) {
    (status.done, status.pictures) = (progress.done, progress.of);
}

fn finish(status: &mut ImportStatus, result: Result<Value>, cancelled: bool) {
    let what = if status.preview { "preview" } else { "import" };
    match result {
        Ok(report) => {
            log::info!("{what} of {:?}: done", status.feed);
            status.state = if status.preview { ImportState::Previewed } else { ImportState::Done };
            status.report = Some(report);
        }
        Err(_) if cancelled => {
            log::info!("{what} of {:?}: cancelled", status.feed);
            status.state = ImportState::Cancelled;
        }
        Err(fault) => {
            log::error!("{what} of {:?}: {fault}", status.feed);
            (status.state, status.fault) = (ImportState::Failed, Some(fault.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_child_is_told_where_and_how_much_and_a_feeds_name_is_no_option() {
        let settings = ImportSettings {
            feed: Path::new("-x.csv"),
            images: &[Path::new("sent"), Path::new("pictures")],
            catalogue: Path::new("shop.db"),
            model: Path::new("model"),
            max_removals: 25,
            preview: false,
        };
        let told = |settings| {
            let words = arguments(settings).into_iter().map(|word| word.into_string().unwrap());
            words.collect::<Vec<_>>().join(" ")
        };
        let expected = "catalogue import --progress json --background --images sent --images pictures --db shop.db \
                        --model model --max-removals 25 -- -x.csv";
        assert_eq!(told(settings), expected);
        assert!(told(ImportSettings { preview: true, ..settings }).ends_with("--max-removals 25 --dry-run -- -x.csv"));
    }

    #[test]
    fn a_cancelled_import_is_no_failure() {
        let running = || ImportStatus { state: ImportState::Running, preview: true, ..ImportStatus::default() };
        let ended = |result, cancelled| {
            let mut status = running();
            finish(&mut status, result, cancelled);
            status.state
        };
        let fault = || Err(Fault::new(Kind::Unavailable, "it has ended: signal: 9"));
        assert_eq!(ended(Ok(Value::Null), false), ImportState::Previewed);
        assert_eq!(ended(fault(), true), ImportState::Cancelled);
        assert_eq!(ended(fault(), false), ImportState::Failed);
        assert_eq!(ended(Ok(Value::Null), true), ImportState::Previewed, "it was too late");
        let job = ImportJob { status: Arc::new(Mutex::new(running())), ..ImportJob::default() };
        lock(&job.status).state = ImportState::Previewed;
        job.cancel();
        assert_eq!(job.status().state, ImportState::Cancelled);
    }
}
