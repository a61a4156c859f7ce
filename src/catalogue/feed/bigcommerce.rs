//! BigCommerce's product export, modern and legacy: a product's row, then those of its variants and, in the modern one, its pictures.

use super::field::Field;
use super::item::FeedItem;
use super::sections::{self, RowKind, SectionRow, ShopRows, number};
use super::shopify::escaped;
use super::table::{ColumnIndex, FeedRecord, FeedTable};

/// Columns of both formats, the legacy name second.
const ITEM: [&str; 2] = ["item", "item_type"];
const SKU: [&str; 2] = ["sku", "product_code/sku"];
const NAME: [&str; 2] = ["name", "product_name"];
const GROUP: [&str; 4] = ["sku", "product_code/sku", "id", "product_id"];
const TRACKING: [&str; 2] = ["inventory_tracking", "track_inventory"];
const STOCK: [&str; 2] = ["current_stock", "current_stock_level"];
const CATEGORIES: [&str; 2] = ["categories", "category"];
const VISIBLE: [&str; 3] = ["is_visible", "product_visible?", "product_visible"];
/// Columns of one format.
const COLUMNS: [&str; 5] = ["options", "price", "sale_price", "brand_name", "variant_image_url"];
/// Of a picture's row: where the shop has it, or where it was taken from.
const PICTURE: [&str; 2] = ["internal_image_url_(export)", "image_url_(import)"];
/// All pictures of a legacy product in one column: `Product Image File: a.jpg, Product Image URL: https://...|Product Image File: ...`.
const MERGED: [&str; 2] = ["images", "product_images"];
const GTIN: [&str; 3] = ["gtin", "upc/ean", "product_upc/ean"];
/// Pictures in a legacy product's row.
const MOST_PICTURES: usize = 20;
/// Of all kinds together: each variant may have all of them.
const MOST_OF_PRODUCT: usize = 250;

const ROWS: ShopRows = ShopRows { kind, group: &GROUP, sku: &SKU, title: &NAME, visible: &VISIBLE, options, fill };

/// Whether a column is one of BigCommerce's.
pub fn is_known(key: &str) -> bool {
    let lists = [ITEM, SKU, NAME, TRACKING, STOCK, CATEGORIES, PICTURE, MERGED];
    let mut all = lists.iter().flatten().chain(&COLUMNS).chain(&VISIBLE).chain(&GTIN);
    all.any(|known| *known == key) || key.starts_with("product_image_")
}

/// Whether the table is such an export.
pub fn is_one(table: &FeedTable) -> bool {
    let columns = ColumnIndex::of(table);
    let has_pictures = columns.has_any(&PICTURE)
        || columns.has_any(&["product_image_file___1", "product_image_url___1"])
        || columns.has_any(&MERGED);
    columns.has_any(&ITEM) && columns.has_any(&NAME) && columns.has_any(&SKU) && has_pictures
}

/// The products and variants, and how many the shop does not show.
pub fn items(table: &FeedTable) -> (Vec<FeedItem>, usize) {
    sections::items(table, &ROWS)
}

fn kind(columns: &ColumnIndex, record: &FeedRecord) -> RowKind {
    match columns.first(record, &ITEM).unwrap_or_default().to_ascii_lowercase().as_str() {
        "product" => RowKind::Product,
        "variant" | "sku" => RowKind::Variant,
        _ => RowKind::Other,
    }
}

/// `Type=Swatch|Name=Color|Value=Red[#ff0000]|Type=Rectangle|Name=Size|Value=S`; in the name of a legacy variant
/// `[CS]Color=Red:#ff0000,[RT]Size=S`.
fn options(row: &SectionRow) -> Vec<(String, String)> {
    if !row.is_variant() {
        return Vec::new();
    }
    let modern = row.own(&["options"]).unwrap_or_default().split("Type=").filter_map(|option| {
        let (name, value) = option.split_once("|Name=")?.1.split_once("|Value=")?;
        Some((name.to_owned(), bare_value(value, "[#")))
    });
    let legacy = row.own(&NAME).unwrap_or_default().split(",[").filter_map(|option| {
        let (name, value) = option.split_once(']')?.1.split_once('=')?;
        Some((name.to_owned(), bare_value(value, ":#")))
    });
    modern.chain(legacy).collect()
}

/// A value without the colour's code and what separates it from the next option.
fn bare_value(value: &str, code: &str) -> String {
    value.split(code).next().unwrap_or_default().trim_matches(['|', ' ', ';']).to_owned()
}

fn fill(row: &SectionRow, item: &mut FeedItem) {
    item.add(Field::Brand, row.of_product(&["brand_name"]).unwrap_or_default());
    item.add(Field::Gtin, row.own(&GTIN).unwrap_or_default());
    item.add(Field::ProductType, narrowest(row.of_product(&CATEGORIES).unwrap_or_default()));
    let own = Some(row).filter(|row| row.is_variant()).and_then(|row| row.own(&["variant_image_url"]));
    let mut pictures = own.map_or_else(|| pictures(row), |own| vec![own]).into_iter();
    item.add(Field::ImageLink, pictures.next().unwrap_or_default());
    pictures.for_each(|link| item.add(Field::AdditionalImageLink, escaped(link)));
    for (field, name) in [(Field::Price, "price"), (Field::SalePrice, "sale_price")] {
        // A variant without a price of its own has 0 or nothing.
        let price = [row.own(&[name]), row.of_product(&[name])].into_iter().flatten().find(|price| number(price) > 0.0);
        item.add(field, price.unwrap_or_default());
    }
    let tracking = row.of_product(&TRACKING).unwrap_or_default().to_ascii_lowercase();
    let pieces = match tracking.as_str() {
        "" | "none" => None,
        tracking if tracking.contains("product") => row.of_product(&STOCK),
        _ => row.own(&STOCK),
    };
    item.add(Field::Quantity, pieces.unwrap_or_default());
}

/// The product's pictures: rows of their own, or columns of its row, or all in one column.
fn pictures<'t>(row: &SectionRow<'t>) -> Vec<&'t str> {
    let columns = |place: usize| {
        let [url, file] = ["url", "file"].map(|part| format!("product_image_{part}___{place}"));
        row.of_product(&[&url, &file])
    };
    let merged = row.of_product(&MERGED).unwrap_or_default().split('|').filter_map(of_merged);
    row.others(&PICTURE).chain((1..=MOST_PICTURES).filter_map(columns)).chain(merged).take(MOST_OF_PRODUCT).collect()
}

/// One picture of a merged column, by its address or else by its file.
fn of_merged(picture: &str) -> Option<&str> {
    let part = |name: &str| picture.split_once(name)?.1.split(", Product Image").next();
    let parts = [part("Product Image URL:"), part("Product Image File:")];
    parts.into_iter().flatten().map(str::trim).find(|link| !link.is_empty())
}

/// Of `Women/Tops;Sale` the longest path, as Google writes one; nothing of the numbers that a modern export has.
fn narrowest(categories: &str) -> String {
    let paths = categories.split(';').map(str::trim).filter(|path| path.parse::<u64>().is_err());
    // max_by_key takes the last of equals.
    let longest = paths.rev().max_by_key(|path| path.matches('/').count()).unwrap_or_default();
    longest.split('/').map(str::trim).collect::<Vec<_>>().join(" > ")
}
