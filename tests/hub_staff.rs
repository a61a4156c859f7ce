//! What staff at a mirror have of a chain: other shops' products, and that the hub hears what they say of the mirror's answers.
//!
//! cargo test --release --features hub --test hub_staff; skipped with a word where there is no PostgreSQL with pgvector.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used)]

mod chain;
mod mirror;
mod postgres;

use chain::{Hub, Served, done, joined, json, once, vetrina};
use mirror::{Mirror, http, repository};
use serde_json::Value;
use std::fs;
use std::time::Instant;
use vetrina::catalogue::Catalogue;
use vetrina::catalogue::correction::{JudgedAnswer, Judgement};
use vetrina::seam::Region;
use vetrina::sync::fleet::FleetLink;

/// The user `vetrina` of the mirrors' pages.
const PASSWORD: &str = "Authorization: Basic dmV0cmluYTpjb3JyZWN0IGhvcnNl\r\n";

#[test]
fn staff_are_told_which_other_shops_sell_what_is_worn() {
    let Some(hub) = Hub::new() else { return };
    hub.import(&hub.feed("feed.csv", 0, 4), &["berlin", "hamburg"]);
    hub.work();
    hub.publish("berlin");
    let served = Served::start(&hub, &[]);
    let folder = joined(&hub, &served, "berlin");
    let clip = format!("file://{}?loop", repository("demo/clips/1.mjpg").display());
    let config = fs::read_to_string(folder.path("vetrina.toml")).unwrap().replace("test://bars", &clip);
    let password = "[web]\npassword = \"correct horse\"\n";
    let config = config.replace("[web]\n", password);
    let run = |more: &str| {
        let mut mirror = Mirror::start(&folder, &format!("{config}{more}"));
        let at = http::address(&mut mirror);
        let answers = || http::get_with(&at, "/staff/answers.json", PASSWORD).json();
        mirror.wait_until("there is an answer", || answers()["answers"][0]["id"] == "V101");
        (mirror, at.clone(), answers())
    };
    let ask = |at: &str, answers: &Value| {
        let body = serde_json::json!({ "number": answers["answers"][0]["number"] }).to_string();
        http::post(at, "/staff/other-shops", &format!("{PASSWORD}x-vetrina: 1\r\n"), &body)
    };
    let (mirror, at, answers) = run("");
    assert_eq!(
        (answers["other_shops"].as_bool(), ask(&at, &answers).status),
        (Some(false), 404),
        "off unless it is set"
    );
    drop(mirror);

    let (mut mirror, at, answers) = run("other_shops = true\n");
    assert_eq!(answers["other_shops"], true);
    let found = ask(&at, &answers);
    assert_eq!(found.status, 200, "{}", found.text());
    let best = found.json()["products"][0].clone();
    assert_eq!(
        (best["id"].as_str(), &best["shops"]),
        (Some("V101"), &serde_json::json!(["hamburg"])),
        "not its own shop"
    );
    let body = "{\"number\": 99999}";
    assert_eq!(http::post(&at, "/staff/other-shops", &format!("{PASSWORD}x-vetrina: 1\r\n"), body).status, 404);

    // The hub is away, or hangs: staff read so in time, and the mirror answers on.
    drop(served);
    let away = ask(&at, &answers);
    assert_eq!(away.status, 503, "{}", away.text());
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = folder.path("shop.db.sync/mirror.json");
    let mut key: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    key["hub"] = format!("http://{}", silent.local_addr().unwrap()).into();
    fs::write(&file, key.to_string()).unwrap();
    let start = Instant::now();
    let away = ask(&at, &answers);
    assert_eq!(away.status, 503, "{}", away.text());
    assert!((2..10).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    let recognized = || {
        let metrics = http::get_with(&at, "/metrics", PASSWORD).text();
        http::metric(&metrics, "vetrina_frames_recognised_total").unwrap()
    };
    let before = recognized();
    mirror.wait_until("it answers on", || recognized() > before);
}

#[test]
fn what_staff_said_of_answers_goes_up_once_and_the_fleet_shows_how_many_were_right() {
    let Some(hub) = Hub::with_release(2) else { return };
    let served = Served::start(&hub, &[]);
    let folder = joined(&hub, &served, "berlin");
    let judged = JudgedAnswer {
        region: Some(Region::Upper),
        shown: "V101".into(),
        logit: 1.5,
        margin: Some(0.25),
        verdict: "likely",
        descriptor_hash: "hash".into(),
    };
    let db = folder.path("shop.db");
    let say = |judgements: &[Judgement]| {
        let mut catalogue = Catalogue::open(db.as_ref()).unwrap();
        judgements.iter().for_each(|judgement| drop(catalogue.correct(&judged, judgement).unwrap()));
    };
    // The same thing said twice is two judgements.
    say(&[Judgement::Right, Judgement::Right, Judgement::Other("V102".into()), Judgement::NotOurs]);
    once(&folder);
    assert_eq!(hub.count("correction"), 4);
    let row =
        "select hour, region, shown, logit, margin, verdict, meant, model from correction where judgement = 'other'";
    let row = hub.postgres.sql("hub", row);
    assert!(row.ends_with("|upper|V101|1.5|0.25|likely|V102|hash"), "{row}");
    once(&folder);
    assert_eq!(hub.count("correction"), 4, "twice is once");

    // The hub is away: they wait in the catalogue. More than one message holds, and one that the hub has lost.
    drop(served);
    say(&vec![Judgement::Right; 245]);
    vetrina(&["sync", "once", "--config", &folder.path("vetrina.toml")]);
    hub.postgres.sql("hub", "delete from correction where judgement = 'not_ours'");
    assert_eq!(hub.count("correction"), 3);
    let served = Served::start(&hub, &[]);
    let file = folder.path("shop.db.sync/mirror.json");
    let mut key: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    key["hub"] = served.url().into();
    fs::write(&file, key.to_string()).unwrap();
    let config = folder.path("vetrina.toml");
    let text = fs::read_to_string(&config).unwrap();
    let source = text.lines().find(|line| line.starts_with("source = \"http://")).unwrap();
    fs::write(&config, text.replace(source, &format!("source = \"{}/releases/berlin\"", served.url()))).unwrap();
    once(&folder);
    assert_eq!(hub.count("correction"), 249);

    // One is taken back that the hub has: it stays there, and the next one, which has its row in the catalogue, goes up too.
    let mut link = FleetLink::load(db.as_ref()).unwrap().unwrap();
    let mut catalogue = Catalogue::open(db.as_ref()).unwrap();
    let said = catalogue.correct(&judged, &Judgement::Other("V101".into())).unwrap();
    link.share(db.as_ref()).unwrap();
    catalogue.take_back(&said).unwrap();
    assert_eq!(catalogue.correct(&judged, &Judgement::Other("V102".into())).unwrap().row, said.row);
    link.share(db.as_ref()).unwrap();
    assert_eq!(hub.count("correction"), 251);

    // Old ones say nothing of today's mirror.
    hub.postgres.sql("hub", "update correction set hour = '2020-01-01T10' where judgement = 'other'");
    let fleet = json(&["hub", "status", "--database", &hub.database]);
    let mirror = &fleet["mirrors"][0];
    assert_eq!((mirror["judged"].as_i64(), mirror["judged_right"].as_i64()), (Some(248), Some(247)), "{mirror}");
    assert!(done(&["hub", "status", "--database", &hub.database]).contains("247 of 248, 100 %"));
    assert!(http::get(&served.address, "/").text().contains("<td>247 of 248, 100 %"));
    let metrics = http::get(&served.address, "/metrics").text();
    assert!(metrics.contains("vetrina_hub_mirror_right_answers{mirror=\"m-berlin\",shop=\"berlin\"} 247"), "{metrics}");

    let bearer = format!("Authorization: Bearer {}\r\n", key["token"].as_str().unwrap());
    let post = |headers: &str, body: &str| http::post(&served.address, "/api/corrections", headers, body).status;
    assert_eq!((post("", "[]"), post(&bearer, "[]"), post(&bearer, "[{\"uid\": \"a\"}]")), (401, 204, 400));
}
