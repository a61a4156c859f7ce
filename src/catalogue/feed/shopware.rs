//! Shopware's product export (default profile): a variant names its parent and leaves empty what it has from that. Its size and colour
//! are ids; their names are in the export of properties, which may follow in the same feed.

use super::field::Field;
use super::item::FeedItem;
use super::options::{OptionKind, option_kind};
use super::table::{ColumnIndex, FeedRecord, FeedTable};
use std::collections::{HashMap, HashSet};

/// Columns that are read.
const COLUMNS: [&str; 10] = [
    "parent_id",
    "product_number",
    "active",
    "stock",
    "name",
    "price_gross",
    "cover_media_url",
    "manufacturer_name",
    "sales_channel",
    "option_ids",
];

/// Whether a column is one of Shopware's.
pub fn is_known(key: &str) -> bool {
    COLUMNS.contains(&key)
}

/// Whether the table is such an export.
pub fn is_one(table: &FeedTable) -> bool {
    let columns = ColumnIndex::of(table);
    ["product_number", "name", "cover_media_url"].into_iter().all(|name| columns.has(name))
}

/// The products and variants, and how many are not active.
pub fn items(table: &FeedTable) -> (Vec<FeedItem>, usize) {
    let columns = ColumnIndex::of(table);
    let end = table.records.iter().position(|record| is_header(columns.get(record, "id")));
    let (products, properties) = table.records.split_at(end.unwrap_or(table.records.len()));
    let names = option_names(properties);
    let by_id: HashMap<&str, usize> =
        products.iter().enumerate().filter_map(|(number, record)| Some((columns.get(record, "id")?, number))).collect();
    let parent = |number: usize| by_id.get(columns.get(&products[number], "parent_id")?).copied();
    let parents: HashSet<usize> = (0..products.len()).filter_map(parent).collect();
    let mut items = Vec::new();
    let mut hidden = 0;
    // What has variants is not sold itself.
    for number in (0..products.len()).filter(|number| !parents.contains(number)) {
        let record = &products[number];
        let above = parent(number).map(|parent| &products[parent]);
        let own = |name: &str| columns.get(record, name);
        let shared = |name: &str| own(name).or_else(|| columns.get(above?, name)).unwrap_or_default();
        if ["0", "false"].contains(&shared("active")) {
            hidden += 1;
            continue;
        }
        let mut item = FeedItem::of(record, number);
        item.records.extend(parent(number));
        item.add(Field::Id, own("product_number").unwrap_or_default());
        item.add(Field::ItemGroupId, above.and_then(|above| columns.get(above, "product_number")).unwrap_or_default());
        for (field, name) in [
            (Field::Title, "name"),
            (Field::ImageLink, "cover_media_url"),
            (Field::Price, "price_gross"),
            (Field::Brand, "manufacturer_name"),
        ] {
            item.add(field, shared(name));
        }
        item.add(Field::Quantity, own("stock").unwrap_or_default());
        for option in own("option_ids").unwrap_or_default().split('|') {
            names.get(option.trim()).into_iter().for_each(|(field, name)| item.add(*field, *name));
        }
        items.push(item);
    }
    (items, hidden)
}

/// The first line of the export of properties, which may have the mark of a file's beginning before it.
fn is_header(id: Option<&str>) -> bool {
    id.is_some_and(|id| id.trim_matches(['\u{feff}', '"']) == "id")
}

/// Field and name of each size and colour by its id. `properties`: a line with the column names and those below it.
fn option_names(properties: &[FeedRecord]) -> HashMap<&str, (Field, &str)> {
    let Some((header, options)) = properties.split_first() else { return HashMap::new() };
    let place = |wanted: &str| header.values.iter().find(|(_, name)| name.trim() == wanted).map(|(place, _)| *place);
    let (Some(name), Some(group)) = (place("name"), place("group_name")) else { return HashMap::new() };
    let named = options.iter().filter_map(|option| {
        let field = match option_kind(option.get(group)?)? {
            OptionKind::Size => Field::Size,
            OptionKind::Color => Field::Color,
        };
        Some((option.get(header.values.first()?.0)?.trim(), (field, option.get(name)?)))
    });
    named.collect()
}
