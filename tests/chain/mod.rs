//! A hub with a database of its own, and mirrors that follow it.

#![allow(dead_code)]

use crate::mirror::{Shop, http, repository};
use crate::postgres::Postgres;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use vetrina::catalogue::Catalogue;

pub fn vetrina(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vetrina")).args(args).output().unwrap()
}

#[track_caller]
pub fn done(args: &[&str]) -> String {
    let output = vetrina(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[track_caller]
pub fn json(args: &[&str]) -> Value {
    serde_json::from_str(&done(&[args, &["--json"]].concat())).unwrap()
}

#[track_caller]
pub fn refused(args: &[&str], code: i32, words: &str) {
    let output = vetrina(args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    assert!(error.contains(words) && error.trim().lines().count() == 1, "{args:?}: {error}");
}

/// A hub in a folder, with a database of its own.
pub struct Hub {
    pub postgres: Postgres,
    pub shop: Shop,
    pub database: String,
}

impl Hub {
    /// A database without tables.
    pub fn empty() -> Option<Self> {
        let postgres = Postgres::start()?;
        let database = postgres.create("hub");
        Some(Hub { postgres, shop: Shop::empty(), database })
    }

    pub fn new() -> Option<Self> {
        let hub = Hub::empty()?;
        done(&["hub", "init", "--database", &hub.database, "--model", &model()]);
        done(&["hub", "key", &hub.key()]);
        Some(hub)
    }

    /// With a first release for the shop "berlin", of so many products.
    pub fn with_release(products: usize) -> Option<Self> {
        let hub = Hub::new()?;
        hub.import(&hub.feed("feed.csv", 0, products), &["berlin"]);
        hub.work();
        hub.publish("berlin");
        Some(hub)
    }

    pub fn key(&self) -> String {
        self.shop.path("secret.key")
    }

    pub fn public_key(&self) -> String {
        done(&["hub", "key", &self.key()])
    }

    pub fn releases(&self) -> String {
        self.shop.path("releases")
    }

    /// A feed of the demo shop's products from row `from` on.
    pub fn feed(&self, name: &str, from: usize, count: usize) -> String {
        let feed = fs::read_to_string(repository("demo/feed.csv")).unwrap();
        let mut lines = feed.lines();
        let head = lines.next().unwrap();
        let rows: Vec<&str> = lines.skip(from).take(count).collect();
        self.shop.write(name, &format!("{head}\n{}\n", rows.join("\n")));
        self.shop.path(name)
    }

    pub fn import(&self, feed: &str, shops: &[&str]) -> Value {
        json(&strs(&self.import_command(feed, shops)))
    }

    pub fn import_command(&self, feed: &str, shops: &[&str]) -> Vec<String> {
        let images = repository("demo").display().to_string();
        let mut args =
            vec!["hub", "import", feed, "--images", &images, "--database", &self.database, "--allow-removals"];
        shops.iter().for_each(|shop| args.extend(["--shop", shop]));
        args.into_iter().map(str::to_owned).collect()
    }

    pub fn work(&self) -> Value {
        json(&["hub", "work", "--database", &self.database, "--model", &model()])
    }

    pub fn publish(&self, shop: &str) -> Value {
        json(&strs(&self.publish_command(shop)))
    }

    pub fn publish_command(&self, shop: &str) -> Vec<String> {
        let (key, releases) = (self.key(), self.releases());
        let args = ["hub", "publish", "--shop", shop, "--key", &key, "--to", &releases, "--database", &self.database];
        args.map(str::to_owned).into()
    }

    pub fn count(&self, query: &str) -> i64 {
        self.postgres.sql("hub", &format!("select count(*) from {query}")).parse().unwrap()
    }
}

/// Arguments for [`Command`].
pub fn strs(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

pub fn model() -> String {
    repository("models/compact").display().to_string()
}

/// A program that serves and says where in its log.
pub struct Served {
    child: Child,
    pub address: String,
}

impl Served {
    pub fn start(hub: &Hub, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vetrina"))
            .args([
                "hub",
                "serve",
                "--database",
                &hub.database,
                "--releases",
                &hub.releases(),
                "--listen",
                "127.0.0.1:0",
            ])
            .args(["--model", &model()])
            .args(more)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("it ended").unwrap();
            if let Some((_, rest)) = line.split_once("the hub: http://") {
                break rest.trim_end_matches('/').to_owned();
            }
        };
        thread::spawn(move || lines.for_each(drop));
        Served { child, address }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A mirror of a shop: its folder, and its configuration with `[sync]`.
pub fn follower(hub: &Hub, source: &str) -> (Shop, String) {
    let shop = Shop::empty();
    let config = shop.config_for("test://bars", "").replace("enabled = false\n", "listen = \"127.0.0.1:0\"\n");
    let sync = format!("[sync]\nsource = \"{source}\"\nkey = \"{}\"\npoll_seconds = 2\n", hub.public_key());
    let config = config + &sync;
    shop.write("vetrina.toml", &config);
    (shop, config)
}

pub fn once(shop: &Shop) -> Value {
    json(&["sync", "once", "--config", &shop.path("vetrina.toml")])
}

pub fn price(db: &str, id: &str) -> Option<String> {
    Catalogue::open(db.as_ref()).unwrap().get(id).unwrap().unwrap().product.price
}

pub fn status(address: &str) -> Value {
    http::get(address, "/status.json").json()
}

/// A mirror of a shop that has joined the hub and shows its release.
pub fn joined(hub: &Hub, served: &Served, shop: &str) -> Shop {
    let (folder, _) = follower(hub, &format!("{}/releases/{shop}", served.url()));
    let code = done(&["hub", "enrol", shop, &format!("m-{shop}"), "--database", &hub.database]);
    done(&["sync", "join", &served.url(), &code, "--config", &folder.path("vetrina.toml")]);
    once(&folder);
    folder
}
