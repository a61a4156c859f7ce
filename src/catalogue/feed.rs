//! A feed's bytes to rows: CSV or TSV with Google Merchant columns. Pure: no file, no picture, no database.

use super::product::{Product, split_links};
use crate::fault::{Fault, Kind, Result};
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest feed that is read, in bytes: a million products with long texts.
pub const MOST_BYTES: u64 = 1 << 30;
/// The longest value of one field, in bytes; Google's own limits are 50 to 2000 characters.
pub const MOST_FIELD: usize = 4096;
/// The longest list of additional pictures, in bytes.
pub const MOST_LINKS: usize = 32 * 1024;

const REQUIRED: [&str; 3] = ["id", "title", "image_link"];

/// Columns that are kept; the order is that of [`Product`].
const KEPT: [&str; 12] = [
    "id",
    "title",
    "image_link",
    "additional_image_link",
    "price",
    "brand",
    "color",
    "size",
    "availability",
    "product_type",
    "link",
    "item_group_id",
];

/// Google Merchant columns that a mirror has no use for: accepted, not kept.
pub const IGNORED: [&str; 62] = [
    "ads_redirect",
    "adult",
    "age_group",
    "auto_pricing_min_price",
    "availability_date",
    "certification",
    "condition",
    "consumer_notice",
    "cost_of_goods_sold",
    "custom_label_0",
    "custom_label_1",
    "custom_label_2",
    "custom_label_3",
    "custom_label_4",
    "description",
    "disclosure_date",
    "display_ads_id",
    "display_ads_link",
    "display_ads_similar_ids",
    "display_ads_title",
    "display_ads_value",
    "energy_efficiency_class",
    "excluded_destination",
    "expiration_date",
    "external_seller_id",
    "free_shipping_threshold",
    "gender",
    "google_product_category",
    "gtin",
    "identifier_exists",
    "included_destination",
    "installment",
    "is_bundle",
    "lifestyle_image_link",
    "link_template",
    "loyalty_points",
    "loyalty_program",
    "material",
    "max_energy_efficiency_class",
    "max_handling_time",
    "maximum_retail_price",
    "min_energy_efficiency_class",
    "min_handling_time",
    "minimum_order_value",
    "mobile_link",
    "mobile_link_template",
    "mpn",
    "multipack",
    "pattern",
    "pause",
    "product_detail",
    "product_highlight",
    "promotion_id",
    "return_policy_label",
    "sale_price",
    "sale_price_effective_date",
    "shipping",
    "shipping_label",
    "shipping_weight",
    "size_system",
    "size_type",
    "unit_pricing_measure",
];

/// A feed that could be read as a table. Rows that cannot be used are in `problems`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feed {
    pub rows: Vec<Row>,
    pub problems: Vec<Problem>,
    pub unknown_columns: Vec<UnknownColumn>,
}

/// One product and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The line on which the row begins, from 1.
    pub line: u64,
    pub product: Product,
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
    /// Reads and parses the file at `path`.
    ///
    /// # Errors
    /// [`Kind::Input`] where the file is missing, too large or no table with the required columns.
    pub fn read(path: &Path) -> Result<Feed> {
        let fail = |error| Fault::io(Kind::Input, "read the feed", path, error);
        let mut bytes = Vec::new();
        File::open(path).map_err(fail)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(fail)?;
        parse(&bytes)
            .map_err(|fault| Fault::new(Kind::Input, format!("cannot read the feed {}", path.display())).cause(fault))
    }

    /// The links of all pictures in order of first use, each once.
    pub fn links(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        self.rows.iter().flat_map(|row| row.product.image_links()).filter(|link| seen.insert(*link)).collect()
    }
}

