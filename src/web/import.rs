//! Importing a feed from the page: which feeds there are, a preview of what would change, applying or dropping it, and its progress.
//! [`crate::live::jobs::import`] runs it.

use super::answers::json_response;
use super::client::ClientAddress;
use super::upload::{self, Upload, receive};
use super::{App, WebSettings, in_turn};
use crate::audit::AuditAction;
use crate::catalogue::parse_feed;
use crate::fault::{Fault, Kind, Result};
use crate::live::jobs::import::{FeedReading, ImportJob, ImportSettings, ImportState};
use axum::body::Body;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Extensions of the files in the folder that are offered as feeds.
const FEEDS: [&str; 5] = ["csv", "tsv", "xlsx", "xls", "xlsb"];
/// Files of these are offered only if they begin like a feed: such folders also hold licences and notes.
const TEXT: &str = "txt";
const MARKUP: [&str; 4] = ["xml", "json", "jsonl", "ndjson"];
/// Every feed of these names a picture so, in any case; JSON also as `imageLink`.
const PICTURE_NAMES: [&str; 2] = ["image_link", "imagelink"];
/// How much of it is read to find out, bytes.
const BEGINNING: u64 = 64 << 10;

/// Starts imports and reports their progress.
pub struct Importer {
    images: Option<PathBuf>,
    model: PathBuf,
    config: PathBuf,
    max_removals: u32,
    job: ImportJob,
    /// The feed that was previewed, which may be applied.
    previewed: Mutex<Option<ChosenFeed>>,
    /// Held while something is being received: only one at a time, not one a connection.
    receiving: Semaphore,
}

/// A feed, and what people call it.
#[derive(Clone, Debug)]
struct ChosenFeed {
    name: String,
    path: PathBuf,
    reading: FeedReading,
}

impl Importer {
    pub fn new(settings: &WebSettings) -> Self {
        Importer {
            images: settings.images.clone(),
            model: settings.model.clone(),
            config: settings.config.clone(),
            max_removals: settings.max_removals,
            job: ImportJob::default(),
            previewed: Mutex::default(),
            receiving: Semaphore::new(1),
        }
    }

