//! Options of an import that also hold for the next one.

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
        ColumnMap::parse(&self.setting(COLUMN_MAP)?).map(ColumnMap::kept)
    }

    /// The currency of the last import that was given one.
    pub fn currency(&self) -> Result<Currency> {
        Currency::parse(&self.setting(CURRENCY)?)
    }

    /// A setting; empty where it was never kept.
    pub(super) fn setting(&self, name: &str) -> Result<String> {
        let query = "select value from setting where name = ?";
        let text = self.connection.query_row(query, [name], |row| row.get(0)).optional();
        text.map(Option::unwrap_or_default).map_err(|error| self.fault("read", error))
    }
}

/// Keeps a setting; an empty one is forgotten.
pub(super) fn write_setting(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    if value.is_empty() {
        return connection.execute("delete from setting where name = ?", [name]).map(drop);
    }
    let query = "insert into setting values (?1, ?2) on conflict (name) do update set value = ?2";
    connection.execute(query, params![name, value]).map(drop)
}
