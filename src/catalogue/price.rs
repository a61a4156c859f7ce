//! Prices: a feed's text to an amount, the sale that is on, and how a locale writes both.

use super::product::{Product, ProductSummary};
use crate::fault::{Fault, Kind, Result};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use pure_rust_locales::{Locale, locale_match};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// Currencies by their symbols. A symbol of several currencies stays what it is.
const SYMBOLS: [(&str, &str); 12] = [
    ("EUR", "€"),
    ("GBP", "£"),
    ("USD", "$"),
    ("JPY", "¥"),
    ("CHF", "CHF"),
    ("PLN", "zł"),
    ("CZK", "Kč"),
    ("TRY", "₺"),
    ("INR", "₹"),
    ("KRW", "₩"),
    ("UAH", "₴"),
    ("ILS", "₪"),
];

/// Symbols of several currencies, of which [`SYMBOLS`] has the most common one.
const AMBIGUOUS: [&str; 2] = ["$", "¥"];

/// A locale of glibc's by its name: `de_DE`. It decides how prices are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PriceLocale(Locale);

impl TryFrom<String> for PriceLocale {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Self, String> {
        let bare = name.split('.').next().unwrap_or_default().replace('-', "_");
        let unknown = |_| format!("{name:?} is not a locale such as \"de_DE\" or \"en_GB\"");
        bare.parse().map(PriceLocale).map_err(unknown)
    }
}

impl From<PriceLocale> for String {
    fn from(locale: PriceLocale) -> String {
        locale.0.to_string()
    }
}

/// An amount of money as a feed says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    whole: u64,
    /// Digits after the decimal separator: none, or two or three.
    fraction: String,
    /// A code such as `EUR`, or a symbol; empty where the feed has none.
    currency: String,
}

impl Price {
    /// Reads `19.90 EUR`, `EUR 19.90`, `€1.299,00`, `1'299.-`; `None` where the text is no amount.
    pub fn parse(text: &str) -> Option<Price> {
        let first = text.find(|letter: char| letter.is_ascii_digit())?;
        let last = text.rfind(|letter: char| letter.is_ascii_digit())?;
        let number = &text[first..=last];
        // A price is not negative.
        if text[..first].contains(['-', '–', '\u{2212}']) {
            return None;
        }
        let words = format!("{} {}", &text[..first], &text[last + 1..]);
        let currency = words
            .split_whitespace()
            .map(|word| word.trim_matches(['.', ',', '-', '–', '—']))
            .find(|word| !word.is_empty());
        let currency = currency.unwrap_or_default();
        let others = words.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count();
        if others > 1 || !(currency.is_empty() || is_currency(currency)) {
            return None;
        }
        let is_separator = |letter: char| matches!(letter, '.' | ',' | '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}');
        if !number.chars().all(|letter| letter.is_ascii_digit() || is_separator(letter)) {
            return None;
        }
        let (whole, fraction) = split(number)?;
        let whole: String = whole.chars().filter(char::is_ascii_digit).collect();
        let (whole, fraction) = rounded(whole.parse().ok()?, fraction);
        Some(Price { whole, fraction, currency: currency.to_owned() })
    }

    /// Whether it says its currency.
    pub fn has_currency(&self) -> bool {
        !self.currency.is_empty()
    }

    /// The amount as a number, for comparisons.
    pub(super) fn amount(&self) -> f64 {
        format!("{}.{}", self.whole, self.fraction).parse().unwrap_or(0.0)
    }

    /// Whether both are surely of different currencies: `$` may be one of many dollars.
    pub(super) fn differs(&self, other: &Price) -> bool {
        let (mine, others) = (code_of(&self.currency), code_of(&other.currency));
        if mine.is_empty() || others.is_empty() || mine == others {
            return false;
        }
        let is_sure = |word: &str, code: &str| !AMBIGUOUS.contains(&word) && is_code(code);
        let is_listed = |code: &str| SYMBOLS.iter().any(|(other, _)| *other == code);
        is_sure(&self.currency, &mine) && is_sure(&other.currency, &others) || is_listed(&mine) && is_listed(&others)
    }

