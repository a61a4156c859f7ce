//! What programs at one hub do to one another: rows that two of them want in another order, a model that changes while a worker works,
//! codes and keys that are used twice, products that no shop sells any more.
//!
//! cargo test --release --features hub --test hub_races; skipped with a word where there is no PostgreSQL with pgvector.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used)]

mod chain;
mod mirror;
mod postgres;

use chain::{Hub, Served, done, follower, joined, json, model, once, refused, strs};
use mirror::{Shop, http, repository};
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;
use vetrina::sync::source::hash_of;

/// Links and hashes of three pictures of the demo shop, the highest hash first.
fn pictures() -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = ["V101", "V102", "V103"]
        .map(|id| format!("pictures/{id}.jpg"))
        .map(|link| (hash_of(&repository("demo").join(&link)).unwrap(), link))
        .into();
    all.sort();
    all.reverse();
    all
}

/// A feed of them in this order, whose texts name no region.
fn feed_of(hub: &Hub, pictures: &[(String, String)]) -> String {
    let rows: String = pictures.iter().enumerate().map(|(n, (_, link))| format!("P{n},Thing {n},{link}\n")).collect();
    hub.shop.write("feed.csv", &format!("id,title,image_link\n{rows}"));
    hub.shop.path("feed.csv")
}

/// Runs `work` while another program is in a transaction: it has done `first`, and does `second` once somebody waits for it.
fn beside<T>(hub: &Hub, table: &str, first: &str, second: &str, work: impl FnOnce() -> T) -> T {
    let other = format!(
        "do $$ begin
           {first};
           for round in 1..600 loop
             exit when exists (select from pg_stat_activity where wait_event_type = 'Lock');
             perform pg_sleep(0.1), pg_stat_clear_snapshot();
           end loop;
           if not exists (select from pg_stat_activity where wait_event_type = 'Lock') then
             raise 'nobody waits';
           end if;
           {second};
         end $$"
    );
    let begun = format!(
        "select exists (select from pg_locks where relation = '{table}'::regclass and mode in ('RowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))"
    );
    thread::scope(|scope| {
        let other = scope.spawn(|| hub.postgres.sql("hub", &other));
        while hub.postgres.sql("hub", &begun) == "f" {
            assert!(!other.is_finished());
            thread::sleep(Duration::from_millis(20));
        }
        let worked = work();
        other.join().unwrap();
        worked
    })
}

/// The header with a mirror's own key.
fn bearer(mirror: &Shop) -> String {
    let text = fs::read_to_string(mirror.path("shop.db.sync/mirror.json")).unwrap();
    let key: Value = serde_json::from_str(&text).unwrap();
    format!("Authorization: Bearer {}\r\n", key["token"].as_str().unwrap())
}

#[test]
fn importers_and_workers_want_pictures_in_one_order_and_never_wait_for_one_another_in_a_circle() {
    let Some(hub) = Hub::new() else { return };
    let pictures = pictures();
    let feed = feed_of(&hub, &pictures);
    let (high, low) = (&pictures[0].0, &pictures[2].0);
    let job = |sha: &str| format!("insert into job values ('\\x{sha}', '', 'other', '') on conflict do nothing");
    beside(&hub, "job", &job(low), &job(high), || hub.import(&feed, &["berlin"]));
    assert_eq!((hub.count("job"), hub.count("offer")), (3, 3));

    hub.postgres.sql("hub", "delete from job");
    hub.import(&feed, &["berlin"]);
    for (age, (sha, _)) in pictures.iter().enumerate() {
        let query =
            format!("update job set queued = now() - interval '1 hour' * {} where sha256 = '\\x{sha}'", 9 - age);
        hub.postgres.sql("hub", &query);
    }
    let content = |sha: &str| format!("insert into content values ('\\x{sha}', '') on conflict do nothing");
    let report = beside(&hub, "content", &content(low), &content(high), || hub.work());
    assert_eq!((report["embedded"].as_i64(), hub.count("job"), hub.count("view")), (Some(3), 0, 6));
}

