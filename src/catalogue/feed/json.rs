//! JSON: an array of products, an object that holds one, several such objects, or one product a line.

use super::input;
use super::shopify_json;
use super::table::{FeedRecord, FeedTable};
use crate::fault::Result;
use serde::Deserialize;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Deserializer, Map, Value};
use std::cell::Cell;
use std::io::Read;

/// Members that wrap a product's columns: Google's Merchant API.
const WRAPPERS: [&str; 3] = ["attributes", "productAttributes", "product_attributes"];

/// Reads the products of a text.
///
/// # Errors
/// [`Kind::Input`](crate::fault::Kind::Input) where it is not JSON, or a product is no object.
pub fn read(text: &str) -> Result<FeedTable> {
    let line = Cell::new(1);
    let mut reader = Deserializer::from_reader(LineCounter { text: text.as_bytes(), line: &line });
    let mut values = Vec::new();
    while reader.end().is_err() {
        let value = Located { line: &line }.deserialize(&mut reader).map_err(|error| {
            input(format!("line {} is not JSON: {error}", error.line()))
                .cure("the feed was cut short or damaged: export it again")
        })?;
        values.push(value);
    }
    let mut table = FeedTable::default();
    for Placed { line, value } in products(values) {
        let Value::Object(product) = value else {
            return Err(input(format!("line {line}: a product is a JSON object, not {}", kind(&value))));
        };
        if shopify_json::is_one(&product) {
            shopify_json::add_rows(&product, line, &mut table);
            continue;
        }
        let mut record = FeedRecord { line, ..FeedRecord::default() };
        add_members(&product, &mut table, &mut record);
        table.records.push(record);
    }
    if table.records.is_empty() {
        return Err(
            input("it is JSON without a product").cure("it should be an array of objects, or one object a line")
        );
    }
    Ok(table)
}

/// Counts the lines that have been read. The deserializer reads byte by byte, and no further than it must.
struct LineCounter<'t> {
    text: &'t [u8],
    line: &'t Cell<u64>,
}

impl Read for LineCounter<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.text.read(buffer)?;
        let breaks = buffer[..count].iter().filter(|byte| **byte == b'\n').count();
        self.line.set(self.line.get() + breaks as u64);
        Ok(count)
    }
}

/// A value and the line on which it begins.
struct Placed {
    line: u64,
    value: Value,
}

/// A value of the text's outermost level.
enum Outer {
    List(Vec<Placed>),
    /// An object: a product, or what wraps a list of them.
    Object {
        line: u64,
        members: Vec<(String, Outer)>,
    },
    Other(Placed),
}

impl Outer {
    fn into_value(self) -> Value {
        match self {
            Outer::List(items) => items.into_iter().map(|item| item.value).collect(),
            Outer::Object { members, .. } => {
                Value::Object(members.into_iter().map(|(name, member)| (name, member.into_value())).collect())
            }
            Outer::Other(placed) => placed.value,
        }
    }
}

/// Reads a value together with the line on which it, its members and their elements begin.
#[derive(Clone, Copy)]
struct Located<'l> {
    line: &'l Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for Located<'_> {
    type Value = Outer;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Outer, D::Error> {
        deserializer.deserialize_any(self)
    }
}

macro_rules! scalar {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, value: $type) -> std::result::Result<Outer, E> {
            Ok(Outer::Other(Placed { line: self.line.get(), value: value.into() }))
        })*
    };
}

impl<'de> Visitor<'de> for Located<'_> {
    type Value = Outer;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("JSON")
    }

    scalar!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> std::result::Result<Outer, E> {
        Ok(Outer::Other(Placed { line: self.line.get(), value: Value::Null }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Outer, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(ElementSeed(self))? {
            list.push(item);
        }
        Ok(Outer::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Outer, A::Error> {
        let line = self.line.get();
        let mut members = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            members.push((name, entries.next_value_seed(self)?));
        }
        Ok(Outer::Object { line, members })
    }
}

/// An element of a list: its line, and all of it as one value. Its first byte has been read.
struct ElementSeed<'l>(Located<'l>);

impl<'de> DeserializeSeed<'de> for ElementSeed<'_> {
    type Value = Placed;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Placed, D::Error> {
        let line = self.0.line.get();
        Value::deserialize(deserializer).map(|value| Placed { line, value })
    }
}

/// The products of all values: those of a list, those that a single object or each page of a shop holds, or the objects themselves.
fn products(mut values: Vec<Outer>) -> Vec<Placed> {
    if values.len() > 1 && values.iter_mut().all(|value| page(value).is_some()) {
        return values.iter_mut().filter_map(page).flat_map(std::mem::take).collect();
    }
    if let [Outer::Object { members, .. }] = values.as_mut_slice()
        && let Some(list) = members.iter_mut().filter_map(|(_, member)| objects(member)).max_by_key(|list| list.len())
    {
        return std::mem::take(list);
    }
    let placed = |value: Outer| match value {
        Outer::List(items) => items,
        Outer::Object { line, .. } => vec![Placed { line, value: value.into_value() }],
        Outer::Other(placed) => vec![placed],
    };
    values.into_iter().flat_map(placed).collect()
}

/// The products of one of several answers of a server, one after the other in the feed; the last may have none.
fn page(value: &mut Outer) -> Option<&mut Vec<Placed>> {
    let Outer::Object { members, .. } = value else { return None };
    let products = members.iter_mut().find(|(name, _)| name == "products").map(|(_, member)| member);
    if let Some(Outer::List(list)) = products { Some(list) } else { None }
}

/// A list of objects alone.
fn objects(member: &mut Outer) -> Option<&mut Vec<Placed>> {
    let Outer::List(items) = member else { return None };
    (!items.is_empty() && items.iter().all(|item| item.value.is_object())).then_some(items)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn add_members(members: &Map<String, Value>, table: &mut FeedTable, record: &mut FeedRecord) {
    for (name, value) in members {
        match value {
            Value::Object(inner) if WRAPPERS.contains(&name.as_str()) => add_members(inner, table, record),
            _ => {
                let column = table.column(name);
                add_value(column, value, record);
            }
        }
    }
}

fn add_value(column: usize, value: &Value, record: &mut FeedRecord) {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(items) => return items.iter().for_each(|item| add_value(column, item, record)),
        Value::Object(members) => money(members).unwrap_or_default(),
        Value::Null => String::new(),
    };
    if !text.trim().is_empty() {
        record.values.push((column, text));
    }
}

/// A price as Google's Content API and Merchant API write it, as `19.90 EUR`. Other objects are not kept.
fn money(members: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| match members.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let currency = text("currency").or_else(|| text("currencyCode"))?;
    let value = text("value").or_else(|| {
        let micros: i64 = text("amountMicros")?.parse().ok()?;
        Some(format!("{}.{:02}", micros / 1_000_000, micros % 1_000_000 / 10_000))
    })?;
    Some(format!("{value} {currency}"))
}
