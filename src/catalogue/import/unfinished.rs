//! What an import has embedded and not yet put into the catalogue: an SQLite file of its own beside it, `shop.db-import`. So the
//! catalogue is written to at the end alone, and an import that was interrupted goes on where it was. The file is deleted when the
//! import is done.

use super::{Content, ContentKey, wanted};
use crate::catalogue::check::decode_embedding;
use crate::catalogue::file_version::beside;
use crate::catalogue::images::Sha;
use crate::catalogue::product::{ModelStamp, ShopPicture};
use crate::catalogue::rows::region_key;
use crate::catalogue::store::{delete_database, sql_fault};
use crate::fault::{Fault, Kind, Result};
use crate::geometry::Rect;
use crate::seam::{Detection, Region};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// "VTRI": says that an SQLite file is ours.
const APPLICATION_ID: i64 = 0x5654_5249;

/// How long to wait for another import before it is reported.
const PATIENCE: Duration = Duration::from_millis(400);

/// An import that has embedded nothing for so long is over, or was interrupted.
const ACTIVE: Duration = Duration::from_secs(15);

const TABLES: &str = "
  -- The model that embedded the pictures.
  create table model (descriptor_hash text not null, embedding integer not null) strict;
  -- By content and by the region that was looked for; the columns are those of the catalogue's content and descriptor. Where the
  -- network found no garment, there is a reason and nothing else.
  create table embedded (
    sha256 blob not null, region text not null, reason text,
    thumbnail blob, class integer, score real, x1 real, y1 real, x2 real, y2 real,
    match_embedding blob, aggregation_embedding blob, detail integer,
    primary key (sha256, region)
  ) strict;";

/// The pictures of an import that is under way. Nobody else imports into the catalogue while this is open.
#[derive(Debug)]
pub struct UnfinishedImport {
    connection: Connection,
    /// None: in memory, as its catalogue is.
    path: Option<PathBuf>,
}

impl UnfinishedImport {
    /// Opens what an earlier import of this model has left, or begins anew. `catalogue`: its file; `None` where it is in memory.
    ///
    /// # Errors
    /// [`Kind::Busy`] while another import into this catalogue is under way.
    pub fn open(catalogue: Option<&Path>, stamp: &ModelStamp) -> Result<Self> {
        let path = catalogue.map(path_of);
        let opened = Self::connect(path.clone(), stamp);
        match (opened, path) {
            // Nothing but work that can be done again.
            (Err(error), Some(path)) if is_damaged(&error) => {
                delete_database(&path)?;
                Self::connect(Some(path.clone()), stamp).map_err(|error| fault(Some(&path), error))
            }
            (opened, path) => opened.map_err(|error| fault(path.as_deref(), error)),
        }
    }

    /// As [`UnfinishedImport::open`], but only where an earlier import has left something.
    pub fn open_existing(catalogue: Option<&Path>, stamp: &ModelStamp) -> Result<Option<Self>> {
        match catalogue {
            Some(path) if path_of(path).exists() => Self::open(catalogue, stamp).map(Some),
            _ => Ok(None),
        }
    }

    fn connect(path: Option<PathBuf>, stamp: &ModelStamp) -> rusqlite::Result<Self> {
        let connection = match &path {
            Some(path) => Connection::open(path)?,
            None => Connection::open_in_memory()?,
        };
        connection.busy_timeout(PATIENCE)?;
        // Exclusive: the file is the lock of the import. What a power cut may take of the last pictures is embedded again.
        connection.execute_batch(
            "pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = normal;
             begin exclusive; commit;",
        )?;
        let number = |name: &str| connection.query_row(&format!("pragma {name}"), [], |row| row.get::<_, i64>(0));
        let tables: i64 = connection.query_row("select count(*) from sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 && number("application_id")? != APPLICATION_ID {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_AUTH);
            return Err(rusqlite::Error::SqliteFailure(code, Some("it is another program's SQLite file".into())));
        }
        let unfinished = UnfinishedImport { connection, path };
        if tables == 0 || !unfinished.is_of(stamp)? {
            unfinished.begin_anew(stamp)?;
        }
        Ok(unfinished)
    }

    fn is_of(&self, stamp: &ModelStamp) -> rusqlite::Result<bool> {
        let query = "select count(*) from model where descriptor_hash = ? and embedding = ?";
        self.connection
            .query_row(query, params![stamp.descriptor_hash, stamp.embedding as i64], |row| row.get::<_, i64>(0))
            .map(|count| count == 1)
    }

