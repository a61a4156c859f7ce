//! Importing a feed from the page: which feeds there are, starting an import, and its progress. [`crate::live::jobs::import`] runs it.

use super::answers::json_response;
use super::client::ClientAddress;
use super::{App, WebSettings, in_turn};
use crate::audit::AuditAction;
use crate::catalogue::parse_feed;
use crate::fault::{Fault, Kind, Result};
use crate::live::jobs::import::{FeedSource, ImportJob, ImportSettings};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The largest feed that may be sent, bytes.
const MOST_BYTES: usize = 64 << 20;
/// Extensions of the files in the folder that are offered as feeds.
const FEEDS: [&str; 2] = ["csv", "tsv"];
/// A file of this extension is offered only if it begins like a feed: such folders also hold licences and notes.
const TEXT: &str = "txt";
/// How much of it is read to find out, bytes.
const BEGINNING: u64 = 64 << 10;
/// A feed must have been sent completely within this time.
const SENDING: Duration = Duration::from_secs(300);

/// Starts imports and reports their progress.
pub struct Importer {
    images: Option<PathBuf>,
    model: PathBuf,
    max_removals: u32,
    job: ImportJob,
    /// Held while a feed is being received: only one is in memory, not one a connection.
    receiving: Semaphore,
}

impl Importer {
    pub fn new(settings: &WebSettings) -> Self {
        let (images, model) = (settings.images.clone(), settings.model.clone());
        let max_removals = settings.max_removals;
        Importer { images, model, max_removals, job: ImportJob::default(), receiving: Semaphore::new(1) }
    }

    /// The feeds in the folder, by name.
    fn feeds(&self) -> Vec<String> {
        let entries = self.images.iter().filter_map(|folder| std::fs::read_dir(folder).ok());
        let feeds = entries.flatten().filter_map(|entry| entry.ok()).filter(|entry| is_feed(&entry.path()));
        let mut names: Vec<String> = feeds.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Starts to import the feed called `name` in the folder, or the one that was `sent`.
    ///
    /// # Errors
    /// [`Kind::Busy`] while another import runs.
    fn begin(&self, name: &str, sent: Option<Bytes>, catalogue: &Path) -> Result<()> {
        let Some(images) = &self.images else {
            return Err(Fault::new(Kind::Usage, "imports from the page are switched off").cure("set catalogue.images"));
        };
        if sent.is_none() && !self.feeds().iter().any(|feed| feed == name) {
            return Err(Fault::new(Kind::Usage, format!("there is no feed {name:?} in {}", images.display())));
        }
        let feed = sent.map_or_else(|| FeedSource::File(images.join(name)), |sent| FeedSource::Sent(sent.into()));
        self.job.begin(
            name,
            feed,
            ImportSettings { images, catalogue, model: &self.model, max_removals: self.max_removals },
        )
    }

    /// Ends a running import; the catalogue stays as it was.
    pub fn stop(&self) {
        self.job.stop();
    }
}

fn is_feed(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    FEEDS.contains(&ending.as_str()) || ending == TEXT && begins_as_feed(path).unwrap_or(false)
}

/// Whether the file's first line names a feed's columns.
fn begins_as_feed(path: &Path) -> std::io::Result<bool> {
    // Opening anything else, such as a pipe, may block for ever.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(false);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(BEGINNING).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == BEGINNING {
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        // The second half of UTF-16's line feed, where it is little-endian.
        let half = usize::from(bytes.get(whole) == Some(&0));
        bytes.truncate(whole + half);
    }
    Ok(parse_feed(&bytes).is_ok())
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

/// The feed's name: one of the folder, or, where the request has a body, what that is to be called.
#[derive(Deserialize)]
pub struct FeedChoice {
    feed: String,
}

pub async fn begin(
    State(app): State<App>,
    Extension(client): Extension<ClientAddress>,
    Query(wanted): Query<FeedChoice>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let refused = |status, words: &str| json_response(status, &json!({ "error": words }));
    if !app.guard.may_change(&headers) {
        let words = "imports are started from the mirror's page, and only where web.password is set";
        return refused(StatusCode::FORBIDDEN, words);
    }
    let Ok(_turn) = app.importer.receiving.try_acquire() else {
        return refused(StatusCode::CONFLICT, "another feed is being sent");
    };
    let sent = match timeout(SENDING, to_bytes(body, MOST_BYTES)).await {
        Ok(Ok(bytes)) => Some(bytes).filter(|bytes| !bytes.is_empty()),
        Ok(Err(_)) => {
            let words = "the feed is larger than 64 MiB or was cut off: put it into the mirror's folder";
            return refused(StatusCode::PAYLOAD_TOO_LARGE, words);
        }
        Err(_) => {
            return refused(
                StatusCode::REQUEST_TIMEOUT,
                "sending the feed took longer than five minutes: put it into the mirror's folder",
            );
        }
    };
    let (importer, feed, catalogue) = (app.importer.clone(), wanted.feed.clone(), app.catalogue());
    match in_turn(&app.reading, move || importer.begin(&feed, sent, &catalogue)).await {
        Some(Ok(())) => {
            app.audit.write(client, app.guard.role(&headers), AuditAction::Import, &wanted.feed);
            json_response(StatusCode::ACCEPTED, &json!({ "begun": wanted.feed }))
        }
        Some(Err(fault)) if fault.kind() == Kind::Busy => refused(StatusCode::CONFLICT, &fault.to_string()),
        Some(Err(fault)) => refused(StatusCode::BAD_REQUEST, &fault.to_string()),
        None => refused(StatusCode::INTERNAL_SERVER_ERROR, "the import could not be started"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::LiveView;

    #[test]
    fn only_feeds_of_the_folder_are_offered() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.TSV", "shirt.jpg", "csv"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let columns = "id,title,image_link\n";
        let long = columns.to_owned() + &"1,Scarf of f\u{fc}nf colours,a.jpg\n".repeat(4000);
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for (name, text) in [
            ("LICENCE.txt", b"Permission is hereby granted, free of charge,\nto any person".to_vec()),
            ("empty.txt", Vec::new()),
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
            counts: None,
            audit: crate::audit::AuditLog::new("none".into()),
            images: Some(folder.path().into()),
            model: "none".into(),
            max_removals: 10,
        };
        let importer = Importer::new(&settings);
        assert_eq!(importer.feeds(), ["a.TSV", "b.csv", "feed.txt", "long.txt", "wide.TXT"]);
        for name in ["../b.csv", "c.csv", "shirt.jpg", "LICENCE.txt"] {
            assert_eq!(importer.begin(name, None, Path::new("none")).unwrap_err().kind(), Kind::Usage, "{name}");
        }
    }
}
