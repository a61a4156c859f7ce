//! Shopify's products, from its export or `shopify_json`: the rows of one handle are one product. The first has the product's texts, each row may have a
//! variant, a picture, or both.

use super::field::Field;
use super::ids::{RowName, ids};
use super::item::FeedItem;
use super::options::{OptionKind, option_kind};
use super::sections::add_price;
use super::table::{ColumnIndex, FeedRecord, FeedTable};
use std::collections::{HashMap, HashSet};

/// Columns of both of Shopify's formats, the newer name second.
const HANDLE: [&str; 2] = ["handle", "url_handle"];
const SKU: [&str; 2] = ["variant_sku", "sku"];
const BARCODE: [&str; 2] = ["variant_barcode", "barcode"];
const PRICE: [&str; 2] = ["variant_price", "price"];
const FULL_PRICE: [&str; 2] = ["variant_compare_at_price", "compare_at_price"];
const QUANTITY: [&str; 2] = ["variant_inventory_qty", "inventory_quantity"];
/// Yes or no: only shops' own answers have it.
const AVAILABLE: [&str; 1] = ["variant_available"];
const POLICY: [&str; 2] = ["variant_inventory_policy", "continue_selling_when_out_of_stock"];
const PICTURE: [&str; 2] = ["image_src", "product_image_url"];
const VARIANT_PICTURE: [&str; 2] = ["variant_image", "variant_image_url"];
const PUBLISHED: [&str; 2] = ["published", "published_on_online_store"];
const OPTIONS: [[&str; 2]; 3] =
    [["option1_name", "option1_value"], ["option2_name", "option2_value"], ["option3_name", "option3_value"]];
/// Pictures of a product; Shopify has 250 at most. Each variant may have all of them.
const MOST_PICTURES: usize = 250;
/// The option's value of a product without variants.
const ONLY_VARIANT: &str = "Default Title";

/// Whether a column is one of Shopify's.
pub fn is_known(key: &str) -> bool {
    let lists = [HANDLE, SKU, BARCODE, PRICE, FULL_PRICE, QUANTITY, POLICY, PICTURE, VARIANT_PICTURE, PUBLISHED];
    lists.iter().chain(&OPTIONS).flatten().any(|known| *known == key)
        || ["title", "vendor", "type", "status"].contains(&key)
}

/// Whether the table is such an export.
pub fn is_one(table: &FeedTable) -> bool {
    let columns = ColumnIndex::of(table);
    let has = |names: &[&str]| columns.has_any(names);
    has(&HANDLE) && has(&["title"]) && has(&PICTURE) && has(&["option1_value", "variant_price", "variant_sku"])
}

/// The variants of all products, and how many products are drafts, archived or not published.
pub fn items(table: &FeedTable) -> (Vec<FeedItem>, usize) {
    let columns = ColumnIndex::of(table);
    let mut handles: Vec<&str> = Vec::new();
    let mut rows: HashMap<&str, Vec<usize>> = HashMap::new();
    for (number, record) in table.records.iter().enumerate() {
        let handle = columns.first(record, &HANDLE).unwrap_or_default();
        rows.entry(handle).or_insert_with(|| {
            handles.push(handle);
            Vec::new()
        });
        rows.entry(handle).or_default().push(number);
    }
    let products: Vec<HandleRows> = handles
        .into_iter()
        .map(|handle| HandleRows { columns: &columns, table, handle, rows: &rows[handle] })
        .collect();
    // What is not shown today has an id as well, so that the others keep theirs when it is.
    let names: Vec<RowName> = products.iter().flat_map(HandleRows::names).collect();
    let ids = ids(&names);
    let shown: Vec<&HandleRows> = products.iter().filter(|product| !product.is_hidden()).collect();
    let items = shown.iter().flat_map(|product| product.variants(&ids)).collect();
    (items, products.len() - shown.len())
}

/// What all variants of a product have in common: looked for once.
struct SharedTexts<'t> {
    fields: [(Field, &'t str); 3],
    options: [Option<OptionKind>; 3],
}

/// The rows of one handle.
struct HandleRows<'t> {
    columns: &'t ColumnIndex,
    table: &'t FeedTable,
    handle: &'t str,
    rows: &'t [usize],
}

impl<'t> HandleRows<'t> {
    fn records(&self) -> impl Iterator<Item = (usize, &'t FeedRecord)> {
        self.rows.iter().map(|number| (*number, &self.table.records[*number]))
    }

