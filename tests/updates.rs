//! Prices and stock sent over HTTP to a running mirror: on its screen within two seconds, an import or not. However busy the machine:
//! what counts are the mirror's own looks at the catalogue, one a second, and the screens that it draws, ten a second at most.

#![allow(clippy::unwrap_used)]

mod mirror;

use mirror::http::{Answer, address, get, get_with, metric, post, request};
use mirror::{Mirror, Shop, repository};
use std::time::{Duration, Instant};

const TOKEN: &str = "Authorization: Bearer battery staple\r\n";
const WEB: &str = "listen = \"127.0.0.1:0\"\npassword = \"correct horse\"\ntoken = \"battery staple\"\n";
/// vetrina:correct horse
const PASSWORD: &str = "Authorization: Basic dmV0cmluYTpjb3JyZWN0IGhvcnNl\r\n";
/// Screens in a second, as `config_for` sets it.
const RATE: u64 = 10;
/// What a change may take until it is shown, in screens.
const SOON: u64 = 2 * RATE;
/// An update is shown when so many looks are over: one may have begun before it.
const LOOKS: u64 = 2;

fn patch(at: &str, id: &str, body: &str) -> Answer {
    request(at, "PATCH", &format!("/api/products/{id}"), TOKEN, body)
}

fn count(at: &str, what: &str) -> u64 {
    metric(&get_with(at, "/metrics", PASSWORD).text(), &format!("vetrina_{what}_total")).unwrap() as u64
}

/// The screens that were drawn so far.
fn screens(at: &str) -> u64 {
    count(at, "screens_presented")
}

/// How often the mirror looked whether the catalogue has changed, and took it over.
fn looks(at: &str) -> u64 {
    count(at, "catalogue_checks")
}

/// Id and price of the first match of each garment that has one.
fn shown(at: &str) -> Vec<(String, String)> {
    let status = get_with(at, "/status.json", PASSWORD).json();
    let first = |garment: &serde_json::Value| {
        let text = |name: &str| garment["matches"][0][name].as_str().map(str::to_owned);
        Some((text("id")?, text("price")?))
    };
    status["garments"].as_array().unwrap().iter().filter_map(first).collect()
}