    /// As the locale writes it: `1.299,00 €`.
    pub fn format(&self, PriceLocale(locale): PriceLocale) -> String {
        let point = locale_match!(locale => LC_MONETARY::MON_DECIMAL_POINT);
        let thousands = locale_match!(locale => LC_MONETARY::MON_THOUSANDS_SEP);
        let digits = self.whole.to_string();
        let mut number = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                number.push_str(thousands);
            }
            number.push(digit);
        }
        if !self.fraction.is_empty() {
            number = format!("{number}{}{}", if point.is_empty() { "." } else { point }, self.fraction);
        }
        self.with_currency(&number, locale)
    }

    fn with_currency(&self, number: &str, locale: Locale) -> String {
        let own = locale_match!(locale => LC_MONETARY::INT_CURR_SYMBOL).trim();
        let symbol = match SYMBOLS.iter().find(|(code, _)| self.currency.eq_ignore_ascii_case(code)) {
            _ if self.currency.is_empty() => return number.to_owned(),
            _ if self.currency.eq_ignore_ascii_case(own) => locale_match!(locale => LC_MONETARY::CURRENCY_SYMBOL),
            Some((_, symbol)) => symbol,
            None => &self.currency,
        };
        let first = locale_match!(locale => LC_MONETARY::P_CS_PRECEDES) == 1;
        let spaced = locale_match!(locale => LC_MONETARY::P_SEP_BY_SPACE) != 0;
        // A code is never glued to the number.
        let space = if spaced || symbol.chars().all(char::is_alphabetic) { "\u{a0}" } else { "" };
        if first { format!("{symbol}{space}{number}") } else { format!("{number}{space}{symbol}") }
    }
}

/// A price's text with another amount: of `40,00 €` and 46.25 it is `46,25 €`.
pub(super) fn with_amount(text: &str, amount: f64) -> String {
    let is_digit = |letter: char| letter.is_ascii_digit();
    let number = format!("{amount:.2}");
    let (Some(first), Some(last)) = (text.find(is_digit), text.rfind(is_digit)) else { return number };
    let written = &text[first..=last];
    // A comma before three digits divides thousands.
    let has_comma = written.rfind(',').is_some_and(|at| written.rfind('.') < Some(at) && written.len() - at != 4);
    let number = if has_comma { number.replace('.', ",") } else { number };
    format!("{}{number}{}", &text[..first], &text[last + 1..])
}

/// Words that stand before the lowest of several prices.
const FROM: [&str; 12] =
    ["from", "ab", "dès", "des", "à partir de", "a partir de", "desde", "a partire da", "da", "vanaf", "från", "fra"];

/// Whether a text is a price that is shown as it is: the lowest of several, `ab 19,90 €`, or a range, `19.90-29.90 EUR`.
pub(super) fn is_open_price(text: &str) -> bool {
    open_amounts(text).is_some()
}

/// The amounts of such a price.
fn open_amounts(text: &str) -> Option<Vec<Price>> {
    let small = text.trim().to_lowercase();
    let after = |word: &&str| small.strip_prefix(*word).is_some_and(|rest| !rest.starts_with(char::is_alphabetic));
    if let Some(word) = FROM.iter().filter(|word| after(word)).max_by_key(|word| word.len()) {
        let rest: String = text.trim().chars().skip(word.chars().count()).collect();
        return Price::parse(&rest).map(|lowest| vec![lowest]);
    }
    let text = text.replace(['–', '—'], "-");
    let (low, high) = text.split_once('-')?;
    let (low, high) = (Price::parse(low)?, Price::parse(high)?);
    // The currency may stand once.
    let bare = |price: &Price| Price { currency: String::new(), ..price.clone() };
    (!low.differs(&high) && bare(&low) < bare(&high)).then(|| vec![low, high])
}

/// The currency of prices that have none: `EUR`; empty: there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Currency(String);

impl Currency {
    /// # Errors
    /// [`Kind::Usage`] where it is neither three letters nor empty.
    pub fn parse(text: &str) -> Result<Self> {
        let code = text.trim().to_ascii_uppercase();
        if code.is_empty() || is_code(&code) {
            return Ok(Currency(code));
        }
        Err(Fault::new(Kind::Usage, format!("{text:?} is not a currency"))
            .cure("give the three letters of ISO 4217, such as EUR"))
    }