    /// What the first row that has it says.
    fn shared(&self, names: &[&str]) -> Option<&'t str> {
        self.records().find_map(|(_, record)| self.columns.first(record, names))
    }

    fn is_hidden(&self) -> bool {
        let is = |names: &[&str], values: &[&str]| {
            self.shared(names).is_some_and(|value| values.iter().any(|other| value.eq_ignore_ascii_case(other)))
        };
        is(&["status"], &["draft", "archived"]) || is(&PUBLISHED, &["false"])
    }

    fn variant_records(&self) -> impl Iterator<Item = (usize, &'t FeedRecord)> {
        self.records().filter(|(_, record)| self.is_variant(record))
    }

    fn names(&self) -> impl Iterator<Item = RowName<'t>> {
        self.variant_records().map(|(number, record)| {
            let options = OPTIONS.iter().filter_map(|[_, value]| self.columns.get(record, value));
            let options = options.filter(|value| *value != ONLY_VARIANT);
            let parts = std::iter::once(self.handle).chain(options).map(str::to_owned).collect();
            RowName { record: number, sku: self.columns.first(record, &SKU), parts }
        })
    }

    fn variants(&self, ids: &HashMap<usize, String>) -> Vec<FeedItem> {
        let mut seen = HashSet::new();
        let pictures = self.records().flat_map(|(_, record)| self.columns.all(record, &PICTURE));
        let pictures: Vec<&str> = pictures.filter(|picture| seen.insert(*picture)).take(MOST_PICTURES).collect();
        let texts = self.texts();
        let variants: Vec<(usize, &FeedRecord)> = self.variant_records().collect();
        let own = |record| self.columns.first(record, &VARIANT_PICTURE);
        let claimed: HashSet<&str> = variants.iter().filter_map(|(_, record)| own(record)).collect();
        // Pictures that no variant claims may show any colour: the first variant has them.
        let free: Vec<&str> = pictures.iter().copied().filter(|picture| !claimed.contains(picture)).collect();
        let mut items = Vec::new();
        for (place, (number, record)) in variants.into_iter().enumerate() {
            let mut item = self.variant(number, record, &ids[&number], &texts);
            match own(record) {
                Some(picture) => {
                    item.add(Field::ImageLink, picture);
                    free.iter()
                        .filter(|_| place == 0)
                        .for_each(|link| item.add(Field::AdditionalImageLink, escaped(link)));
                }
                None => {
                    item.add(Field::ImageLink, pictures.first().copied().unwrap_or_default());
                    pictures.iter().skip(1).for_each(|link| item.add(Field::AdditionalImageLink, escaped(link)));
                }
            }
            items.push(item);
        }
        items
    }

    fn texts(&self) -> SharedTexts<'t> {
        let text = |names: &[&str]| self.shared(names).unwrap_or_default();
        SharedTexts {
            fields: [
                (Field::Title, text(&["title"])),
                (Field::Brand, text(&["vendor"])),
                (Field::ProductType, text(&["type", "product_category"])),
            ],
            options: OPTIONS.map(|[name, _]| self.shared(&[name]).and_then(option_kind)),
        }
    }

    /// A row that has only a picture is none.
    fn is_variant(&self, record: &FeedRecord) -> bool {
        let names = [&PRICE[..], &SKU[..], &["option1_value"]];
        names.into_iter().any(|names| self.columns.first(record, names).is_some()) || self.rows.len() == 1
    }

    fn variant(&self, number: usize, record: &FeedRecord, id: &str, texts: &SharedTexts) -> FeedItem {
        let mut item = FeedItem::of(record, number);
        item.records.extend(self.rows.first().filter(|first| **first != number));
        let own = |names: &[&str]| self.columns.first(record, names).unwrap_or_default();
        item.add(Field::Id, id);
        item.add(Field::ItemGroupId, self.handle);
        item.add(Field::Gtin, own(&BARCODE));
        for (field, text) in texts.fields {
            item.add(field, text);
        }
        for (kind, [_, value]) in texts.options.iter().zip(OPTIONS) {
            match kind {
                Some(OptionKind::Size) => item.add(Field::Size, own(&[value])),
                Some(OptionKind::Color) => item.add(Field::Color, own(&[value])),
                None => {}
            }
        }
        self.add_price_and_stock(&mut item, record);
        item
    }

    fn add_price_and_stock(&self, item: &mut FeedItem, record: &FeedRecord) {
        let own = |names: &[&str]| self.columns.first(record, names);
        add_price(item, own(&PRICE).unwrap_or_default(), own(&FULL_PRICE));
        if let Some(available) = own(&AVAILABLE) {
            item.add(Field::Availability, if available == "true" { "in_stock" } else { "out_of_stock" });
        }
        let Some(quantity) = own(&QUANTITY).and_then(|text| text.parse::<i64>().ok()) else { return };
        let sells_on =
            own(&POLICY).is_some_and(|policy| ["continue", "true"].iter().any(|on| policy.eq_ignore_ascii_case(on)));
        item.add(Field::Availability, if quantity > 0 || sells_on { "in_stock" } else { "out_of_stock" });
        if !sells_on {
            item.add(Field::Quantity, quantity.max(0).to_string());
        }
    }
}

/// A list of links is split at commas, which one link may hold.
pub fn escaped(link: &str) -> String {
    link.replace(',', "%2C")
}
