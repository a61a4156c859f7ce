//! Tables whose columns are Google Merchant's, or are said to be by a [`ColumnMap`].

use super::UnknownColumn;
use super::field::{Field, is_known, key, nearest};
use super::input;
use super::item::FeedItem;
use super::map::ColumnMap;
use super::table::FeedTable;
use crate::fault::Result;

/// Which field each column is.
struct GoogleColumns {
    fields: Vec<Option<Field>>,
    /// Google's own: `g:title` counts before the `title` of RSS and Atom.
    prefixed: Vec<bool>,
    unknown: Vec<UnknownColumn>,
}

/// The products of a table, one a record.
///
/// # Errors
/// [`Kind::Input`](crate::fault::Kind::Input) where a required column is missing, or a column stands twice.
pub fn items(table: &FeedTable, map: &ColumnMap) -> Result<(Vec<FeedItem>, Vec<UnknownColumn>)> {
    let columns = GoogleColumns::of(table, map)?;
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
    Ok((table.records.iter().enumerate().map(item).collect(), columns.unknown))
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
                return Err(input(format!("the column {:?} stands twice in its first line", field.name()))
                    .cure("leave one of them out"));
            }
            let is_foreign = name.contains(':') && !prefixed && !name.contains(' ');
            if field.is_none() && !is_known(&key) && !key.is_empty() && !is_foreign && map.fields(name).next().is_none()
            {
                let name = name.trim().chars().take(80).collect();
                columns.unknown.push(UnknownColumn { name, nearest: nearest(&key) });
            }
            columns.fields.push(field);
            columns.prefixed.push(prefixed);
        }
        match Field::REQUIRED.into_iter().find(|field| !columns.has(*field) && !map.maps(*field)) {
            None => Ok(columns),
            Some(missing) => Err(missing_column(table, missing)),
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

fn missing_column(table: &FeedTable, missing: Field) -> crate::fault::Fault {
    let found: Vec<String> = table.columns.iter().take(12).map(|name| name.chars().take(30).collect()).collect();
    input(format!("it has no column {:?} (found: {})", missing.name(), found.join(", "))).cure(format!(
        "id, title and image_link are required; say which columns these are: --map {}=COLUMN,...",
        missing.name()
    ))
}