/// Parses a feed: CSV (comma or semicolon) or TSV, in UTF-8, or UTF-16 with a byte order mark.
///
/// # Errors
/// [`Kind::Input`] where it is no text, no table, or lacks a required column.
pub fn parse(bytes: &[u8]) -> Result<Feed> {
    if bytes.len() as u64 > MOST_BYTES {
        return Err(input("it is larger than 1 GiB").cure("split it into several catalogues"));
    }
    let text = decode(bytes)?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter(&text))
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    if !read_record(&mut reader, &mut record)? {
        return Err(input("it is empty").cure("the first line names the columns: id, title, image_link, ..."));
    }
    let columns = Columns::of(&record)?;
    let mut feed = Feed { unknown_columns: columns.unknown.clone(), ..Feed::default() };
    let mut ids = HashSet::new();
    while read_record(&mut reader, &mut record)? {
        let line = line_of(&text, &record);
        if record.iter().all(|field| field.trim().is_empty()) {
            continue;
        }
        match columns.product(&record).and_then(|product| unique(product, &mut ids)) {
            Ok(product) => feed.rows.push(Row { line, product }),
            Err(reason) => {
                let id = columns.field(&record, "id").and_then(clean);
                feed.problems.push(Problem { line, id: id.filter(|id| id.len() <= MOST_FIELD), reason });
            }
        }
    }
    Ok(feed)
}

fn read_record(reader: &mut csv::Reader<&[u8]>, record: &mut csv::StringRecord) -> Result<bool> {
    reader.read_record(record).map_err(|error| input("it is not a table").cause(error))
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

/// The line on which a record begins. The reader's own position is before the blank lines that it skips.
fn line_of(text: &str, record: &csv::StringRecord) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let rest = text.as_bytes().get(position.byte() as usize..).unwrap_or_default();
    let blank = rest.iter().take_while(|&&byte| byte == b'\n' || byte == b'\r');
    position.line() + blank.filter(|&&byte| byte == b'\n').count() as u64
}

/// Bytes to text, without its byte order mark.
fn decode(bytes: &[u8]) -> Result<String> {
    let save_as = "save the feed as CSV in UTF-8";
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(input("it is a spreadsheet or an archive, not a table of text").cure(save_as));
    }
    let (encoding, skip) = encoding_rs::Encoding::for_bom(bytes).unwrap_or((encoding_rs::UTF_8, 0));
    let body = &bytes[skip..];
    let text = if encoding == encoding_rs::UTF_8 {
        std::str::from_utf8(body).map(str::to_owned).map_err(|error| {
            let before = &body[..error.valid_up_to()];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            let byte = 1 + before.iter().rev().take_while(|&&byte| byte != b'\n').count();
            input(format!("line {line}, byte {byte} is not UTF-8 text")).cure(save_as)
        })?
    } else {
        encoding
            .decode_without_bom_handling_and_without_replacement(body)
            .map(std::borrow::Cow::into_owned)
            .ok_or_else(|| input(format!("it is damaged {} text", encoding.name())).cure(save_as))?
    };
    if text.contains('\0') {
        return Err(input("it holds zero bytes: UTF-16 without its mark, or no text at all").cure(save_as));
    }
    if text.trim_start().starts_with('<') {
        return Err(input("it is XML, not a table").cure("export the feed as CSV or TSV"));
    }
    Ok(text)
}

/// The separator that makes most known column names of the first line; a comma where none does.
fn delimiter(text: &str) -> u8 {
    let header = text.trim_start_matches(['\n', '\r']).lines().next().unwrap_or_default();
    let known = |separator: u8| {
        header.split(char::from(separator)).filter(|name| is_known(&column_name(name.trim().trim_matches('"')))).count()
    };
    // max_by_key takes the last of equals: the comma.
    [b';', b'\t', b','].into_iter().max_by_key(|&separator| known(separator)).unwrap_or(b',')
}

fn is_known(name: &str) -> bool {
    KEPT.contains(&name) || IGNORED.contains(&name)
}

/// A header as Google writes it: `g:Image Link` is `image_link`, `colour` is `color`.
fn column_name(header: &str) -> String {
    let name = header.trim().to_lowercase().replace([' ', '-'], "_");
    let name = name.strip_prefix("g:").unwrap_or(&name);
    if name == "colour" { "color".to_owned() } else { name.to_owned() }
}

