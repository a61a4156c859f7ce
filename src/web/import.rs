//! Importing a feed from the page: `vetrina catalogue import` as a process of its own, one at a time, that lets the mirror go first
//! and cannot take it down. The mirror sees the changed catalogue by itself, as after any import.

use super::answers::json_response;
use super::{App, WebSettings};
use crate::fault::{Fault, Kind, Result};
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

/// A feed that is sent is no longer.
pub const MOST_BYTES: usize = 64 << 20;
/// Endings of the files in the folder that are offered.
const FEEDS: [&str; 3] = ["csv", "tsv", "txt"];
/// Where the process reads a feed that was sent.
const SENT: &str = "/dev/stdin";

/// Where an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum ImportState {
    /// None was begun.
    #[default]
    None,
    Running,
    Done,
    Failed,
}

/// The newest import.
#[derive(Clone, Debug, Default, Serialize)]
struct Import {
    state: ImportState,
    /// Its name, for people.
    feed: String,
    /// Pictures, of those that the network has not seen.
    done: u64,
    pictures: u64,
    /// What the import did, as `catalogue import --json` prints it.
    report: Option<Value>,
    fault: Option<String>,
}

/// Begins imports and knows how they go.
pub struct Importer {
    images: Option<PathBuf>,
    model: PathBuf,
    now: Arc<Mutex<Import>>,
    child: Arc<Mutex<Option<Child>>>,
}

impl Importer {
    pub fn new(settings: &WebSettings) -> Self {
        let (images, model) = (settings.images.clone(), settings.model.clone());
        Importer { images, model, now: Arc::default(), child: Arc::default() }
    }

    /// The feeds in the folder, by name.
    fn feeds(&self) -> Vec<String> {
        let entries = self.images.iter().filter_map(|folder| std::fs::read_dir(folder).ok());
        let names = entries.flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| is_feed(name)).collect();
        names.sort();
        names
    }

    /// Begins to import the feed called `name` in the folder, or the one that was `sent`.
    ///
    /// # Errors
    /// [`Kind::Busy`] while another is under way.
    fn begin(&self, name: &str, sent: Option<Bytes>, catalogue: &Path) -> Result<()> {
        let Some(images) = &self.images else {
            return Err(Fault::new(Kind::Usage, "nothing may be imported here").cure("set catalogue.images"));
        };
        if sent.is_none() && !self.feeds().iter().any(|feed| feed == name) {
            return Err(Fault::new(Kind::Usage, format!("there is no feed {name:?} in {}", images.display())));
        }
        let mut now = lock(&self.now);
        if now.state == ImportState::Running {
            return Err(Fault::new(Kind::Busy, format!("{} is being imported", now.feed)).cure("wait for its end"));
        }
        let feed = if sent.is_some() { PathBuf::from(SENT) } else { images.join(name) };
        let mut child = spawn(&feed, images, catalogue, &self.model)?;
        let pipes = Pipes { input: child.stdin.take(), output: child.stdout.take(), errors: child.stderr.take(), sent };
        *lock(&self.child) = Some(child);
        *now = Import { state: ImportState::Running, feed: name.to_owned(), ..Import::default() };
        drop(now);
        log::info!("import of {name:?} begins");
        let (now, child) = (self.now.clone(), self.child.clone());
        let watch = move || watch(pipes, &now, &child);
        Builder::new().name("import".into()).spawn(watch).map_err(no_process).map(drop)
    }

    /// Ends an import that is under way; the catalogue stays as it was.
    pub fn stop(&self) {
        if let Some(child) = lock(&self.child).as_mut() {
            let _ = child.kill();
        }
    }
}

fn is_feed(name: &str) -> bool {
    let ending = Path::new(name).extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| FEEDS.contains(&ending.as_str()))
}

fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

fn no_process(error: std::io::Error) -> Fault {
    Fault::new(Kind::Unavailable, "cannot start an import").cause(error).cure("see what else runs on this machine")
}

fn spawn(feed: &Path, images: &Path, catalogue: &Path, model: &Path) -> Result<Child> {
    let program = std::env::current_exe().map_err(no_process)?;
    let mut command = Command::new(program);
    command.args(["catalogue", "import", "--json", "--background"]);
    command.arg("--images").arg(images).arg("--db").arg(catalogue).arg("--model").arg(model).arg("--").arg(feed);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(no_process)
}

/// The ends of the process's pipes that are ours.
struct Pipes {
    input: Option<std::process::ChildStdin>,
    output: Option<std::process::ChildStdout>,
    errors: Option<std::process::ChildStderr>,
    sent: Option<Bytes>,
}