#[test]
fn a_worker_of_the_old_model_takes_nothing_from_the_new_one_and_nothing_is_published_without_its_pictures() {
    let Some(hub) = Hub::new() else { return };
    hub.import(&feed_of(&hub, &pictures()), &["berlin"]);
    let change = "update model set is_current = false; insert into model values ('new', 'new', 256, true)";
    let model = model();
    let work = ["hub", "work", "--database", &hub.database, "--model", &model];
    beside(&hub, "job", "lock table job", change, || refused(&work, 2, "the hub's model is new"));
    assert_eq!((hub.count("job"), hub.count("view")), (3, 0));

    // A server of the old model goes on while the new one comes; one of a model that was never here is a mistake.
    drop(Served::start(&hub, &[]));
    hub.postgres.sql("hub", "update model set hash = 'old' where not is_current");
    let serve = ["hub", "serve", "--database", &hub.database, "--releases", &hub.releases(), "--model", &model];
    refused(&[&serve[..], &["--listen", "127.0.0.1:0"]].concat(), 2, "a search would find nothing");
    done(&["hub", "init", "--database", &hub.database, "--model", &model]);
    done(&work);
    hub.postgres.sql("hub", "delete from view where sha256 = (select min(sha256) from view)");
    let publish = hub.publish_command("berlin");
    refused(&strs(&publish), 2, "pictures of berlin are not embedded yet: 1");
    assert_eq!(json(&[&strs(&publish)[..], &["--incomplete"]].concat())["products"], 2);
    // What was lost is queued again by an import.
    hub.import(&hub.shop.path("feed.csv"), &["berlin"]);
    done(&work);
    assert_eq!(hub.publish("berlin")["products"], 3);
}

#[test]
fn a_code_gives_nobody_the_place_of_a_mirror_that_has_joined() {
    let Some(hub) = Hub::with_release(2) else { return };
    let served = Served::start(&hub, &[]);
    let code = || done(&["hub", "enrol", "berlin", "b1", "--database", &hub.database]);
    let join = |code: &str| http::post(&served.address, "/api/join", "", &format!("{{\"code\": \"{code}\"}}")).status;
    let revoke = || done(&["hub", "revoke", "b1", "--database", &hub.database]);
    let [first, second, third] = [code(), code(), code()];
    let (folder, _) = follower(&hub, &format!("{}/releases/berlin", served.url()));
    let config = folder.path("vetrina.toml");
    done(&["sync", "join", &served.url(), &first, "--config", &config]);
    assert_eq!(join(&second), 403, "b1 has joined");
    assert_eq!(once(&folder)["release"], 1, "and keeps its key");
    // A key that is taken back takes the codes with it, also where none has been used.
    revoke();
    assert_eq!(join(&third), 403);
    let unused = code();
    revoke();
    assert_eq!(join(&unused), 403);
    refused(&["hub", "revoke", "b1", "--database", &hub.database], 2, "no mirror");
    assert_eq!(join(&code()), 200);
}

#[test]
fn products_that_no_shop_sells_any_more_hide_none_that_one_sells() {
    let Some(hub) = Hub::with_release(2) else { return };
    // Of each picture of the product that is asked for there are many copies, of products that nobody sells.
    hub.postgres.sql(
        "hub",
        "insert into product (id, title, image_link, region)
           select 'old' || n, 'Old', 'old.jpg', 'upper' from generate_series(1, 40) as n;
         insert into picture select 'old' || n, 0, 'old.jpg', sha256(n::text::bytea) from generate_series(1, 40) as n;
         insert into view select model, body, sha256(n::text::bytea), 'upper', head, class, score, x1, y1, x2, y2, detail, embedding
           from view, generate_series(1, 40) as n where sha256 = (select sha256 from picture where product_id = 'V101' and position = 0)",
    );
    let served = Served::start(&hub, &[]);
    let mirror = joined(&hub, &served, "berlin");
    let bearer = bearer(&mirror);
    let query = "select (embedding::real[])[1:256] from view where head = 'aggregation' and sha256 =
                 (select sha256 from picture where product_id = 'V101' and position = 0)";
    let embedding = hub.postgres.sql("hub", query).replace(['{', '}'], "");
    let ask = |most: usize| {
        let body = format!("{{\"embedding\": [{embedding}], \"region\": \"upper\", \"most\": {most}}}");
        let answer = http::post(&served.address, "/api/search", &bearer, &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["products"].as_array().unwrap().iter().map(|hit| hit["id"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ask(1), ["\"V101\""]);
    hub.postgres.sql("hub", "delete from offer where product_id = 'V101'");
    assert_eq!(ask(1), ["\"V102\""], "another one, however many are nearer");
}

#[test]
fn a_file_that_is_none_of_a_release_is_not_even_opened() {
    let Some(hub) = Hub::with_release(2) else { return };
    let served = Served::start(&hub, &[]);
    let mirror = joined(&hub, &served, "berlin");
    let bearer = bearer(&mirror);
    let pipe = format!("{}/pipe", hub.releases());
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Who opens a pipe waits for one who writes.
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_secs(5));
        fs::File::options().read(true).write(true).open(pipe).map(drop)
    });
    let start = std::time::Instant::now();
    assert_eq!(http::get_with(&served.address, "/releases/objects/..%2Fpipe", &bearer).status, 404);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    writer.join().unwrap().unwrap();
}

