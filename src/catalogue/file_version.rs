//! Which file a path names, and when it was written: how a running mirror, which keeps no catalogue open, notices a change.

use crate::fault::{Fault, Kind, Result};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// File systems count time in steps of some milliseconds: two writes within this may leave the same time.
const SETTLES_AFTER: Duration = Duration::from_millis(100);

/// A state of a catalogue's file. Two that are equal and settled hold the same catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion {
    /// Device and inode: another file that is put in this one's place has others.
    file: (u64, u64),
    bytes: u64,
    written: SystemTime,
    /// Bytes and time of the write-ahead log: what another process has written and not yet moved into the file.
    log: Option<(u64, SystemTime)>,
}

impl FileVersion {
    /// The state of the file at `path` now.
    ///
    /// # Errors
    /// [`Kind::Catalogue`] where there is no file, or its folder cannot be read.
    pub fn of(path: &Path) -> Result<Self> {
        let fail = |error| Fault::io(Kind::Catalogue, "read", path, error);
        let file = std::fs::metadata(path).map_err(fail)?;
        let log = std::fs::metadata(beside(path, "-wal")).ok().filter(|log| log.len() > 0);
        let time = |file: &Metadata| file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(FileVersion {
            file: (file.dev(), file.ino()),
            bytes: file.len(),
            written: time(&file),
            log: log.map(|log| (log.len(), time(&log))),
        })
    }

    /// Whether both are states of one file, and none was put in another's place.
    pub fn is_same_file(self, other: Self) -> bool {
        self.file == other.file
    }

    /// False just after a write: a further write might not be seen.
    pub fn is_settled(self) -> bool {
        let now = SystemTime::now();
        [Some(self.written), self.log.map(|(_, written)| written)].into_iter().flatten().all(|written| {
            let apart = now.duration_since(written).unwrap_or_else(|early| early.duration());
            apart > SETTLES_AFTER
        })
    }
}

/// `shop.db-wal` beside `shop.db`.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