/// Where the kept columns stand.
struct Columns {
    /// (column of [`KEPT`], index in the row)
    kept: Vec<(&'static str, usize)>,
    unknown: Vec<UnknownColumn>,
    count: usize,
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Columns> {
        let mut columns = Columns { kept: Vec::new(), unknown: Vec::new(), count: header.len() };
        for (index, field) in header.iter().enumerate() {
            let name = column_name(field);
            if let Some(&kept) = KEPT.iter().find(|kept| **kept == name) {
                if kept != "additional_image_link" && columns.index(kept).is_some() {
                    return Err(input(format!("the column {kept:?} stands twice in its first line"))
                        .cure("leave one of them out"));
                }
                columns.kept.push((kept, index));
            } else if !is_known(&name) && !name.is_empty() {
                let nearest = nearest(&name);
                columns.unknown.push(UnknownColumn { name: field.trim().chars().take(80).collect(), nearest });
            }
        }
        match REQUIRED.iter().find(|name| columns.index(name).is_none()) {
            None => Ok(columns),
            Some(missing) => {
                let found: Vec<String> = header.iter().take(12).map(|name| name.chars().take(30).collect()).collect();
                Err(input(format!("its first line has no column {missing:?} (found: {})", found.join(", ")))
                    .cure("name the columns in the first line: id, title and image_link are required"))
            }
        }
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.kept.iter().find(|(kept, _)| *kept == name).map(|(_, index)| *index)
    }

    fn field<'r>(&self, record: &'r csv::StringRecord, name: &str) -> Option<&'r str> {
        record.get(self.index(name)?)
    }

    /// The product of a row, or why it has none.
    fn product(&self, record: &csv::StringRecord) -> std::result::Result<Product, String> {
        if record.len() != self.count {
            let open = record.iter().any(|field| field.contains('\n'));
            let hint = if open { ": a quotation mark is probably not closed" } else { "" };
            return Err(format!("it has {} fields, the first line {}{hint}", record.len(), self.count));
        }
        let text = |name| self.text(record, name);
        let required = |name| self.text(record, name)?.ok_or(format!("it has no {name}"));
        Ok(Product {
            id: required("id")?,
            title: required("title")?,
            image_link: required("image_link")?,
            additional_image_links: self.links(record)?,
            price: text("price")?,
            brand: text("brand")?,
            color: text("color")?,
            size: text("size")?,
            availability: text("availability")?,
            product_type: text("product_type")?,
            link: text("link")?,
            item_group_id: text("item_group_id")?,
        })
    }

    fn text(&self, record: &csv::StringRecord, name: &str) -> std::result::Result<Option<String>, String> {
        match self.field(record, name).and_then(clean) {
            Some(text) if text.len() > MOST_FIELD => {
                Err(format!("its {name} is {} bytes long, the limit is {MOST_FIELD}", text.len()))
            }
            text => Ok(text),
        }
    }

    fn links(&self, record: &csv::StringRecord) -> std::result::Result<Vec<String>, String> {
        let fields = self.kept.iter().filter(|(name, _)| *name == "additional_image_link");
        let fields: Vec<&str> = fields.filter_map(|(_, index)| record.get(*index)).collect();
        let length: usize = fields.iter().map(|field| field.len()).sum();
        if length > MOST_LINKS {
            return Err(format!("its additional_image_link is {length} bytes long, the limit is {MOST_LINKS}"));
        }
        Ok(fields.into_iter().filter_map(clean).flat_map(|field| split_links(&field)).collect())
    }
}

/// A field without control characters (a line break within a title becomes a space) and outer spaces; `None` for nothing.
fn clean(field: &str) -> Option<String> {
    let text: String = field.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The known column nearest to `name`, within two edits.
fn nearest(name: &str) -> Option<&'static str> {
    let name: String = name.chars().take(40).collect();
    let all = KEPT.iter().chain(&IGNORED);
    all.map(|known| (edits(&name, known), *known)).filter(|(edits, _)| *edits <= 2).min().map(|(_, known)| known)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
