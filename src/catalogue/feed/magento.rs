//! Magento's product export (Adobe Commerce): a `configurable` product names its variants, which are rows of their own.

use super::field::Field;
use super::item::FeedItem;
use super::options::{OptionKind, option_kind};
use super::shopify::escaped;
use super::table::{ColumnIndex, FeedRecord, FeedTable};
use super::text::narrowest_path;
use std::collections::HashMap;

/// Columns that no other export has.
const MARKS: [&str; 3] = ["attribute_set_code", "base_image", "product_online"];
/// Columns that are read.
const COLUMNS: [&str; 12] = [
    "sku",
    "store_view_code",
    "product_type",
    "categories",
    "name",
    "special_price",
    "special_price_from_date",
    "special_price_to_date",
    "additional_attributes",
    "additional_images",
    "configurable_variations",
    "is_in_stock",
];
/// Attributes that name the maker.
const BRANDS: [&str; 3] = ["manufacturer", "brand", "marke"];

/// Whether a column is one of Magento's.
pub fn is_known(key: &str) -> bool {
    MARKS.contains(&key) || COLUMNS.contains(&key)
}

/// Whether the table is such an export.
pub fn is_one(table: &FeedTable) -> bool {
    let columns = ColumnIndex::of(table);
    ["sku", "name", "attribute_set_code", "base_image"].into_iter().all(|name| columns.has(name))
}

/// The products and variants, and how many products are disabled.
pub fn items(table: &FeedTable) -> (Vec<FeedItem>, usize) {
    let export = MagentoExport::of(table);
    let mut items = Vec::new();
    let mut hidden = 0;
    for (number, record) in table.records.iter().enumerate() {
        let kind = export.columns.get(record, "product_type").unwrap_or_default();
        // A row of another store view has a translation and nothing else.
        if export.columns.get(record, "store_view_code").is_some()
            || ["configurable", "bundle", "grouped"].contains(&kind)
        {
            continue;
        }
        let parent = export.columns.get(record, "sku").and_then(|sku| export.parents.get(sku)).copied();
        let is_disabled = |number: usize| export.columns.get(&table.records[number], "product_online") == Some("2");
        if is_disabled(number) || parent.is_some_and(is_disabled) {
            hidden += 1;
            continue;
        }
        items.push(export.item(number, parent));
    }
    (items, hidden)
}

struct MagentoExport<'t> {
    table: &'t FeedTable,
    columns: ColumnIndex,
    /// By a variant's SKU, the row of the configurable product.
    parents: HashMap<&'t str, usize>,
}

impl<'t> MagentoExport<'t> {
    fn of(table: &'t FeedTable) -> Self {
        let columns = ColumnIndex::of(table);
        let mut parents = HashMap::new();
        for (number, record) in table.records.iter().enumerate() {
            let variants = columns.get(record, "configurable_variations").unwrap_or_default().split('|');
            let skus =
                variants.filter_map(|variant| variant.split(',').find_map(|part| part.trim().strip_prefix("sku=")));
            skus.for_each(|sku| {
                parents.entry(sku).or_insert(number);
            });
        }
        MagentoExport { table, columns, parents }
    }

    fn item(&self, number: usize, parent: Option<usize>) -> FeedItem {
        let record = &self.table.records[number];
        let above = parent.map(|parent| &self.table.records[parent]);
        let mut item = FeedItem::of(record, number);
        item.records.extend(parent);
        let own = |name: &str| self.columns.get(record, name);
        let shared = |name: &str| own(name).or_else(|| self.columns.get(above?, name)).unwrap_or_default();
        item.add(Field::Id, own("sku").unwrap_or_default());
        // A variant's own name repeats its size and colour.
        let title = above.and_then(|above| self.columns.get(above, "name")).or_else(|| own("name"));
        item.add(Field::Title, title.unwrap_or_default());
        item.add(Field::ItemGroupId, above.and_then(|above| self.columns.get(above, "sku")).unwrap_or_default());
        item.add(Field::ProductType, without_root(shared("categories")));
        item.add(Field::Price, shared("price"));
        item.add(Field::SalePrice, shared("special_price"));
        let [from, to] = [shared("special_price_from_date"), shared("special_price_to_date")].map(iso_day);
        if !(from.is_empty() && to.is_empty()) {
            item.add(Field::SalePriceEffectiveDate, format!("{from}/{to}"));
        }
        self.add_pictures(&mut item, record, above);
        self.add_attributes(&mut item, record, above);
        match own("is_in_stock") {
            Some("0") => item.add(Field::Availability, "out_of_stock"),
            Some(_) => item.add(Field::Availability, "in_stock"),
            None => {}
        }
        // "3.0000"; what has none and is in stock all the same is not counted.
        let pieces = own("qty").and_then(|count| count.parse::<f64>().ok()).filter(|count| *count >= 1.0);
        item.add(Field::Quantity, pieces.map_or_else(String::new, |count| format!("{count:.0}")));
        item
    }

    fn add_pictures(&self, item: &mut FeedItem, record: &FeedRecord, above: Option<&FeedRecord>) {
        let is_some = |picture: &&str| *picture != "no_selection";
        let main = |record| self.columns.get(record, "base_image").filter(is_some);
        let record = if main(record).is_some() { record } else { above.unwrap_or(record) };
        item.add(Field::ImageLink, main(record).unwrap_or_default());
        let more = self.columns.get(record, "additional_images").unwrap_or_default();
        more.split(',').for_each(|link| item.add(Field::AdditionalImageLink, escaped(link.trim())));
    }

    /// "color=Orange,size=XS", of the variant and of its product.
    fn add_attributes(&self, item: &mut FeedItem, record: &FeedRecord, above: Option<&FeedRecord>) {
        for record in std::iter::once(record).chain(above) {
            let attributes = self.columns.get(record, "additional_attributes").unwrap_or_default();
            for (name, value) in attributes.split(',').filter_map(|part| part.split_once('=')) {
                let field = match option_kind(name) {
                    Some(OptionKind::Size) => Field::Size,
                    Some(OptionKind::Color) => Field::Color,
                    None if BRANDS.contains(&name.trim()) => Field::Brand,
                    None if Field::named(name.trim()) == Some(Field::Gtin) => Field::Gtin,
                    None => continue,
                };
                if item.values.iter().all(|(other, _)| *other != field) {
                    item.add(field, value.trim().trim_matches('"'));
                }
            }
        }
    }
}

/// Magento writes a day as the administrator's language does: `3/31/26` in American English, `31/03/2026` in British English and French,
/// `31.03.26` in German, `31-03-2026` in Dutch.
fn iso_day(text: &str) -> String {
    let day = text.split([' ', ',']).next().unwrap_or_default();
    let parts: Option<Vec<i16>> = day.split(['/', '.', '-']).map(|part| part.parse().ok()).collect();
    let Some(&[first, second, year]) = parts.as_deref() else { return text.to_owned() };
    let is_american = day.contains('/') && year < 100 && first <= 12;
    let (day, month) = if is_american { (second, first) } else { (first, second) };
    let year = if year < 100 { 2000 + year } else { year };
    let [day, month] = [day, month].map(|number| i8::try_from(number).unwrap_or(0));
    jiff::civil::Date::new(year, month, day).map_or_else(|_| text.to_owned(), |date| date.to_string())
}

/// Of `Default Category/Women/Tees,Default Category/Sale` the longest path, as Google writes one, without the root that all share.
fn without_root(categories: &str) -> String {
    let path = narrowest_path(categories, '/');
    let parts: Vec<&str> = path.split('/').map(str::trim).collect();
    parts[parts.len().min(2) - 1..].join(" > ")
}
