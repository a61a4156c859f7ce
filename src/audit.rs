//! The audit log: who viewed the camera picture, recorded, or changed something, and when. One JSON object per line,
//! append only. Each line contains the hash of the previous line, so that changed or removed lines are detected.

use crate::clock::UtcTime;
use crate::fault::{Fault, Kind, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Maximum length of a line in bytes; longer texts are truncated.
const LONGEST_TEXT: usize = 300;
/// Bytes read from the end to find the last line.
const TAIL: u64 = 4096;

/// A logged action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// The mirror started.
    Start,
    /// A user logged in, for the first time in a while.
    Login,
    /// A wrong password.
    LoginRefused,
    /// The live camera picture was viewed on the page.
    LiveView,
    /// Crops of the last garments were viewed on the page for staff.
    StaffCrop,
    /// The camera was recorded.
    Record,
    /// A picture was sent to be matched.
    MatchPicture,
    Import,
    /// An older catalogue was restored.
    Undo,
    /// A product was taken out of the catalogue.
    Remove,
    /// A product was enrolled by wearing it, here or before another mirror whose worn views were imported.
    Enrol,
    /// An enrolment was taken back.
    UndoEnrol,
    /// An answer was corrected.
    Correct,
    /// What was said of an answer was taken back.
    TakeBack,
}

impl AuditAction {
    pub const ALL: [AuditAction; 14] = [
        AuditAction::Start,
        AuditAction::Login,
        AuditAction::LoginRefused,
        AuditAction::LiveView,
        AuditAction::StaffCrop,
        AuditAction::Record,
        AuditAction::MatchPicture,
        AuditAction::Import,
        AuditAction::Undo,
        AuditAction::Remove,
        AuditAction::Enrol,
        AuditAction::UndoEnrol,
        AuditAction::Correct,
        AuditAction::TakeBack,
    ];

    /// Readable text.
    pub fn words(self) -> &'static str {
        match self {
            AuditAction::Start => "mirror started",
            AuditAction::Login => "logged in",
            AuditAction::LoginRefused => "wrong password",
            AuditAction::LiveView => "looked at the live picture",
            AuditAction::StaffCrop => "looked at pictures of the last garments",
            AuditAction::Record => "recorded the camera",
            AuditAction::MatchPicture => "sent a picture to be matched",
            AuditAction::Import => "began the import of a feed",
            AuditAction::Undo => "brought an older catalogue back",
            AuditAction::Remove => "removed a product",
            AuditAction::Enrol => "enrolment of a product:",
            AuditAction::UndoEnrol => "took an enrolment back:",
            AuditAction::Correct => "corrected an answer",
            AuditAction::TakeBack => "took a correction back:",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct AuditEntry {
    pub time: UtcTime,
    /// `owner`, `staff`, `program` (with the token), `this machine` (no password is set), `command line`, `mirror`.
    pub who: String,
    /// Address of the client, if the action came over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    pub action: AuditAction,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Hash of the previous line, hexadecimal; for the first line, of an empty text.
    pub previous: String,
}

/// An entry to be logged.
#[derive(Clone, Debug)]
pub struct AuditNote<'a> {
    pub who: &'a str,
    pub from: Option<String>,
    pub action: AuditAction,
    pub detail: &'a str,
}

/// The log file. It is created with the first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLog {
    path: PathBuf,
}

/// Content of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReading {
    /// Oldest first.
    pub entries: Vec<AuditEntry>,
    /// Numbers of lines, from 1, whose hash does not match the previous line: something was changed or removed there.
    pub broken: Vec<usize>,
}

