//! A feed's bytes to products. Pure: no picture, no database.
//!
//! Each format is read into a `table::FeedTable` by a library: `delimited` (CSV, TSV), `xml` (RSS, Atom), `json`,
//! `spreadsheet`. Each way of naming the columns turns the table's records into `item::FeedItem`s: `google`, `shopify`,
//! `woocommerce`, `magento`, `shopware`, and, over `sections`, `wix`, `squarespace`, `bigcommerce`, `ecwid`, `lightspeed`,
//! `prestashop`, `square`. Both are recognized by content. `item` and `text` make a product of an item.

mod bigcommerce;
mod decode;
mod delimited;
mod ecwid;
pub mod field;
mod google;
mod ids;
mod item;
mod json;
mod lightspeed;
mod magento;
pub mod map;
mod options;
mod prestashop;
mod prestashop_combinations;
mod sections;
mod shopify;
mod shopify_json;
mod shopware;
mod spreadsheet;
mod square;
mod squarespace;
mod suggest;
mod table;
mod text;
mod wix;
mod woocommerce;
mod woocommerce_names;
mod xml;

pub use map::ColumnMap;
pub(super) use text::plain;

use super::images::Found;
use super::price::{Currency, Price};
use super::product::{Product, split_paths};
use super::valid::{self, BadValue};
use crate::fault::{Fault, Kind, Result, and_more};

use decode::TextEncoding;
use item::FeedItem;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use table::{ColumnIndex, FeedTable};

/// The largest feed that is read, in bytes: a million products with long texts.
pub const MOST_BYTES: u64 = 1 << 30;
/// The longest value of one field, in bytes; Google's own limits are 50 to 2000 characters.
pub const MOST_FIELD: usize = 4096;
/// The longest list of additional pictures, in bytes.
pub const MOST_LINKS: usize = 32 * 1024;

/// Values that are not valid and have a line of their own.
const MOST_BAD_VALUES: usize = 100;

/// Unknown columns that one line names.
const MOST_NAMED: usize = 12;

/// The path that means standard input.
pub const STANDARD_INPUT: &str = "-";

/// A feed that could be read. Rows that cannot be used are in `problems`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feed {
    pub rows: Vec<Row>,
    pub problems: Vec<Problem>,
    pub unknown_columns: Vec<UnknownColumn>,
    /// What else is to be said of the feed as a whole, and values that were left empty.
    pub notes: Vec<String>,
    /// Values that are not valid: of these, the first `MOST_BAD_VALUES` are among the notes.
    pub bad_values: usize,
    /// The encoding of its text, where that is not UTF-8: `windows-1252`.
    pub encoding: Option<&'static str>,
}

/// One product and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The line on which the row begins, from 1.
    pub line: u64,
    pub product: Product,
}

impl Row {
    /// The paths that the product's links may join with commas, bars or semicolons.
    fn joined(&self) -> impl Iterator<Item = &str> {
        self.product.image_links().flat_map(split_paths).flat_map(|(_, paths)| paths)
    }

    /// The product. Where there is no picture with the whole name that a link has, but one with a part of it between separators, the
    /// parts are its links.
    pub fn product_with(&self, found: &HashMap<String, Found>) -> Product {
        let is_there = |link: &str| found.get(link).is_some_and(|found| found.is_ok());
        let parts = |link: &str| {
            let lists = (!is_there(link)).then(|| split_paths(link)).into_iter().flatten();
            let most = |list: &Vec<&str>| list.iter().filter(|part| is_there(part)).count();
            lists
                .map(|(_, list)| list)
                .filter(|list| most(list) > 0)
                .max_by_key(most)
                .map(|list| list.into_iter().map(str::to_owned).collect())
        };
        let mut product = self.product.clone();
        let links = product.image_links().flat_map(|link| parts(link).unwrap_or_else(|| vec![link.to_owned()]));
        let mut links = links.collect::<Vec<String>>().into_iter();
        product.image_link = links.next().unwrap_or_default();
        product.additional_image_links = links.collect();
        product
    }
}

/// A row that cannot be used.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Problem {
    /// The line on which the row begins, from 1.
    pub line: u64,
    /// Its id, where it has one.
    pub id: Option<String>,
    pub reason: String,
}