    /// The feeds in the folder, by name.
    fn feeds(&self) -> Vec<String> {
        let entries = self.images.iter().filter_map(|folder| std::fs::read_dir(folder).ok());
        let feeds = entries.flatten().filter_map(|entry| entry.ok()).filter(|entry| is_feed(&entry.path()));
        let mut names: Vec<String> = feeds.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Starts to import the feed called `name` in the folder, or the one that was `sent`; or to find out what would change.
    ///
    /// # Errors
    /// [`Kind::Busy`] while another import runs.
    fn begin(&self, choice: FeedChoice, sent: Option<PathBuf>, catalogue: &Path) -> Result<()> {
        let images = self.images()?;
        let FeedChoice { feed: name, preview, map, currency, fetch } = choice;
        if sent.is_none() && !self.feeds().contains(&name) {
            return Err(Fault::new(Kind::Usage, format!("there is no feed {name:?} in {}", images.display())));
        }
        let path = sent.unwrap_or_else(|| images.join(&name));
        let feed = ChosenFeed { name, path, reading: FeedReading { map, currency, fetch } };
        let upload = Upload::of(catalogue);
        if !preview {
            upload.keep_pictures()?;
        }
        self.start(&feed, catalogue, upload.pictures(), self.max_removals, preview)?;
        *lock(&self.previewed) = preview.then_some(feed);
        Ok(())
    }

    /// Imports the feed that was previewed. `allow_removals`: however many products it removes.
    fn apply(&self, catalogue: &Path, allow_removals: bool) -> Result<()> {
        let mut previewed = lock(&self.previewed);
        let feed = previewed.clone().filter(|_| self.job.status().state == ImportState::Previewed);
        let feed =
            feed.ok_or_else(|| Fault::new(Kind::Usage, "there is no preview to apply").cure("preview a feed"))?;
        // First: an import that is interrupted finds them when it is repeated.
        Upload::of(catalogue).keep_pictures()?;
        self.start(&feed, catalogue, None, if allow_removals { 100 } else { self.max_removals }, false)?;
        *previewed = None;
        Ok(())
    }

    fn start(
        &self,
        feed: &ChosenFeed,
        catalogue: &Path,
        sent: Option<PathBuf>,
        max_removals: u32,
        preview: bool,
    ) -> Result<()> {
        let folders: Vec<&Path> = std::iter::once(self.images()?).chain(sent.as_deref()).collect();
        let settings = ImportSettings {
            feed: &feed.path,
            images: &folders,
            catalogue,
            model: &self.model,
            config: &self.config,
            max_removals,
            preview,
            reading: &feed.reading,
        };
        self.job.begin(&feed.name, settings)
    }

    /// Ends what runs, and forgets what was previewed and sent for it.
    fn cancel(&self, catalogue: &Path) -> Result<()> {
        self.job.cancel();
        *lock(&self.previewed) = None;
        Upload::of(catalogue).drop_pictures()
    }

    fn images(&self) -> Result<&Path> {
        let missing = || Fault::new(Kind::Usage, "imports from the page are switched off").cure("set catalogue.images");
        self.images.as_deref().ok_or_else(missing)
    }

    /// Ends a running import; the catalogue stays as it was.
    pub fn stop(&self) {
        self.job.stop();
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_feed(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let begins = |as_feed: fn(Vec<u8>) -> bool| beginning(path).is_ok_and(as_feed);
    match ending.as_str() {
        TEXT => begins(names_columns),
        ending if MARKUP.contains(&ending) => begins(names_a_picture),
        ending => FEEDS.contains(&ending),
    }
}

/// The file's first bytes; none of what is no file: opening a pipe, say, may block for ever.
fn beginning(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if std::fs::metadata(path)?.is_file() {
        File::open(path)?.take(BEGINNING).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn names_a_picture(bytes: Vec<u8>) -> bool {
    let text = String::from_utf8_lossy(&bytes).to_lowercase();
    PICTURE_NAMES.iter().any(|name| text.contains(name))
}

/// Whether the first line names a feed's columns.
fn names_columns(mut bytes: Vec<u8>) -> bool {
    if bytes.len() as u64 == BEGINNING {
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        // The second half of UTF-16's line feed, where it is little-endian.
        let half = usize::from(bytes.get(whole) == Some(&0));
        bytes.truncate(whole + half);
    }
    parse_feed(&bytes).is_ok()
}

/// What may be imported, and the state of the newest import.
pub async fn status(State(app): State<App>) -> Response {
    let importer = app.importer.clone();
    let cannot = match () {
        _ if !app.guard.has_password() => Some("set web.password to import from this page"),
        _ if importer.images.is_none() => Some("set catalogue.images to the folder of the shop's pictures"),
        _ => None,
    };
    let now = importer.job.status();
    let feeds = match cannot {
        // A large folder or a slow disk must not delay other answers.
        None => in_turn(&app.reading, move || importer.feeds()).await.unwrap_or_default(),
        Some(_) => Vec::new(),
    };
    json_response(StatusCode::OK, &json!({ "cannot": cannot, "feeds": feeds, "import": now }))
}

/// What is to be imported.
#[derive(Clone, Deserialize)]
pub struct FeedChoice {
    /// One of the folder, or, where the request has a body, what that is to be called.
    feed: String,
    /// Find out what would change, and wait.
    #[serde(default)]
    preview: bool,
    /// As in [`FeedReading`].
    map: Option<String>,
    currency: Option<String>,
    #[serde(default)]
    fetch: bool,
}

/// Whether the import may remove however many products.
#[derive(Deserialize)]
pub struct ApplyChoice {
    #[serde(default)]
    allow_removals: bool,
}

type Refusal = (StatusCode, String);

fn answer(result: std::result::Result<(StatusCode, Value), Refusal>) -> Response {
    match result {
        Ok((status, value)) => json_response(status, &value),
        Err((status, words)) => json_response(status, &json!({ "error": words })),
    }
}

fn require_page(app: &App, headers: &HeaderMap) -> std::result::Result<(), Refusal> {
    if app.guard.may_change(headers) {
        return Ok(());
    }
    Err((StatusCode::FORBIDDEN, app.guard.needs_page(headers).to_owned()))
}

/// Does something with the importer off the thread that serves.
async fn work<T: Send + 'static>(
    app: &App,
    what: impl FnOnce(&Importer, &Path) -> Result<T> + Send + 'static,
) -> std::result::Result<T, Refusal> {
    let (importer, catalogue) = (app.importer.clone(), app.catalogue());
    match in_turn(&app.reading, move || what(&importer, &catalogue)).await {
        Some(Ok(done)) => Ok(done),
        Some(Err(fault)) if fault.kind() == Kind::Busy => Err((StatusCode::CONFLICT, fault.to_string())),
        Some(Err(fault)) if fault.kind() == Kind::Storage => Err((StatusCode::INSUFFICIENT_STORAGE, fault.to_string())),
        Some(Err(fault)) => Err((StatusCode::BAD_REQUEST, fault.to_string())),
        None => Err((StatusCode::INTERNAL_SERVER_ERROR, "it could not be done".to_owned())),
    }
}

/// Refuses what is sent while an import reads what was sent before.
fn require_idle(importer: &Importer) -> std::result::Result<(), Refusal> {
    let now = importer.job.status();
    if now.state == ImportState::Running {
        return Err((StatusCode::CONFLICT, format!("{} is being imported: wait until it is done", now.feed)));
    }
    Ok(())
}

/// Starts an import or a preview: of a feed in the folder, or of the one in the body.
pub async fn begin(
    State(app): State<App>,
    Extension(client): Extension<ClientAddress>,
    Query(wanted): Query<FeedChoice>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let begun = async {
        require_page(&app, &headers)?;
        app.importer.images().map_err(|fault| (StatusCode::BAD_REQUEST, fault.to_string()))?;
        let sending = |_| (StatusCode::CONFLICT, "something else is being sent".to_owned());
        let _turn = app.importer.receiving.try_acquire().map_err(sending)?;
        require_idle(&app.importer)?;
        let (upload, name) = (Upload::of(&app.catalogue()), wanted.feed.clone());
        let sent = receive(body, upload::FEED, move || upload.feed(&name)).await?;
        let choice = wanted.clone();
        let (audit, role) = (app.audit.clone(), app.guard.role(&headers));
        let begin = move |importer: &Importer, catalogue: &Path| {
            let (name, is_preview) = (choice.feed.clone(), choice.preview);
            importer.begin(choice, sent, catalogue)?;
            if !is_preview {
                audit.write(client, role, AuditAction::Import, &name);
            }
            Ok(())
        };
        work(&app, begin).await?;
        Ok((StatusCode::ACCEPTED, json!({ "begun": wanted.feed })))
    };
    answer(begun.await)
}

/// Takes an archive of pictures for the next import.
pub async fn pictures(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    let taken = async {
        require_page(&app, &headers)?;
        app.importer.images().map_err(|fault| (StatusCode::BAD_REQUEST, fault.to_string()))?;
        let sending = |_| (StatusCode::CONFLICT, "something else is being sent".to_owned());
        let _turn = app.importer.receiving.try_acquire().map_err(sending)?;
        require_idle(&app.importer)?;
        let upload = Upload::of(&app.catalogue());
        if receive(body, upload::PICTURES, move || upload.archive()).await?.is_none() {
            return Err((StatusCode::BAD_REQUEST, "nothing was sent".to_owned()));
        }
        let unpacked = work(&app, |_, catalogue| Upload::of(catalogue).unpack()).await?;
        Ok((StatusCode::OK, json!(unpacked)))
    };
    answer(taken.await)
}

/// Imports what was previewed.
pub async fn apply(
    State(app): State<App>,
    Extension(client): Extension<ClientAddress>,
    Query(choice): Query<ApplyChoice>,
    headers: HeaderMap,
) -> Response {
    let applied = async {
        require_page(&app, &headers)?;
        let (audit, role) = (app.audit.clone(), app.guard.role(&headers));
        let apply = move |importer: &Importer, catalogue: &Path| {
            importer.apply(catalogue, choice.allow_removals)?;
            let feed = importer.job.status().feed;
            audit.write(client, role, AuditAction::Import, &feed);
            Ok(feed)
        };
        let feed = work(&app, apply).await?;
        Ok((StatusCode::ACCEPTED, json!({ "begun": feed })))
    };
    answer(applied.await)
}

/// Ends the import or drops the preview.
pub async fn cancel(State(app): State<App>, headers: HeaderMap) -> Response {
    let cancelled = async {
        require_page(&app, &headers)?;
        work(&app, |importer, catalogue| importer.cancel(catalogue)).await?;
        Ok((StatusCode::OK, json!({ "cancelled": true })))
    };
    answer(cancelled.await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::LiveView;

    #[test]
    fn only_feeds_of_the_folder_are_offered() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.TSV", "shirt.jpg", "csv", "shop.xlsx", "settings.xml"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let columns = "id,title,image_link\n";
        let long = columns.to_owned() + &"1,Scarf of f\u{fc}nf colours,a.jpg\n".repeat(4000);
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for (name, text) in [
            ("LICENCE.txt", b"Permission is hereby granted, free of charge,\nto any person".to_vec()),
            ("empty.txt", Vec::new()),
            ("g.xml", b"<rss><item><g:image_link>a.jpg</g:image_link></item></rss>".to_vec()),
            ("p.json", b"[{\"imageLink\": \"a.jpg\"}]".to_vec()),
            ("truth.json", b"{\"clips\": []}".to_vec()),
            ("feed.txt", columns.replace(',', "\t").into_bytes()),
            ("long.txt", long.clone().into_bytes()),
            ("picture.txt", vec![0xff, 0xd8, 0xff, 0xe0]),
            ("wide.TXT", wide(&format!("\u{feff}{long}"))),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::create_dir(folder.path().join("folder.txt")).unwrap();
        let settings = WebSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            password: None,
            staff_password: None,
            token: None,
            live_view: LiveView::Off,
            staff_crops: false,
            other_shops: false,
            counts: None,
            audit: crate::audit::AuditLog::new("none".into()),
            images: Some(folder.path().into()),
            model: "none".into(),
            config: "none".into(),
            max_removals: 10,
        };
        let importer = Importer::new(&settings);
        assert_eq!(
            importer.feeds(),
            ["a.TSV", "b.csv", "feed.txt", "g.xml", "long.txt", "p.json", "shop.xlsx", "wide.TXT"]
        );
        for name in ["../b.csv", "c.csv", "shirt.jpg", "LICENCE.txt"] {
            let choice = FeedChoice { feed: name.into(), preview: true, map: None, currency: None, fetch: false };
            let fault = importer.begin(choice, None, Path::new("none")).unwrap_err();
            assert_eq!(fault.kind(), Kind::Usage, "{name}");
        }
        assert_eq!(importer.apply(Path::new("none"), true).unwrap_err().kind(), Kind::Usage, "nothing was previewed");
    }
}
