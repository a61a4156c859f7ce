//! Square's item export: a row for each variation. It has no pictures; a column `image_link` that the shop adds has.

use super::field::Field;
use super::item::FeedItem;
use super::sections::{self, RowKind, SectionRow, ShopRows};
use super::table::{ColumnIndex, FeedRecord, FeedTable};

/// Columns that are read, but for the options.
const COLUMNS: [&str; 7] = ["token", "item_name", "variation_name", "sku", "categories", "archived", "gtin"];
/// Pieces at one place of the shop: `Current Quantity Bottega Milano`.
const STOCK: &str = "current_quantity";

const ROWS: ShopRows = ShopRows {
    kind,
    group: &["token", "item_name"],
    sku: &["sku"],
    title: &["item_name"],
    visible: &[],
    options: sections::numbered_options,
    fill,
};

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
    (sections::items(table, &ROWS).0, hidden)
}

fn is_archived(columns: &ColumnIndex, record: &FeedRecord) -> bool {
    columns.get(record, "archived").is_some_and(|archived| archived.eq_ignore_ascii_case("y"))
}

fn kind(columns: &ColumnIndex, record: &FeedRecord) -> RowKind {
    if is_archived(columns, record) { RowKind::Unread } else { RowKind::ProductAndVariant }
}

fn fill(row: &SectionRow, item: &mut FeedItem) {
    for (field, name) in [
        (Field::ItemGroupId, "token"),
        (Field::ProductType, "categories"),
        (Field::Price, "price"),
        (Field::Gtin, "gtin"),
        (Field::ImageLink, "image_link"),
    ] {
        item.add(field, row.own(&[name]).unwrap_or_default());
    }
    let stock = row.own_where(|key| key.starts_with(STOCK)).next();
    item.add(Field::Quantity, stock.map_or("", |(_, pieces)| pieces));
}
