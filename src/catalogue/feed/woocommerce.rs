//! WooCommerce's product export: a `variable` product and its `variation` rows, which name it as their parent.

use super::field::Field;
use super::item::FeedItem;
use super::options::{OptionKind, option_kind};
use super::table::{ColumnIndex, FeedRecord, FeedTable};
use super::text::narrowest_path;
use super::woocommerce_names::english;
use std::collections::{HashMap, HashSet};

/// Columns that are read, but for the attributes.
const COLUMNS: [&str; 15] = [
    "id",
    "type",
    "sku",
    "gtin",
    "name",
    "published",
    "date_sale_price_starts",
    "date_sale_price_ends",
    "in_stock?",
    "stock",
    "sale_price",
    "regular_price",
    "categories",
    "images",
    "parent",
];

/// Whether a column is one of WooCommerce's.
pub fn is_known(key: &str) -> bool {
    let key = english(key);
    COLUMNS.contains(&&*key) || key.starts_with("attribute_1_")
}

/// Whether the table is such an export.
pub fn is_one(table: &FeedTable) -> bool {
    let columns = ColumnIndex::translated(table, english);
    let has = |name: &str| columns.has(name);
    has("name") && has("images") && columns.has_any(&["type", "regular_price"]) && columns.has_any(&["sku", "id"])
}

/// The products and variations, and how many products are not published.
pub fn items(table: &FeedTable) -> (Vec<FeedItem>, usize) {
    let export = Export::of(table);
    let mut items = Vec::new();
    let mut hidden = 0;
    for (number, record) in table.records.iter().enumerate() {
        let parent = export.parent(record);
        let is_parent = export.kind(record).contains("variable") && export.parents.contains(&number);
        if is_parent || export.kind(record).contains("grouped") {
            continue;
        }
        let records = || std::iter::once(record).chain(parent.map(|parent| &table.records[parent]));
        if records().any(|record| matches!(export.get(record, "published"), Some("0" | "-1"))) {
            hidden += 1;
            continue;
        }
        items.push(export.item(number, parent));
    }
    (items, hidden)
}

struct Export<'t> {
    table: &'t FeedTable,
    columns: ColumnIndex,
    /// Records by SKU, and by `id:` and number.
    by_name: HashMap<String, usize>,
    /// Records that are another's parent.
    parents: HashSet<usize>,
}

impl<'t> Export<'t> {
    fn of(table: &'t FeedTable) -> Self {
        let columns = ColumnIndex::translated(table, english);
        let mut export = Export { table, columns, by_name: HashMap::new(), parents: HashSet::new() };
        for (number, record) in table.records.iter().enumerate() {
            let names =
                [export.get(record, "sku").map(str::to_owned), export.get(record, "id").map(|id| format!("id:{id}"))];
            for name in names.into_iter().flatten() {
                export.by_name.entry(name).or_insert(number);
            }
        }
        export.parents = table.records.iter().filter_map(|record| export.parent(record)).collect();
        export
    }

    fn get<'r>(&self, record: &'r FeedRecord, name: &str) -> Option<&'r str> {
        self.columns.get(record, name)
    }

    fn kind(&self, record: &FeedRecord) -> String {
        self.get(record, "type").unwrap_or("simple").to_ascii_lowercase()
    }

    fn parent(&self, record: &FeedRecord) -> Option<usize> {
        self.by_name.get(self.get(record, "parent")?).copied()
    }

    /// The SKU, or the number; with WooCommerce's mark where it is another's SKU.
    fn name(&self, record: &FeedRecord) -> String {
        let number = || {
            let id = self.get(record, "id").unwrap_or_default();
            if self.by_name.contains_key(id) { format!("id:{id}") } else { id.to_owned() }
        };
        self.get(record, "sku").map_or_else(number, str::to_owned)
    }

    fn item(&self, number: usize, parent: Option<usize>) -> FeedItem {
        let record = &self.table.records[number];
        let above = parent.map(|parent| &self.table.records[parent]);
        let mut item = FeedItem::of(record, number);
        item.records.extend(parent);
        let own = |name: &str| self.get(record, name);
        let shared = |name: &str| own(name).or_else(|| self.get(above?, name)).unwrap_or_default();
        item.add(Field::Id, self.name(record));
        // A variation's own name repeats its attributes.
        item.add(
            Field::Title,
            above.and_then(|above| self.get(above, "name")).or_else(|| own("name")).unwrap_or_default(),
        );
        if let Some(above) = above {
            item.add(Field::ItemGroupId, self.name(above));
        }
        item.add(Field::Gtin, own("gtin").unwrap_or_default());
        item.add(Field::Brand, shared("brands"));
        item.add(Field::ProductType, narrowest_path(shared("categories"), '>'));
        let mut pictures = pictures(shared("images")).into_iter();
        item.add(Field::ImageLink, pictures.next().unwrap_or_default());
        pictures.for_each(|link| item.add(Field::AdditionalImageLink, super::shopify::escaped(link.trim())));
        self.add_options(&mut item, record, above);
        self.add_price_and_stock(&mut item, record);
        item
    }

    /// "Attribute 1 name", "Attribute 1 value(s)", ...
    fn add_options(&self, item: &mut FeedItem, record: &FeedRecord, above: Option<&FeedRecord>) {
        for number in 1..=20 {
            let [name, value] = [format!("attribute_{number}_name"), format!("attribute_{number}_value(s)")];
            let Some(name) = self.get(record, &name).or_else(|| self.get(above?, &name)) else { continue };
            let own = self.get(record, &value);
            match option_kind(name) {
                // A variation without a value is for any size of its parent.
                Some(OptionKind::Size) => {
                    let sizes = own.or_else(|| self.get(above?, &value)).unwrap_or_default();
                    sizes.split(',').for_each(|size| item.add(Field::Size, size.trim()));
                }
                Some(OptionKind::Color) => item.add(Field::Color, own.unwrap_or_default()),
                None => {}
            }
        }
    }

    fn add_price_and_stock(&self, item: &mut FeedItem, record: &FeedRecord) {
        let own = |name: &str| self.get(record, name).unwrap_or_default();
        item.add(Field::Price, own("regular_price"));
        item.add(Field::SalePrice, own("sale_price"));
        let [from, to] = [own("date_sale_price_starts"), own("date_sale_price_ends")];
        if !(from.is_empty() && to.is_empty()) {
            item.add(Field::SalePriceEffectiveDate, format!("{from}/{to}"));
        }
        match own("in_stock?") {
            "1" => item.add(Field::Availability, "in_stock"),
            "0" => item.add(Field::Availability, "out_of_stock"),
            other => item.add(Field::Availability, other),
        }
        item.add(Field::Quantity, own("stock"));
    }
}

/// Links with commas between them. What follows an address and is none belongs to it: a file's name may hold commas.
fn pictures(field: &str) -> Vec<String> {
    let mut links: Vec<String> = Vec::new();
    for part in field.split(',') {
        match links.last_mut() {
            Some(link) if link.contains("://") && !part.contains("://") => {
                link.push(',');
                link.push_str(part);
            }
            _ => links.push(part.trim().to_owned()),
        }
    }
    links
}
