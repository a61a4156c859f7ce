//! Price, stock and place of products, changed between two imports: what a till or a stock system sends. The next import sets
//! all of it as the feed says.

use super::product::Product;
use super::records::{PRODUCT_COLUMNS, product_from};
use super::stock::by_size;
use super::store::Catalogue;
use super::valid::{self, BadValue};
use crate::fault::{Fault, Kind, Result};
use rusqlite::{Transaction, params};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// The longest value, in bytes.
const MOST_BYTES: usize = 1000;

/// New values; what is absent stays, null is cleared.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "an object with the new values, such as {\"price\": \"29.90 EUR\", \"quantity\": 3}"
)]
pub struct ProductUpdate {
    #[serde(deserialize_with = "text")]
    pub price: Option<Option<String>>,
    #[serde(deserialize_with = "text")]
    pub sale_price: Option<Option<String>>,
    #[serde(deserialize_with = "text")]
    pub sale_price_effective_date: Option<Option<String>>,
    #[serde(deserialize_with = "text")]
    pub availability: Option<Option<String>>,
    #[serde(deserialize_with = "text")]
    pub location: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    pub quantity: Option<Option<Quantity>>,
}

/// Pieces in stock.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "quantity is a number of pieces from 0 on, such as 3, or one for each size, such as {\"S\": 3, \"M\": 0}"
)]
pub enum Quantity {
    /// Of each variant that is named.
    All(u32),
    /// By size.
    BySize(BTreeMap<String, u32>),
}

/// Null is a value, too.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> std::result::Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A text, or null, which is a value, too.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Option<String>>, D::Error> {
    given(deserializer).map(|value: Option<Option<Text>>| value.map(|text| text.map(|Text::Text(text)| text)))
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "price, sale_price, sale_price_effective_date, availability and location are texts, such as \"29.90 EUR\", or null"
)]
enum Text {
    Text(String),
}

/// An update and whom it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Addressed {
    /// A product's `id`, or an `item_group_id`: all its variants.
    pub id: String,
    pub update: ProductUpdate,
}

impl Catalogue {
    /// Changes products, all of them or none; returns the ids of the variants that were named.
    ///
    /// # Errors
    /// [`Kind::Usage`] where there is no such product; [`Kind::Input`] where it has no such size, or a value is not valid or too long;
    /// [`Kind::Busy`] where somebody else writes for too long.
    pub fn update(&mut self, updates: &[Addressed]) -> Result<Vec<String>> {
        let currency = self.currency()?;
        self.change(|transaction, fail| {
            let mut changed = Vec::new();
            for addressed in updates {
                let products = variants(transaction, &addressed.id).map_err(fail)?;
                if products.is_empty() {
                    return Err(Fault::new(Kind::Usage, format!("there is no product {:?}", addressed.id))
                        .cure("name the id or the item_group_id of a product of the catalogue"));
                }
                let quantities = quantities(&products, addressed)?;
                for (mut product, quantity) in products.into_iter().zip(quantities) {
                    apply(&addressed.update, &mut product, quantity)?;
                    currency.complete(&mut product.price);
                    currency.complete(&mut product.sale_price);
                    if addressed.update.price.is_some() || addressed.update.sale_price.is_some() {
                        let checked = valid::check_currency(product.price.as_deref(), product.sale_price.as_deref());
                        checked.map_err(|wrong| invalid(&product.id, wrong))?;
                    }
                    write(transaction, &product).map_err(fail)?;
                    changed.push(product.id);
                }
            }
            Ok(changed)
        })
    }
}

