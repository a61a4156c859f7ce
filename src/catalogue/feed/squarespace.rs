//! Squarespace's product export: a product's row is its first variant, further ones follow without its texts.

use super::field::Field;
use super::item::FeedItem;
use super::sections::{self, RowKind, SectionRow, ShopRows, number};
use super::table::{ColumnIndex, FeedRecord, FeedTable};

const PRODUCT: [&str; 2] = ["product_id_[non_editable]", "product_url"];
/// Other columns that are read, but for the options.
const COLUMNS: [&str; 9] =
    ["title", "sku", "price", "sale_price", "on_sale", "stock", "categories", "visible", "hosted_image_urls"];

const ROWS: ShopRows = ShopRows {
    kind,
    group: &PRODUCT,
    sku: &["sku"],
    title: &["title"],
    visible: &["visible"],
    options: sections::numbered_options,
    fill,
};

/// Whether a column is one of Squarespace's.
pub fn is_known(key: &str) -> bool {
    PRODUCT.iter().chain(&COLUMNS).any(|known| *known == key)
        || ["option_name_", "option_value_"].iter().any(|start| key.starts_with(start))
}

/// Whether the table is such an export.
pub fn is_one(table: &FeedTable) -> bool {
    let columns = ColumnIndex::of(table);
    columns.has("hosted_image_urls") && columns.has("title") && columns.has_any(&PRODUCT)
}

/// The variants of all products, and how many the shop does not show.
pub fn items(table: &FeedTable) -> (Vec<FeedItem>, usize) {
    sections::items(table, &ROWS)
}

fn kind(columns: &ColumnIndex, record: &FeedRecord) -> RowKind {
    match columns.get(record, "title").or_else(|| columns.first(record, &PRODUCT)) {
        Some(_) => RowKind::ProductAndVariant,
        None => RowKind::Variant,
    }
}

fn fill(row: &SectionRow, item: &mut FeedItem) {
    item.add(Field::ProductType, row.of_product(&["categories"]).unwrap_or_default());
    item.add(Field::ImageLink, row.shared(&["hosted_image_urls"]).unwrap_or_default());
    item.add(Field::Price, row.own(&["price"]).unwrap_or_default());
    if row.own(&["on_sale"]).is_some_and(|on_sale| on_sale.eq_ignore_ascii_case("yes")) {
        item.add(Field::SalePrice, row.own(&["sale_price"]).unwrap_or_default());
    }
    match row.own(&["stock"]) {
        Some(pieces) if pieces.parse::<f64>().is_ok() => {
            item.add(Field::Quantity, format!("{:.0}", number(pieces).max(0.0)));
        }
        // "Unlimited"
        Some(_) => item.add(Field::Availability, "in_stock"),
        None => {}
    }
}
