//! A catalogue's file is changed, replaced and deleted under a running mirror, with the real binary: what a shop's owner does with
//! `mv`, `cp` and `scp`.

#![allow(clippy::unwrap_used)]

mod mirror;

use mirror::http::{address, get_with, request};
use mirror::{Mirror, Shop, repository};
use std::fs;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

const WEB: &str = "listen = \"127.0.0.1:0\"\npassword = \"correct horse\"\ntoken = \"battery staple\"\n";
/// vetrina:correct horse
const PASSWORD: &str = "Authorization: Basic dmV0cmluYTpjb3JyZWN0IGhvcnNl\r\n";
const TOKEN: &str = "Authorization: Bearer battery staple\r\n";

/// Runs the program; its standard output.
fn vetrina(arguments: &[&str], db: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_vetrina")).args(arguments).arg("--db").arg(db).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Bytes of the write-ahead log: what would be applied to another file in the catalogue's place.
fn logged(shop: &Shop) -> u64 {
    fs::metadata(shop.path("shop.db-wal")).map_or(0, |log| log.len())
}

/// A mirror that shares its processors with another one finds no match for long.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

struct Running {
    _turn: MutexGuard<'static, ()>,
    shop: Shop,
    mirror: Mirror,
    at: String,
}

impl Running {
    fn with_products(count: usize) -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let shop = Shop::with_products(count);
        let mut mirror = Mirror::start(&shop, &shop.config_with_web("1.mjpg?loop", WEB));
        let at = address(&mut mirror);
        let mut running = Running { _turn: turn, shop, mirror, at };
        running.wait_for_products(count);
        running
    }

    fn status(at: &str) -> serde_json::Value {
        get_with(at, "/status.json", PASSWORD).json()
    }

    fn wait_for_products(&mut self, count: usize) {
        let at = &self.at;
        let searched = || Self::status(at)["products"] == count;
        self.mirror.wait_until(&format!("{count} products are searched"), searched);
    }

    /// The mirror has matched a garment: it has read pictures of products.
    fn wait_for_matches(&mut self) {
        let at = &self.at;
        self.mirror.wait_until("a garment has matches", || {
            let status = Self::status(at);
            status["garments"].as_array().unwrap().iter().any(|garment| garment["matches"][0]["id"].is_string())
        });
    }

    fn patch(&self, id: &str, body: &str) {
        let answer = request(&self.at, "PATCH", &format!("/api/products/{id}"), TOKEN, body);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    fn price(&self, id: &str) -> String {
        let shown: serde_json::Value =
            serde_json::from_str(&vetrina(&["catalogue", "show", id, "--json"], &self.shop.path("shop.db"))).unwrap();
        shown["price"].as_str().unwrap().to_owned()
    }
}

#[test]
fn no_change_leaves_a_log_that_another_file_would_get() {
    let mut running = Running::with_products(6);
    let db = running.shop.path("shop.db");
    running.wait_for_matches();
    running.patch("V101", r#"{"price": "1.23 EUR"}"#);
    assert_eq!(logged(&running.shop), 0, "after an update over HTTP");
    vetrina(&["catalogue", "remove", "V101"], &db);
    assert_eq!(logged(&running.shop), 0, "after a removal");
    running.wait_for_products(5);
    vetrina(&["catalogue", "undo"], &db);
    assert_eq!(logged(&running.shop), 0, "after an undo");
    running.wait_for_products(6);
    let back = request(&running.at, "POST", "/api/undo", TOKEN, "{\"to\": 1}");
    assert_eq!(back.status, 200, "{}", back.text());
    assert_eq!(logged(&running.shop), 0, "after an undo over HTTP");
    let clip = repository("demo/clips/1.mjpg").display().to_string();
    let model = repository("models/compact").display().to_string();
    let enrolled = Command::new(env!("CARGO_BIN_EXE_vetrina"))
        .args(["enrol", "V101", "--yes", "--from", &clip, "--catalogue", &db, "--model", &model])
        .output()
        .unwrap();
    assert!(enrolled.status.success(), "{}", String::from_utf8_lossy(&enrolled.stderr));
    assert_eq!(logged(&running.shop), 0, "after an enrolment");
    running.mirror.wait_until("the enrolment is read", || {
        get_with(&running.at, "/status.json", PASSWORD).json()["counters"]["reloads"].as_u64() >= Some(3)
    });
    // Between two uses nobody has the file open, so SQLite keeps nothing beside it.
    let [log, index] = ["shop.db-wal", "shop.db-shm"].map(|name| running.shop.path(name));
    running.mirror.wait_until("the file is closed", || !fs::exists(&log).unwrap() && !fs::exists(&index).unwrap());
    assert!(vetrina(&["catalogue", "check"], &db).contains("sound"));
}

#[test]
fn a_file_that_is_put_in_its_place_is_searched_as_it_is() {
    let mut running = Running::with_products(12);
    let db = running.shop.path("shop.db");
    running.shop.import("other.db", 30);
    running.shop.import("third.db", 7);
    running.wait_for_matches();
    running.patch("V101", r#"{"price": "1.23 EUR"}"#);
    assert_eq!(running.price("V101"), "1.23 EUR");

    // `mv`: another file; it is changed before the mirror may have noticed.
    fs::rename(running.shop.path("other.db"), &db).unwrap();
    assert_ne!(running.price("V101"), "1.23 EUR", "what was written into the file before");
    vetrina(&["catalogue", "remove", "V130"], &db);
    running.wait_for_products(29);
    assert!(vetrina(&["catalogue", "check"], &db).contains("sound"));
    running.patch("V101", r#"{"price": "4.56 EUR"}"#);
    running.wait_for_matches();

    // `cp`: the same file, written anew.
    fs::copy(running.shop.path("third.db"), &db).unwrap();
    running.wait_for_products(7);
    assert_ne!(running.price("V101"), "4.56 EUR");
    assert!(vetrina(&["catalogue", "check"], &db).contains("sound"));
    assert_eq!(vetrina(&["catalogue", "list"], &db), vetrina(&["catalogue", "list"], &running.shop.path("third.db")));
    running.patch("V101", r#"{"price": "7.89 EUR"}"#);
    assert_eq!(running.price("V101"), "7.89 EUR");
    running.wait_for_matches();
    running.mirror.signal("TERM");
    assert_eq!(running.mirror.wait_for_end(), Some(0), "{}", running.mirror.log());
}

#[test]
fn a_deleted_file_is_a_reason_and_what_is_in_memory_serves_on() {
    let mut running = Running::with_products(6);
    let [db, aside] = ["shop.db", "aside.db"].map(|name| running.shop.path(name));
    running.wait_for_matches();
    fs::rename(&db, &aside).unwrap();
    let at = running.at.clone();
    let reasons = || Running::status(&at)["reasons"].to_string();
    running.mirror.wait_until("the reason is told", || reasons().contains("catalogue: cannot read"));
    assert!(reasons().contains("put the catalogue back"), "{}", reasons());
    running.wait_for_matches();
    let log = running.mirror.log();
    let told = log.lines().filter(|line| line.contains("warn")).count();
    assert!(told <= 3, "told {told} times: {log}");
    fs::rename(&aside, &db).unwrap();
    running.mirror.wait_until("the reason is gone", || reasons() == "[]");
}