/// The product `id`, or else the variants of the group `id`.
fn variants(transaction: &Transaction, id: &str) -> rusqlite::Result<Vec<Product>> {
    for column in ["id", "item_group_id"] {
        let query = format!("select {PRODUCT_COLUMNS} from product where {column} = ? order by position");
        let mut statement = transaction.prepare_cached(&query)?;
        let found = statement.query_map([id], product_from)?.collect::<rusqlite::Result<Vec<_>>>()?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

/// The new quantity of each product; `None`: it stays.
fn quantities(products: &[Product], addressed: &Addressed) -> Result<Vec<Option<Option<String>>>> {
    let sizes = match &addressed.update.quantity {
        None => return Ok(vec![None; products.len()]),
        Some(None) => return Ok(vec![Some(None); products.len()]),
        Some(Some(Quantity::All(pieces))) => return Ok(vec![Some(Some(pieces.to_string())); products.len()]),
        Some(Some(Quantity::BySize(sizes))) => sizes,
    };
    let own = |product: &Product| -> Vec<String> {
        let sizes = product.size.as_deref().map(super::stock::split_sizes).unwrap_or_default();
        sizes.into_iter().map(str::to_owned).collect()
    };
    let has = |product: &Product, size: &String| own(product).iter().any(|other| other.eq_ignore_ascii_case(size));
    if let Some(unknown) = sizes.keys().find(|size| !products.iter().any(|product| has(product, size))) {
        return Err(Fault::new(Kind::Input, format!("product {:?} has no size {unknown:?}", addressed.id))
            .cure("name sizes as the feed has them"));
    }
    let quantity = |product: &Product| {
        let named: Vec<(&String, &u32)> = sizes.iter().filter(|(size, _)| has(product, size)).collect();
        match named.as_slice() {
            [] => None,
            [(_, pieces)] if own(product).len() == 1 => Some(Some(pieces.to_string())),
            named => Some(Some(merged(product, named))),
        }
    };
    Ok(products.iter().map(quantity).collect())
}

/// "S=3, M=0": the sizes that are not named keep their pieces.
fn merged(product: &Product, named: &[(&String, &u32)]) -> String {
    let mut pieces = by_size(product.quantity.as_deref().unwrap_or_default());
    for (size, count) in named {
        match pieces.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(size)) {
            Some((_, pieces)) => *pieces = **count,
            None => pieces.push(((*size).clone(), **count)),
        }
    }
    pieces.iter().map(|(size, pieces)| format!("{size}={pieces}")).collect::<Vec<_>>().join(", ")
}

fn apply(update: &ProductUpdate, product: &mut Product, quantity: Option<Option<String>>) -> Result<()> {
    let id = product.id.clone();
    let texts = [
        ("price", &update.price, &mut product.price),
        ("sale_price", &update.sale_price, &mut product.sale_price),
        ("sale_price_effective_date", &update.sale_price_effective_date, &mut product.sale_price_effective_date),
        ("availability", &update.availability, &mut product.availability),
        ("location", &update.location, &mut product.location),
        ("quantity", &quantity, &mut product.quantity),
    ];
    for (name, value, place) in texts {
        let Some(value) = value else { continue };
        let text = value.as_deref().and_then(super::feed::plain);
        if text.as_ref().is_some_and(|text| text.len() > MOST_BYTES) {
            return Err(Fault::new(Kind::Input, format!("product {id:?}: {name} is longer than {MOST_BYTES} bytes"))
                .cure("shorten it"));
        }
        if let Some(text) = &text {
            valid::check(name, text).map_err(|wrong| invalid(&id, wrong))?;
        }
        *place = text;
    }
    Ok(())
}

fn invalid(id: &str, BadValue { field, value, right }: BadValue) -> Fault {
    Fault::new(Kind::Input, format!("product {id:?}: {field} {value:?} is not valid, so nothing was changed"))
        .cure(right)
}

fn write(transaction: &Transaction, product: &Product) -> rusqlite::Result<usize> {
    let query =
        "update product_version set price = ?1, sale_price = ?2, sale_price_effective_date = ?3, availability = ?4,
                 location = ?5, quantity = ?6 where id = ?7 and since = (select since from product where id = ?7)";
    transaction.prepare_cached(query)?.execute(params![
        product.price,
        product.sale_price,
        product.sale_price_effective_date,
        product.availability,
        product.location,
        product.quantity,
        product.id
    ])
}