    /// The code; empty where there is none.
    pub fn code(&self) -> &str {
        &self.0
    }

    /// Adds itself to an amount that has no currency; other texts stay. An amount from a spreadsheet or a database, `49.9` or
    /// `49.9000`, has two digits then.
    pub fn complete(&self, price: &mut Option<String>) {
        let Some(text) = price.as_mut().filter(|_| !self.0.is_empty()) else { return };
        if open_amounts(text).is_some_and(|amounts| amounts.iter().all(|amount| amount.currency.is_empty())) {
            *text = format!("{text} {}", self.0);
            return;
        }
        let Some(amount) = Price::parse(text).filter(|amount| amount.currency.is_empty()) else { return };
        let digits = |at: usize| text.trim_end().len() - at - 1;
        let odd = text.rfind(['.', ',']).filter(|at| digits(*at) == 1 || digits(*at) >= DATABASE_DIGITS);
        let short = odd.map(|at| format!("{}{}{}", amount.whole, &text[at..=at], amount.fraction));
        *text = format!("{} {}", short.as_ref().unwrap_or(text), self.0);
    }
}

impl PartialOrd for Price {
    /// Amounts of one currency.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let pad = |price: &Price| format!("{:0<3}", price.fraction);
        let same = code_of(&self.currency) == code_of(&other.currency);
        same.then(|| self.whole.cmp(&other.whole).then_with(|| pad(self).cmp(&pad(other))))
    }
}

/// A code of three capital letters, a symbol, or one of the words that stand for one.
fn is_currency(word: &str) -> bool {
    let is_mark = |letter: char| !letter.is_alphanumeric();
    let is_symbol = word.chars().count() <= 3 && word.chars().any(is_mark) && !word.contains(NO_CURRENCY);
    let words = ["kr", "Kr", "lei", "Ft", "zł", "Kč", "лв", "руб", "Rs", "euro", "Euro"];
    let is_small_code = || SYMBOLS.iter().any(|(code, _)| code.eq_ignore_ascii_case(word));
    is_code(word) || is_symbol || words.contains(&word) || is_small_code()
}

/// Marks that no currency has.
const NO_CURRENCY: [char; 12] = ['%', '(', ')', '!', '?', '#', '*', '+', '<', '>', '=', '&'];

/// The code that a code, a symbol or a word stands for; another word is itself.
fn code_of(word: &str) -> String {
    let listed = SYMBOLS.iter().find(|(code, symbol)| code.eq_ignore_ascii_case(word) || *symbol == word);
    match listed {
        Some((code, _)) => (*code).to_owned(),
        None if word.eq_ignore_ascii_case("euro") => "EUR".to_owned(),
        None => word.to_owned(),
    }
}

fn is_code(word: &str) -> bool {
    word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// So many digits after a separator are neither cents nor thousands: a database wrote them.
const DATABASE_DIGITS: usize = 4;

/// The digits before and after the decimal separator; `19.9` has two of them as well, and so has `19.9000`.
fn split(number: &str) -> Option<(&str, String)> {
    let Some(at) = number.rfind(|letter: char| !letter.is_ascii_digit()) else { return Some((number, String::new())) };
    let separator = number[at..].chars().next()?;
    let after = &number[at + separator.len_utf8()..];
    let again = number[..at].contains(separator);
    let decimal = matches!(separator, '.' | ',') && !again && after.len() <= 2;
    if decimal {
        return Some((&number[..at], format!("{after:0<2}"))).filter(|(whole, _)| !has_mixed(whole));
    }
    if matches!(separator, '.' | ',') && !again && after.len() >= DATABASE_DIGITS {
        return Some((&number[..at], after.to_owned())).filter(|(whole, _)| !has_mixed(whole));
    }
    // Groups of thousands have three digits each.
    (after.len() == 3 && !has_mixed(number)).then(|| (number, String::new()))
}

/// Digits of a database to two.
fn rounded(whole: u64, fraction: String) -> (u64, String) {
    let number = |digits: &str| digits.parse::<u64>().unwrap_or(0);
    if fraction.len() < DATABASE_DIGITS {
        return (whole, fraction);
    }
    let cents = number(&fraction[..2]) + u64::from(number(&fraction[2..3]) >= 5);
    (whole.saturating_add(cents / 100), format!("{:02}", cents % 100))
}

/// Whether the groups of thousands are divided by different separators: no amount.
fn has_mixed(whole: &str) -> bool {
    let mut separators = whole.chars().filter(|letter| !letter.is_ascii_digit());
    separators.next().is_some_and(|first| separators.any(|other| other != first))
}

/// What a product costs now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CurrentPrice {
    pub price: Option<String>,
    /// The higher price before a sale that is on.
    pub before: Option<String>,
}

