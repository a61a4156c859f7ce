//! Exports with a row for each variant. Those of BigCommerce, Ecwid, Squarespace and Wix follow a row of their product; those of Lightspeed,
//! PrestaShop and Square repeat it.

use super::field::Field;
use super::ids::{RowName, ids};
use super::item::FeedItem;
use super::options::{OptionKind, option_kind};
use super::table::{ColumnIndex, FeedRecord, FeedTable};
use crate::catalogue::price::Price;

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// The texts of a product; sold as it is only where no variant follows.
    Product,
    /// A product and its first variant.
    ProductAndVariant,
    Variant,
    /// A picture, or something else that belongs to the product before it.
    Other,
    /// Neither a product nor a part of one.
    Unread,
}

/// How the rows of one shop system are read. Each list names one column: an export has one of the names.
pub struct ShopRows {
    pub kind: fn(&ColumnIndex, &FeedRecord) -> RowKind,
    /// What the variants of a product have in common.
    pub group: &'static [&'static str],
    pub sku: &'static [&'static str],
    pub title: &'static [&'static str],
    /// Says whether the shop shows the product, or the variant.
    pub visible: &'static [&'static str],
    /// Names and values of a row's options.
    pub options: fn(&SectionRow) -> Vec<(String, String)>,
    /// Adds brand, category, pictures, price and stock.
    pub fill: fn(&SectionRow, &mut FeedItem),
}

/// Options of a product in columns with numbers.
const MOST_OPTIONS: usize = 6;

/// A row that is sold, and what belongs to it.
pub struct SectionRow<'t> {
    columns: &'t ColumnIndex,
    record: &'t FeedRecord,
    product: &'t FeedRecord,
    /// The record's number in the table.
    number: usize,
    section: &'t ProductRows<'t>,
}

impl<'t> SectionRow<'t> {
    /// The row's own value.
    pub fn own(&self, names: &[&str]) -> Option<&'t str> {
        self.columns.first(self.record, names)
    }

    /// The value of its product's row.
    pub fn of_product(&self, names: &[&str]) -> Option<&'t str> {
        self.columns.first(self.product, names)
    }

    /// Its own value, or its product's.
    pub fn shared(&self, names: &[&str]) -> Option<&'t str> {
        self.own(names).or_else(|| self.of_product(names))
    }

    /// Keys and values of the row's columns that `is` chooses, in the file's order.
    pub fn own_where(&self, is: impl Fn(&str) -> bool) -> impl Iterator<Item = (&'t str, &'t str)> {
        self.columns.named(self.record, is)
    }

    /// The same of its product's row.
    pub fn of_product_where(&self, is: impl Fn(&str) -> bool) -> impl Iterator<Item = (&'t str, &'t str)> {
        self.columns.named(self.product, is)
    }

    /// Whether it is not the product's own row.
    pub fn is_variant(&self) -> bool {
        !std::ptr::eq(self.record, self.product)
    }

    /// The values of the product's other rows, each row's first of these columns.
    pub fn others(&self, names: &[&str]) -> impl Iterator<Item = &'t str> {
        self.section.others.iter().filter_map(|record| self.columns.first(record, names))
    }

    fn is_hidden(&self, names: &[&str]) -> bool {
        let is_no = |value: &str| ["false", "no", "n", "0"].iter().any(|no| value.eq_ignore_ascii_case(no));
        [self.own(names), self.of_product(names)].into_iter().flatten().any(is_no)
    }
}

/// A product's row and those that follow it, by their numbers in the table.
#[derive(Default)]
struct ProductRows<'t> {
    product: usize,
    sold: Vec<usize>,
    others: Vec<&'t FeedRecord>,
}

/// What is sold, and how much of it the shop itself does not show.
pub fn items(table: &FeedTable, shop: &ShopRows) -> (Vec<FeedItem>, usize) {
    let columns = ColumnIndex::of(table);
    let sections = sections(table, |record| (shop.kind)(&columns, record));
    let rows: Vec<SectionRow> = sections.iter().flat_map(|section| section.rows(table, &columns)).collect();
    // What is not shown today has an id as well, so that the others keep theirs when it is.
    let names: Vec<RowName> = rows.iter().map(|row| name(shop, row)).collect();
    let ids = ids(&names);
    let mut items = Vec::new();
    let mut hidden = 0;
    for row in &rows {
        if row.is_hidden(shop.visible) {
            hidden += 1;
            continue;
        }
        let mut item = FeedItem::of(row.record, row.number);
        item.records.extend(Some(row.section.product).filter(|product| *product != row.number));
        item.add(Field::Id, ids[&row.number].as_str());
        add_names(&mut item, shop, row);
        (shop.fill)(row, &mut item);
        items.push(item);
    }
    (items, hidden)
}

