//! What every format is read into: named columns, and records that know where they stand.

use super::field::key;
use std::borrow::Cow;
use std::collections::HashMap;

/// Rows of a table among which its column names are looked for: titles and dates may stand above them.
pub const MOST_TITLE_ROWS: usize = 20;
/// A row with so many known names holds the column names.
pub const FEWEST_KNOWN: usize = 2;

/// Named columns and their records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeedTable {
    /// As the file writes them.
    pub columns: Vec<String>,
    pub records: Vec<FeedRecord>,
    /// Where the first of `columns` with each name stands, of as many as are `placed`: [`FeedTable::column`] does the rest.
    places: HashMap<String, usize>,
    placed: usize,
}

/// One record of a feed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeedRecord {
    /// The line on which it begins, from 1; of a spreadsheet the row.
    pub line: u64,
    /// Column and raw value, in the file's order; empty values are left out. A column may occur several times.
    pub values: Vec<(usize, String)>,
    /// Why it cannot be used.
    pub problem: Option<String>,
}

impl FeedTable {
    /// The number of the column `name`, which is added where it is new: XML and JSON name each value.
    pub fn column(&mut self, name: &str) -> usize {
        for place in self.placed..self.columns.len() {
            self.places.entry(self.columns[place].clone()).or_insert(place);
        }
        let new = self.columns.len();
        let place = *self.places.entry(name.to_owned()).or_insert(new);
        if place == new {
            self.columns.push(name.to_owned());
        }
        self.placed = self.columns.len();
        place
    }

    /// A table with these columns and records.
    pub fn new(columns: Vec<String>, records: Vec<FeedRecord>) -> Self {
        FeedTable { columns, records, ..FeedTable::default() }
    }
}

impl FeedRecord {
    /// The first value of a column.
    pub fn get(&self, column: usize) -> Option<&str> {
        self.values.iter().find(|(other, _)| *other == column).map(|(_, value)| value.as_str())
    }
}

/// Where each column of a table stands, by its key.
pub struct ColumnIndex {
    by_key: HashMap<String, usize>,
    /// The key of each column.
    keys: Vec<String>,
}

impl ColumnIndex {
    pub fn of(table: &FeedTable) -> Self {
        Self::translated(table, |key| key.into())
    }

    /// With each key as `translate` has it.
    pub fn translated(table: &FeedTable, translate: impl Fn(&str) -> Cow<'_, str>) -> Self {
        let keys: Vec<String> = table.columns.iter().map(|name| translate(&key(name)).into_owned()).collect();
        let mut by_key = HashMap::new();
        for (column, key) in keys.iter().enumerate() {
            by_key.entry(key.clone()).or_insert(column);
        }
        ColumnIndex { by_key, keys }
    }

    pub fn has(&self, name: &str) -> bool {
        self.by_key.contains_key(name)
    }

    pub fn has_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name))
    }

    /// A record's value without the spaces around it; `None` where it is empty.
    pub fn get<'r>(&self, record: &'r FeedRecord, name: &str) -> Option<&'r str> {
        self.first(record, &[name])
    }

    /// All of a record's values in columns of these names.
    pub fn all<'r>(&self, record: &'r FeedRecord, names: &[&str]) -> impl Iterator<Item = &'r str> {
        let columns: Vec<usize> = names.iter().filter_map(|name| self.by_key.get(*name).copied()).collect();
        let values = record.values.iter().filter(move |(column, _)| columns.contains(column));
        values.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// A record's keys and values in the columns that `is` chooses, in the file's order.
    pub fn named<'r>(
        &'r self,
        record: &'r FeedRecord,
        is: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = (&'r str, &'r str)> {
        let named = record.values.iter().map(|(column, value)| (self.keys[*column].as_str(), value.trim()));
        named.filter(move |(key, value)| !value.is_empty() && is(key))
    }

    /// The same of a column that has several names: the first of them with a value.
    pub fn first<'r>(&self, record: &'r FeedRecord, names: &[&str]) -> Option<&'r str> {
        let value = names.iter().find_map(|name| record.get(*self.by_key.get(*name)?));
        value.map(str::trim).filter(|value| !value.is_empty())
    }
}

/// Where the lines of a text begin, whether they end with LF, CR LF or CR.
pub struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    pub fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        Lines { starts: std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect() }
    }

    /// The line of a byte, from 1.
    pub fn line(&self, byte: usize) -> u64 {
        self.starts.partition_point(|start| *start <= byte) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_columns_place_is_that_of_the_first_with_its_name() {
        let mut table = FeedTable::new(["a", "b", "a"].map(str::to_owned).into(), Vec::new());
        assert_eq!(["a", "b", "c", "a"].map(|name| table.column(name)), [0, 1, 3, 0]);
        table.columns.push("d".to_owned());
        assert_eq!(["d", "e", "c"].map(|name| table.column(name)), [4, 5, 3]);
        assert_eq!(table.columns, ["a", "b", "a", "c", "d", "e"]);
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        for text in ["a\nb\n\nc", "a\r\nb\r\n\r\nc", "a\rb\r\rc"] {
            let lines = Lines::of(text);
            let found = |word| lines.line(text.find(word).unwrap());
            assert_eq!([found("a"), found("b"), found("c")], [1, 2, 4], "{text:?}");
        }
    }
}
