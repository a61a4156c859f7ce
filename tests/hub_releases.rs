//! Releases: what they bring beside products (the model that mirrors run, and keys of their configuration), and their copy in a store.
//!
//! cargo test --release --features hub --test hub_releases; skipped with a word where there is no PostgreSQL with pgvector. `VETRINA_KILLS`
//! sets the number of kills, `VETRINA_SEED` the seed of their moments.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used)]

mod chain;
mod kills;
mod mirror;
mod postgres;
mod put_server;
mod s3;

use chain::{Hub, done, follower, json, once, price, refused, status, strs};
use mirror::{Mirror, http, repository};
use put_server::PutServer;
use s3::S3;
use std::fs;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use vetrina::catalogue::Catalogue;
use vetrina::evaluation::random::SeededRng;

/// The shipped model under another hash and name.
fn other_model(hub: &Hub) -> String {
    let folder = hub.shop.path("other");
    fs::create_dir(&folder).unwrap();
    for file in fs::read_dir(repository("models/compact")).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, format!("{folder}/{}", path.file_name().unwrap().display())).unwrap();
    }
    let text = fs::read_to_string(format!("{folder}/model.toml")).unwrap();
    let text = text.replace("descriptor_hash = \"b", "descriptor_hash = \"0");
    fs::write(format!("{folder}/model.toml"), text.replace("name = \"compact\"", "name = \"other\"")).unwrap();
    folder
}

#[test]
fn a_model_and_keys_of_the_configuration_come_with_a_release_and_change_in_one_step() {
    let Some(hub) = Hub::new() else { return };
    let feed = hub.feed("feed.csv", 0, 2);
    hub.import(&feed, &["berlin"]);
    hub.work();
    hub.publish("berlin");
    let (folder, config) = follower(&hub, &format!("file://{}/berlin", hub.releases()));
    let check = || done(&["check-config", &folder.path("vetrina.toml")]);
    let mut mirror = Mirror::start(&folder, &config);
    let at = http::address(&mut mirror);
    mirror.wait_until("it shows release 1", || status(&at)["products"] == 2 && status(&at)["sync"]["release"] == 1);
    assert!(status(&at)["summary"].to_string().contains("compact"), "{}", status(&at));

    // The hub's model changes: a release brings it, or mirrors of another model refuse it.
    let other = other_model(&hub);
    let publish = |more: &[&str]| [&strs(&hub.publish_command("berlin")), more].concat().join("\n");
    let publish = |more: &[&str]| json(&publish(more).split('\n').collect::<Vec<_>>());
    refused(&[&strs(&hub.publish_command("berlin"))[..], &["--model", &other]].concat(), 2, "another model");
    done(&["hub", "init", "--database", &hub.database, "--model", &other]);
    hub.import(&feed, &["berlin"]);
    done(&["hub", "work", "--database", &hub.database, "--model", &other]);
    hub.shop.write("camera.toml", "[camera]\nsource = \"rtsp://elsewhere\"\n");
    let camera = hub.shop.path("camera.toml");
    let wrong = ["--configuration", camera.as_str()];
    refused(&[&strs(&hub.publish_command("berlin"))[..], &wrong].concat(), 2, "camera.source");
    hub.shop.write("hub.toml", "[shop]\nlanguage = \"de\"\nname = \"Chain\"\n[catalogue]\nmatches = 3\n");
    let report = publish(&["--model", &other, "--configuration", &hub.shop.path("hub.toml")]);
    assert_eq!(report["release"], 2);

    mirror.wait_for_log("beginning anew");
    // The port is a new one.
    let log = mirror.log_path();
    mirror.wait_until("it serves anew", || fs::read_to_string(&log).unwrap().matches("http://127.0.0.1").count() > 1);
    let at = last_address(&mirror);
    mirror.wait_until("it shows release 2", || status(&at)["products"] == 2 && status(&at)["phase"] == "running");
    assert!(status(&at)["summary"].to_string().contains("other"), "{}", status(&at));
    assert_eq!(status(&at)["status"], "running", "{}", status(&at));
    let shown = check();
    assert!(shown.contains("language = [\"de\"]") && shown.contains("matches = 3"), "{shown}");
    assert!(shown.contains("name = \"Test\""), "the mirror's own keys win: {shown}");

    // Later releases bring both without being told, and a change of the keys alone is one.
    assert_eq!(publish(&[])["is_new"], false);
    hub.shop.write("hub.toml", "[catalogue]\nmatches = 4\n");
    let report = publish(&["--configuration", &hub.shop.path("hub.toml")]);
    assert_eq!((report["release"].as_i64(), report["is_new"].as_bool()), (Some(3), Some(true)));
    mirror.wait_until("it shows release 3", || status(&at)["sync"]["release"] == 3);
    mirror.wait_for_log("reloaded");
    assert!(check().contains("matches = 4") && !check().contains("[\"de\"]"), "{}", check());
    let models: Vec<_> = fs::read_dir(folder.path("shop.db.sync/models")).unwrap().map(Result::unwrap).collect();
    assert_eq!(models.len(), 1, "{models:?}");
    let mark = Catalogue::open(folder.path("shop.db").as_ref()).unwrap().release().unwrap().unwrap();
    assert_eq!(mark.model_folder.as_deref(), models[0].file_name().to_str());
    drop(mirror);

    // A mirror whose copy was lost fetches it again, and one that is new begins with it.
    fs::remove_dir_all(folder.path("shop.db.sync/models")).unwrap();
    once(&folder);
    assert!(models[0].path().join("model.toml").exists());
    let (fresh, _) = follower(&hub, &format!("file://{}/berlin", hub.releases()));
    assert_eq!(once(&fresh)["release"], 3);
    assert!(done(&["check-config", &fresh.path("vetrina.toml")]).contains("shop.db.sync/models/"));
}

