//! Releases: what they bring beside products (the model that mirrors run, and keys of their configuration).
//!
//! cargo test --release --features hub --test hub_releases; skipped with a word where there is no PostgreSQL with pgvector. `VETRINA_KILLS`
//! sets the number of kills, `VETRINA_SEED` the seed of their moments.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used)]

mod chain;
mod kills;
mod mirror;
mod postgres;

use chain::{Hub, done, follower, json, once, refused, status, strs};
use mirror::{Mirror, http, repository};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};
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
