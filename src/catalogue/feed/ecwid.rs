//! Ecwid's catalogue export: rows say what they are, a product, one of its options or one of its variations.

use super::field::Field;
use super::item::FeedItem;
use super::sections::{self, RowKind, SectionRow, ShopRows};
use super::shopify::escaped;
use super::table::{ColumnIndex, FeedRecord, FeedTable};

const PICTURE: &str = "product_media_main_image_url";
const MORE_PICTURES: &str = "product_media_gallery_image_url_";
/// A column for each option, with or without braces: `product_variation_option_{Size}`.
const OPTION: &str = "product_variation_option_";
/// Other columns that are read.
const COLUMNS: [&str; 12] = [
    "type",
    "product_internal_id",
    "product_name",
    "product_sku",
    "product_variation_sku",
    "product_price",
    "product_compare_to_price",
    "product_is_inventory_tracked",
    "product_quantity",
    "product_is_available",
    "product_brand",
    "product_upc",
];

const ROWS: ShopRows = ShopRows {
    kind,
    group: &["product_internal_id", "product_sku"],
    sku: &["product_variation_sku", "product_sku"],
    title: &["product_name"],
    visible: &["product_is_available"],
    options,
    fill,
};

/// Whether a column is one of Ecwid's.
pub fn is_known(key: &str) -> bool {
    COLUMNS.contains(&key) || key.starts_with(OPTION) || key.starts_with("product_media_")
}

/// Whether the table is such an export.
pub fn is_one(table: &FeedTable) -> bool {
    let columns = ColumnIndex::of(table);
    ["type", "product_name", PICTURE].into_iter().all(|name| columns.has(name))
}

/// The products and variations, and how many the shop does not show.
pub fn items(table: &FeedTable) -> (Vec<FeedItem>, usize) {
    sections::items(table, &ROWS)
}

fn kind(columns: &ColumnIndex, record: &FeedRecord) -> RowKind {
    match columns.get(record, "type").unwrap_or_default() {
        "product" => RowKind::Product,
        "product_variation" => RowKind::Variant,
        "product_option" => RowKind::Other,
        _ => RowKind::Unread,
    }
}

fn options(row: &SectionRow) -> Vec<(String, String)> {
    let named = row.own_where(|key| key.starts_with(OPTION));
    named.map(|(key, value)| (key[OPTION.len()..].trim_matches(['{', '}']).to_owned(), value.to_owned())).collect()
}

fn fill(row: &SectionRow, item: &mut FeedItem) {
    item.add(Field::Brand, row.of_product(&["product_brand"]).unwrap_or_default());
    item.add(Field::Gtin, row.own(&["product_upc"]).unwrap_or_default());
    let path = row.of_product(&["product_category_1"]).unwrap_or_default();
    item.add(Field::ProductType, path.split('/').map(str::trim).collect::<Vec<_>>().join(" > "));
    // A variation with a picture of its own has no others: the product's may show another colour.
    item.add(Field::ImageLink, row.shared(&[PICTURE]).unwrap_or_default());
    if row.own(&[PICTURE]).is_none() || !row.is_variant() {
        let more = row.of_product_where(|key| key.starts_with(MORE_PICTURES));
        more.for_each(|(_, link)| item.add(Field::AdditionalImageLink, escaped(link)));
    }
    let price = row.shared(&["product_price"]).unwrap_or_default();
    sections::add_price(item, price, row.shared(&["product_compare_to_price"]));
    let is_tracked = row.shared(&["product_is_inventory_tracked"]).is_some_and(|tracked| tracked == "true");
    match row.shared(&["product_quantity"]).filter(|_| is_tracked) {
        Some(pieces) => item.add(Field::Quantity, pieces),
        None => item.add(Field::Availability, "in_stock"),
    }
}