/// A column that is neither kept nor known to Google Merchant: a typing error, or the shop's own.
#[derive(Clone, Debug, PartialEq)]
pub struct UnknownColumn {
    pub name: String,
    /// A known column with nearly this name.
    pub nearest: Option<&'static str>,
}

impl std::fmt::Display for UnknownColumn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "column {:?} is unknown and was not read", self.name)?;
        self.nearest.map_or(Ok(()), |nearest| write!(f, "; did you mean {nearest:?}?"))
    }
}

impl Feed {
    /// Reads and parses the file at `path`; `-` is standard input.
    ///
    /// # Errors
    /// [`Kind::Input`] where the file is missing, too large or no feed with the required columns.
    pub fn read(path: &Path, map: &ColumnMap) -> Result<Feed> {
        let fail = |error| Fault::io(Kind::Input, "read the feed", path, error);
        let mut bytes = Vec::new();
        let (name, read) = if path == Path::new(STANDARD_INPUT) {
            ("standard input".into(), std::io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes))
        } else {
            let file = File::open(path).map_err(fail)?;
            (path.display().to_string(), file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
        };
        read.map_err(fail)?;
        parse_with(&bytes, map)
            .map_err(|fault| Fault::new(Kind::Input, format!("cannot read the feed {name}")).cause(fault))
    }

    /// The links of all pictures in order of first use, each once; of a link that may be several paths, these as well.
    pub fn links(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let links = self.rows.iter().flat_map(|row| row.product.image_links().chain(row.joined()));
        links.filter(|link| seen.insert(*link)).collect()
    }

    /// Gives prices without a currency this one.
    pub fn complete_prices(&mut self, currency: &Currency) {
        let mut foreign = Vec::new();
        for row in &mut self.rows {
            currency.complete(&mut row.product.price);
            currency.complete(&mut row.product.sale_price);
            let bad = valid::empty_foreign_sale(&mut row.product);
            foreign.extend(bad.map(|bad| (row.line, row.product.id.clone(), bad)));
        }
        foreign.iter().for_each(|(line, id, bad)| self.note_value(*line, id, bad));
    }

    /// What is said beside the warnings: it is no reason to refuse the feed.
    pub fn hints(&self) -> Vec<String> {
        self.read_as().into_iter().chain(self.without_currency()).collect()
    }

    /// Says in which encoding it was read, with a text by which people see whether that is right; `None` for UTF-8.
    fn read_as(&self) -> Option<String> {
        let encoding = self.encoding?;
        let texts = self.rows.iter().flat_map(|row| std::iter::once(&row.product.title).chain(&row.product.price));
        let sample = texts.into_iter().find(|text| !text.is_ascii());
        let read = match sample {
            Some(text) => format!("the feed was read as {encoding}: {text:?}"),
            None => format!("the feed was read as {encoding}"),
        };
        Some(format!("{read}; if letters are wrong, save it in UTF-8"))
    }

    /// Says how many prices have no currency still; `None` where all have one.
    fn without_currency(&self) -> Option<String> {
        let bare = |row: &&Row| {
            let price = row.product.price.as_deref().and_then(Price::parse);
            price.is_some_and(|price| !price.has_currency())
        };
        let count = self.rows.iter().filter(bare).count();
        (count > 0).then(|| {
            format!("prices that have no currency and are shown without one: {count}; say which it is: --currency EUR")
        })
    }

    /// The letters of all that a card shows, each once.
    pub fn letters(&self) -> String {
        let mut letters = BTreeSet::new();
        for product in self.rows.iter().map(|row| &row.product) {
            letters.extend(product.title.chars());
            let fields =
                [&product.price, &product.sale_price, &product.brand, &product.color, &product.size, &product.location];
            letters.extend(fields.into_iter().flatten().flat_map(|text| text.chars()));
        }
        letters.into_iter().collect()
    }

    fn note_value(&mut self, line: u64, id: &str, bad: &BadValue) {
        self.bad_values += 1;
        if self.bad_values <= MOST_BAD_VALUES {
            self.notes.push(format!("line {line}: product {id:?}: {bad}; it was left empty"));
        }
    }

    /// What is said of the feed as a whole.
    pub fn warnings(&self) -> Vec<String> {
        let more = self.bad_values.saturating_sub(MOST_BAD_VALUES);
        let more = (more > 0).then(|| format!("{more} more values are not valid and were left empty"));
        unknown_columns(&self.unknown_columns).into_iter().chain(self.notes.iter().cloned()).chain(more).collect()
    }
}