fn name<'t>(shop: &ShopRows, row: &SectionRow<'t>) -> RowName<'t> {
    let product = row.of_product(shop.group).unwrap_or_default().to_owned();
    let options = (shop.options)(row).into_iter().map(|(_, value)| value);
    RowName { record: row.number, sku: row.own(shop.sku), parts: std::iter::once(product).chain(options).collect() }
}

impl<'t> ProductRows<'t> {
    fn rows(&'t self, table: &'t FeedTable, columns: &'t ColumnIndex) -> impl Iterator<Item = SectionRow<'t>> {
        let record = |number: usize| &table.records[number];
        let product = record(self.product);
        self.sold.iter().map(move |number| SectionRow {
            columns,
            record: record(*number),
            product,
            number: *number,
            section: self,
        })
    }
}

/// A row before the first product begins a section of its own: what it lacks is reported.
fn sections<'t>(table: &'t FeedTable, kind: impl Fn(&FeedRecord) -> RowKind) -> Vec<ProductRows<'t>> {
    let mut sections: Vec<ProductRows> = Vec::new();
    for (number, record) in table.records.iter().enumerate() {
        match (kind(record), sections.last_mut()) {
            (RowKind::Variant, Some(section)) => section.sold.push(number),
            (RowKind::Other, Some(section)) => section.others.push(record),
            (RowKind::Unread, _) => {}
            (RowKind::Product, _) => sections.push(ProductRows { product: number, ..ProductRows::default() }),
            _ => sections.push(ProductRows { product: number, sold: vec![number], others: Vec::new() }),
        }
    }
    for section in sections.iter_mut().filter(|section| section.sold.is_empty()) {
        section.sold.push(section.product);
    }
    sections
}

/// Adds group, title, size and colour.
fn add_names(item: &mut FeedItem, shop: &ShopRows, row: &SectionRow) {
    if row.section.sold.len() > 1 {
        item.add(Field::ItemGroupId, row.of_product(shop.group).unwrap_or_default());
    }
    item.add(Field::Title, row.of_product(shop.title).unwrap_or_default());
    for (name, value) in &(shop.options)(row) {
        match option_kind(name) {
            Some(OptionKind::Size) => item.add(Field::Size, value.as_str()),
            Some(OptionKind::Color) => item.add(Field::Color, value.as_str()),
            None => {}
        }
    }
}

/// Options in columns with numbers, `option_name_1` and `option_value_1`: their names may stand in the product's row alone.
pub fn numbered_options(row: &SectionRow) -> Vec<(String, String)> {
    let option = |place: usize| {
        let [name, value] = ["name", "value"].map(|part| format!("option_{part}_{place}"));
        Some((row.shared(&[&name])?.to_owned(), row.own(&[&value])?.to_owned()))
    };
    (1..=MOST_OPTIONS).filter_map(option).collect()
}

/// Adds a price, or where it was higher before, that and the price as a sale's.
pub fn add_price(item: &mut FeedItem, price: &str, before: Option<&str>) {
    match before.filter(|before| number(before) > number(price)) {
        Some(before) => {
            item.add(Field::Price, before);
            item.add(Field::SalePrice, price);
        }
        None => item.add(Field::Price, price),
    }
}

/// An amount or a number of pieces as a number, `24,95` and `-5,00 €` too; 0 where it is none.
pub fn number(text: &str) -> f64 {
    let text = text.trim();
    let amount = |text: &str| Price::parse(text).map(|price| price.amount());
    let below_zero = || amount(text.strip_prefix(['-', '–', '\u{2212}'])?).map(|amount| -amount);
    let plain = text.parse().ok().filter(|number: &f64| number.is_finite());
    plain.or_else(|| amount(text)).or_else(below_zero).unwrap_or(0.0)
}