impl CurrentPrice {
    /// Of a product with these fields of the feed: see [`ProductSummary::offer`].
    fn of(fields: [&Option<String>; 3], now: Timestamp, locale: Option<PriceLocale>) -> Self {
        let [price, sale, dates] = fields.map(Option::as_deref);
        let say = |text: &str| match (locale, Price::parse(text)) {
            (Some(locale), Some(price)) => price.format(locale),
            _ => text.to_owned(),
        };
        let sale = sale.filter(|_| dates.is_none_or(|dates| is_within(dates, now)));
        match (price, sale) {
            (Some(price), Some(sale)) if is_lower(sale, price) => {
                CurrentPrice { price: Some(say(sale)), before: Some(say(price)) }
            }
            (None, Some(sale)) => CurrentPrice { price: Some(say(sale)), before: None },
            (price, _) => CurrentPrice { price: price.map(say), before: None },
        }
    }
}

impl ProductSummary {
    /// The price at the time `now`, as `locale` writes it; without one, and where it is no amount, as the feed says it.
    pub fn offer(&self, now: Timestamp, locale: Option<PriceLocale>) -> CurrentPrice {
        CurrentPrice::of([&self.price, &self.sale_price, &self.sale_price_effective_date], now, locale)
    }
}

impl Product {
    /// As [`ProductSummary::offer`], as the feed says it.
    pub fn offer(&self, now: Timestamp) -> CurrentPrice {
        CurrentPrice::of([&self.price, &self.sale_price, &self.sale_price_effective_date], now, None)
    }
}

/// Amounts that cannot be compared: the feed calls it a sale price, so it is one.
fn is_lower(sale: &str, price: &str) -> bool {
    match (Price::parse(sale), Price::parse(price)) {
        (Some(sale), Some(price)) => sale.partial_cmp(&price).is_none_or(Ordering::is_lt),
        _ => true,
    }
}

/// Whether `now` is within an interval "from/to", either of which may be missing. A date alone is the whole day, here.
pub fn is_within(interval: &str, now: Timestamp) -> bool {
    let Some((from, to)) = interval.split_once('/') else { return false };
    let begun = from.trim().is_empty() || moment(from, false).is_some_and(|from| from <= now);
    begun && (to.trim().is_empty() || moment(to, true).is_some_and(|to| now < to))
}

/// Whether it is such an interval: at least one of both, and not over before it begins.
pub(super) fn is_interval(text: &str) -> bool {
    let Some((from, to)) = text.split_once('/') else { return false };
    let is_missing = |text: &str| text.trim().is_empty();
    match (moment(from, false), moment(to, true)) {
        (Some(from), Some(to)) => from <= to,
        (Some(_), None) => is_missing(to),
        (None, Some(_)) => is_missing(from),
        (None, None) => false,
    }
}

fn moment(text: &str, end: bool) -> Option<Timestamp> {
    let text = text.trim();
    let zoned = |time: DateTime| time.to_zoned(TimeZone::system()).ok().map(|time| time.timestamp());
    if let Some(date) = Some(text).filter(|text| text.len() <= 10).and_then(|text| text.parse::<Date>().ok()) {
        let date = if end { date.checked_add(1.day()).ok()? } else { date };
        return zoned(date.to_datetime(jiff::civil::Time::midnight()));
    }
    text.parse::<Timestamp>().ok().or_else(|| zoned(text.parse().ok()?))
}

#[cfg(test)]
#[path = "price_tests.rs"]
mod tests;
