//! What operators do over HTTP: they search by a product's picture, and each token does what its role may, under its name.
//!
//! cargo test --release --features hub --test hub_operators; skipped with a word where there is no PostgreSQL with pgvector.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used)]

mod chain;
mod mirror;
mod postgres;

use chain::{Hub, Served, done, follower, joined, json, once, refused};
use mirror::{http, repository};
use serde_json::Value;
use std::fs;

fn token(hub: &Hub, name: &str, role: &str) -> String {
    let token = done(&["hub", "token", "add", name, role, "--database", &hub.database]);
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn a_products_picture_finds_the_product_and_is_kept_nowhere() {
    let Some(hub) = Hub::new() else { return };
    hub.import(&hub.feed("feed.csv", 0, 4), &["berlin", "hamburg"]);
    hub.work();
    let served = Served::start(&hub, &[]);
    let reader = token(&hub, "desk", "reader");
    let send = |query: &str, headers: &str, bytes: &[u8]| {
        let headers = format!("{headers}Content-Type: image/jpeg\r\n");
        http::request_bytes(&served.address, "POST", &format!("/api/search{query}"), &headers, bytes)
    };
    let feed = fs::read_to_string(hub.shop.path("feed.csv")).unwrap();
    let picture = |id: &str| {
        let row = feed.lines().find(|line| line.starts_with(&format!("{id},"))).unwrap();
        let link = row.split(',').find(|cell| cell.ends_with(".jpg")).unwrap();
        fs::read(repository("demo").join(link)).unwrap()
    };
    let jpeg = picture("V102");
    let kept = || (hub.count("content"), hub.count("job"), hub.count("view"));
    let before = kept();
    let found = send("", &reader, &jpeg);
    assert_eq!(found.status, 200, "{}", found.text());
    let found = found.json();
    let best = &found["products"][0];
    assert_eq!((best["id"].as_str(), &best["shops"]), (Some("V102"), &serde_json::json!(["berlin", "hamburg"])));
    // The hub's own picture, embedded as its import embeds: nothing can be nearer. Its row is the garment that is asked after.
    let row = "select round(x1)||' '||round(y2) from view where head = 'match' and sha256 =
               (select sha256 from picture where product_id = 'V102' and position = 0)";
    let corners = &found["garment"]["box"];
    let asked = format!("{:.0} {:.0}", corners[0].as_f64().unwrap(), corners[3].as_f64().unwrap());
    assert_eq!(hub.postgres.sql("hub", row), asked);
    assert_eq!(found["garment"]["region"], "upper", "{found}");
    assert_eq!(send("?most=1&region=upper", &reader, &jpeg).json()["products"].as_array().unwrap().len(), 1);
    assert_eq!(kept(), before);

    for (query, headers, bytes, status) in [
        ("?region=hat", reader.as_str(), &jpeg[..], 400),
        ("?most=0", &reader, &jpeg, 400),
        ("", &reader, b"no picture", 400),
        ("", &reader, &jpeg[..jpeg.len() / 2], 400),
        ("", "", &jpeg, 401),
        ("", "Authorization: Bearer desk\r\n", &jpeg, 401),
    ] {
        let answer = send(query, headers, bytes);
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }
    let noted = "select count(*) from audit where actor = 'token desk' and detail = 'by a picture'";
    assert_eq!(hub.postgres.sql("hub", noted), "2", "searches that were answered");
}

#[test]
fn a_token_does_what_its_role_may_and_the_audit_log_names_it() {
    let Some(hub) = Hub::with_release(2) else { return };
    let served = Served::start(&hub, &[]);
    let get = |path: &str, headers: &str| http::get_with(&served.address, path, headers).status;
    assert_eq!((get("/status.json", ""), get("/metrics", "Authorization: Bearer x\r\n")), (200, 401), "no token yet");

    let add = |name: &str, role: &str| token(&hub, name, role);
    let (reader, publisher, admin) = (add("prometheus", "reader"), add("till", "publisher"), add("chief", "admin"));
    let again = ["hub", "token", "add", "till", "reader", "--database", hub.database.as_str()];
    refused(&again, 2, "already");
    let words = ["hub", "token", "add", "two words", "reader", "--database", hub.database.as_str()];
    refused(&words, 2, "no name of a token");
    assert_eq!(get("/status.json", ""), 401, "with tokens, this machine needs one, too");
    for path in ["/", "/status.json", "/metrics", "/targets.json"] {
        assert_eq!([&reader, &publisher, &admin].map(|token| get(path, token)), [200; 3], "{path}");
    }

    let price = r#"{"shop": "berlin", "product": "V101", "price": "3.50 EUR"}"#;
    let enrol = r#"{"shop": "berlin", "mirror": "b7", "hours": 1}"#;
    let revoke = r#"{"mirror": "b7"}"#;
    let stop = r#"{"shop": "berlin", "stop": "too dear"}"#;
    let share = r#"{"shop": "berlin", "share": 50}"#;
    let post = |path: &str, headers: &str, body: &str| http::post(&served.address, path, headers, body);
    // By role, weakest first: what each request is answered. Nothing before the last line has changed anything.
    for (path, body, by_role) in [
        ("/api/price", price, [401, 403, 204, 204]),
        ("/api/enrol", enrol, [401, 403, 403, 200]),
        // The code that was just made is taken back.
        ("/api/revoke", revoke, [401, 403, 403, 204]),
        ("/api/roll-out", stop, [401, 403, 403, 204]),
    ] {
        let answers = ["", &reader, &publisher, &admin].map(|token| post(path, token, body).status);
        assert_eq!(answers, by_role, "{path}");
    }
    assert_eq!(hub.postgres.sql("hub", "select price from offer where product_id = 'V101'"), "3.50 EUR");
    let release = "select share || ' ' || coalesce(stopped, '') from release";
    assert_eq!(hub.postgres.sql("hub", release), "100 too dear");
    assert_eq!(post("/api/roll-out", &admin, share).status, 204);
    assert_eq!(hub.postgres.sql("hub", release), "50");
    done(&["hub", "roll-out", "berlin", "--share", "100", "--database", &hub.database]);
    assert_eq!(hub.postgres.sql("hub", release), "100");

    // A code made over HTTP lets a mirror join, whose key is then taken over HTTP.
    let code = post("/api/enrol", &admin, enrol).json();
    let (folder, _) = follower(&hub, &format!("{}/releases/berlin", served.url()));
    let config = folder.path("vetrina.toml");
    done(&["sync", "join", &served.url(), code["code"].as_str().unwrap(), "--config", &config]);
    assert_eq!(once(&folder)["release"], 1);
    assert_eq!(post("/api/enrol", &admin, enrol).status, 400, "it has joined");
    // Two servers of one database: what one has done the other knows.
    let second = Served::start(&hub, &[]);
    let elsewhere = |path: &str, body: &str| http::post(&second.address, path, &admin, body).status;
    assert_eq!(elsewhere("/api/join", &code.to_string()), 403, "the code was used");
    assert_eq!((elsewhere("/api/roll-out", share), elsewhere("/api/price", "{}")), (204, 400));
    assert_eq!(post("/api/revoke", &admin, revoke).status, 204);
    refused(&["sync", "once", "--config", &config], 8, "join the hub");

    for (path, body) in [
        ("/api/price", r#"{"shop": "berlin", "product": "V101", "price": "cheap"}"#),
        ("/api/price", r#"{"shop": "berlin", "product": "V999", "price": "1 EUR"}"#),
        ("/api/price", "{}"),
        ("/api/enrol", r#"{"shop": "nowhere", "mirror": "b8"}"#),
        ("/api/enrol", r#"{"shop": "berlin", "mirror": "b8", "hours": 0}"#),
        ("/api/roll-out", r#"{"shop": "berlin"}"#),
        ("/api/roll-out", r#"{"shop": "berlin", "share": 101}"#),
        ("/api/roll-out", r#"{"shop": "nowhere", "share": 50}"#),
    ] {
        let answer = post(path, &admin, body);
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
    }

    // A mirror's key is no token, and a token no mirror's key.
    let mirror = joined(&hub, &served, "berlin");
    let key: Value =
        serde_json::from_str(&fs::read_to_string(mirror.path("shop.db.sync/mirror.json")).unwrap()).unwrap();
    let key = format!("Authorization: Bearer {}\r\n", key["token"].as_str().unwrap());
    assert_eq!((get("/status.json", &key), get("/releases/berlin/release.json", &admin)), (401, 401));

    let listed = json(&["hub", "token", "list", "--database", &hub.database]);
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["chief", "prometheus", "till"]);
    assert!(listed.as_array().unwrap().iter().all(|token| token["last_used_seconds"].is_number()), "{listed}");
    done(&["hub", "token", "remove", "till", "--database", &hub.database]);
    refused(&["hub", "token", "remove", "till", "--database", &hub.database], 2, "no token");
    assert_eq!((get("/status.json", &publisher), get("/status.json", &reader)), (401, 200));

    let audit = |actor: &str| {
        let query =
            "select coalesce(string_agg(action || ' ' || detail, '; ' order by at), '') from audit where actor = ";
        hub.postgres.sql("hub", &format!("{query}'{actor}'"))
    };
    let (reader, publisher, admin) = (audit("token prometheus"), audit("token till"), audit("token chief"));
    assert_eq!(reader.matches("refused POST /api/").count(), 4, "{reader}");
    assert!(
        publisher.contains("price berlin V101: 3.50 EUR") && publisher.contains("refused POST /api/enrol"),
        "{publisher}"
    );
    for line in
        ["enrol b7 of berlin", "revoke b7", "roll-out berlin 1: stopped: too dear", "roll-out berlin 1: 50 percent"]
    {
        assert!(admin.contains(line), "{line}: {admin}");
    }
    assert!(!admin.contains("refused"), "{admin}");
    let strangers = "select count(*) from audit where action = 'refused' and actor = '127.0.0.1'";
    assert_eq!(hub.postgres.sql("hub", strangers), "2", "many strangers are one line, of each server");
    let secrets = format!("select count(*) from audit where detail like '%{}%'", code["code"].as_str().unwrap());
    assert_eq!(hub.postgres.sql("hub", &secrets), "0");
}

#[test]
fn behind_a_proxy_that_is_named_a_mirror_has_its_own_address_and_nobody_is_this_machine() {
    let Some(hub) = Hub::with_release(2) else { return };
    let served = Served::start(&hub, &["--proxy", "127.0.0.1", "--proxy", "::1"]);
    let open = Served::start(&hub, &[]);
    let mirror = joined(&hub, &served, "berlin");
    let key: Value =
        serde_json::from_str(&fs::read_to_string(mirror.path("shop.db.sync/mirror.json")).unwrap()).unwrap();
    let key = format!("Authorization: Bearer {}\r\n", key["token"].as_str().unwrap());
    let by_proxy = "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n";
    let status = |to: &Served, headers: &str| http::get_with(&to.address, "/status.json", headers).status;
    assert_eq!(
        [status(&open, ""), status(&open, by_proxy), status(&served, ""), status(&served, by_proxy)],
        [200, 401, 401, 401]
    );
    let reader = token(&hub, "prometheus", "reader");
    let beat = r#"{"version": "0.1.0", "release": 1}"#;
    for (to, target) in [(&open, "127.0.0.1:8080"), (&served, "203.0.113.9:8080")] {
        assert_eq!(http::post(&to.address, "/api/heartbeat", &format!("{key}{by_proxy}"), beat).status, 204);
        let targets = http::get_with(&to.address, "/targets.json", &reader).json();
        assert_eq!(targets[0]["targets"], serde_json::json!([target]), "{targets}");
    }
}
