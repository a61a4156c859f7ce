//! Imports a feed while the mirror runs: `vetrina catalogue import` as a low-priority child process, one at a time. The
//! mirror then notices the changed catalogue, as after any import.

use super::child;
use super::event::JobProgress;
use crate::fault::{Fault, Kind, Result};
use crate::shutdown::Token;
use serde::Serialize;
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

/// The child reads an uploaded feed from here.
const STDIN: &str = "/dev/stdin";

/// State of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// None was started.
    #[default]
    None,
    Running,
    Done,
    Failed,
}

/// The latest import.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ImportStatus {
    pub state: ImportState,
    /// Display name of the feed.
    pub feed: String,
    /// New pictures recognized so far.
    pub done: u64,
    pub pictures: u64,
    /// The report of `catalogue import --json`.
    pub report: Option<Value>,
    pub fault: Option<String>,
}

/// The bytes of a feed, or the path of its file.
#[derive(Clone, Debug)]
pub enum FeedSource {
    File(PathBuf),
    Sent(Vec<u8>),
}

/// Paths and limits of an import.
#[derive(Clone, Copy, Debug)]
pub struct ImportSettings<'a> {
    /// Base folder of the feed's picture paths.
    pub images: &'a Path,
    pub catalogue: &'a Path,
    pub model: &'a Path,
    /// Maximum share of the products that it may remove, percent.
    pub max_removals: u32,
}

/// Starts imports and reports their progress.
#[derive(Debug, Default)]
pub struct ImportJob {
    status: Arc<Mutex<ImportStatus>>,
    token: Token,
}

impl ImportJob {
    pub fn status(&self) -> ImportStatus {
        lock(&self.status).clone()
    }

    /// Starts to import a feed with the display name `name`.
    ///
    /// # Errors
    /// [`Kind::Busy`] while another import is running.
    pub fn begin(&self, name: &str, feed: FeedSource, settings: ImportSettings) -> Result<()> {
        let mut status = lock(&self.status);
        if status.state == ImportState::Running {
            return Err(
                Fault::new(Kind::Busy, format!("{} is being imported", status.feed)).cure("wait until it has finished")
            );
        }
        let (arguments, input) = arguments(feed, settings);
        let (shared, token) = (self.status.clone(), self.token.clone());
        let work = move || {
            let result = child::run(&arguments, input.as_deref(), &token, |progress| {
                take_progress(&mut lock(&shared), &progress);
            });
            finish(&mut lock(&shared), result);
        };
        Builder::new().name("import".into()).spawn(work).map_err(|error| {
            Fault::new(Kind::Unavailable, "cannot start an import")
                .cause(error)
                .cure("check what else is running on this machine")
        })?;
        *status = ImportStatus { state: ImportState::Running, feed: name.to_owned(), ..ImportStatus::default() };
        log::info!("import of {name:?} started");
        Ok(())
    }

    /// Ends a running import and refuses further ones. The catalogue stays unchanged.
    pub fn stop(&self) {
        self.token.cancel();
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The child's arguments, and the bytes for its stdin.
fn arguments(feed: FeedSource, settings: ImportSettings) -> (Vec<OsString>, Option<Vec<u8>>) {
    let (feed, input) = match feed {
        FeedSource::File(path) => (path, None),
        FeedSource::Sent(bytes) => (PathBuf::from(STDIN), Some(bytes)),
    };
    let mut arguments: Vec<OsString> =
        ["catalogue", "import", "--progress", "json", "--background"].map(Into::into).into();
    for (name, path) in [("--images", settings.images), ("--db", settings.catalogue), ("--model", settings.model)] {
        arguments.extend([name.into(), path.into()]);
    }
    arguments.extend(["--max-removals".into(), settings.max_removals.to_string().into()]);
    arguments.extend(["--".into(), feed.into()]);
    (arguments, input)
}

/// The page shows the number of recognized pictures.
fn take_progress(status: &mut ImportStatus, progress: &JobProgress) {
    (status.done, status.pictures) = (progress.done, progress.of);
}

fn finish(status: &mut ImportStatus, result: Result<Value>) {
    match result {
        Ok(report) => {
            log::info!("import of {:?}: done", status.feed);
            (status.state, status.report) = (ImportState::Done, Some(report));
        }
        Err(fault) => {
            log::error!("import of {:?}: {fault}", status.feed);
            (status.state, status.fault) = (ImportState::Failed, Some(fault.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_childs_arguments_are_complete_and_a_feed_name_is_not_an_option() {
        let (images, catalogue, model) = (Path::new("pictures"), Path::new("shop.db"), Path::new("model"));
        let settings = ImportSettings { images, catalogue, model, max_removals: 25 };
        let (told, input) = arguments(FeedSource::File("-x.csv".into()), settings);
        let told: Vec<_> = told.iter().map(|word| word.to_str().unwrap()).collect();
        let expected = "catalogue import --progress json --background --images pictures --db shop.db --model model \
                        --max-removals 25 -- -x.csv";
        assert_eq!(told.join(" "), expected);
        assert_eq!(input, None);
        let (told, input) = arguments(FeedSource::Sent(b"id".to_vec()), settings);
        assert_eq!((told.last().unwrap().to_str(), input.as_deref()), (Some(STDIN), Some(&b"id"[..])));
    }
}