/// A line for each column that may be a typing error, and one for all others.
fn unknown_columns(columns: &[UnknownColumn]) -> Vec<String> {
    let (alike, others): (Vec<_>, Vec<_>) = columns.iter().partition(|column| column.nearest.is_some());
    let mut lines: Vec<String> = alike.iter().map(ToString::to_string).collect();
    match &others[..] {
        [] => {}
        [one] => lines.push(one.to_string()),
        several => {
            let names: Vec<String> =
                several.iter().take(MOST_NAMED).map(|column| format!("{:?}", column.name)).collect();
            let more = and_more(several.len() - names.len());
            lines.push(format!("{} columns are unknown and were not read: {}{more}", several.len(), names.join(", ")));
        }
    }
    lines
}

/// As [`parse_with`], with the columns as they are named.
pub fn parse(bytes: &[u8]) -> Result<Feed> {
    parse_with(bytes, &ColumnMap::default())
}

/// Parses a feed of any format; `map` says which columns are which where their names do not.
///
/// # Errors
/// [`Kind::Input`] where it is in none of the formats, is damaged or cut short, or lacks a required column.
pub fn parse_with(bytes: &[u8], map: &ColumnMap) -> Result<Feed> {
    if bytes.len() as u64 > MOST_BYTES {
        return Err(input("it is larger than 1 GiB").cure("split it into several catalogues"));
    }
    let (table, encoding) = read_table(bytes, map)?;
    let table = prestashop_combinations::joined(table)?;
    let (map, mut notes) = map.fitting(&table.columns)?;
    let (mut items, unknown_columns, hidden) = items(&table, &map)?;
    if let Some(encoding) = encoding.filter(|encoding| encoding.is_damaged) {
        items.iter_mut().for_each(|item| item.refuse_damaged(encoding.name));
    }
    notes.extend(prestashop::without_tax(&table, &map));
    let proposal = suggest::complete(&table.columns, &map).filter(|_| !unknown_columns.is_empty());
    notes
        .extend(proposal.map(|map| format!("columns that were not read may be meant; if so, say it: --map \"{map}\"")));
    if hidden > 0 {
        notes.push(match hidden {
            1 => "1 product is a draft, archived or not published, and was left out".to_owned(),
            _ => format!("{hidden} products are drafts, archived or not published, and were left out"),
        });
    }
    let encoding = encoding.map(|encoding| encoding.name).filter(|name| *name != "UTF-8");
    let mut feed = Feed { unknown_columns, notes, encoding, ..Feed::default() };
    let mut ids = HashSet::new();
    for item in items {
        match item.product().and_then(|product| unique(product, &mut ids)) {
            Ok(mut product) => {
                let bad = valid::empty_invalid(&mut product);
                bad.iter().for_each(|bad| feed.note_value(item.line, &product.id, bad));
                feed.rows.push(Row { line: item.line, product });
            }
            Err(reason) => feed.problems.push(Problem { line: item.line, id: item.id(), reason }),
        }
    }
    Ok(feed)
}

/// The table, and how it was encoded where it is a text.
fn read_table(bytes: &[u8], map: &ColumnMap) -> Result<(FeedTable, Option<TextEncoding>)> {
    let of_shops = [
        shopify::is_known,
        woocommerce::is_known,
        magento::is_known,
        shopware::is_known,
        wix::is_known,
        squarespace::is_known,
        bigcommerce::is_known,
        ecwid::is_known,
        lightspeed::is_known,
        prestashop::is_known,
        square::is_known,
    ];
    let is_known = |key: &str| {
        field::is_known(key) || of_shops.iter().any(|is_known| is_known(key)) || map.fields(key).next().is_some()
    };
    if bytes.starts_with(spreadsheet::MAGIC) || bytes.starts_with(spreadsheet::OLD_MAGIC) {
        return Ok((spreadsheet::read(bytes, is_known)?, None));
    }
    if bytes.starts_with(GZIP_MAGIC) {
        return Err(
            input("it is compressed with gzip").cure("unpack it: gunzip -c FEED.gz | vetrina catalogue import - ...")
        );
    }
    let (text, encoding) = decode::decode(bytes)?;
    let table = match text.trim_start().as_bytes().first() {
        Some(b'<') if is_web_page(&text) => {
            let cure = "open the feed's address in a browser: the shop may ask for a log-in, or say that the address is another one";
            return Err(input("it is a web page").cure(cure));
        }
        Some(b'<') => xml::read(&text),
        Some(b'[' | b'{') => json::read(&text),
        _ => delimited::read(&text, is_known),
    }?;
    Ok((table, Some(encoding)))
}

