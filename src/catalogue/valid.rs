//! Which prices, sale dates and availabilities are taken, from a feed and between two imports: what a shopper is shown must be
//! an amount, a time, or a word for stock.

use super::price::{Price, is_interval, is_open_price};
use super::product::Product;
use super::stock::{is_availability, is_quantity};
use crate::fault::{Fault, Kind, Result as Checked};

/// A value that is not taken, and what would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadValue {
    pub field: &'static str,
    pub value: String,
    pub right: String,
}

/// Characters of a value that a message repeats.
const MOST_SHOWN: usize = 80;

impl std::fmt::Display for BadValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown: String = self.value.chars().take(MOST_SHOWN).collect();
        write!(f, "{} {shown:?} is not valid: {}", self.field, self.right)
    }
}

const PRICE: &str = "give an amount of zero or more, such as \"49.90 EUR\" or \"from 19.90 EUR\"";
const DATES: &str = "give two times of ISO 8601 with a slash between them, the earlier one first, such as \
                     \"2026-06-01T09:00+02:00/2026-06-30\"";
const AVAILABILITY: &str = "give \"in_stock\", \"out_of_stock\", \"preorder\" or \"backorder\"";

const QUANTITY: &str = "give a number of pieces, such as \"3\", or one for each size, \"S=3, M=0\"";

/// Whether `field` may have this value; a field that is not checked may have any.
pub(super) fn check(field: &'static str, value: &str) -> Result<(), BadValue> {
    let (is_right, right) = match field {
        "price" | "sale_price" => (Price::parse(value).is_some() || is_open_price(value), PRICE),
        "sale_price_effective_date" => (is_interval(value), DATES),
        "availability" => (is_availability(value), AVAILABILITY),
        "quantity" => (is_quantity(value), QUANTITY),
        _ => return Ok(()),
    };
    if is_right { Ok(()) } else { Err(BadValue { field, value: value.to_owned(), right: right.to_owned() }) }
}

/// Refuses a price that an import would not take.
///
/// # Errors
/// [`Kind::Input`], with what would be one.
pub fn require_price(text: &str) -> Checked<()> {
    check("price", text)
        .map_err(|wrong| Fault::new(Kind::Input, format!("price {:?} is not valid", wrong.value)).cure(wrong.right))
}

/// Whether the sale price, where there is one, is in the price's currency.
pub(super) fn check_currency(price: Option<&str>, sale_price: Option<&str>) -> Result<(), BadValue> {
    let (Some(price), Some(sale)) = (price, sale_price) else { return Ok(()) };
    let differ = Price::parse(price).zip(Price::parse(sale)).is_some_and(|(price, sale)| price.differs(&sale));
    if !differ {
        return Ok(());
    }
    let right = format!("give it in the currency of the price, {price:?}");
    Err(BadValue { field: "sale_price", value: sale.to_owned(), right })
}

/// Empties the fields of a feed's product that have no valid value, and says which.
pub(super) fn empty_invalid(product: &mut Product) -> Vec<BadValue> {
    let fields = [
        ("price", &mut product.price),
        ("sale_price", &mut product.sale_price),
        ("sale_price_effective_date", &mut product.sale_price_effective_date),
        ("availability", &mut product.availability),
        ("quantity", &mut product.quantity),
    ];
    let mut bad = Vec::new();
    for (field, value) in fields {
        if let Some(Err(wrong)) = value.as_deref().map(|value| check(field, value)) {
            *value = None;
            bad.push(wrong);
        }
    }
    // A sale with an end that cannot be read would last for ever.
    if let Some(wrong) = bad.iter_mut().find(|wrong| wrong.field == "sale_price_effective_date") {
        wrong.right.push_str("; the sale price was left out with it");
        product.sale_price = None;
    }
    bad.extend(empty_foreign_sale(product));
    bad
}

/// Empties a sale price in another currency than the price.
pub(super) fn empty_foreign_sale(product: &mut Product) -> Option<BadValue> {
    let wrong = check_currency(product.price.as_deref(), product.sale_price.as_deref()).err()?;
    product.sale_price = None;
    Some(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_feeds_send_is_taken_and_nonsense_is_not() {
        for (field, right, wrong) in [
            (
                "price",
                &[
                    "49,90 EUR",
                    "EUR 49.90",
                    "49.90",
                    "€1.299,00",
                    "0 EUR",
                    "1'299.- CHF",
                    "5 eur",
                    "9.90 Euro",
                    "R$ 5",
                    "from 5 EUR",
                    "ab 19,90 €",
                    "À partir de 19,90 €",
                    "19.90-29.90 EUR",
                    "€19 – €29",
                ][..],
                &[
                    "gratis",
                    "-1 EUR",
                    "EUR -1",
                    "−5",
                    "5 %",
                    "from EUR",
                    "abc 5",
                    "1.2.3",
                    "29-19 EUR",
                    "19 EUR - 29 USD",
                    "2026-01-02",
                    "12345-678",
                ][..],
            ),
            ("availability", &["In Stock", "out_of_stock", "https://schema.org/PreOrder", "SOLD OUT"], &["maybe", "7"]),
            (
                "sale_price_effective_date",
                &["2026-06-01/2026-06-30", "2026-06-15T11:00+0000/", "/2026-06-20"],
                &["yesterday", "/", "2026-06-01", "soon/later", "2026-06-30/2026-06-01"],
            ),
            ("quantity", &["3", "3.0000", "-1", ">10", "S=3, M=0"], &["many", "NaN", "S=x"]),
            ("location", &["anything"], &[]),
        ] {
            right.iter().for_each(|value| assert_eq!(check(field, value), Ok(()), "{field} {value}"));
            for value in wrong {
                let said = check(field, value).unwrap_err().to_string();
                assert!(
                    said.contains(field) && said.contains(&format!("{value:?}")) && said.contains("give"),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn a_price_that_no_import_would_take_is_refused_with_one_that_it_would() {
        require_price("19,90 EUR").unwrap();
        let fault = require_price("free").unwrap_err();
        assert_eq!(fault.kind(), Kind::Input);
        assert!(fault.to_string().starts_with("price \"free\" is not valid; give an amount"), "{fault}");
    }

    #[test]
    fn a_sale_is_in_the_currency_of_its_price() {
        for (price, sale, is_right) in [
            ("9 EUR", "8 USD", false),
            ("9 EUR", "$8", false),
            ("€9", "8 eur", true),
            ("9 €", "8 Euro", true),
            ("9 CAD", "$8", true),
            ("9 SEK", "8 kr", true),
            ("9", "8 EUR", true),
            ("9 EUR", "8 SEK", false),
        ] {
            assert_eq!(check_currency(Some(price), Some(sale)).is_ok(), is_right, "{price} {sale}");
        }
        assert_eq!(check_currency(None, Some("8 EUR")), Ok(()));
    }
}
