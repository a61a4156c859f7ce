//! Importing a feed from the page: which feeds there are, beginning an import, and how it goes. [`crate::live::jobs::import`] runs it.

use super::answers::json_response;
use super::{App, WebSettings};
use crate::fault::{Fault, Kind, Result};
use crate::live::jobs::import::{FeedSource, ImportJob, ImportPaths};
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use std::path::{Path, PathBuf};

/// A feed that is sent is no longer.
pub const MOST_BYTES: usize = 64 << 20;
/// Endings of the files in the folder that are offered.
const FEEDS: [&str; 3] = ["csv", "tsv", "txt"];

/// Begins imports and knows how they go.
pub struct Importer {
    images: Option<PathBuf>,
    model: PathBuf,
    job: ImportJob,
}

impl Importer {
    pub fn new(settings: &WebSettings) -> Self {
        let (images, model) = (settings.images.clone(), settings.model.clone());
        Importer { images, model, job: ImportJob::default() }
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
        let feed = sent.map_or_else(|| FeedSource::File(images.join(name)), |sent| FeedSource::Sent(sent.into()));
        self.job.begin(name, feed, ImportPaths { images, catalogue, model: &self.model })
    }

    /// Ends an import that is under way; the catalogue stays as it was.
    pub fn stop(&self) {
        self.job.stop();
    }
}

fn is_feed(name: &str) -> bool {
    let ending = Path::new(name).extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| FEEDS.contains(&ending.as_str()))
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
    let now = importer.job.status();
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
    fn only_feeds_of_the_folder_are_offered() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.TSV", "shirt.jpg", "csv"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let settings = WebSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            password: None,
            token: None,
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
