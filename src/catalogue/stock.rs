//! What of a product can be bought: from the feed's `availability`, `quantity` and `size`.

use super::product::{Product, ProductSummary};
use serde::Serialize;

/// So few pieces are called few.
const FEW: u32 = 2;

/// Whether a thing can be bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stock {
    Out,
    Few,
    In,
}

impl Stock {
    /// By the feed's `availability` and `quantity`.
    fn of(availability: Option<&str>, quantity: Option<&str>) -> Stock {
        match quantity.and_then(total) {
            _ if availability.is_some_and(is_out) => Stock::Out,
            Some(0) => Stock::Out,
            Some(pieces) if pieces <= FEW => Stock::Few,
            _ => Stock::In,
        }
    }
}

/// As it is printed.
impl std::fmt::Display for Stock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Stock::Out => "out",
            Stock::Few => "few",
            Stock::In => "in",
        })
    }
}

/// What is done with products that are out of stock in every variant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OutOfStock {
    /// Shown among the others.
    Show,
    /// Shown after the others.
    #[default]
    Last,
    /// Not shown.
    Hide,
}

/// One size of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SizeStock {
    pub size: String,
    pub stock: Stock,
}

impl Product {
    /// The stock of the row as a whole.
    pub fn stock(&self) -> Stock {
        Stock::of(self.availability.as_deref(), self.quantity.as_deref())
    }
}

impl ProductSummary {
    /// The stock of the row as a whole.
    pub fn stock(&self) -> Stock {
        Stock::of(self.availability.as_deref(), self.quantity.as_deref())
    }

    /// The sizes of the row, each with its stock: "S/M/L" are three.
    pub fn sizes(&self) -> Vec<SizeStock> {
        let whole = self.stock();
        let pieces = self.quantity.as_deref().map(by_size).unwrap_or_default();
        let sizes = self.size.as_deref().map(split_sizes).unwrap_or_default();
        let stock = |size: &str| {
            let own = pieces.iter().find(|(name, _)| name.eq_ignore_ascii_case(size)).map(|(_, pieces)| *pieces);
            match own {
                _ if whole == Stock::Out => Stock::Out,
                Some(0) => Stock::Out,
                Some(pieces) if pieces <= FEW => Stock::Few,
                Some(_) => Stock::In,
                None if pieces.is_empty() => whole,
                None => Stock::In,
            }
        };
        sizes.into_iter().map(|size| SizeStock { stock: stock(size), size: size.to_owned() }).collect()
    }
}

/// `S/M/L`, `S, M, L`; `38/40` is one size, and so is `W32/L34`.
pub(super) fn split_sizes(size: &str) -> Vec<&str> {
    let parts: Vec<&str> = size.split([',', '|', ';']).map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.len() > 1 {
        return parts;
    }
    let parts: Vec<&str> = size.split('/').map(str::trim).filter(|part| !part.is_empty()).collect();
    let is_double = parts.len() == 2 && parts.iter().any(|part| part.bytes().any(|byte| byte.is_ascii_digit()));
    if is_double { vec![size.trim()] } else { parts }
}

/// What cannot be bought, in the words of Google, schema.org and shops' exports: English, German, French, Spanish, Italian, Dutch.
const OUT: &str = "outofstock soldout discontinued unavailable notavailable notinstock \
    nichtauflager nichtverfügbar nichtlieferbar nichtvorrätig ausverkauft vergriffen \
    rupturedestock épuisé indisponible nondisponible agotado sinexistencias sinstock nodisponible \
    esaurito nondisponibile nietopvoorraad nietbeschikbaar nietleverbaar uitverkocht";
/// What can.
const IN: &str = "instock available availablefororder availableonbackorder limitedavailability limitedstock lowstock preorder presale \
    backorder onbackorder backordered instoreonly onlineonly madetoorder reserved pending \
    auflager verfügbar lieferbar sofortlieferbar vorrätig vorbestellt vorbestellbar \
    enstock disponible précommande encommande enexistencia reserva disponibile inmagazzino preordine opvoorraad beschikbaar leverbaar";
/// Answers to the question whether it can.
const NO: &str = "0 no n false nein non nee";
const YES: &str = "1 yes y true ja oui sí si";

fn is_in_list(word: &str, list: &str) -> bool {
    list.split(' ').any(|known| known == word)
}

