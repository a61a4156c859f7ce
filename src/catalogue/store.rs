//! The SQLite file: opening it (and refusing other files), its settings, its schema, its faults.

use super::file_version::{FileVersion, beside};
use super::product::ModelStamp;
use crate::fault::{Fault, Kind, READ_ONLY_CURE, Result};
use crate::machine;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// "VTRA": says that an SQLite file is ours.
const APPLICATION_ID: i32 = 0x5654_5241;

/// Step n takes a file from schema n to n + 1. The one migration path: steps are only ever added.
const MIGRATIONS: [&str; 8] = [
    include_str!("schema.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
    include_str!("schema-5.sql"),
    include_str!("schema-6.sql"),
    include_str!("schema-7.sql"),
    include_str!("schema-8.sql"),
];

/// Stands for the path of a catalogue in memory.
const IN_MEMORY: &str = ":memory:";

/// How long to wait for another process before it is reported.
const BUSY_TIMEOUT: Duration = Duration::from_millis(400);

const DAMAGED: &str = "restore it from a copy, or delete it and import the feed again";

/// An open catalogue. One connection: give each thread its own.
///
/// Keep it open no longer than needed. While a connection is open, SQLite keeps a write-ahead log and an index of it beside the file;
/// another file that is put in this one's place meanwhile would be read with both.
#[derive(Debug)]
pub struct Catalogue {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// The file as it was opened; `None` in memory.
    opened: Option<FileVersion>,
    /// SQLite takes the file for one that never changes: it lies where it cannot be written.
    immutable: bool,
}

/// What the first bytes of a file say about it.
enum Probe {
    Missing,
    Empty,
    Foreign(&'static str),
    Catalogue,
}

impl Catalogue {
    /// Opens an existing catalogue for reading and writing; for reading alone where its folder cannot be written. A file that is
    /// none is left untouched.
    ///
    /// # Errors
    /// [`Kind::Catalogue`] for a missing, foreign, damaged or newer file; [`Kind::Busy`] where another process has locked it.
    pub fn open(path: &Path) -> Result<Self> {
        match probe(path)? {
            Probe::Catalogue => match Self::connect(path, false) {
                Err(fault) if fault.kind() == Kind::Storage => Self::connect_immutable(path, fault),
                opened => opened,
            },
            Probe::Missing => Err(Fault::new(Kind::Catalogue, format!("there is no catalogue at {}", path.display()))
                .cure(format!("make one with `{}`", import_command(path)))),
            Probe::Empty => Err(Fault::new(Kind::Catalogue, format!("{} is empty, not a catalogue", path.display()))
                .cure(format!("fill it with `{}`", import_command(path)))),
            Probe::Foreign(reason) => Err(foreign(path, reason).cure("give the path of a catalogue")),
        }
    }

    /// As [`Catalogue::open`], but makes an empty catalogue where there is no file or an empty one.
    ///
    /// # Errors
    /// Also [`Kind::Storage`] where its folder does not exist: the path may be mistyped.
    pub fn create_or_open(path: &Path) -> Result<Self> {
        match probe(path)? {
            Probe::Catalogue => Self::connect(path, true),
            Probe::Foreign(reason) => {
                let cure = "give the path of a catalogue, or of a file that does not exist yet";
                Err(foreign(path, reason).cure(cure))
            }
            Probe::Missing | Probe::Empty => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                    let text = format!(
                        "cannot make the catalogue {}: there is no folder {}",
                        path.display(),
                        folder.display()
                    );
                    return Err(Fault::new(Kind::Storage, text).cure("check the path, or make the folder"));
                }
                Self::connect(path, true)
            }
        }
    }

    /// An empty catalogue that lives as long as the value.
    pub fn in_memory() -> Result<Self> {
        let path = PathBuf::from(IN_MEMORY);
        let connection = Connection::open_in_memory().map_err(|error| sql_fault(&path, "open", error))?;
        let mut catalogue = Catalogue { connection, path, opened: None, immutable: false };
        catalogue.prepare(true)?;
        Ok(catalogue)
    }

    /// Deletes a catalogue's file and what SQLite keeps beside it: of a first import that was refused.
    pub fn delete(path: &Path) -> Result<()> {
        delete_database(path)
    }

    fn connect(path: &Path, create: bool) -> Result<Self> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let connection = Connection::open_with_flags(path, flags).map_err(|error| sql_fault(path, "open", error))?;
        let opened = Some(FileVersion::of(path)?);
        let mut catalogue = Catalogue { connection, path: path.to_owned(), opened, immutable: false };
        catalogue.prepare(create)?;
        Ok(catalogue)
    }

    /// Opens a catalogue that could not be opened for writing, because of `fault`. Even to read one, SQLite keeps a file beside
    /// it, unless it is opened as immutable.
    fn connect_immutable(path: &Path, fault: Fault) -> Result<Self> {
        let journal = beside(path, "-wal");
        if std::fs::metadata(&journal).is_ok_and(|file| file.len() > 0) {
            let text = format!(
                "cannot read the catalogue {}: its newest changes are in {} still, and this user cannot write there",
                path.display(),
                journal.display()
            );
            let cure = format!("run `vetrina catalogue check --db {}` as a user who can write there", path.display());
            return Err(Fault::new(Kind::Storage, text).cure(cure));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        // What cannot be read either is reported as it was.
        let Ok(connection) = Connection::open_with_flags(immutable_uri(path), flags) else { return Err(fault) };
        let opened = Some(FileVersion::of(path)?);
        let mut catalogue = Catalogue { connection, path: path.to_owned(), opened, immutable: true };
        catalogue.prepare(false)?;
        Ok(catalogue)
    }

    /// Settings and schema. Nothing is written before the schema's version is known to be ours.
    fn prepare(&mut self, create: bool) -> Result<()> {
        let settings = "pragma foreign_keys = on; pragma trusted_schema = off; pragma cell_size_check = on;
                        pragma synchronous = full;";
        self.connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| self.fault("open", error))?;
        self.connection.execute_batch(settings).map_err(|error| self.fault("open", error))?;
        let version = self.pragma_i64("user_version")?;
        if !(0..=MIGRATIONS.len() as i64).contains(&version) {
            let text = format!(
                "cannot open {}: it has schema {version}, this vetrina knows up to {}",
                self.path.display(),
                MIGRATIONS.len()
            );
            return Err(Fault::new(Kind::Catalogue, text).cure("update vetrina, or import into another file"));
        }
        if version == 0 && !create {
            let text = format!("{} was begun and never filled", self.path.display());
            return Err(Fault::new(Kind::Catalogue, text).cure(format!("run `{}`", import_command(&self.path))));
        }
        if version < MIGRATIONS.len() as i64 {
            self.migrate()?;
        }
        if self.immutable {
            return Ok(());
        }
        // Reads no page where the file is in this mode already.
        self.connection
            .query_row("pragma journal_mode = wal", [], |_| Ok(()))
            .map_err(|error| self.fault("open", error))
    }

    fn migrate(&mut self) -> Result<()> {
        let path = self.path.clone();
        let fail = |error| sql_fault(&path, "set up", error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        // Read again under the lock: another process may have been faster.
        let version: i64 = transaction.query_row("pragma user_version", [], |row| row.get(0)).map_err(fail)?;
        for step in MIGRATIONS.iter().skip(version.max(0) as usize) {
            transaction.execute_batch(step).map_err(fail)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(fail)?;
        transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64).map_err(fail)?;
        transaction.commit().map_err(fail)
    }

    /// The file, or `:memory:`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file; `None` where it is in memory.
    pub(super) fn file(&self) -> Option<&Path> {
        Some(self.path.as_path()).filter(|path| *path != Path::new(IN_MEMORY))
    }

    /// Waits so long while somebody else writes; without this 0.4 s.
    pub fn with_patience(self, patience: Duration) -> Result<Self> {
        self.connection.busy_timeout(patience).map_err(|error| self.fault("open", error))?;
        Ok(self)
    }

    /// Changes the file in one transaction: all of what `work` does, or nothing where it fails. `work` gets the transaction and what
    /// makes a fault of an SQLite error. No write-ahead log is left behind.
    ///
    /// # Errors
    /// Those of `work`; [`Kind::Busy`] where somebody else writes for too long, or has put another file in this one's place.
    pub(super) fn change<T>(
        &mut self,
        work: impl FnOnce(&Transaction, &dyn Fn(rusqlite::Error) -> Fault) -> Result<T>,
    ) -> Result<T> {
        self.require_in_place()?;
        let path = self.path.clone();
        let fail = |error| sql_fault(&path, "change", error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        let done = work(&transaction, &fail)?;
        transaction.commit().map_err(fail)?;
        self.checkpoint();
        Ok(done)
    }

    /// Refuses to write where the path names another file by now: the change would be lost.
    pub(super) fn require_in_place(&self) -> Result<()> {
        let Some(opened) = self.opened else { return Ok(()) };
        if FileVersion::of(&self.path).is_ok_and(|now| now.is_same_file(opened)) {
            return Ok(());
        }
        let text = format!("{} was replaced or deleted meanwhile; nothing was changed", self.path.display());
        Err(Fault::new(Kind::Busy, text).cure("put the catalogue in its place, and try again"))
    }

    /// Moves what the write-ahead log holds into the file and empties the log: SQLite would apply it to another file that is put in
    /// this one's place. While another process reads or writes, the log stays as it is; the last one that closes the file removes it.
    pub fn checkpoint(&self) {
        // Nothing is lost where it fails.
        let _ = self.connection.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()));
    }

    /// The model that embedded this catalogue; `None` before the first import.
    pub fn stamp(&self) -> Result<Option<ModelStamp>> {
        read_stamp(&self.connection).map_err(|error| self.fault("read", error))
    }

    /// Refuses a catalogue that another model embedded. An empty catalogue fits every model.
    ///
    /// # Errors
    /// [`Kind::Catalogue`], with the command that embeds the catalogue anew.
    pub fn require_model(&self, expected: &ModelStamp) -> Result<()> {
        match self.stamp()? {
            Some(found) if !same_model(&found, expected) => {
                let text = format!(
                    "{} was embedded by model {} ({}), not by {} ({})",
                    self.path.display(),
                    found.name,
                    short(&found.descriptor_hash),
                    expected.name,
                    short(&expected.descriptor_hash)
                );
                Err(Fault::new(Kind::Catalogue, text).cure(format!("run `{}`", import_command(&self.path))))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn fault(&self, verb: &str, error: rusqlite::Error) -> Fault {
        sql_fault(&self.path, verb, error)
    }

    pub(super) fn pragma_i64(&self, name: &str) -> Result<i64> {
        self.connection
            .query_row(&format!("pragma {name}"), [], |row| row.get(0))
            .map_err(|error| self.fault("read", error))
    }
}

/// The name is for people: only what makes a descriptor is compared.
pub(super) fn same_model(a: &ModelStamp, b: &ModelStamp) -> bool {
    a.descriptor_hash == b.descriptor_hash && a.embedding == b.embedding
}

pub(super) fn read_stamp(connection: &Connection) -> rusqlite::Result<Option<ModelStamp>> {
    connection
        .query_row("select name, descriptor_hash, embedding from model", [], |row| {
            let embedding: i64 = row.get(2)?;
            Ok(ModelStamp {
                name: row.get(0)?,
                descriptor_hash: row.get(1)?,
                embedding: usize::try_from(embedding).unwrap_or(0),
            })
        })
        .optional()
}

pub(super) fn write_stamp(connection: &Connection, stamp: &ModelStamp) -> rusqlite::Result<()> {
    let query = "insert into model values (1, ?1, ?2, ?3) on conflict (id) do update
                 set name = ?1, descriptor_hash = ?2, embedding = ?3";
    connection.execute(query, params![stamp.name, stamp.descriptor_hash, stamp.embedding as i64]).map(drop)
}

/// Deletes an SQLite file and what SQLite keeps beside it.
pub(super) fn delete_database(path: &Path) -> Result<()> {
    for ending in ["-wal", "-shm", ""] {
        let name = beside(path, ending);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Fault::io(Kind::Storage, "delete", &name, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The path as SQLite's URI for a file that does not change.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    // An absolute path has an authority before it, if an empty one.
    uri.push_str(if path.is_absolute() { "//" } else { "" });
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri + "?immutable=1"
}

/// The command that cures a missing or foreign catalogue.
pub fn import_command(path: &Path) -> String {
    format!("vetrina catalogue import FEED --images DIR --db {} --model DIR", path.display())
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Looks at a file's first 100 bytes, so that a file that is not ours is never handed to SQLite.
fn probe(path: &Path) -> Result<Probe> {
    let fail = |error| Fault::io(Kind::Catalogue, "open", path, error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Probe::Missing),
        Err(error) => return Err(fail(error)),
    };
    if !file.metadata().map_err(fail)?.is_file() {
        return Ok(Probe::Foreign("it is not a file"));
    }
    let mut header = Vec::with_capacity(100);
    file.take(100).read_to_end(&mut header).map_err(fail)?;
    if header.is_empty() {
        return Ok(Probe::Empty);
    }
    if !header.starts_with(&b"SQLite format 3\0"[..header.len().min(16)]) {
        return Ok(Probe::Foreign("it is no SQLite file"));
    }
    let Some(&[a, b, c, d]) = header.get(68..72) else {
        return Ok(Probe::Foreign("it ends within its header: it was cut short"));
    };
    if i32::from_be_bytes([a, b, c, d]) != APPLICATION_ID {
        return Ok(Probe::Foreign("it is another program's SQLite file"));
    }
    Ok(Probe::Catalogue)
}

fn foreign(path: &Path, reason: &str) -> Fault {
    Fault::new(Kind::Catalogue, format!("{} is not a vetrina catalogue: {reason}", path.display()))
}

/// Says what an SQLite error means to the one who runs the program.
pub(super) fn sql_fault(path: &Path, verb: &str, error: rusqlite::Error) -> Fault {
    let (kind, what, cure) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (Kind::Busy, "another process is using it", "wait until that one has finished, or stop it")
        }
        Some(ErrorCode::DiskFull) => (Kind::Storage, "the disk is full", "free some space on that disk"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen)
            if machine::is_read_only(machine::folder_of(path)) =>
        {
            (Kind::Storage, "its disk is read-only", READ_ONLY_CURE)
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            (Kind::Storage, "it cannot be written", "give this user access to the file and its folder")
        }
        Some(ErrorCode::CannotOpen) => {
            (Kind::Storage, "it cannot be opened", "give this user access to the file and its folder")
        }
        Some(ErrorCode::SystemIoFailure) => (Kind::Storage, "the disk failed", "check the disk and its free space"),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (Kind::Catalogue, "it is damaged", DAMAGED),
        _ => (Kind::Catalogue, "SQLite refused", "run `vetrina catalogue check`"),
    };
    Fault::new(kind, format!("cannot {verb} the catalogue {}: {what}", path.display()))
        .cause(error.to_string())
        .cure(cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_by_another_is_noticed_also_where_nothing_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        drop(Catalogue::create_or_open(&path).unwrap());
        let reader = Catalogue::connect_immutable(&path, Fault::new(Kind::Storage, "no")).unwrap();
        assert!(reader.connection.execute_batch("create table another (x)").is_err());
        let version = || FileVersion::of(&path).unwrap();
        let before = version();
        assert_eq!(version(), before);
        let writer = Connection::open(&path).unwrap();
        writer.execute_batch("create table other (x)").unwrap();
        let logged = version();
        assert_ne!(logged, before, "the write-ahead log holds the change");
        assert!(!logged.is_settled() && logged.is_same_file(before));
        writer.execute_batch("pragma wal_checkpoint(truncate)").unwrap();
        assert_ne!(version(), before);
        std::fs::copy(&path, folder.path().join("new.db")).unwrap();
        std::fs::rename(folder.path().join("new.db"), &path).unwrap();
        assert!(!version().is_same_file(before));
    }

    #[test]
    fn a_file_that_was_replaced_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["shop.db", "other.db"].map(|name| folder.path().join(name));
        let mut open = Catalogue::create_or_open(&path).unwrap();
        drop(Catalogue::create_or_open(&other).unwrap());
        let change = |open: &mut Catalogue| {
            open.change(|transaction, fail| transaction.execute_batch("create table more (x)").map_err(fail))
        };
        std::fs::rename(&other, &path).unwrap();
        let fault = change(&mut open).unwrap_err();
        assert!(fault.kind() == Kind::Busy && fault.to_string().contains("was replaced"), "{fault}");
        drop(open);
        let mut open = Catalogue::open(&path).unwrap();
        change(&mut open).unwrap();
        assert_eq!(std::fs::metadata(beside(&path, "-wal")).map_or(0, |log| log.len()), 0, "while it is open");
    }

    #[test]
    fn a_path_is_a_path_in_a_uri_too() {
        assert_eq!(immutable_uri(Path::new("a b/?#%.db")), "file:a%20b/%3f%23%25.db?immutable=1");
        assert_eq!(immutable_uri(Path::new("/a.db")), "file:///a.db?immutable=1");
    }
}
