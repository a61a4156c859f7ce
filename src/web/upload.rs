//! What the page sends for an import: a feed, and an archive of pictures. They lie beside the catalogue, `shop.db-upload`, until the
//! import is applied; then the pictures are kept in `shop.db-pictures`.

use crate::fault::{Fault, Kind, Result};
use crate::pipeline::import::picture_archive::{ArchiveLimits, Unpacked, move_into, unpack};
use crate::pipeline::import::pictures_folder;
use axum::body::Body;
use axum::http::StatusCode;
use futures_util::StreamExt;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc::channel;
use tokio::time::timeout;

/// Parts of a body that wait to be written.
const AHEAD: usize = 8;
/// The longest name of a feed's file, characters.
const LONGEST_NAME: usize = 100;

/// How much is taken, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct SendLimits {
    pub bytes: u64,
    pub time: Duration,
}

/// A feed is a text.
pub const FEED: SendLimits = SendLimits { bytes: 64 << 20, time: Duration::from_secs(300) };
/// Some ten thousand pictures.
pub const PICTURES: SendLimits = SendLimits { bytes: 4 << 30, time: Duration::from_secs(3600) };

/// Where the sent files of a catalogue lie.
#[derive(Clone, Debug)]
pub struct Upload {
    folder: PathBuf,
    kept: PathBuf,
}

impl Upload {
    pub fn of(catalogue: &Path) -> Self {
        let mut name = catalogue.as_os_str().to_owned();
        name.push("-upload");
        Upload { folder: name.into(), kept: pictures_folder(catalogue) }
    }

    /// The file for a feed that the sender calls `name`. The folder is made.
    pub fn feed(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join("feed");
        clear(&folder)?;
        make(&folder)?;
        Ok(folder.join(file_name(name)))
    }

    /// The file for an archive; what was unpacked before is deleted.
    pub fn archive(&self) -> Result<PathBuf> {
        self.drop_pictures()?;
        make(&self.folder)?;
        Ok(self.folder.join("pictures.zip"))
    }

    /// Unpacks the archive that was received.
    pub fn unpack(&self) -> Result<Unpacked> {
        let archive = self.folder.join("pictures.zip");
        let unpacked = unpack(&archive, &self.unpacked(), ArchiveLimits::default());
        let _ = fs::remove_file(&archive);
        if unpacked.is_err() {
            self.drop_pictures()?;
        }
        unpacked
    }

    /// The folder of the pictures that were unpacked and not yet kept.
    pub fn pictures(&self) -> Option<PathBuf> {
        Some(self.unpacked()).filter(|folder| folder.is_dir())
    }

    /// Keeps the pictures: the import is applied.
    pub fn keep_pictures(&self) -> Result<()> {
        self.pictures().map_or(Ok(()), |from| move_into(&from, &self.kept))
    }

    /// Forgets the pictures that are not kept.
    pub fn drop_pictures(&self) -> Result<()> {
        clear(&self.unpacked())
    }

    fn unpacked(&self) -> PathBuf {
        self.folder.join("pictures")
    }
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| Fault::io(Kind::Storage, "make the folder", folder, error))
}

fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Fault::io(Kind::Storage, "clear the folder", folder, error))
        }
        _ => Ok(()),
    }
}

/// A name without a path or anything that a terminal or a file system would stumble on.
fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|letter| !letter.is_control()).take(LONGEST_NAME).collect();
    let plain = plain.trim().trim_start_matches(['.', '-']);
    // Letters have up to four bytes, a file's name 255.
    if plain.is_empty() || plain.len() > 250 { "feed".to_owned() } else { plain.to_owned() }
}

/// Writes a request's body to the file that `place` names, which is made where the body is not empty; gives that file.
///
/// # Errors
/// The status to answer with, and why.
pub async fn receive(
    body: Body,
    limits: SendLimits,
    place: impl FnOnce() -> Result<PathBuf> + Send + 'static,
) -> std::result::Result<Option<PathBuf>, (StatusCode, String)> {
    let (parts, mut inbox) = channel::<Vec<u8>>(AHEAD);
    // Off the thread that serves: a disk may be slow.
    let writer = tokio::task::spawn_blocking(move || -> Result<Option<PathBuf>> {
        let Some(first) = inbox.blocking_recv() else { return Ok(None) };
        let path = place()?;
        let fail = |error| Fault::io(Kind::Storage, "write", &path, error);
        let mut file = File::create(&path).map_err(fail)?;
        file.write_all(&first).map_err(fail)?;
        while let Some(part) = inbox.blocking_recv() {
            file.write_all(&part).map_err(fail)?;
        }
        Ok(Some(path))
    });
    let send = async move {
        let mut stream = body.into_data_stream();
        let mut count = 0;
        while let Some(part) = stream.next().await {
            let part = part.map_err(|_| (StatusCode::BAD_REQUEST, "what was sent was cut off".to_owned()))?;
            count += part.len() as u64;
            if count > limits.bytes {
                let words = format!("it is larger than {} MiB: put it into the mirror's folder", limits.bytes >> 20);
                return Err((StatusCode::PAYLOAD_TOO_LARGE, words));
            }
            // The writer has ended with a fault, which is said below.
            if !part.is_empty() && parts.send(part.to_vec()).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let sent = timeout(limits.time, send).await;
    let written = writer.await;
    match sent {
        Ok(sent) => sent?,
        Err(_) => {
            let words = format!("sending took longer than {} minutes", limits.time.as_secs() / 60);
            return Err((StatusCode::REQUEST_TIMEOUT, words));
        }
    }
    match written {
        Ok(Ok(path)) => Ok(path),
        Ok(Err(fault)) => Err((StatusCode::INSUFFICIENT_STORAGE, fault.to_string())),
        Err(_) => Err((StatusCode::INTERNAL_SERVER_ERROR, "it could not be written".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feeds_name_is_a_files_and_no_path() {
        for (name, expected) in [
            ("spring.csv", "spring.csv"),
            ("C:\\shop\\spring 2026.xlsx", "spring 2026.xlsx"),
            ("../../etc/passwd", "passwd"),
            ("..", "feed"),
            ("-rf", "rf"),
            ("a\n\u{1b}b.csv", "ab.csv"),
            ("", "feed"),
        ] {
            assert_eq!(file_name(name), expected, "{name:?}");
        }
        assert_eq!(file_name(&"\u{10ffff}".repeat(99)), "feed");
    }

    #[test]
    fn pictures_are_kept_when_the_import_is_applied_and_forgotten_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let upload = Upload::of(&folder.path().join("shop.db"));
        assert_eq!(upload.pictures(), None);
        upload.keep_pictures().unwrap();
        let pictures = folder.path().join("shop.db-upload/pictures");
        make(&pictures).unwrap();
        fs::write(pictures.join("a.jpg"), "a").unwrap();
        assert_eq!(upload.pictures(), Some(pictures.clone()));
        upload.keep_pictures().unwrap();
        assert!(folder.path().join("shop.db-pictures/a.jpg").exists() && upload.pictures().is_none());
        make(&pictures).unwrap();
        upload.archive().unwrap();
        assert_eq!(upload.pictures(), None);
        // The feed before is gone.
        fs::write(upload.feed("one.csv").unwrap(), "x").unwrap();
        let two = upload.feed("two.csv").unwrap();
        assert!(!two.with_file_name("one.csv").exists());
    }
}
