//! PrestaShop's combinations: the sizes and colours of its products, in a file of their own, which may follow in the same feed.

use super::field::key;
use super::input;
use super::prestashop::{ATTRIBUTE, ID, PRICE, PRICE_WITHOUT_TAX, REFERENCE, is_one};
use super::sections::number;
use super::table::{ColumnIndex, FeedRecord, FeedTable};
use crate::catalogue::price::with_amount;
use crate::fault::Result;
use std::collections::HashMap;

/// How much more than its product it costs, without tax.
const IMPACT: &str = "impact_on_price";

/// The table with each combination below its product, under the names of the products' columns.
///
/// # Errors
/// [`Kind::Input`](crate::fault::Kind::Input) where the products are missing.
pub fn joined(mut table: FeedTable) -> Result<FeedTable> {
    if table.columns.iter().any(|name| name_of(name) == ATTRIBUTE) {
        return Err(input("these are PrestaShop's combinations without their products").cure(
            "put them below the export of the products: cat products.csv combinations.csv | vetrina catalogue import - ...",
        ));
    }
    if !is_one(&table) {
        return Ok(table);
    }
    let is_header = |record: &FeedRecord| record.values.iter().any(|(_, name)| name_of(name) == ATTRIBUTE);
    let Some(header) = table.records.iter().position(is_header) else { return Ok(table) };
    let mut combinations = table.records.split_off(header).into_iter();
    let names = combinations.next().map(|header| header.values).unwrap_or_default();
    let places: HashMap<usize, usize> =
        names.into_iter().map(|(place, name)| (place, column(&mut table, &name_of(&name)))).collect();
    let in_place = |mut combination: FeedRecord| {
        let values = combination.values.into_iter();
        combination.values = values.filter_map(|(place, value)| Some((*places.get(&place)?, value))).collect();
        combination
    };
    let combinations = combinations.map(in_place).collect();
    let products = std::mem::take(&mut table.records);
    table.records = below_products(&ColumnIndex::of(&table), &table.columns, products, combinations);
    Ok(table)
}

/// The key of a column of combinations. `Product ID*` is required; the reference is not that of a product.
fn name_of(column: &str) -> String {
    let key = key(column.trim_matches(['\u{feff}', '"', '*', ' ']));
    if key == "reference" { REFERENCE.to_owned() } else { key }
}

/// The number of the column with this key, which is added where it is new.
fn column(table: &mut FeedTable, wanted: &str) -> usize {
    let known = table.columns.iter().position(|name| key(name) == wanted);
    known.unwrap_or_else(|| table.column(wanted))
}

/// Those that are no product's come first: it is said of each what it lacks.
fn below_products(
    columns: &ColumnIndex,
    names: &[String],
    products: Vec<FeedRecord>,
    combinations: Vec<FeedRecord>,
) -> Vec<FeedRecord> {
    // A number may be the id of one product and the reference of another.
    let by_id = numbers(&products, |product| columns.first(product, &ID));
    let by_reference = numbers(&products, |product| columns.get(product, "reference_#"));
    let product_of = |combination: &FeedRecord| {
        let id = columns.get(combination, "product_id").and_then(|id| by_id.get(id));
        let reference = || by_reference.get(columns.get(combination, "product_reference")?);
        id.or_else(reference).copied()
    };
    let prices = PriceColumns::of(names);
    let mut orphans = Vec::new();
    let mut sections: Vec<Vec<FeedRecord>> = products.into_iter().map(|product| vec![product]).collect();
    for mut combination in combinations {
        match product_of(&combination) {
            Some(product) => {
                let impact = number(columns.get(&combination, IMPACT).unwrap_or_default());
                combination.values.extend(prices.of_combination(&sections[product][0], impact));
                sections[product].push(combination);
            }
            None => orphans.push(combination),
        }
    }
    orphans.into_iter().chain(sections.into_iter().flatten()).collect()
}

/// The first product of each name.
fn numbers<'r>(products: &'r [FeedRecord], name: impl Fn(&'r FeedRecord) -> Option<&'r str>) -> HashMap<String, usize> {
    let mut by_name = HashMap::new();
    for (number, product) in products.iter().enumerate() {
        if let Some(name) = name(product) {
            by_name.entry(name.to_owned()).or_insert(number);
        }
    }
    by_name
}

/// Where the prices with and without tax stand.
struct PriceColumns {
    gross: Option<usize>,
    net: Option<usize>,
}

impl PriceColumns {
    fn of(names: &[String]) -> Self {
        let place = |all: &[&str]| names.iter().position(|name| all.contains(&key(name).as_str()));
        PriceColumns { gross: place(&PRICE), net: place(&[PRICE_WITHOUT_TAX]) }
    }

    /// What a combination costs that has a price of its own. With tax it is known only where the product has both prices; else it is
    /// no amount, and is reported as such.
    fn of_combination(&self, product: &FeedRecord, impact: f64) -> Vec<(usize, String)> {
        let find = |place: Option<usize>| Some((place?, product.get(place?)?));
        let (gross, net) = (find(self.gross), find(self.net));
        let net_amount = net.map_or(0.0, |(_, price)| number(price));
        let own_gross = |price: &str| match net_amount > 0.0 {
            true => with_amount(price, number(price) * (net_amount + impact) / net_amount),
            false => format!("{price} and {impact:.2} without tax"),
        };
        let prices = [
            gross.map(|(place, price)| (place, own_gross(price))),
            net.map(|(place, price)| (place, with_amount(price, net_amount + impact))),
        ];
        prices.into_iter().flatten().filter(|_| impact != 0.0).collect()
    }
}
