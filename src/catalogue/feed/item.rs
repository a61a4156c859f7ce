//! One product of a feed, whatever the format: Google Merchant's fields, and from there a [`Product`].

use super::field::Field;
use super::table::FeedRecord;
use super::text::{plain, verbatim};
use super::{MOST_FIELD, MOST_LINKS};
use crate::catalogue::product::{Product, split_links};
use std::collections::HashSet;

/// A product's raw values by field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeedItem {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// In order of preference; a list may have several values.
    pub values: Vec<(Field, String)>,
    /// Why it cannot be used.
    pub problem: Option<String>,
    /// Its record in the table, then that of what it is a variant of.
    pub records: Vec<usize>,
}

impl FeedItem {
    pub fn of(record: &FeedRecord, number: usize) -> Self {
        FeedItem { line: record.line, problem: record.problem.clone(), records: vec![number], values: Vec::new() }
    }

    /// Adds a value unless it is empty.
    pub fn add(&mut self, field: Field, value: impl Into<String>) {
        let value = value.into();
        if !value.trim().is_empty() {
            self.values.push((field, value));
        }
    }

    /// Refuses it where bytes of a value are no text: what stood there is not known.
    pub fn refuse_damaged(&mut self, encoding: &str) {
        let damaged = self.values.iter().find(|(_, value)| value.contains(char::REPLACEMENT_CHARACTER));
        if let Some((field, _)) = damaged.filter(|_| self.problem.is_none()) {
            self.problem = Some(format!("its {} has bytes that are not {encoding} text", field.name()));
        }
    }

    pub fn id(&self) -> Option<String> {
        self.get(Field::Id).and_then(verbatim).filter(|id| id.len() <= MOST_FIELD)
    }

    fn get(&self, field: Field) -> Option<&str> {
        self.all(field).next()
    }

    fn all(&self, field: Field) -> impl Iterator<Item = &str> {
        self.values.iter().filter(move |(other, _)| *other == field).map(|(_, value)| value.as_str())
    }

    /// The product, or why it is none.
    pub fn product(&self) -> Result<Product, String> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let required = |field: Field, value: Option<String>| value.ok_or(format!("it has no {}", field.name()));
        Ok(Product {
            id: required(Field::Id, self.verbatim(Field::Id)?)?,
            title: required(Field::Title, self.plain(Field::Title)?)?,
            additional_image_links: self.links()?,
            image_link: required(Field::ImageLink, self.main_link()?)?,
            price: self.plain(Field::Price)?,
            brand: self.plain(Field::Brand)?,
            color: self.plain(Field::Color)?,
            size: self.joined(Field::Size, "/")?,
            availability: self.plain(Field::Availability)?,
            product_type: self.plain(Field::ProductType)?,
            link: self.verbatim(Field::Link)?,
            item_group_id: self.verbatim(Field::ItemGroupId)?,
            sale_price: self.plain(Field::SalePrice)?,
            sale_price_effective_date: self.plain(Field::SalePriceEffectiveDate)?,
            quantity: self.plain(Field::Quantity)?,
            location: self.plain(Field::Location)?,
            gtin: self.joined(Field::Gtin, ",")?,
        })
    }

    fn plain(&self, field: Field) -> Result<Option<String>, String> {
        within(field, self.get(field).and_then(plain))
    }

    fn verbatim(&self, field: Field) -> Result<Option<String>, String> {
        within(field, self.get(field).and_then(verbatim))
    }

    /// Several values are one text: "S/M/L".
    fn joined(&self, field: Field, separator: &str) -> Result<Option<String>, String> {
        let values: Vec<String> = self.all(field).filter_map(plain).collect();
        within(field, (!values.is_empty()).then(|| values.join(separator)))
    }

    fn links(&self) -> Result<Vec<String>, String> {
        let length: usize = self.all(Field::AdditionalImageLink).map(str::len).sum();
        if length > MOST_LINKS {
            return Err(format!("its additional_image_link is {length} bytes long, the limit is {MOST_LINKS}"));
        }
        Ok(self.all_links().into_iter().skip(1).collect())
    }

    fn main_link(&self) -> Result<Option<String>, String> {
        within(Field::ImageLink, self.all_links().into_iter().next())
    }

    /// The first is the main one.
    fn all_links(&self) -> Vec<String> {
        let additional = self.all(Field::AdditionalImageLink).filter_map(verbatim);
        let mut links = self.main_links();
        links.extend(additional.flat_map(|field| split_links(&field)));
        let mut seen = HashSet::new();
        links.retain(|link| seen.insert(link.clone()));
        links
    }

    /// Some exports write all pictures into one field: several web addresses with commas between them.
    fn main_links(&self) -> Vec<String> {
        let Some(field) = self.get(Field::ImageLink).and_then(verbatim) else { return Vec::new() };
        if field.matches("://").count() > 1 && field.len() <= MOST_LINKS { split_links(&field) } else { vec![field] }
    }
}

fn within(field: Field, value: Option<String>) -> Result<Option<String>, String> {
    match value {
        Some(text) if text.len() > MOST_FIELD => {
            Err(format!("its {} is {} bytes long, the limit is {MOST_FIELD}", field.name(), text.len()))
        }
        value => Ok(value),
    }
}
