//! The copy of the releases in a store: what goes there, in which order, and what is cleared.
//!
//! cargo test --release --features hub --test hub_stores; skipped with a word where there is no PostgreSQL with pgvector.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used)]

mod chain;
mod mirror;
mod postgres;
mod put_server;
mod s3;

use chain::{Hub, Served, done, follower, joined, json, once, price, refused, strs};
use mirror::http;
use put_server::PutServer;
use s3::S3;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

const PASSWORD: &str = "Basic aHViOmh1Yg==";
const KEYS: [(&str, &str); 1] = [("VETRINA_STORE_AUTHORIZATION", PASSWORD)];

/// A web server that takes PUT, and the store in it.
fn web_store(hub: &Hub) -> (PutServer, String) {
    let root = hub.shop.path("web");
    fs::create_dir_all(format!("{root}/releases")).unwrap();
    let server = PutServer::start(root.into(), PASSWORD);
    let store = format!("{}/releases", server.address);
    (server, store)
}

/// Another price is another release.
fn set_price(hub: &Hub, euros: u32) {
    hub.postgres.sql("hub", &format!("update offer set price = '{euros}.00 EUR'"));
}

/// The files of a folder of releases or of a store.
fn objects(root: &str) -> BTreeSet<String> {
    let files = fs::read_dir(format!("{root}/objects")).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

/// The files of release `number`.
fn objects_of(hub: &Hub, number: u32) -> BTreeSet<String> {
    let text = fs::read(format!("{}/berlin/release-{number}.json", hub.releases())).unwrap();
    let signed: Value = serde_json::from_slice(&text).unwrap();
    let manifest: Value = serde_json::from_str(signed["manifest"].as_str().unwrap()).unwrap();
    let deltas = manifest["deltas"].as_array().unwrap().iter();
    deltas.chain([&manifest["snapshot"]]).map(|object| format!("{}.zst", object["sha256"].as_str().unwrap())).collect()
}

/// All files of the folder are two days old from now on.
fn age(hub: &Hub) {
    let written = SystemTime::now() - Duration::from_secs(2 * 24 * 3600);
    for name in objects(&hub.releases()) {
        let file = format!("{}/objects/{name}", hub.releases());
        fs::File::options().write(true).open(file).unwrap().set_modified(written).unwrap();
    }
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
    let (server, store) = web_store(&hub);
    let keys = KEYS;
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

    // What the folder deletes, files that no release names and that are a day old, the store loses too.
    let first: Vec<String> = objects_of(&hub, 1).difference(&objects_of(&hub, 2)).cloned().collect();
    assert!(!first.is_empty());
    let host = endpoint.trim_start_matches("http://");
    let is_there = |name: &String| http::get(host, &format!("/chain/chain/releases/objects/{name}")).status == 200;
    fs::remove_file(format!("{}/berlin/release-1.json", hub.releases())).unwrap();
    age(&hub);
    assert!(first.iter().all(is_there));
    set_price(&hub, 6);
    assert_eq!(published_to(&hub, store, &right), 3);
    assert!(!first.iter().any(is_there));
    let (fresh, _) = follower(&hub, &format!("{endpoint}/chain/chain/releases/berlin"));
    assert_eq!(once(&fresh)["release"], 3);
}

#[test]
fn a_release_that_not_all_mirrors_may_have_does_not_reach_the_store() {
    let Some(hub) = Hub::with_release(2) else { return };
    let (server, store) = web_store(&hub);
    assert_eq!(published_to(&hub, &store, &KEYS), 1);
    let roll_out = |more: &[&str]| {
        done(&[&["hub", "roll-out", "berlin", "--database", hub.database.as_str()], more].concat());
    };
    set_price(&hub, 5);
    assert_eq!(json(&[&strs(&hub.publish_command("berlin"))[..], &["--share", "5"]].concat())["release"], 2);
    server.puts();
    for (change, words) in [(&[][..], "given to 5 %"), (&["--stop", "too dear"], "too dear")] {
        if !change.is_empty() {
            roll_out(change);
        }
        let output = publish_to(&hub, &store, &KEYS);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.code() == Some(2) && said.contains("release 2 of berlin") && said.contains(words),
            "{said}"
        );
        assert_eq!(server.puts(), Vec::<String>::new(), "{words}");
    }
    roll_out(&["--share", "100"]);
    assert_eq!((published_to(&hub, &store, &KEYS), server.puts().len()), (2, 3), "a catalogue, a delta, the manifest");
}

