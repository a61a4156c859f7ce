//! Lightspeed's product export (eCom): a row for each variant, which repeats what its product has; texts in a column for each
//! language, `NL_Title_Short`.

use super::field::Field;
use super::item::FeedItem;
use super::sections::{self, RowKind, SectionRow, ShopRows, number};
use super::table::{ColumnIndex, FeedTable};

const TITLE: &str = "_title_short";
const OPTIONS: &str = "_variant";
/// Levels of the category path.
const LEVELS: usize = 3;
/// Columns that are read in any case.
const COLUMNS: [&str; 12] = [
    "internal_id",
    "internal_variant_id",
    "visible",
    "brand",
    "price",
    "price_old",
    "stock_track",
    "stock_disable_sold_out",
    "stock_level",
    "ean",
    "sku",
    "images",
];

const ROWS: ShopRows = ShopRows {
    kind: |_, _| RowKind::ProductAndVariant,
    group: &["internal_id"],
    sku: &["sku"],
    title: &[],
    visible: &["visible"],
    options,
    fill,
};

/// Whether a column is one of Lightspeed's.
pub fn is_known(key: &str) -> bool {
    COLUMNS.contains(&key) || language(key, TITLE).is_some() || language(key, OPTIONS).is_some()
}

/// Whether the table is such an export.
pub fn is_one(table: &FeedTable) -> bool {
    let columns = ColumnIndex::of(table);
    ["internal_id", "internal_variant_id", "images"].into_iter().all(|name| columns.has(name))
}

/// The variants, and how many the shop does not show.
pub fn items(table: &FeedTable) -> (Vec<FeedItem>, usize) {
    sections::items(table, &ROWS)
}

/// `nl` of `nl_title_short`.
fn language<'k>(key: &'k str, end: &str) -> Option<&'k str> {
    key.strip_suffix(end).filter(|language| language.len() == 2)
}

/// Of `"Kleur: Wit","Maat: S"` the names and values, in the first language that has them. What has no variants is "Default".
fn options(row: &SectionRow) -> Vec<(String, String)> {
    let text = row.own_where(|key| language(key, OPTIONS).is_some()).next().map_or("", |(_, text)| text);
    let bytes = text.as_bytes();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(bytes);
    let parts = reader.records().next().and_then(Result::ok).unwrap_or_default();
    let pairs = parts.iter().filter_map(|part| part.split_once(':'));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

fn fill(row: &SectionRow, item: &mut FeedItem) {
    item.add(Field::ItemGroupId, row.own(&["internal_id"]).unwrap_or_default());
    if let Some((key, title)) = row.own_where(|key| language(key, TITLE).is_some()).next() {
        item.add(Field::Title, title);
        let language = &key[..key.len() - TITLE.len()];
        let level = |level: usize| row.own(&[&format!("{language}_category_{level}")]);
        item.add(Field::ProductType, (1..=LEVELS).filter_map(level).collect::<Vec<_>>().join(" > "));
    }
    item.add(Field::Brand, row.own(&["brand"]).unwrap_or_default());
    item.add(Field::Gtin, row.own(&["ean"]).unwrap_or_default());
    item.add(Field::ImageLink, row.own(&["images"]).unwrap_or_default());
    sections::add_price(item, row.own(&["price"]).unwrap_or_default(), row.own(&["price_old"]));
    let says = |name: &str, word: &str| row.own(&[name]).is_some_and(|value| value.eq_ignore_ascii_case(word));
    let pieces = row.own(&["stock_level"]).unwrap_or_default();
    // What is not counted, or may be ordered all the same, is not out of stock.
    let sells_on = says("stock_track", "n") || (says("stock_disable_sold_out", "n") && number(pieces) <= 0.0);
    match sells_on {
        true => item.add(Field::Availability, "in_stock"),
        false => item.add(Field::Quantity, pieces),
    }
}