/// What a file of gzip begins with.
const GZIP_MAGIC: &[u8] = b"\x1f\x8b";

fn is_web_page(text: &str) -> bool {
    let beginning: String = text.trim_start().chars().take(20).collect::<String>().to_ascii_lowercase();
    ["<!doctype html", "<html", "<head"].iter().any(|tag| beginning.starts_with(tag))
}

/// Whether a table is a shop system's export, and what it holds: the items, and how many the shop itself does not show.
type ShopSystem = (fn(&FeedTable) -> bool, fn(&FeedTable) -> (Vec<FeedItem>, usize));

fn items(table: &FeedTable, map: &ColumnMap) -> Result<(Vec<FeedItem>, Vec<UnknownColumn>, usize)> {
    let shops: [ShopSystem; 11] = [
        (shopify::is_one, shopify::items),
        (woocommerce::is_one, woocommerce::items),
        (magento::is_one, magento::items),
        (shopware::is_one, shopware::items),
        (wix::is_one, wix::items),
        (squarespace::is_one, squarespace::items),
        (bigcommerce::is_one, bigcommerce::items),
        (ecwid::is_one, ecwid::items),
        (lightspeed::is_one, lightspeed::items),
        (prestashop::is_one, prestashop::items),
        (square::is_one, square::items),
    ];
    // A map of PrestaShop's columns does not say which products are active.
    let all_mapped = field::Field::REQUIRED.into_iter().all(|field| map.maps(field)) && !prestashop::is_one(table);
    let shop = shops.into_iter().find(|(is_one, _)| !all_mapped && is_one(table));
    let (mut items, unknown, hidden) = match shop {
        Some((_, items)) => {
            let (items, hidden) = items(table);
            (items, Vec::new(), hidden)
        }
        None => google::items(table, map)?,
    };
    let columns = ColumnIndex::of(table);
    for item in &mut items {
        apply(map, table, item);
        add_currency(&columns, table, item);
    }
    Ok((items, unknown, hidden))
}

/// Sets the mapped fields from the item's own record, or where that has no value from the one that it is a variant of.
fn apply(map: &ColumnMap, table: &FeedTable, item: &mut FeedItem) {
    let fields = field::Field::ALL.into_iter().filter(|field| map.maps(*field));
    for field in fields {
        let is_it = |column: &usize| map.fields(&table.columns[*column]).any(|mapped| mapped == field);
        let values = item.records.iter().map(|number| &table.records[*number].values);
        let found =
            values.map(|values| values.iter().filter(|(column, _)| is_it(column)).map(|(_, value)| value.clone()));
        let found: Option<Vec<String>> = found.map(Iterator::collect).find(|values: &Vec<String>| !values.is_empty());
        item.values.retain(|(other, _)| *other != field);
        found.into_iter().flatten().for_each(|value| item.add(field, value));
    }
}

/// Gives prices without a currency the one that a column of their record names.
fn add_currency(columns: &ColumnIndex, table: &FeedTable, item: &mut FeedItem) {
    let named = item.records.first().and_then(|number| columns.first(&table.records[*number], &field::CURRENCY));
    let Some(currency) = named.and_then(|code| Currency::parse(code).ok()) else { return };
    for (field, value) in &mut item.values {
        if matches!(field, field::Field::Price | field::Field::SalePrice) {
            let mut price = Some(std::mem::take(value));
            currency.complete(&mut price);
            *value = price.unwrap_or_default();
        }
    }
}

fn unique(product: Product, ids: &mut HashSet<String>) -> std::result::Result<Product, String> {
    if ids.insert(product.id.clone()) {
        Ok(product)
    } else {
        Err(format!("the id {:?} stands further up already", product.id))
    }
}

fn input(text: impl Into<String>) -> Fault {
    Fault::new(Kind::Input, text)
}

#[cfg(test)]
mod tests;