    fn begin_anew(&self, stamp: &ModelStamp) -> rusqlite::Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute_batch("drop table if exists model; drop table if exists embedded;")?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction
            .execute("insert into model values (?, ?)", params![stamp.descriptor_hash, stamp.embedding as i64])?;
        transaction.commit()
    }

    /// What is there already.
    pub(super) fn contents(&self) -> Result<HashMap<ContentKey, Content>> {
        let read = || {
            let mut statement = self.connection.prepare("select sha256, region, reason from embedded")?;
            let rows = statement.query_map([], |row| {
                let reason: Option<String> = row.get(2)?;
                Ok((wanted(row)?, reason.map_or(Content::Embedded, Content::Refused)))
            })?;
            rows.collect::<rusqlite::Result<HashMap<_, _>>>()
        };
        read().map_err(|error| self.fault(error))
    }

    /// Keeps what came of one picture.
    pub fn keep(
        &self,
        sha: &Sha,
        region: Option<Region>,
        outcome: std::result::Result<&ShopPicture, &str>,
    ) -> Result<()> {
        let write = || {
            let query = "insert or replace into embedded values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
            let mut statement = self.connection.prepare_cached(query)?;
            let (picture, reason) = (outcome.ok(), outcome.err());
            let detection = picture.map(|picture| &picture.detection);
            let corner = |place: usize| detection.map(|detection| f64::from(detection.bounds.corners()[place]));
            statement.execute(params![
                sha,
                region_key(region),
                reason,
                picture.map(|picture| &picture.thumbnail_jpeg),
                detection.map(|detection| detection.class as i64),
                detection.map(|detection| f64::from(detection.score)),
                corner(0),
                corner(1),
                corner(2),
                corner(3),
                detection.map(|detection| encode(&detection.match_embedding)),
                detection.map(|detection| encode(&detection.aggregation_embedding)),
                picture.map(|picture| picture.detail),
            ])
        };
        write().map(drop).map_err(|error| self.fault(error))
    }

    /// One embedded picture; `None` where it is not there or shows no garment.
    pub fn picture(&self, sha: &Sha, region: Option<Region>) -> Result<Option<ShopPicture>> {
        let query = "select thumbnail, class, score, x1, y1, x2, y2, match_embedding, aggregation_embedding, detail
                     from embedded where sha256 = ? and region = ? and reason is null";
        self.connection
            .prepare_cached(query)
            .and_then(|mut statement| statement.query_row(params![sha, region_key(region)], shop_picture).optional())
            .map_err(|error| self.fault(error))
    }

    /// The import is done: deletes the file.
    pub fn done(self) -> Result<()> {
        let UnfinishedImport { connection, path } = self;
        // Deleted while it is locked still, so that nobody opens it in between.
        path.as_deref().map_or(Ok(()), delete_database)?;
        drop(connection);
        Ok(())
    }

    /// Whether an import into `catalogue`, by whatever process, has embedded something just now.
    pub fn is_active(catalogue: &Path) -> bool {
        let path = path_of(catalogue);
        [beside(&path, "-wal"), path].iter().any(|path| {
            let written = std::fs::metadata(path).and_then(|file| file.modified()).ok();
            written.and_then(|written| written.elapsed().ok()).is_some_and(|age| age < ACTIVE)
        })
    }

    /// The file that an import into `catalogue` has left, for the next one.
    pub fn left_at(catalogue: &Path) -> Option<PathBuf> {
        Some(path_of(catalogue)).filter(|path| path.exists())
    }

    /// Deletes what an import into `catalogue` has left: of a first import that was refused.
    pub fn delete(catalogue: &Path) -> Result<()> {
        delete_database(&path_of(catalogue))
    }

    fn fault(&self, error: rusqlite::Error) -> Fault {
        fault(self.path.as_deref(), error)
    }
}

fn path_of(catalogue: &Path) -> PathBuf {
    beside(catalogue, "-import")
}

fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn fault(path: Option<&Path>, error: rusqlite::Error) -> Fault {
    let path = path.unwrap_or(Path::new(":memory:"));
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Fault::new(Kind::Busy, "another import into this catalogue is under way").cure("wait until it is done")
        }
        Some(ErrorCode::AuthorizationForStatementDenied) => {
            let text = format!("{} is not vetrina's", path.display());
            Fault::new(Kind::Storage, text).cause(error.to_string()).cure("move it away")
        }
        _ => sql_fault(path, "change", error),
    }
}

fn encode(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn shop_picture(row: &Row) -> rusqlite::Result<ShopPicture> {
    let real = |column: usize| row.get::<_, f64>(column).map(|value| value as f32);
    let class: i64 = row.get(1)?;
    let embedding = |column: usize| -> rusqlite::Result<Vec<f32>> {
        Ok(decode_embedding(row.get_ref(column)?.as_blob()?).collect())
    };
    let detection = Detection {
        bounds: Rect::new(real(3)?, real(4)?, real(5)?, real(6)?),
        class: usize::try_from(class).unwrap_or(usize::MAX),
        score: real(2)?,
        match_embedding: embedding(7)?.into(),
        aggregation_embedding: embedding(8)?.into(),
    };
    Ok(ShopPicture { detection, detail: row.get(9)?, thumbnail_jpeg: row.get(0)? })
}