/// Where the page is since the mirror began anew.
fn last_address(mirror: &Mirror) -> String {
    let log = mirror.log();
    let (_, rest) = log.rsplit_once("http://").unwrap();
    rest.split(['/', '\n', ' ']).next().unwrap().to_owned()
}

/// Publishes with a store, its keys in the environment.
fn publish_to(hub: &Hub, store: &str, keys: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vetrina"));
    command.args(hub.publish_command("berlin")).args(["--store", store, "--json"]).envs(keys.iter().copied());
    command.output().unwrap()
}

#[track_caller]
fn published_to(hub: &Hub, store: &str, keys: &[(&str, &str)]) -> i64 {
    let output = publish_to(hub, store, keys);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["release"].as_i64().unwrap()
}

#[test]
fn a_web_server_that_takes_put_gets_files_first_and_the_manifest_last() {
    let Some(hub) = Hub::with_release(2) else { return };
    let root = hub.shop.path("web");
    fs::create_dir_all(format!("{root}/releases")).unwrap();
    let server = PutServer::start(root.into(), "Basic aHViOmh1Yg==");
    let store = format!("{}/releases", server.address);
    let keys = [("VETRINA_STORE_AUTHORIZATION", "Basic aHViOmh1Yg==")];
    let (folder, _) = follower(&hub, &format!("{store}/berlin"));
    let publish = hub.publish_command("berlin");
    refused(&[&strs(&publish)[..], &["--store", &store, "--share", "5"]].concat(), 2, "all mirrors at once");
    for keys in [&[][..], &[("VETRINA_STORE_AUTHORIZATION", "Basic YTpi")]] {
        let output = publish_to(&hub, &store, keys);
        let words = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(8) && words.contains("the keys") && words.lines().count() == 1, "{words}");
    }
    assert_eq!(published_to(&hub, &store, &keys), 1, "the folder's release, though nothing is new there");
    let puts = server.puts();
    assert!(
        puts[0].starts_with("releases/objects/") && puts.last().unwrap() == "releases/berlin/release.json",
        "{puts:?}"
    );
    assert_eq!(once(&folder)["release"], 1);

    // A copy that is interrupted before its manifest: mirrors keep to the old release, and the next copy brings it.
    hub.postgres.sql("hub", "update offer set price = '5.00 EUR'");
    server.refuse(Some("release.json"));
    assert_eq!(publish_to(&hub, &store, &keys).status.code(), Some(8));
    let first = server.puts().len();
    assert_eq!(
        (once(&folder)["release"].as_i64(), price(&folder.path("shop.db"), "V101").as_deref()),
        (Some(1), Some("28.90 EUR"))
    );
    server.refuse(None);
    assert_eq!(published_to(&hub, &store, &keys), 2);
    assert_eq!(
        (first, server.puts()),
        (2, vec!["releases/berlin/release.json".to_owned()]),
        "a catalogue and a delta are there"
    );
    assert_eq!(
        (once(&folder)["release"].as_i64(), price(&folder.path("shop.db"), "V101").as_deref()),
        (Some(2), Some("5.00 EUR"))
    );
}

