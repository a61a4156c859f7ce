//! Tables whose columns are Google Merchant's, or are said to be by a [`ColumnMap`].

use super::UnknownColumn;
use super::field::{Field, is_known, key, nearest};
use super::input;
use super::item::FeedItem;
use super::map::ColumnMap;
use super::suggest;
use super::table::{ColumnIndex, FeedRecord, FeedTable};
use crate::fault::{Fault, Result, and_more};

/// Unknown columns that are compared with known ones.
const MOST_COMPARED: usize = 200;

/// Which field each column is.
struct GoogleColumns {
    fields: Vec<Option<Field>>,
    /// Google's own: `g:title` counts before the `title` of RSS and Atom.
    prefixed: Vec<bool>,
    unknown: Vec<UnknownColumn>,
}

/// Columns that say whether the shop shows a product, and what they say where it does not. Of Meta's, and of exports that a map names.
const SHOWN: [&str; 8] =
    ["status", "visibility", "active", "is_active", "enabled", "published", "product_status", "product_online"];
const HIDDEN: [&str; 10] =
    ["archived", "draft", "disabled", "inactive", "hidden", "staging", "unpublished", "false", "no", "0"];

/// The products of a table, one a record; the columns that are not known; and how many products the shop does not show.
///
/// # Errors
/// [`Kind::Input`](crate::fault::Kind::Input) where a required column is missing, or a column stands twice.
pub fn items(table: &FeedTable, map: &ColumnMap) -> Result<(Vec<FeedItem>, Vec<UnknownColumn>, usize)> {
    let columns = GoogleColumns::of(table, map)?;
    let keys = ColumnIndex::of(table);
    // What a map reads as something else says nothing of it.
    let telling: Vec<&str> = SHOWN.into_iter().filter(|name| map.fields(name).next().is_none()).collect();
    let is_hidden = |record: &FeedRecord| {
        let mut said = telling.iter().filter_map(|name| keys.get(record, name));
        said.any(|value| HIDDEN.iter().any(|hidden| value.eq_ignore_ascii_case(hidden)))
    };
    let item = |(number, record)| {
        let mut item = FeedItem::of(record, number);
        let field = |column: usize| columns.fields[column];
        let googles = |wanted: Field| {
            record.values.iter().any(|(column, _)| columns.prefixed[*column] && field(*column) == Some(wanted))
        };
        for (column, value) in &record.values {
            if let Some(field) = field(*column).filter(|field| columns.prefixed[*column] || !googles(*field)) {
                item.add(field, value.as_str());
            }
        }
        item
    };
    let shown = table.records.iter().enumerate().filter(|(_, record)| !is_hidden(record));
    let items: Vec<FeedItem> = shown.map(item).collect();
    let hidden = table.records.len() - items.len();
    Ok((items, columns.unknown, hidden))
}

impl GoogleColumns {
    fn of(table: &FeedTable, map: &ColumnMap) -> Result<GoogleColumns> {
        let mut columns = GoogleColumns { fields: Vec::new(), prefixed: Vec::new(), unknown: Vec::new() };
        for name in &table.columns {
            let key = key(name);
            // A mapped field is taken by the map alone.
            let field = Field::named(&key).filter(|field| !map.maps(*field));
            let prefixed = name.starts_with("g:");
            if let Some(field) = field.filter(|field| !field.is_list() && columns.has_as(*field, prefixed)) {
                return Err(twice(table, &columns, field, name));
            }
            let is_foreign = name.contains(':') && !prefixed && !name.contains(' ');
            let is_read = is_known(&key) || SHOWN.contains(&key.as_str());
            if field.is_none() && !is_read && !key.is_empty() && !is_foreign && map.fields(name).next().is_none() {
                let name = name.trim().chars().take(80).collect();
                // Of so many nobody reads more.
                let nearest = Some(&key).filter(|_| columns.unknown.len() < MOST_COMPARED).and_then(|key| nearest(key));
                columns.unknown.push(UnknownColumn { name, nearest });
            }
            columns.fields.push(field);
            columns.prefixed.push(prefixed);
        }
        let has = |field: Field| columns.has(field) || map.maps(field);
        // The first of several pictures is the main one where no column names it.
        let lacks = |field: &Field| !(has(*field) || *field == Field::ImageLink && has(Field::AdditionalImageLink));
        match Field::REQUIRED.into_iter().find(lacks) {
            None => Ok(columns),
            Some(missing) => Err(missing_column(table, map, missing)),
        }
    }

    fn has(&self, field: Field) -> bool {
        self.fields.contains(&Some(field))
    }

    fn has_as(&self, field: Field, prefixed: bool) -> bool {
        self.fields
            .iter()
            .zip(&self.prefixed)
            .any(|(other, other_prefixed)| *other == Some(field) && *other_prefixed == prefixed)
    }
}

/// `second`: the name of a further column of the field.
fn twice(table: &FeedTable, columns: &GoogleColumns, field: Field, second: &str) -> Fault {
    let first = columns.fields.iter().position(|other| *other == Some(field));
    let (first, second) = (first.map_or("", |column| table.columns[column].trim()), second.trim());
    if key(first) == key(second) {
        return input(format!("the column {second:?} stands twice in its first line")).cure("leave one of them out");
    }
    input(format!("its columns {first:?} and {second:?} are both {}", field.name()))
        .cure(format!("say which one counts: --map \"{}={first}\"", field.name()))
}

fn missing_column(table: &FeedTable, map: &ColumnMap, missing: Field) -> Fault {
    let found: Vec<String> = table.columns.iter().take(12).map(|name| name.chars().take(30).collect()).collect();
    let more = and_more(table.columns.len() - found.len());
    let proposal = suggest::complete(&table.columns, map).unwrap_or_default();
    input(format!("it has no column {:?} (found: {}{more})", missing.name(), found.join(", "))).cure(format!(
        "id, title and image_link are required; say which columns these are, for example --map \"{proposal}\""
    ))
}
