//! Shopware's product export (default profile): a variant names its parent and leaves empty what it has from that.

use super::field::Field;
use super::item::FeedItem;
use super::table::{ColumnIndex, FeedTable};
use std::collections::{HashMap, HashSet};

/// Columns that are read.
const COLUMNS: [&str; 9] = [
    "parent_id",
    "product_number",
    "active",
    "stock",
    "name",
    "price_gross",
    "cover_media_url",
    "manufacturer_name",
    "sales_channel",
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
    let by_id: HashMap<&str, usize> = table
        .records
        .iter()
        .enumerate()
        .filter_map(|(number, record)| Some((columns.get(record, "id")?, number)))
        .collect();
    let parent = |number: usize| by_id.get(columns.get(&table.records[number], "parent_id")?).copied();
    let parents: HashSet<usize> = (0..table.records.len()).filter_map(parent).collect();
    let mut items = Vec::new();
    let mut hidden = 0;
    // What has variants is not sold itself.
    for number in (0..table.records.len()).filter(|number| !parents.contains(number)) {
        let record = &table.records[number];
        let above = parent(number).map(|parent| &table.records[parent]);
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
        items.push(item);
    }
    (items, hidden)
}
