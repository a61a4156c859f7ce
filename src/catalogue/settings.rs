//! What an import was told and the next one needs.

use super::feed::ColumnMap;
use super::price::Currency;
use super::store::Catalogue;
use crate::fault::Result;
use rusqlite::{Connection, OptionalExtension, params};

/// The setting that holds a [`ColumnMap`].
pub(super) const COLUMN_MAP: &str = "column_map";

/// The setting that holds a [`Currency`].
pub(super) const CURRENCY: &str = "currency";

impl Catalogue {
    /// The column map of the last import that was given one.
    pub fn column_map(&self) -> Result<ColumnMap> {
        let text = read_setting(self, COLUMN_MAP)?;
        ColumnMap::parse(&text.unwrap_or_default()).map(ColumnMap::kept)
    }

    /// The currency of the last import that was given one.
    pub fn currency(&self) -> Result<Currency> {
        Currency::parse(&read_setting(self, CURRENCY)?.unwrap_or_default())
    }
}

pub(super) fn read_setting(catalogue: &Catalogue, name: &str) -> Result<Option<String>> {
    let query = "select value from setting where name = ?";
    let read = catalogue.connection.query_row(query, [name], |row| row.get(0)).optional();
    read.map_err(|error| catalogue.fault("read", error))
}

/// Keeps a setting; an empty one is forgotten.
pub(super) fn write_setting(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    if value.is_empty() {
        return connection.execute("delete from setting where name = ?", [name]).map(drop);
    }
    let query = "insert into setting values (?1, ?2) on conflict (name) do update set value = ?2";
    connection.execute(query, params![name, value]).map(drop)
}
