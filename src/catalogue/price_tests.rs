//! Prices as feeds write them.

use super::*;

const GERMAN: PriceLocale = PriceLocale(Locale::de_DE);
const BRITISH: PriceLocale = PriceLocale(Locale::en_GB);

fn said(text: &str, locale: PriceLocale) -> String {
    Price::parse(text).map_or_else(|| "none".into(), |price| price.format(locale).replace(['\u{a0}', '\u{202f}'], " "))
}

#[test]
fn amounts_are_read_and_written_for_the_locale() {
    for (text, german, british) in [
        ("19.90 EUR", "19,90 €", "€19.90"),
        ("EUR 19.90", "19,90 €", "€19.90"),
        ("19,90 €", "19,90 €", "€19.90"),
        ("€1.299,00", "1.299,00 €", "€1,299.00"),
        ("1,299.00 USD", "1.299,00 $", "$1,299.00"),
        ("1.299 EUR", "1.299 €", "€1,299"),
        ("1 299 000,50 EUR", "1.299.000,50 €", "€1,299,000.50"),
        ("49.90 SEK", "49,90 SEK", "SEK 49.90"),
        ("1'299.50 CHF", "1.299,50 CHF", "CHF 1,299.50"),
        ("19.9", "19,90", "19.90"),
        ("25 GBP", "25 £", "£25"),
        ("49.0000", "49,00", "49.00"),
        ("1299.995000 EUR", "1.300,00 €", "€1,300.00"),
        ("from 19.90 EUR", "none", "none"),
        ("on request", "none", "none"),
        ("19.90.1 EUR", "none", "none"),
    ] {
        assert_eq!(said(text, GERMAN), german, "{text}");
        assert_eq!(said(text, BRITISH), british, "{text}");
    }
}

#[test]
fn a_currency_is_added_where_there_is_none() {
    let euro = Currency::parse(" eur").unwrap();
    for (text, expected) in [
        ("19.90", "19.90 EUR"),
        ("39,00", "39,00 EUR"),
        ("1.299", "1.299 EUR"),
        ("49.0000", "49.00 EUR"),
        ("1299,900000", "1299,90 EUR"),
        ("199.5", "199.50 EUR"),
        ("19,9 ", "19,90 EUR"),
        ("5 GBP", "5 GBP"),
        ("€5", "€5"),
        ("on request", "on request"),
        ("from 19.90", "from 19.90 EUR"),
        ("19-29", "19-29 EUR"),
        ("ab 19,90 €", "ab 19,90 €"),
    ] {
        let mut price = Some(text.to_owned());
        euro.complete(&mut price);
        assert_eq!(price.as_deref(), Some(expected));
    }
    let mut price = Some("5".to_owned());
    Currency::parse("").unwrap().complete(&mut price);
    assert_eq!(price.as_deref(), Some("5"));
    for wrong in ["EURO", "€", "12"] {
        let fault = Currency::parse(wrong).unwrap_err();
        assert!(fault.kind() == Kind::Usage && fault.to_string().contains("ISO 4217"), "{fault}");
    }
}

fn product(price: &str, sale_price: &str, dates: &str) -> ProductSummary {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    ProductSummary {
        price: text(price),
        sale_price: text(sale_price),
        sale_price_effective_date: text(dates),
        ..ProductSummary::default()
    }
}

#[test]
fn a_sale_price_counts_while_it_lasts() {
    let now: Timestamp = "2026-06-15T12:00:00Z".parse().unwrap();
    for (dates, on) in [
        ("", true),
        ("2026-06-15T11:00:00+0000/2026-06-15T13:00:00+0000", true),
        ("2026-06-15T13:30+02:00/2026-06-15T15:00+02:00", true),
        ("2026-06-15T15:00+02:00/2026-06-20T15:00+02:00", false),
        ("2026-06-10/2026-06-15", true),
        ("2026-06-17/2026-06-20", false),
        ("2026-06-01/2026-06-12", false),
        ("/2026-06-20", true),
        ("2026-06-01/", true),
        ("soon", false),
    ] {
        let offer = product("49.90 EUR", "29.90 EUR", dates).offer(now, None);
        let expected = if on { ("29.90 EUR", Some("49.90 EUR")) } else { ("49.90 EUR", None) };
        assert_eq!((offer.price.as_deref(), offer.before.as_deref()), (Some(expected.0), expected.1), "{dates:?}");
    }
}

#[test]
fn a_sale_price_that_is_not_lower_strikes_nothing_through() {
    let now = Timestamp::UNIX_EPOCH;
    let offer = product("29.90 EUR", "29.90 EUR", "").offer(now, Some(GERMAN));
    assert_eq!((offer.price.as_deref(), offer.before), (Some("29,90\u{a0}€"), None));
    let offer = product("9.90 EUR", "10.5 EUR", "").offer(now, None);
    assert_eq!((offer.price.as_deref(), offer.before), (Some("9.90 EUR"), None));
    assert_eq!(product("", "5 EUR", "").offer(now, None).price.as_deref(), Some("5 EUR"));
    assert_eq!(product("", "", "").offer(now, None), CurrentPrice::default());
}

#[test]
fn locales_have_names() {
    for name in ["de_DE", "de-DE", "de_DE.UTF-8"] {
        assert_eq!(PriceLocale::try_from(name.to_owned()), Ok(GERMAN), "{name}");
    }
    assert_eq!(String::from(GERMAN), "de_DE");
    assert!(PriceLocale::try_from("German".to_owned()).unwrap_err().contains("de_DE"));
}

#[test]
fn a_computed_amount_is_written_as_the_price_that_it_comes_from() {
    for (text, expected) in [
        ("40.00 €", "46.25 €"),
        ("40,00 €", "46,25 €"),
        ("€ 1.299,00", "€ 46,25"),
        ("1,299 USD", "46.25 USD"),
        ("1,299.00 USD", "46.25 USD"),
        ("40", "46.25"),
        ("on request", "46.25"),
    ] {
        assert_eq!(with_amount(text, 46.25), expected, "{text}");
    }
}