#[test]
fn a_price_is_shown_within_two_seconds_and_an_undo_is_as_quick() {
    let shop = Shop::with_products(12);
    // A second generation, so that there is one to go back to.
    shop.import("shop.db", 11);
    let mut mirror = Mirror::start(&shop, &shop.config_with_web("1.mjpg?loop", WEB));
    let at = address(&mut mirror);
    mirror.wait_until("a garment has matches", || !shown(&at).is_empty());
    let mut most = 0;
    for round in 1..=5 {
        let mut seen = Vec::new();
        mirror.wait_until("a garment has matches", || {
            seen = shown(&at);
            !seen.is_empty()
        });
        let (id, _) = seen.remove(0);
        let price = format!("{round}.99 EUR");
        let changed = patch(&at, &id, &format!(r#"{{"price": "{price}"}}"#));
        assert_eq!(changed.status, 200, "{}", changed.text());
        let before = looks(&at);
        let mut looked = 0;
        // The garment may leave the picture meanwhile: then it is what the next one is answered.
        mirror.wait_until("the price is shown", || {
            looked = looks(&at) - before;
            let shown = shown(&at);
            let is_old = shown.iter().any(|(other, now)| *other == id && *now != price);
            assert!(!is_old || looked < LOOKS, "round {round}: the old price after {looked} looks");
            shown.contains(&(id.clone(), price.clone()))
        });
        most = most.max(looked);
    }
    println!("5 prices: shown after {most} looks at most");
    // A sale is on: the page lists the price that counts, and the one before.
    let listed = |id: &str| {
        let found = get_with(&at, &format!("/catalogue.json?q={id}"), PASSWORD).json();
        let product = &found["products"][0];
        (product["price"].as_str().map(str::to_owned), product["price_before"].as_str().map(str::to_owned))
    };
    assert_eq!(patch(&at, "V101", r#"{"price": "40.00 EUR", "sale_price": "30.00 EUR"}"#).status, 200);
    assert_eq!(listed("V101"), (Some("30.00 EUR".into()), Some("40.00 EUR".into())));
    assert_eq!(patch(&at, "V101", r#"{"sale_price_effective_date": "2020-01-01/2020-01-31"}"#).status, 200);
    assert_eq!(listed("V101"), (Some("40.00 EUR".into()), None), "the sale is over");
    let products = || get_with(&at, "/status.json", PASSWORD).json()["products"].as_u64();
    assert_eq!(products(), Some(11));
    let before = screens(&at);
    assert_eq!(post(&at, "/api/undo", TOKEN, "").status, 200);
    let answered = screens(&at) - before;
    assert!(answered <= RATE, "{answered} screens");
    let mut drawn = 0;
    mirror.wait_until("the undo is searched", || {
        drawn = screens(&at) - before;
        let searched = products() == Some(12);
        assert!(searched || drawn <= 2 * SOON, "{drawn} screens");
        searched
    });
    println!("undo: answered after {answered} screens, searched after {drawn}");
    assert_eq!(get(&at, "/api/history").status, 401);
}

#[test]
fn a_place_that_is_sent_is_shown_on_the_plan() {
    const MAGENTA: [u8; 3] = [255, 0, 255];
    let shop = Shop::with_products(12);
    image::RgbImage::from_pixel(90, 50, image::Rgb(MAGENTA)).save(shop.path("plan.png")).unwrap();
    shop.write("plan.toml", "picture = \"plan.png\"\n[shelves]\n\"Wall 3\" = [45, 25]\n");
    let config =
        shop.config_with_web("1.mjpg?loop", WEB).replace("[catalogue]\n", "[catalogue]\nplan = \"plan.toml\"\n");
    let mut mirror = Mirror::start(&shop, &config);
    let at = address(&mut mirror);
    mirror.wait_until("a garment has matches", || !shown(&at).is_empty());
    let plan = || shop.screen().map_or(0, |screen| screen.pixels().filter(|pixel| pixel.0 == MAGENTA).count());
    assert_eq!(plan(), 0, "no product has a place");
    mirror.wait_until("the plan is on the screen", || {
        for (id, _) in shown(&at) {
            assert_eq!(patch(&at, &id, r#"{"location": "wall 3, second rail"}"#).status, 200);
        }
        plan() > 1000
    });
}

#[test]
fn an_import_does_not_hold_up_updates() {
    let shop = Shop::with_products(2);
    let images = format!("[catalogue]\nimages = \"{}\"\n", repository("demo").display());
    let config = shop.config_with_web("1.mjpg?loop", WEB).replace("[catalogue]\n", &images);
    let mut mirror = Mirror::start(&shop, &config);
    let at = address(&mut mirror);
    mirror.wait_for_log("running");
    let now = || get_with(&at, "/import.json", PASSWORD).json()["import"].clone();
    let from_page = format!("{PASSWORD}x-vetrina: 1\r\n");
    assert_eq!(post(&at, "/import?feed=feed.csv", &from_page, "").status, 202);
    mirror.wait_until("it embeds", || now()["done"].as_u64() > Some(2) && now()["pictures"] != 72);
    let (mut count, mut slowest) = (0, Duration::ZERO);
    while now()["state"] == "running" {
        let start = Instant::now();
        let changed = patch(&at, "V101", &format!(r#"{{"location": "wall {count}"}}"#));
        slowest = slowest.max(start.elapsed());
        assert_eq!(changed.status, 200, "update {count}: {}", changed.text());
        count += 1;
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("{count} updates during an import, {slowest:?} at most");
    assert!(count > 5, "the import was over too soon: {}", now());
    assert_eq!(now()["state"], "done", "{}", now());
}

#[test]
fn what_is_wrong_with_a_request_is_said_in_plain_words() {
    let shop = Shop::with_products(2);
    let mut mirror = Mirror::start(&shop, &shop.config_with_web("1.mjpg?loop", WEB));
    let at = address(&mut mirror);
    for (path, body, said) in [
        ("/api/products", r#"{"products": 3}"#, ["this is the integer 3 at line 1", "give a list in square brackets"]),
        ("/api/products", r#"{"items": []}"#, ["unknown key `items`", "expected `products`"]),
        ("/api/products", "{}", ["the key `products` is missing at line 1", "add it"]),
        ("/api/undo", "[]", ["the request is a list, not an object", "docs/http-api.md"]),
        ("/api/undo", r#"{"to": "three"}"#, ["this is the string \"three\" at line 1", "give a whole number"]),
    ] {
        let answer = post(&at, path, TOKEN, body);
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, 400, "{error}");
        assert!(said.iter().all(|words| error.contains(words)), "{body}: {error}");
        assert!(error.contains("docs/http-api.md"), "{error}");
    }
}
