//! Square's item export: a row for each variation. It has no pictures; a column `image_link` that the shop adds has.

use super::field::Field;
use super::item::FeedItem;
use super::options::is_size;
use super::sections::{self, RowKind, SectionRow, ShopRows};
use super::table::{ColumnIndex, FeedRecord, FeedTable};
use std::collections::HashSet;

/// Columns that are read, but for the options.
const COLUMNS: [&str; 8] =
    ["token", "item_name", "variation_name", "sku", "categories", "category", "archived", "gtin"];
/// In newer and older exports.
const CATEGORY: [&str; 3] = ["categories", "category", "reporting_category"];
/// What the only variation of an item is called.
const ONLY: &str = "Regular";
/// Pieces at one place of the shop: `Current Quantity Bottega Milano`.
const STOCK: &str = "current_quantity";

/// Where a token is that of an item.
const BY_TOKEN: ShopRows = ShopRows {
    kind,
    group: &["token", "item_name"],
    sku: &["sku"],
    title: &["item_name"],
    visible: &[],
    options,
    fill: |row, item| fill(row, item, "token"),
};

/// Where each variation has a token of its own.
const BY_NAME: ShopRows =
    ShopRows { group: &["item_name"], fill: |row, item| fill(row, item, "item_name"), ..BY_TOKEN };

/// Whether a column is one of Square's.
pub fn is_known(key: &str) -> bool {
    COLUMNS.contains(&key) || key.starts_with(STOCK) || key.starts_with("option_name_")
}

/// Whether the table is such an export.
pub fn is_one(table: &FeedTable) -> bool {
    let columns = ColumnIndex::of(table);
    ["token", "item_name", "variation_name"].into_iter().all(|name| columns.has(name))
}

/// The variations, and how many the shop has put away.
pub fn items(table: &FeedTable) -> (Vec<FeedItem>, usize) {
    let columns = ColumnIndex::of(table);
    let hidden = table.records.iter().filter(|record| is_archived(&columns, record)).count();
    let mut tokens = HashSet::new();
    let is_repeated = |token: &str| !tokens.insert(token.to_owned());
    let of_items = table.records.iter().filter_map(|record| columns.get(record, "token")).any(is_repeated);
    (sections::items(table, if of_items { &BY_TOKEN } else { &BY_NAME }).0, hidden)
}

fn is_archived(columns: &ColumnIndex, record: &FeedRecord) -> bool {
    columns.get(record, "archived").is_some_and(|archived| archived.eq_ignore_ascii_case("y"))
}

fn kind(columns: &ColumnIndex, record: &FeedRecord) -> RowKind {
    if is_archived(columns, record) { RowKind::Unread } else { RowKind::ProductAndVariant }
}

/// The options, or of an item without any the name of the variation: most are sizes.
fn options(row: &SectionRow) -> Vec<(String, String)> {
    let options = sections::numbered_options(row);
    let name = row.own(&["variation_name"]).filter(|name| options.is_empty() && *name != ONLY);
    let named = name.map(|name| (if is_size(name) { "Size" } else { "" }.to_owned(), name.to_owned()));
    options.into_iter().chain(named).collect()
}

fn fill(row: &SectionRow, item: &mut FeedItem, group: &str) {
    for (field, names) in [
        (Field::ItemGroupId, &[group][..]),
        (Field::ProductType, &CATEGORY[..]),
        (Field::Price, &["price"][..]),
        (Field::Gtin, &["gtin"][..]),
        (Field::ImageLink, &["image_link"][..]),
    ] {
        item.add(field, row.own(names).unwrap_or_default());
    }
    let stock = row.own_where(|key| key.starts_with(STOCK)).next();
    item.add(Field::Quantity, stock.map_or("", |(_, pieces)| pieces));
}