#[test]
fn an_s3_store_takes_what_is_signed_for_and_loses_what_the_folder_has_lost() {
    let Some(mut s3) = S3::start() else { return };
    let Some(hub) = Hub::with_release(2) else { return };
    let (id, secret, endpoint) = (s3.key.clone(), s3.secret.clone(), s3.endpoint.clone());
    let keys = |secret| {
        let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_REGION"];
        names.into_iter().zip([id.as_str(), secret, endpoint.as_str(), "us-east-1"]).collect::<Vec<_>>()
    };
    let (right, store) = (keys(&secret), "s3://chain/chain/releases");
    s3.say("closed");
    let output = publish_to(&hub, store, &keys("wrong"));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(8) && words.contains("the keys") && words.lines().count() == 1, "{words}");
    assert_eq!(published_to(&hub, store, &right), 1);
    s3.say("open");
    let (folder, _) = follower(&hub, &format!("{endpoint}/chain/chain/releases/berlin"));
    assert_eq!(once(&folder)["release"], 1);

    hub.postgres.sql("hub", "update offer set price = '5.00 EUR'");
    s3.say("closed");
    assert_eq!(published_to(&hub, store, &right), 2);
    s3.say("open");
    assert_eq!(once(&folder)["release"], 2);
    assert_eq!(price(&folder.path("shop.db"), "V101").as_deref(), Some("5.00 EUR"));

    // What the folder deletes, a file that no release names and that is a day old, the store loses with the next release.
    let host = endpoint.trim_start_matches("http://");
    let old = format!("{}/objects/00.zst", hub.releases());
    fs::write(&old, "old").unwrap();
    let written = SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
    fs::File::options().write(true).open(&old).unwrap().set_modified(written).unwrap();
    assert_eq!(http::request(host, "PUT", "/chain/chain/releases/objects/00.zst", "", "old").status, 200);
    let is_there = || http::get(host, "/chain/chain/releases/objects/00.zst").status == 200;
    assert_eq!((published_to(&hub, store, &right), is_there()), (2, true));
    hub.postgres.sql("hub", "update offer set price = '6.00 EUR'");
    assert_eq!((published_to(&hub, store, &right), is_there()), (3, false));
    let (fresh, _) = follower(&hub, &format!("{endpoint}/chain/chain/releases/berlin"));
    assert_eq!(once(&fresh)["release"], 3);
}

/// The old catalogue with its model, or the new one with its own: true for the new one. The hub must be away.
fn runs_the_new_one(mirror: &mut Mirror, said: &str) -> bool {
    let at = http::address(mirror);
    mirror.wait_until("it runs", || status(&at)["phase"] == "running" && !status(&at)["sync"]["fault"].is_null());
    let now = status(&at);
    // A catalogue that another model embedded would not be searched.
    assert_eq!((&now["status"], &now["products"]), (&"running".into(), &2.into()), "{said}: {now}");
    let model = now["summary"].to_string().contains("other");
    let price = http::get(&at, "/catalogue.json?q=V101").json()["products"][0]["price"] == "2 EUR";
    let release = now["sync"]["release"] == 2;
    assert_eq!([model, price, release], [release; 3], "{said}: model, price, release: {now}");
    release
}

#[test]
fn a_mirror_killed_while_a_release_changes_its_model_runs_the_old_or_the_new_one_on_its_own_catalogue() {
    let (kills, seed) = kills::and_seed(9, 20_261_128);
    let Some(hub) = Hub::with_release(2) else { return };
    let (folder, config) = follower(&hub, &format!("file://{}/berlin", hub.releases()));
    once(&folder);
    fs::copy(folder.path("shop.db"), folder.path("old.db")).unwrap();
    let other = other_model(&hub);
    done(&["hub", "init", "--database", &hub.database, "--model", &other]);
    hub.import(&hub.shop.path("feed.csv"), &["berlin"]);
    done(&["hub", "work", "--database", &hub.database, "--model", &other]);
    hub.postgres.sql("hub", "update offer set price = '2 EUR'");
    done(&[&strs(&hub.publish_command("berlin"))[..], &["--model", &other]].concat());
    let (here, away) = (hub.releases(), hub.shop.path("away"));
    let old = || {
        ["", "-wal", "-shm"].iter().for_each(|end| drop(fs::remove_file(folder.path(&format!("shop.db{end}")))));
        let _ = fs::remove_dir_all(folder.path("shop.db.sync"));
        fs::copy(folder.path("old.db"), folder.path("shop.db")).unwrap();
    };

    old();
    let began = Instant::now();
    let mut mirror = Mirror::start(&folder, &config);
    mirror.wait_for_log("beginning anew");
    let switched = began.elapsed();
    drop(mirror);
    let (mut random, mut new, mut begun) = (SeededRng::new(seed, "kills"), 0, 0);
    for round in 0..kills {
        old();
        let mut mirror = Mirror::start(&folder, &config);
        // Spread evenly, from the start to half as long again as the change took.
        let each = switched.as_micros() as u64 * 3 / 2 / kills;
        let after = Duration::from_micros(round * each + random.below(each));
        thread::sleep(after);
        mirror.signal("KILL");
        mirror.wait_for_end();
        begun += u64::from(fs::exists(folder.path("shop.db.sync/models")).unwrap());
        fs::rename(&here, &away).unwrap();
        let mut mirror = Mirror::start(&folder, &config);
        new += u64::from(runs_the_new_one(&mut mirror, &format!("round {round} of seed {seed}, after {after:?}")));
        drop(mirror);
        fs::rename(&away, &here).unwrap();
    }
    let took = began.elapsed();
    eprintln!(
        "seed {seed}: {kills} kills, {begun} after the model had begun to come, {new} after the change, in {took:?}"
    );
    assert!(begun > new && 0 < new && new < kills, "too few moments were hit: {begun}, {new}");
    // What was left half done does no harm.
    once(&folder);
    fs::rename(&here, &away).unwrap();
    assert!(runs_the_new_one(&mut Mirror::start(&folder, &config), "at the end"));
}
