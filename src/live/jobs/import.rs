//! Imports a feed while the mirror runs: `vetrina catalogue import` as a low-priority child process, one at a time. The
//! mirror then notices the changed catalogue, as after any import.

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

/// State of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// None was started.
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

/// The latest import.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ImportStatus {
    pub state: ImportState,
    /// Display name of the feed.
    pub feed: String,
    /// Nothing is changed: it is found out what would be.
    pub preview: bool,
    /// New pictures recognized so far.
    pub done: u64,
    pub pictures: u64,
    /// The report of `catalogue import --json`, or its preview.
    pub report: Option<Value>,
    pub fault: Option<String>,
}

/// Paths and limits of an import.
#[derive(Clone, Copy, Debug)]
pub struct ImportSettings<'a> {
    pub feed: &'a Path,
    /// Base folders of the feed's picture paths.
    pub images: &'a [&'a Path],
    pub catalogue: &'a Path,
    pub model: &'a Path,
    /// The mirror's configuration: which letters its fonts lack is told.
    pub config: &'a Path,
    /// Maximum share of the products that it may remove, percent.
    pub max_removals: u32,
    /// Find out what would change, and change nothing.
    pub preview: bool,
    /// How the feed is to be read.
    pub reading: &'a FeedReading,
}

/// How a feed is read; what is `None` stays as the import before was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedReading {
    /// Which columns are which: `id=SKU,title=Name`.
    pub map: Option<String>,
    /// The currency of prices that have none.
    pub currency: Option<String>,
    /// Fetch missing pictures from the feed's addresses, by https from the public network.
    pub fetch: bool,
}

/// Starts imports and reports their progress.
#[derive(Debug, Default)]
pub struct ImportJob {
    status: Arc<Mutex<ImportStatus>>,
    /// Of the newest import.
    token: Mutex<Token>,
    /// The program ends.
    over: Token,
}

impl ImportJob {
    /// How the newest import stands.
    pub fn status(&self) -> ImportStatus {
        lock(&self.status).clone()
    }

    /// Starts to import a feed with the display name `name`.
    ///
    /// # Errors
    /// [`Kind::Busy`] while another import is running.
    pub fn begin(&self, name: &str, settings: ImportSettings) -> Result<()> {
        let mut status = lock(&self.status);
        if status.state == ImportState::Running {
            return Err(
                Fault::new(Kind::Busy, format!("{} is being imported", status.feed)).cure("wait until it has finished")
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
                .cure("check what else is running on this machine")
        })?;
        let feed = name.to_owned();
        *status = ImportStatus { state: ImportState::Running, feed, preview, ..ImportStatus::default() };
        log::info!("{} of {name:?} started", if preview { "preview" } else { "import" });
        Ok(())
    }

    /// Ends a running import or drops the preview. The catalogue stays unchanged.
    pub fn cancel(&self) {
        lock(&self.token).cancel();
        let mut status = lock(&self.status);
        if status.state == ImportState::Previewed {
            *status =
                ImportStatus { state: ImportState::Cancelled, feed: status.feed.clone(), ..ImportStatus::default() };
        }
    }

    /// Ends a running import and refuses further ones.
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
        ["catalogue", "import", "--progress", "json", "--background", "--audited"].map(Into::into).into();
    for folder in settings.images {
        arguments.extend(["--images".into(), folder.into()]);
    }
    for (name, path) in [("--db", settings.catalogue), ("--model", settings.model), ("--config", settings.config)] {
        arguments.extend([name.into(), path.into()]);
    }
    arguments.extend(["--max-removals".into(), settings.max_removals.to_string().into()]);
    let reading = settings.reading;
    for (name, value) in [("--map=", &reading.map), ("--currency=", &reading.currency)] {
        arguments.extend(value.as_ref().map(|value| format!("{name}{value}").into()));
    }
    arguments.extend(reading.fetch.then(|| "--fetch".into()));
    arguments.extend(settings.preview.then(|| "--dry-run".into()));
    arguments.extend(["--".into(), settings.feed.into()]);
    arguments
}

/// The page shows the number of recognized pictures.
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
    fn the_childs_arguments_are_complete_and_a_feed_name_is_not_an_option() {
        let settings = ImportSettings {
            feed: Path::new("-x.csv"),
            images: &[Path::new("sent"), Path::new("pictures")],
            catalogue: Path::new("shop.db"),
            model: Path::new("model"),
            config: Path::new("mirror.toml"),
            max_removals: 25,
            preview: false,
            reading: &FeedReading::default(),
        };
        let told = |settings| {
            let words = arguments(settings).into_iter().map(|word| word.into_string().unwrap());
            words.collect::<Vec<_>>().join(" ")
        };
        let expected = "catalogue import --progress json --background --audited --images sent --images pictures --db shop.db \
                        --model model --config mirror.toml --max-removals 25 -- -x.csv";
        assert_eq!(told(settings), expected);
        assert!(told(ImportSettings { preview: true, ..settings }).ends_with("--max-removals 25 --dry-run -- -x.csv"));
        let reading = FeedReading { map: Some("id=-a b".into()), currency: Some("EUR".into()), fetch: true };
        let told = told(ImportSettings { reading: &reading, ..settings });
        assert!(told.ends_with("--max-removals 25 --map=id=-a b --currency=EUR --fetch -- -x.csv"), "{told}");
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