#[test]
fn a_shop_is_published_by_one_program_at_a_time_also_into_two_folders() {
    let Some(hub) = Hub::with_release(2) else { return };
    hub.postgres.sql("hub", "update offer set price = '2 EUR'");
    let (publish, elsewhere) = (hub.publish_command("berlin"), hub.shop.path("elsewhere"));
    let other: Vec<String> = publish.iter().map(|word| word.replace(&hub.releases(), &elsewhere)).collect();
    // The first one is about to note its release.
    let both = |then: &str| {
        beside(&hub, "release", "lock table release in exclusive mode", then, || {
            thread::scope(|scope| {
                let first = scope.spawn(|| json(&strs(&publish)));
                let waits = "select exists (select from pg_stat_activity where wait_event_type = 'Lock')";
                while hub.postgres.sql("hub", waits) == "f" && !first.is_finished() {
                    thread::sleep(Duration::from_millis(20));
                }
                refused(&strs(&other), 6, "another program publishes berlin");
                first.join().unwrap()
            })
        })
    };
    assert_eq!(both("perform pg_sleep(8)")["release"], 2);
    assert_eq!(json(&strs(&other))["release"], 3);
}

#[test]
fn a_hub_takes_no_heartbeat_that_is_a_book_and_looks_after_roll_outs_with_pauses() {
    let Some(hub) = Hub::with_release(2) else { return };
    let served = Served::start(&hub, &["--soak-seconds", "0"]);
    let bearer = bearer(&joined(&hub, &served, "berlin"));
    let commits = || hub.postgres.sql("hub", "select xact_commit from pg_stat_database where datname = 'hub'");
    let before: i64 = commits().parse().unwrap();
    thread::sleep(Duration::from_secs(5));
    let since = commits().parse::<i64>().unwrap() - before;
    assert!(since < 60, "{since} transactions in five seconds");
    let beat = |words: usize| {
        let beat = serde_json::json!({ "version": "0.1.0", "reasons": ["camera: gone ".repeat(words)] }).to_string();
        http::post(&served.address, "/api/heartbeat", &bearer, &beat).status
    };
    assert_eq!([beat(100), beat(5_000)], [204, 413]);
}

#[test]
fn what_cannot_be_noted_in_the_audit_log_is_not_done() {
    let Some(hub) = Hub::new() else { return };
    let feed = feed_of(&hub, &pictures());
    hub.postgres.sql("hub", "alter table audit add check (action not in ('import', 'init')) not valid");
    refused(&strs(&hub.import_command(&feed, &["berlin"])), 1, "audit");
    assert_eq!((hub.count("offer"), hub.count("product"), hub.count("shop")), (0, 0, 0));
    hub.postgres.sql("hub", "update model set is_current = false");
    refused(&["hub", "init", "--database", &hub.database, "--model", &model()], 1, "audit");
    assert_eq!(hub.count("model where is_current"), 0);
}

#[test]
fn a_value_that_no_table_can_hold_is_its_senders_fault() {
    let Some(hub) = Hub::with_release(2) else { return };
    let served = Served::start(&hub, &[]);
    let bearer = bearer(&joined(&hub, &served, "berlin"));
    let post = |path: &str, value: Value| http::post(&served.address, path, &bearer, &value.to_string()).status;
    let worn = |uid: &str| serde_json::json!({ "uid": uid, "descriptor_hash": "a", "products": [] });
    assert_eq!([post("/api/worn", worn("a")), post("/api/worn", worn("a\0"))], [204, 400]);
    assert_eq!(post("/api/worn/missing", serde_json::json!({ "uids": ["\0"] })), 400);
    let correction = |uid: &str, logit: f64| {
        serde_json::json!([{ "uid": uid, "hour": "2026-11-27T18", "region": null, "shown": "V101", "logit": logit, "margin": null,
            "verdict": "likely", "judgement": "right", "descriptor_hash": "a" }])
    };
    let answers =
        [("a", 1.0), ("b\0", 1.0), ("c", 1e300)].map(|(uid, logit)| post("/api/corrections", correction(uid, logit)));
    assert_eq!(answers, [204, 400, 400]);
    assert_eq!((hub.count("correction"), hub.count("worn")), (1, 1));
}