impl AuditLog {
    /// The log at `path`; the file is made with the first line.
    pub fn new(path: PathBuf) -> Self {
        AuditLog { path }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one line. Several processes may append.
    ///
    /// # Errors
    /// [`Kind::Storage`]: the file cannot be written.
    pub fn append(&self, note: AuditNote) -> Result<()> {
        let fail = |error| Fault::io(Kind::Storage, "write the audit log", &self.path, error);
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(&self.path).map_err(fail)?;
        file.lock().map_err(fail)?;
        let (last, whole) = last_line(&mut file).map_err(fail)?;
        let entry = AuditEntry {
            time: UtcTime::now().whole_second(),
            who: cut(note.who),
            from: note.from,
            action: note.action,
            detail: cut(note.detail),
            previous: hash(&last),
        };
        let text = serde_json::to_string(&entry)
            .map_err(|error| Fault::new(Kind::Internal, "cannot write an audit line as JSON").cause(error))?;
        // Completes a line that a power cut left unfinished.
        let text = if whole { format!("{text}\n") } else { format!("\n{text}\n") };
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(fail)
    }

    /// Appends an entry; an error is reported in the program's log.
    pub fn note(&self, note: AuditNote) {
        if let Err(fault) = self.append(note) {
            log::warn!("{fault}");
        }
    }

    /// Reads all lines; none if there is no file yet.
    pub fn read(&self) -> Result<AuditReading> {
        let text = match std::fs::read(&self.path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(AuditReading::default()),
            Err(error) => return Err(Fault::io(Kind::Storage, "read the audit log", &self.path, error)),
        };
        let mut reading = AuditReading::default();
        let mut before = String::new();
        for (index, line) in text.lines().enumerate() {
            match serde_json::from_str::<AuditEntry>(line) {
                Ok(entry) if entry.previous == hash(&before) => reading.entries.push(entry),
                Ok(entry) => {
                    reading.broken.push(index + 1);
                    reading.entries.push(entry);
                }
                Err(_) => reading.broken.push(index + 1),
            }
            before = line.to_owned();
        }
        Ok(reading)
    }
}

/// The last line without its line break, and whether it has one.
fn last_line(file: &mut File) -> std::io::Result<(String, bool)> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    let text = String::from_utf8_lossy(&tail);
    let whole = text.is_empty() || text.ends_with('\n');
    Ok((text.lines().last().unwrap_or("").to_owned(), whole))
}

fn hash(line: &str) -> String {
    Sha256::digest(line.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(detail: &str) -> AuditNote<'_> {
        AuditNote { who: "owner", from: Some("192.0.2.7".into()), action: AuditAction::Import, detail }
    }

    fn log(folder: &tempfile::TempDir) -> AuditLog {
        AuditLog::new(folder.path().join("audit.jsonl"))
    }

    #[test]
    fn lines_are_appended_and_a_change_shows() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(&folder);
        assert_eq!(log.read().unwrap(), AuditReading::default());
        for detail in ["a.csv", "b \"quoted\"\nline", &"x".repeat(5000), "d.csv"] {
            log.append(note(detail)).unwrap();
        }
        let reading = log.read().unwrap();
        assert_eq!((reading.entries.len(), reading.broken.len()), (4, 0));
        assert_eq!(reading.entries[1].detail, "b \"quoted\"\nline");
        assert_eq!(reading.entries[2].detail.len(), LONGEST_TEXT);
        let text = std::fs::read_to_string(log.path()).unwrap();
        std::fs::write(log.path(), text.replace("a.csv", "z.csv")).unwrap();
        assert_eq!(log.read().unwrap().broken, [2], "the line after the changed one");
        let lines: Vec<&str> = text.lines().collect();
        std::fs::write(log.path(), format!("{}\n{}\n{}\n", lines[0], lines[1], lines[3])).unwrap();
        assert_eq!(log.read().unwrap().broken, [3], "one was taken out");
    }

    #[test]
    fn after_a_torn_line_the_log_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(&folder);
        log.append(note("a")).unwrap();
        let text = std::fs::read_to_string(log.path()).unwrap();
        std::fs::write(log.path(), format!("{text}{{\"time\":\"20")).unwrap();
        log.append(note("b")).unwrap();
        let reading = log.read().unwrap();
        assert_eq!((reading.entries.len(), reading.broken), (2, vec![2]));
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(&folder);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10).for_each(|_| log.append(note("x")).unwrap()));
            }
        });
        let reading = log.read().unwrap();
        assert_eq!((reading.entries.len(), reading.broken.len()), (40, 0));
    }
}
