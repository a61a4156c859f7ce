//! Wix's product export, with the columns of its older and its newer catalogues: a product's row, then its variants'.

use super::field::Field;
use super::item::FeedItem;
use super::sections::{self, RowKind, SectionRow, ShopRows, number};
use super::shopify::escaped;
use super::table::{ColumnIndex, FeedRecord, FeedTable};
use crate::catalogue::price::with_amount;

const HANDLE: [&str; 2] = ["handle_id", "handle"];
const PICTURES: [&str; 2] = ["product_image_url", "media"];
const CATEGORY: [&str; 2] = ["collection", "primary_category_slug"];
/// Other columns that are read, but for the options.
const COLUMNS: [&str; 11] = [
    "field_type",
    "name",
    "sku",
    "brand",
    "visible",
    "price",
    "surcharge",
    "strikethrough_price",
    "discount_mode",
    "discount_value",
    "inventory",
];
/// Options of a product.
const MOST_OPTIONS: usize = 6;

const ROWS: ShopRows =
    ShopRows { kind, group: &HANDLE, sku: &["sku"], title: &["name"], visible: &["visible"], options, fill };

/// Whether a column is one of Wix's.
pub fn is_known(key: &str) -> bool {
    HANDLE.iter().chain(&PICTURES).chain(&CATEGORY).chain(&COLUMNS).any(|known| *known == key)
        || key.starts_with("product_option_")
}

/// Whether the table is such an export.
pub fn is_one(table: &FeedTable) -> bool {
    let columns = ColumnIndex::of(table);
    columns.has("field_type") && columns.has("name") && columns.has_any(&HANDLE) && columns.has_any(&PICTURES)
}

/// The products and variants, and how many the shop does not show.
pub fn items(table: &FeedTable) -> (Vec<FeedItem>, usize) {
    sections::items(table, &ROWS)
}

fn kind(columns: &ColumnIndex, record: &FeedRecord) -> RowKind {
    match columns.get(record, "field_type").unwrap_or_default().to_ascii_lowercase().as_str() {
        "product" => RowKind::Product,
        "variant" => RowKind::Variant,
        _ => RowKind::Other,
    }
}

/// A variant has one value of each option; a product without variants may have several.
fn options(row: &SectionRow) -> Vec<(String, String)> {
    let mut options = Vec::new();
    for place in 1..=MOST_OPTIONS {
        let [name, values, choices] =
            ["name", "description", "choices"].map(|part| format!("product_option_{part}{place}"));
        let Some(name) = row.shared(&[&name]) else { continue };
        let values = row.own(&[&values, &choices]).unwrap_or_default().split(';').map(color_name);
        options.extend(values.filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value.to_owned())));
    }
    options
}

/// `#ff0000:Red` is Red.
fn color_name(value: &str) -> &str {
    let value = value.trim();
    value.strip_prefix('#').and_then(|rest| rest.split_once(':')).map_or(value, |(_, name)| name.trim())
}

fn fill(row: &SectionRow, item: &mut FeedItem) {
    item.add(Field::Brand, row.of_product(&["brand"]).unwrap_or_default());
    item.add(Field::ProductType, row.of_product(&CATEGORY).unwrap_or_default());
    let mut pictures = row.shared(&PICTURES).unwrap_or_default().split(';').map(str::trim);
    item.add(Field::ImageLink, pictures.next().unwrap_or_default());
    pictures.for_each(|link| item.add(Field::AdditionalImageLink, escaped(link)));
    add_price(row, item);
    match row.shared(&["inventory"]).unwrap_or_default() {
        pieces if pieces.parse::<f64>().is_ok() => item.add(Field::Quantity, format!("{:.0}", number(pieces).max(0.0))),
        word => item.add(Field::Availability, word),
    }
}

fn add_price(row: &SectionRow, item: &mut FeedItem) {
    let value = |name: &str| number(row.shared(&[name]).unwrap_or_default());
    let surcharge = if row.is_variant() { number(row.own(&["surcharge"]).unwrap_or_default()) } else { 0.0 };
    let price = value("price") + surcharge;
    let written = match row.shared(&["price"]) {
        Some(price) if surcharge == 0.0 => price.to_owned(),
        Some(base) => with_amount(base, price),
        None => String::new(),
    };
    let percent = row.shared(&["discount_mode"]).is_some_and(|mode| mode.eq_ignore_ascii_case("percent"));
    let discount = value("discount_value") * if percent { price / 100.0 } else { 1.0 };
    let before = row.shared(&["strikethrough_price"]).filter(|before| number(before) > price);
    match before {
        Some(before) => {
            item.add(Field::Price, before);
            item.add(Field::SalePrice, written);
        }
        None if discount > 0.0 => {
            item.add(Field::SalePrice, with_amount(&written, price - discount));
            item.add(Field::Price, written);
        }
        None => item.add(Field::Price, written),
    }
}
