//! PrestaShop's products, with the columns that its import and the exports for it have: a row for each product.

use super::field::Field;
use super::item::FeedItem;
use super::map::ColumnMap;
use super::sections::{self, RowKind, SectionRow, ShopRows, number};
use super::table::{ColumnIndex, FeedTable};

/// Each list has a column's names in older and newer versions.
const ID: [&str; 2] = ["product_id", "id"];
const NAME: [&str; 3] = ["name_*", "name*", "name"];
const ACTIVE: &str = "active_(0/1)";
const PICTURES: &str = "image_urls_(x,y,z___)";
const PRICE: [&str; 2] = ["price_tax_included", "price_tax_excluded_or_price_tax_included"];
const PRICE_WITHOUT_TAX: &str = "price_tax_excluded";
const BRAND: [&str; 2] = ["manufacturer", "brand"];
const GTIN: [&str; 4] = ["ean13", "ean_13", "upc", "isbn"];
const CATEGORIES: &str = "categories_(x,y,z___)";
const FROM: [&str; 2] = ["discount_from_(yyyy_mm_dd)", "reduction_from_(yyyy_mm_dd)"];
const TO: [&str; 2] = ["discount_to_(yyyy_mm_dd)", "reduction_to_(yyyy_mm_dd)"];
const AMOUNT: [&str; 2] = ["discount_amount", "reduction_amount"];
const PERCENT: [&str; 2] = ["discount_percent", "reduction_percent"];

const ROWS: ShopRows = ShopRows {
    kind: |_, _| RowKind::ProductAndVariant,
    group: &ID,
    sku: &[],
    title: &NAME,
    visible: &[ACTIVE],
    options: |_| Vec::new(),
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

fn fill(row: &SectionRow, item: &mut FeedItem) {
    for (field, names) in [
        (Field::Brand, &BRAND[..]),
        (Field::Gtin, &GTIN[..]),
        (Field::ProductType, &[CATEGORIES][..]),
        (Field::ImageLink, &[PICTURES][..]),
        (Field::Price, &PRICE[..]),
        (Field::Quantity, &["quantity"][..]),
    ] {
        item.add(field, row.own(names).unwrap_or_default());
    }
    add_sale(row, item);
}

/// A discount by an amount or by a part of the price, for a time or always.
fn add_sale(row: &SectionRow, item: &mut FeedItem) {
    let value = |names: &[&str]| number(row.own(names).unwrap_or_default());
    let price = value(&PRICE);
    let reduced = price - value(&AMOUNT) - price * value(&PERCENT) / 100.0;
    if reduced <= 0.0 || reduced >= price {
        return;
    }
    item.add(Field::SalePrice, format!("{reduced:.2}"));
    let day = |names: &[&str]| row.own(names).filter(|day| !day.starts_with("0000")).unwrap_or_default();
    let [from, to] = [day(&FROM), day(&TO)];
    if !(from.is_empty() && to.is_empty()) {
        item.add(Field::SalePriceEffectiveDate, format!("{from}/{to}"));
    }
}