/// Sends the feed, reads along until the process ends, and says how it ended.
fn watch(pipes: Pipes, now: &Mutex<Import>, child: &Mutex<Option<Child>>) {
    let Pipes { input, output, errors, sent } = pipes;
    if let (Some(mut input), Some(sent)) = (input, sent) {
        // A process that ended early says why itself.
        let _ = input.write_all(&sent);
    }
    let mut last = String::new();
    let mut report = String::new();
    std::thread::scope(|scope| {
        // Both pipes at once, so that neither fills while the other is waited for.
        scope.spawn(|| output.map(|mut output| output.read_to_string(&mut report)));
        for line in errors.into_iter().flat_map(|errors| BufReader::new(errors).lines()).map_while(std::io::Result::ok)
        {
            match progress(&line) {
                Some((done, pictures)) => {
                    let mut now = lock(now);
                    (now.done, now.pictures) = (done, pictures);
                }
                None => last = line,
            }
        }
    });
    let ended = lock(child).take().map(|mut child| child.wait());
    let well = ended.is_some_and(|ended| ended.is_ok_and(|status| status.success()));
    let report = serde_json::from_str(&report).ok().filter(|_| well);
    let mut now = lock(now);
    (now.state, now.fault) = match report.is_some() {
        true => (ImportState::Done, None),
        false => (ImportState::Failed, Some(why(&last))),
    };
    now.report = report;
    match &now.fault {
        None => log::info!("import of {:?}: done", now.feed),
        Some(fault) => log::error!("import of {:?}: {fault}", now.feed),
    }
}

fn why(last: &str) -> String {
    let words = last.strip_prefix("vetrina: ").unwrap_or(last);
    if words.is_empty() { "it was ended before its time".into() } else { words.into() }
}

/// "12 of 72 pictures recognized"
fn progress(line: &str) -> Option<(u64, u64)> {
    let (done, rest) = line.strip_suffix(" pictures recognized")?.split_once(" of ")?;
    Some((done.parse().ok()?, rest.parse().ok()?))
}

/// What may be imported, and how the newest import goes.
pub async fn status(State(app): State<App>) -> Response {
    let importer = app.importer.clone();
    let cannot = match () {
        _ if !app.guard.has_password() => Some("set web.password to import from this page"),
        _ if importer.images.is_none() => Some("set catalogue.images to the folder of the shop's pictures"),
        _ => None,
    };
    let feeds = if cannot.is_none() { importer.feeds() } else { Vec::new() };
    let now = lock(&importer.now).clone();
    json_response(StatusCode::OK, &json!({ "cannot": cannot, "feeds": feeds, "import": now }))
}

/// Which feed: one of the folder, or, where the request has a body, that.
#[derive(Deserialize)]
pub struct FeedChoice {
    feed: String,
}

pub async fn begin(
    State(app): State<App>,
    Query(wanted): Query<FeedChoice>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !app.guard.may_change(&headers) {
        let words = "an import is begun from the mirror's page, and only where web.password is set";
        return json_response(StatusCode::FORBIDDEN, &json!({ "error": words }));
    }
    let sent = Some(body).filter(|body| !body.is_empty());
    let begun = app.importer.begin(&wanted.feed, sent, &app.catalogue());
    match begun {
        Ok(()) => json_response(StatusCode::ACCEPTED, &json!({ "begun": wanted.feed })),
        Err(fault) => {
            let status = if fault.kind() == Kind::Busy { StatusCode::CONFLICT } else { StatusCode::BAD_REQUEST };
            json_response(status, &json!({ "error": fault.to_string() }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_from_the_lines_of_an_import() {
        assert_eq!(progress("12 of 72 pictures recognized"), Some((12, 72)));
        for line in ["warning: 3 of 4", "", "a of b pictures recognized", "12 of 72 pictures read"] {
            assert_eq!(progress(line), None, "{line}");
        }
    }

    #[test]
    fn only_feeds_of_the_folder_are_offered() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.TSV", "shirt.jpg", "csv"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let settings = WebSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            password: None,
            images: Some(folder.path().into()),
            model: "none".into(),
        };
        let importer = Importer::new(&settings);
        assert_eq!(importer.feeds(), ["a.TSV", "b.csv"]);
        for name in ["../b.csv", "c.csv", "shirt.jpg"] {
            assert_eq!(importer.begin(name, None, Path::new("none")).unwrap_err().kind(), Kind::Usage, "{name}");
        }
    }
}
