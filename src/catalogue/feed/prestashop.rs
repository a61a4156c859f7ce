//! PrestaShop's products, with the columns that its import and the exports for it have: a row for each product, and below it those of
//! its combinations, which [`super::prestashop_combinations`] puts there.

use super::field::Field;
use super::item::FeedItem;
use super::map::ColumnMap;
use super::sections::{self, RowKind, SectionRow, ShopRows, number};
use super::table::{ColumnIndex, FeedTable};
use crate::catalogue::price::with_amount;

/// Each list has a column's names in older and newer versions.
pub const ID: [&str; 2] = ["product_id", "id"];
const NAME: [&str; 3] = ["name_*", "name*", "name"];
const ACTIVE: &str = "active_(0/1)";
const PICTURES: &str = "image_urls_(x,y,z___)";
pub const PRICE: [&str; 2] = ["price_tax_included", "price_tax_excluded_or_price_tax_included"];
pub const PRICE_WITHOUT_TAX: &str = "price_tax_excluded";
/// Which of its product's pictures show a combination: 1 is the first.
const POSITIONS: [&str; 2] = ["image_position", "choose_among_product_images_by_position_(1,2,3___)"];
const BRAND: [&str; 2] = ["manufacturer", "brand"];
const GTIN: [&str; 4] = ["ean13", "ean_13", "upc", "isbn"];
const CATEGORIES: &str = "categories_(x,y,z___)";
const FROM: [&str; 2] = ["discount_from_(yyyy_mm_dd)", "reduction_from_(yyyy_mm_dd)"];
const TO: [&str; 2] = ["discount_to_(yyyy_mm_dd)", "reduction_to_(yyyy_mm_dd)"];
const AMOUNT: [&str; 2] = ["discount_amount", "reduction_amount"];
const PERCENT: [&str; 2] = ["discount_percent", "reduction_percent"];

/// Names of a combination's options: `Size:select:0, Color:color:1`.
pub const ATTRIBUTE: &str = "attribute_(name:type:position)";
/// Their values: `S:0, Black:1`.
const VALUE: &str = "value_(value:position)";
/// A combination's own; a product's is `Reference #`.
pub const REFERENCE: &str = "combination_reference";

const ROWS: ShopRows = ShopRows {
    kind: |columns, record| match columns.get(record, ATTRIBUTE) {
        Some(_) => RowKind::Variant,
        None => RowKind::Product,
    },
    group: &ID,
    sku: &[REFERENCE],
    title: &NAME,
    visible: &[ACTIVE],
    options,
    fill,
};

/// Whether a column is one of PrestaShop's.
pub fn is_known(key: &str) -> bool {
    [ACTIVE, PICTURES, PRICE_WITHOUT_TAX, CATEGORIES].contains(&key)
        || NAME.contains(&key)
        || PRICE.contains(&key)
        || BRAND.contains(&key)
}

/// Whether the table is such an export.
pub fn is_one(table: &FeedTable) -> bool {
    let columns = ColumnIndex::of(table);
    columns.has(ACTIVE) && columns.has(PICTURES) && columns.has_any(&NAME) && columns.has_any(&ID)
}

/// The products, and how many are not active.
pub fn items(table: &FeedTable) -> (Vec<FeedItem>, usize) {
    sections::items(table, &ROWS)
}

/// What is to be said of prices without tax: nobody pays them.
pub fn without_tax(table: &FeedTable, map: &ColumnMap) -> Option<String> {
    let columns = ColumnIndex::of(table);
    let is_untaxed = is_one(table) && columns.has(PRICE_WITHOUT_TAX) && !columns.has_any(&PRICE);
    (is_untaxed && !map.maps(Field::Price)).then(|| {
        "the prices are without tax and were left out; export the price with tax, or if this is what shoppers pay, say so: \
         --map \"price=Price tax excluded\""
            .to_owned()
    })
}

/// Of `Size:select:0, Color:color:1` and `S:0, Black:1` the names and values.
fn options(row: &SectionRow) -> Vec<(String, String)> {
    let parts = |column: &str| row.own(&[column]).unwrap_or_default().split(',');
    let names = parts(ATTRIBUTE).filter_map(|part| part.split(':').next());
    let values = parts(VALUE).map(|part| part.rsplit_once(':').map_or(part, |(value, _)| value));
    let pairs = names.zip(values).map(|(name, value)| (name.trim(), value.trim()));
    pairs.filter(|(name, _)| !name.is_empty()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn fill(row: &SectionRow, item: &mut FeedItem) {
    for (field, names) in
        [(Field::Brand, &BRAND[..]), (Field::ProductType, &[CATEGORIES][..]), (Field::Price, &PRICE[..])]
    {
        item.add(field, row.shared(names).unwrap_or_default());
    }
    item.add(Field::Gtin, row.own(&GTIN).unwrap_or_default());
    item.add(Field::Quantity, row.own(&["quantity"]).unwrap_or_default());
    item.add(Field::ImageLink, pictures(row));
    add_sale(row, item);
}

/// Its own pictures, those of its product that show it, or all.
fn pictures(row: &SectionRow) -> String {
    let all = row.shared(&[PICTURES]).unwrap_or_default();
    let positions = row.own(&POSITIONS).filter(|_| row.own(&[PICTURES]).is_none()).unwrap_or_default();
    let links: Vec<&str> = all.split(',').collect();
    let chosen =
        positions.split(',').filter_map(|number| links.get(number.trim().parse::<usize>().ok()?.checked_sub(1)?));
    let chosen: Vec<&str> = chosen.copied().collect();
    if chosen.is_empty() { all.to_owned() } else { chosen.join(",") }
}

/// A discount by an amount or by a part of the price, for a time or always.
fn add_sale(row: &SectionRow, item: &mut FeedItem) {
    let value = |names: &[&str]| number(row.shared(names).unwrap_or_default());
    let price = value(&PRICE);
    let written = row.shared(&PRICE).unwrap_or_default();
    let reduced = price - value(&AMOUNT) - price * value(&PERCENT) / 100.0;
    if reduced <= 0.0 || reduced >= price {
        return;
    }
    item.add(Field::SalePrice, with_amount(written, reduced));
    let day = |names: &[&str]| row.shared(names).filter(|day| !day.starts_with("0000")).unwrap_or_default();
    let [from, to] = [day(&FROM), day(&TO)];
    if !(from.is_empty() && to.is_empty()) {
        item.add(Field::SalePriceEffectiveDate, format!("{from}/{to}"));
    }
}
