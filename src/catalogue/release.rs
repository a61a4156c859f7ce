//! Releases: a catalogue as a hub publishes it for one shop.
//!
//! A *snapshot* is a catalogue file with one generation. A *delta* is a catalogue file with only those products that differ from
//! an earlier release; the table `removed` names those that are gone, and a content whose thumbnail is empty is one that the
//! earlier release has. [`mod@write`] makes both, [`mod@apply`] takes either over as a generation of its own, in one transaction.
//!
//! Worn views come with it ([`worn`]).
//!
//! The *state* of a catalogue is a hash of what is searched and shown, whatever way led there: after a delta it must be the one
//! that the hub published.

pub mod apply;
pub mod worn;
pub mod write;

use super::records::{PRODUCT_COLUMNS, hex};
use super::store::{Catalogue, read_stamp};
use crate::fault::{Fault, Kind, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The setting that holds the [`ReleaseMark`].
const RELEASE: &str = "release";

/// Which release a catalogue is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ReleaseMark {
    pub shop: String,
    /// Counted from 1 for each shop, never used twice.
    pub number: u64,
    /// See [`Catalogue::state`].
    pub state: String,
    /// UTC, RFC 3339, by the hub's clock.
    pub made: String,
    /// Name of the model folder that it brings, a hash of its files; `None`: the mirror has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_folder: Option<String>,
    /// Keys of the mirror's configuration that the hub sets, as TOML; empty: none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub configuration: String,
}

/// The columns of a table but those that are named, whatever the schema of this vetrina has.
fn columns_of(connection: &Connection, table: &str, but: &[&str]) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("select name from pragma_table_info(?) order by cid")?;
    let all = statement.query_map([table], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    Ok(all.into_iter().filter(|name| !but.contains(&name.as_str())).collect())
}

/// What the network saw in a picture: all columns of `descriptor` but its key.
fn descriptor_columns(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    columns_of(connection, "descriptor", &["content_id", "region"])
}

/// What a picture of a product is and what the network saw in it, in the schema `schema`: one row for each picture.
fn seen(schema: &str, columns: &[String]) -> String {
    format!(
        "select shown.product_id as product_id, shown.position as position, shown.source as source, content.sha256 as sha256,
         {}
         from {schema}.product as product
         join {schema}.picture_version as shown on shown.product_id = product.id and shown.since = product.since
         join {schema}.content as content on content.id = shown.content_id
         join {schema}.descriptor as descriptor on descriptor.content_id = content.id
         and descriptor.region = coalesce(product.region, '')",
        columns.join(", ")
    )
}

impl Catalogue {
    /// Which release this is; `None` for a catalogue that no hub made.
    pub fn release(&self) -> Result<Option<ReleaseMark>> {
        let text: Option<String> = self
            .connection
            .query_row("select value from setting where name = ?", [RELEASE], |row| row.get(0))
            .optional()
            .map_err(|error| self.fault("read", error))?;
        // What cannot be read is no mark: the next release is taken whole.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// A hash, in hexadecimal, of the model, the products, their pictures' contents and their descriptors.
    pub fn state(&self) -> Result<String> {
        state(&self.connection).map_err(|error| self.fault("read", error))
    }
}

fn state(connection: &Connection) -> rusqlite::Result<String> {
    let mut hasher = Sha256::new();
    if let Some(stamp) = read_stamp(connection)? {
        add(&mut hasher, ValueRef::Text(stamp.descriptor_hash.as_bytes()));
        add(&mut hasher, ValueRef::Integer(stamp.embedding as i64));
    }
    let products = format!("select {PRODUCT_COLUMNS}, position, region from product order by id");
    let columns = descriptor_columns(connection)?;
    let pictures = format!("{} order by shown.product_id, shown.position", seen("main", &columns));
    for query in [products, pictures] {
        let mut statement = connection.prepare(&query)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            for column in 0..columns {
                add(&mut hasher, row.get_ref(column)?);
            }
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// Adds a value so that no two sequences of values give the same bytes.
fn add(hasher: &mut Sha256, value: ValueRef) {
    let (kind, bytes): (u8, &[u8]) = match value {
        ValueRef::Null => (0, &[]),
        ValueRef::Integer(number) => {
            hasher.update([1]);
            return hasher.update(number.to_le_bytes());
        }
        ValueRef::Real(number) => {
            hasher.update([2]);
            return hasher.update(number.to_bits().to_le_bytes());
        }
        ValueRef::Text(text) => (3, text),
        ValueRef::Blob(blob) => (4, blob),
    };
    hasher.update([kind]);
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// Puts everything into the one file, which then is a release's.
fn seal(catalogue: Catalogue) -> Result<()> {
    for name in ["new", "old"] {
        // It may not be there.
        let _ = catalogue.connection.execute_batch(&format!("detach database {name}"));
    }
    catalogue.checkpoint();
    let sealed = catalogue.connection.query_row("pragma main.journal_mode = delete", [], |row| row.get::<_, String>(0));
    match sealed {
        Ok(mode) if mode == "delete" => Ok(()),
        Ok(_) => Err(Fault::new(Kind::Busy, format!("another process has opened {}", catalogue.path().display()))),
        Err(error) => Err(catalogue.fault("write", error)),
    }
}