#[test]
fn what_no_release_names_any_more_goes_from_folder_and_store_and_what_mirrors_need_stays() {
    let Some(hub) = Hub::with_release(2) else { return };
    let (server, store) = web_store(&hub);
    let (folder, web) = (hub.releases(), hub.shop.path("web/releases"));
    assert_eq!(published_to(&hub, &store, &KEYS), 1);
    let first = objects_of(&hub, 1);
    // The files of the second release come to the store, its manifest does not: mirrors are given the first one there.
    set_price(&hub, 2);
    server.refuse(Some("release.json"));
    assert_eq!(publish_to(&hub, &store, &KEYS).status.code(), Some(8));
    let second: BTreeSet<String> = objects_of(&hub, 2).difference(&first).cloned().collect();
    assert!(!second.is_empty() && second.is_subset(&objects(&web)), "{second:?}");
    for number in 3..=12 {
        set_price(&hub, number);
        hub.publish("berlin");
    }
    age(&hub);
    let old = second.union(&objects_of(&hub, 3)).count();
    set_price(&hub, 13);
    let report: Value =
        serde_json::from_str(&done(&[&strs(&hub.publish_command("berlin"))[..], &["--json"]].concat())).unwrap();
    assert_eq!((&report["release"], &report["deleted"]), (&13.into(), &old.into()), "{report}");
    assert!(first.is_subset(&objects(&folder)) && first.is_subset(&objects(&web)), "the store's manifest names them");
    let (mirror, _) = follower(&hub, &format!("{store}/berlin"));
    assert_eq!(once(&mirror)["release"], 1);
    assert!(second.is_subset(&objects(&web)), "that copy has not been made good yet");

    // The next copy brings the newest release, and clears what was left of the others.
    server.refuse(None);
    let output = publish_to(&hub, &store, &KEYS);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gone = first.union(&second).count();
    assert_eq!((&report["deleted_in_store"], &report["is_new"]), (&gone.into(), &false.into()), "{report}");
    assert_eq!(objects(&web), objects_of(&hub, 13));
    assert!((4..=13).all(|number| objects_of(&hub, number).is_subset(&objects(&folder))));
    assert_eq!(
        (once(&mirror)["release"].as_i64(), price(&mirror.path("shop.db"), "V101").as_deref()),
        (Some(13), Some("13.00 EUR"))
    );
}

#[test]
fn the_last_release_that_all_may_have_stays_however_many_were_held_back_since() {
    let Some(hub) = Hub::with_release(2) else { return };
    for number in 2..=12 {
        set_price(&hub, number);
        json(&[&strs(&hub.publish_command("berlin"))[..], &["--share", "0"]].concat());
    }
    age(&hub);
    set_price(&hub, 13);
    json(&[&strs(&hub.publish_command("berlin"))[..], &["--share", "0"]].concat());
    let served = Served::start(&hub, &[]);
    let mirror = joined(&hub, &served, "berlin");
    assert_eq!(once(&mirror)["release"], 1);
    // It is given to all at last, by a number far above: the older manifests go.
    set_price(&hub, 14);
    let publish = hub.publish_command("berlin");
    assert_eq!(json(&[&strs(&publish)[..], &["--after", "50"]].concat())["release"], 51);
    set_price(&hub, 15);
    hub.publish("berlin");
    let manifests = fs::read_dir(format!("{}/berlin", hub.releases())).unwrap();
    let names: BTreeSet<String> = manifests.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let kept = ["release-51.json", "release-52.json", "release.json"];
    let kept: BTreeSet<String> = kept.into_iter().map(str::to_owned).chain([".lock".into()]).collect();
    assert_eq!(names, kept);
}

#[test]
fn a_file_of_the_model_and_one_that_is_not_the_hubs_may_have_any_name() {
    let Some(hub) = Hub::with_release(2) else { return };
    let (_server, store) = web_store(&hub);
    let folder = hub.shop.path("model");
    fs::create_dir(&folder).unwrap();
    for file in fs::read_dir(chain::model()).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, format!("{folder}/{}", path.file_name().unwrap().display())).unwrap();
    }
    fs::write(format!("{folder}/read me, please?.txt"), "a b").unwrap();
    let own = format!("{}/objects/a b", hub.releases());
    fs::write(&own, "somebody's").unwrap();
    age(&hub);
    let mut command = Command::new(env!("CARGO_BIN_EXE_vetrina"));
    command.args(hub.publish_command("berlin")).args(["--store", &store, "--model", &folder]).envs(KEYS);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(Path::new(&own).exists());
    let (mirror, _) = follower(&hub, &format!("{store}/berlin"));
    assert_eq!(once(&mirror)["release"], 2);
    let models = fs::read_dir(mirror.path("shop.db.sync/models")).unwrap();
    let brought: Vec<_> = models.map(|model| model.unwrap().path().join("read me, please?.txt")).collect();
    assert_eq!(fs::read_to_string(&brought[0]).unwrap(), "a b");
}