/// Whether a word says that it cannot be bought.
fn is_out(availability: &str) -> bool {
    let words = letters(availability);
    OUT.split(' ').any(|word| words.ends_with(word)) || is_in_list(&words, NO)
}

/// Whether it is one of the words for stock, however it is written: `in_stock`, `In stock`, `https://schema.org/InStock`.
pub(super) fn is_availability(text: &str) -> bool {
    let word = letters(text.rsplit(['/', '#', ':']).next().unwrap_or(text));
    let bare = word.trim_start_matches(|letter: char| letter.is_ascii_digit());
    is_out(text) || is_in_list(bare, IN) || is_in_list(&word, YES)
}

fn letters(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>().to_lowercase()
}

/// All pieces: "3", "3.0000", ">10", "5 pcs", or the sum of "S=3, M=0"; `None` where it says no number. Fewer than none are none.
fn total(quantity: &str) -> Option<u32> {
    let plain = || quantity.trim().parse::<f64>().ok().filter(|pieces| pieces.is_finite());
    let sizes = || {
        let sizes = by_size(quantity);
        (!sizes.is_empty()).then(|| sizes.iter().map(|(_, pieces)| *pieces).fold(0, u32::saturating_add))
    };
    let is_less = quantity.trim().starts_with(['-', '\u{2212}']);
    let bare = || {
        let pieces: Option<u32> = quantity.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().ok();
        pieces.map(|pieces| if is_less { 0 } else { pieces })
    };
    plain().map(|pieces| pieces.max(0.0) as u32).or_else(sizes).or_else(bare)
}

/// Whether it says a number of pieces.
pub(super) fn is_quantity(text: &str) -> bool {
    total(text).is_some()
}

/// The pieces of each size in "S=3, M=0".
pub(super) fn by_size(quantity: &str) -> Vec<(String, u32)> {
    let pairs = quantity.split([',', '|', ';']).filter_map(|pair| pair.rsplit_once(['=', ':']));
    pairs.filter_map(|(size, pieces)| Some((size.trim().to_owned(), pieces.trim().parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product(availability: &str, size: &str, quantity: &str) -> ProductSummary {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        ProductSummary {
            availability: text(availability),
            size: text(size),
            quantity: text(quantity),
            ..ProductSummary::default()
        }
    }

    #[test]
    fn words_and_numbers_say_what_is_in_stock() {
        for (availability, quantity, stock) in [
            ("", "", Stock::In),
            ("in_stock", "", Stock::In),
            ("out of stock", "", Stock::Out),
            ("https://schema.org/OutOfStock", "7", Stock::Out),
            ("Discontinued", "", Stock::Out),
            ("preorder", "", Stock::In),
            ("in_stock", "0", Stock::Out),
            ("in_stock", "2", Stock::Few),
            ("Nicht auf Lager", "", Stock::Out),
            ("sofort lieferbar", "", Stock::In),
            ("épuisé", "", Stock::Out),
            ("0", "", Stock::Out),
            ("1", "", Stock::In),
            ("false", "", Stock::Out),
            ("", "3", Stock::In),
            ("", "S=1, M=0", Stock::Few),
            ("", "S=0|M=0", Stock::Out),
            ("", "a lot", Stock::In),
            ("", "-3", Stock::Out),
            ("", "-3 pcs", Stock::Out),
            ("", "2.0000", Stock::Few),
            ("", ">10", Stock::In),
            ("", "1 Stück", Stock::Few),
            ("", "NaN", Stock::In),
        ] {
            assert_eq!(product(availability, "", quantity).stock(), stock, "{availability} {quantity}");
            assert!(availability.is_empty() || is_availability(availability), "{availability}");
        }
    }

    #[test]
    fn sizes_have_their_own_stock() {
        let said = |product: ProductSummary| {
            let sizes = product.sizes().into_iter().map(|size| format!("{} {:?}", size.size, size.stock));
            sizes.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(said(product("", "S/M/L", "S=3, M=0")), "S In, M Out, L In");
        assert_eq!(said(product("", "S, M", "1")), "S Few, M Few");
        assert_eq!(said(product("out_of_stock", "38/40", "")), "38/40 Out");
        assert_eq!(said(product("", "W32/L34", "")), "W32/L34 In");
        assert_eq!(said(product("", "S/M", "")), "S In, M In");
        assert_eq!(said(product("", "", "")), "");
    }
}
