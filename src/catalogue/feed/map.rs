//! `--map`: which columns of an export are which of ours.

use super::field::{Field, key};
use crate::fault::{Fault, Kind, Result};

/// Columns by the field that they are, as `id=SKU,title=Name` says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnMap {
    pairs: Vec<(Field, String)>,
    /// An earlier import was given it: where it does not fit this feed, that is said, and no error.
    kept: bool,
}

impl ColumnMap {
    /// Parses `field=column,...`. A list field may occur several times.
    ///
    /// # Errors
    /// [`Kind::Usage`] where a field is not one of ours, or occurs twice.
    pub fn parse(text: &str) -> Result<Self> {
        let usage = |words: String| {
            let names: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
            Fault::new(Kind::Usage, words)
                .cure(format!("write --map FIELD=COLUMN,...; the fields are {}", names.join(", ")))
        };
        let mut map = ColumnMap::default();
        for pair in pairs(text) {
            let Some((name, column)) = pair.split_once('=') else {
                return Err(usage(format!("the column map says {pair:?}, which has no =")));
            };
            let Some(field) = Field::named(&key(name)) else {
                return Err(usage(format!("the column map names the unknown field {:?}", name.trim())));
            };
            if column.trim().is_empty() {
                return Err(usage(format!("the column map gives {} no column", field.name())));
            }
            if !field.is_list() && map.pairs.iter().any(|(other, _)| *other == field) {
                return Err(usage(format!("the column map names {} twice", field.name())));
            }
            map.pairs.push((field, column.trim().to_owned()));
        }
        Ok(map)
    }

    /// The same as one that an earlier import was given.
    pub fn kept(self) -> Self {
        ColumnMap { kept: true, ..self }
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Whether some column is this field.
    pub fn maps(&self, field: Field) -> bool {
        self.pairs.iter().any(|(other, _)| *other == field)
    }

    /// The fields that a column is.
    pub fn fields<'m>(&'m self, column: &str) -> impl Iterator<Item = Field> + use<'m> {
        let column = key(column);
        self.pairs.iter().filter(move |(_, name)| key(name) == column).map(|(field, _)| *field)
    }

    /// What of the map fits a feed with these columns, and what is to be said of the rest.
    ///
    /// # Errors
    /// [`Kind::Input`] where the feed lacks a column, unless the map was kept.
    pub fn fitting(&self, columns: &[String]) -> Result<(ColumnMap, Vec<String>)> {
        let has = |name: &str| columns.iter().any(|column| key(column) == key(name));
        let (pairs, missing): (Vec<_>, Vec<_>) = self.pairs.iter().cloned().partition(|(_, column)| has(column));
        let said = |(field, column): &(Field, String)| {
            format!("it has no column {column:?}, which the column map gives for {}", field.name())
        };
        match missing.first() {
            Some(first) if !self.kept => {
                let found: Vec<&str> = columns.iter().take(12).map(String::as_str).collect();
                Err(Fault::new(Kind::Input, said(first)).cure(format!("give --map anew (found: {})", found.join(", "))))
            }
            _ => Ok((ColumnMap { pairs, kept: self.kept }, missing.iter().map(said).collect())),
        }
    }
}

/// The parts of a map. A column's own name may hold commas, "Image URLs (x,y,z...)": what follows one without a `=` belongs to it.
fn pairs(text: &str) -> Vec<String> {
    let mut pairs: Vec<String> = Vec::new();
    for part in text.split(',') {
        match pairs.last_mut() {
            Some(before) if !part.contains('=') && !part.trim().is_empty() => {
                before.push(',');
                before.push_str(part.trim_end());
            }
            _ => pairs.push(part.trim().to_owned()),
        }
    }
    pairs.retain(|pair| !pair.is_empty());
    pairs
}

/// As [`ColumnMap::parse`] reads it.
impl std::fmt::Display for ColumnMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, (field, column)) in self.pairs.iter().enumerate() {
            write!(f, "{}{}={column}", if number == 0 { "" } else { "," }, field.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_read_and_written() {
        let map = ColumnMap::parse("id=SKU, title = Name,additional_image_link=P2,additional_image_link=P3").unwrap();
        assert_eq!(map.to_string(), "id=SKU,title=Name,additional_image_link=P2,additional_image_link=P3");
        assert_eq!(map.fields("sku").collect::<Vec<_>>(), [Field::Id]);
        let listed = ColumnMap::parse("title=Name *, image_link=Image URLs (x,y,z...),id=ID,").unwrap();
        assert_eq!(listed.fields("image urls (x,y,z...)").collect::<Vec<_>>(), [Field::ImageLink]);
        assert_eq!(ColumnMap::parse(&listed.to_string()).unwrap(), listed);
        let columns = ["SKU".to_owned(), "P2".to_owned(), "P3".to_owned()];
        assert!(map.fitting(&columns).unwrap_err().to_string().contains("no column \"Name\""));
        let (fitting, said) = map.clone().kept().fitting(&columns).unwrap();
        assert_eq!((fitting.maps(Field::Id), fitting.maps(Field::Title), said.len()), (true, false, 1));
        for (text, says) in [("id", "no ="), ("ida=x", "unknown field"), ("id=a,id=b", "twice"), ("id=", "no column")] {
            let fault = ColumnMap::parse(text).unwrap_err();
            assert!(fault.kind() == Kind::Usage && fault.to_string().contains(says), "{fault}");
        }
    }
}
