//! The hub on a real PostgreSQL with pgvector, by the real binary: feeds in, pictures embedded by workers, releases out, mirrors that
//! follow them; and what is left where any of it is killed.
//!
//! cargo test --release --features hub --test hub; skipped with a word where there is no such PostgreSQL.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used)]

mod chain;
mod mirror;
mod postgres;
#[path = "hub/quick_start.rs"]
mod quick_start;
#[path = "hub/two_servers.rs"]
mod two_servers;

use chain::{Hub, Served, done, follower, joined, json, model, once, refused, strs, vetrina};
use mirror::{Mirror, Shop, http, repository};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use vetrina::catalogue::Catalogue;
use vetrina::catalogue::worn::{WornProduct, WornView};
use vetrina::evaluation::random::SeededRng;

#[test]
fn imports_workers_and_publications_that_are_killed_lose_nothing_and_leave_nothing_half_done() {
    let Some(hub) = Hub::new() else { return };
    let feeds = [hub.feed("one.csv", 0, 6), hub.feed("two.csv", 3, 6)];
    let seed = std::env::var("VETRINA_SEED").map_or(20_261_128, |text| text.parse().unwrap());
    let mut rng = SeededRng::new(seed, "kills");
    let mut random = |most: Duration| most.mul_f64(rng.unit());
    // Whether it was hit: it may have ended before.
    let killed = |args: &[&str], after: Duration| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vetrina"))
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(after);
        let _ = child.kill();
        usize::from(child.wait().unwrap().signal() == Some(9))
    };
    let timed = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    // Of imports, workers, publications and mirrors.
    let (mut kills, mut hit, started) = ([0; 4], [0; 4], Instant::now());
    let whole = timed(&|| drop(hub.import(&feeds[0], &["berlin"])));
    let offered = || hub.postgres.sql("hub", "select string_agg(product_id, ',' order by product_id) from offer");
    let both = feeds.each_ref().map(|feed| {
        hub.import(feed, &["berlin"]);
        offered()
    });
    let mut seen = BTreeSet::new();
    for round in 0..80 {
        let command = hub.import_command(&feeds[round % 2], &["berlin"]);
        hit[0] += killed(&strs(&command), random(whole));
        // All of one feed or all of the other.
        seen.insert(offered());
        kills[0] += 1;
    }
    assert!(seen.iter().all(|ids| both.contains(ids)), "{seen:?}");
    let pictures = hub.count("job");
    assert!(pictures >= 9);
    for _ in 0..30 {
        let work = ["hub", "work", "--database", &hub.database, "--model", &model()];
        hit[1] += killed(&work, random(Duration::from_secs(2)));
        kills[1] += 1;
        let (left, embedded) = (hub.count("job"), hub.count("content"));
        assert_eq!(left + embedded, pictures, "each picture waits or is embedded");
        if left == 0 {
            break;
        }
    }
    hub.work();
    assert_eq!((hub.count("job"), hub.count("content"), hub.count("view")), (0, pictures, 2 * pictures));

    hub.postgres.sql("hub", "update offer set price = 'first'");
    hub.publish("berlin");
    let (folder, _) = follower(&hub, &format!("file://{}/berlin", hub.releases()));
    let syncing = timed(&|| drop(once(&folder)));
    hub.postgres.sql("hub", "update offer set price = 'second'");
    let publishing = timed(&|| drop(hub.publish("berlin")));
    let publish = hub.publish_command("berlin");
    // Two were published above.
    let mut newest = 2;
    for round in 0..90 {
        let price = format!("{round} EUR");
        let prices = format!("update offer set price = '{price}'");
        hub.postgres.sql("hub", &prices);
        // Each fifth is left alone, so that there are releases however slow the machine is.
        if round % 5 == 4 {
            hub.publish("berlin");
        } else {
            hit[2] += killed(&strs(&publish), random(publishing));
            kills[2] += 1;
        }
        // What a mirror finds is a whole release, the old one or the new one, and it is killed as well.
        hit[3] += killed(&["sync", "once", "--config", &folder.path("vetrina.toml")], random(syncing));
        kills[3] += 1;
        let release = once(&folder)["release"].as_u64().unwrap();
        assert!(release == newest || release == newest + 1, "{release} after {newest}");
        newest = release;
        let products = Catalogue::open(folder.path("shop.db").as_ref()).unwrap().list().unwrap();
        let prices: BTreeSet<_> = products.iter().map(|(product, _)| product.price.clone()).collect();
        assert_eq!((products.len(), prices.len()), (6, 1), "{prices:?}");
    }
    let report = hub.publish("berlin");
    assert_eq!(once(&folder)["release"], report["release"]);
    let took = started.elapsed();
    eprintln!(
        "seed {seed}: {kills:?} kills hit {hit:?} imports, workers, publications, mirrors; {newest} releases; {took:?}"
    );
    let (all, hits): (i32, usize) = (kills.iter().sum(), hit.iter().sum());
    assert!(all >= 200 && hits >= 100 && newest > 3, "{hits} of {all} kills hit a running program, {newest} releases");
}

#[test]
fn an_import_says_what_it_could_not_read_and_takes_the_rest() {
    let Some(hub) = Hub::new() else { return };
    let feed = "id,title,image_link,additional_image_link,price,colur\nV101,Tee,pictures/V101.jpg,pictures/none.jpg,much,red\n\
                V102,Tee,pictures/gone.jpg,,5 EUR,red\n";
    hub.shop.write("own.csv", feed);
    let report = hub.import(&hub.shop.path("own.csv"), &["berlin"]);
    let said = report["warnings"].to_string();
    for words in ["colur", "price", "much", "line 2", "pictures/none.jpg"] {
        assert!(said.contains(words), "{words}: {report}");
    }
    assert!(report["skipped"][0].as_str().unwrap().starts_with("line 3"), "{report}");
    assert_eq!((&report["products"], &report["pictures"]), (&1.into(), &1.into()));
    let command: Vec<String> = hub.import_command(&hub.shop.path("own.csv"), &["berlin"]);
    let plain: Vec<&str> = command.iter().map(String::as_str).filter(|word| *word != "--json").collect();
    let lines = String::from_utf8(vetrina(&plain).stderr).unwrap();
    assert!(lines.contains("colur") && lines.contains("pictures/none.jpg"), "{lines}");
}

#[test]
fn several_importers_and_workers_at_once_do_each_thing_once() {
    let Some(hub) = Hub::new() else { return };
    let feeds = [hub.feed("one.csv", 0, 8), hub.feed("two.csv", 4, 8)];
    let shops = ["a", "b", "c"];
    thread::scope(|scope| {
        for (number, shop) in shops.iter().enumerate() {
            let (hub, feed) = (&hub, &feeds[number % 2]);
            scope.spawn(move || hub.import(feed, &[shop]));
        }
    });
    let pictures = hub.count("job");
    let done: i64 = thread::scope(|scope| {
        let workers = [0, 1].map(|_| scope.spawn(|| hub.work()["embedded"].as_i64().unwrap()));
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!((done, hub.count("view")), (pictures, 2 * pictures));
    assert_eq!(hub.count("offer"), 24);
    // Two publications of one shop: one waits for nobody.
    let all: Vec<i32> = thread::scope(|scope| {
        let publish = || {
            let output = vetrina(&strs(&hub.publish_command("a")));
            output.status.code().unwrap()
        };
        let both = [0, 1].map(|_| scope.spawn(publish));
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(all.contains(&0) && all.iter().all(|code| [0, 6].contains(code)), "{all:?}");
    assert_eq!(hub.count("release"), 1);
    // A cut feed removes nothing unasked.
    let cut = hub.feed("cut.csv", 0, 2);
    let images = repository("demo").display().to_string();
    refused(
        &["hub", "import", &cut, "--images", &images, "--shop", "a", "--database", &hub.database],
        3,
        "would remove 6 of 8 products of a",
    );
    assert_eq!(hub.count("offer"), 24);
}

#[test]
fn a_worker_that_is_told_to_use_tensorrt_does_or_takes_nothing() {
    if cfg!(feature = "tensorrt") {
        return eprintln!("skipped: with the feature tensorrt the backend may be available");
    }
    let Some(hub) = Hub::new() else { return };
    hub.import(&hub.feed("feed.csv", 0, 1), &["berlin"]);
    let model = model();
    let work = ["hub", "work", "--database", &hub.database, "--model", &model];
    refused(&[&work[..], &["--backend", "tensorrt"]].concat(), 8, "cannot use TensorRT");
    assert_eq!((hub.count("job"), hub.count("view")), (1, 0));
    let said = done(&work);
    assert!(said.contains("1 pictures embedded by the CPU"), "it falls back, and says so: {said}");
}

#[test]
fn a_mirrors_key_opens_its_own_shop_and_can_be_taken_from_it() {
    let Some(hub) = Hub::new() else { return };
    hub.import(&hub.feed("feed.csv", 0, 3), &["berlin", "hamburg"]);
    hub.work();
    hub.publish("berlin");
    hub.publish("hamburg");
    let served = Served::start(&hub, &["--soak-seconds", "1"]);
    let (folder, _) = follower(&hub, &format!("{}/releases/berlin", served.url()));
    let config = folder.path("vetrina.toml");
    refused(&["sync", "once", "--config", &config], 8, "join the hub");
    let nowhere = ["hub", "publish", "--shop", "nowhere", "--key", &hub.key(), "--to", &hub.releases(), "--database"];
    refused(&[&nowhere[..], &[hub.database.as_str()]].concat(), 2, "no shop");
    assert!(fs::metadata(format!("{}/nowhere", hub.releases())).is_err());
    refused(&["hub", "enrol", "nowhere", "b1", "--database", &hub.database], 2, "no shop");
    let code = done(&["hub", "enrol", "berlin", "b1", "--database", &hub.database]);
    refused(&["sync", "join", &served.url(), "00000000", "--config", &config], 8, "code");
    done(&["sync", "join", &served.url(), &code, "--config", &config]);
    assert_eq!(once(&folder)["release"], 1);
    let token: Value =
        serde_json::from_str(&fs::read_to_string(folder.path("shop.db.sync/mirror.json")).unwrap()).unwrap();
    let bearer = format!("Authorization: Bearer {}\r\n", token["token"].as_str().unwrap());
    let get = |path: &str, headers: &str| http::get_with(&served.address, path, headers).status;
    assert_eq!(get("/releases/berlin/release.json", &bearer), 200);
    assert_eq!(get("/releases/hamburg/release.json", &bearer), 403);
    assert_eq!(get("/releases/berlin/release.json", ""), 401);
    for path in
        ["/releases/objects/..%2f..%2fsecret.key", "/releases/objects/x.zst", "/releases/..%2fsecret.key/release.json"]
    {
        assert!([403, 404].contains(&get(path, &bearer)), "{path}");
    }

    // The search over all shops agrees with the mirror's own.
    let catalogue = Catalogue::open(folder.path("shop.db").as_ref()).unwrap();
    let (id, embedding) = first_descriptor(&catalogue);
    let body = serde_json::json!({ "embedding": embedding, "most": 3 }).to_string();
    let answer = http::post(&served.address, "/api/search", &bearer, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let hits = answer.json()["products"].clone();
    assert_eq!(
        (hits[0]["id"].as_str(), hits[0]["shops"].clone()),
        (Some(id.as_str()), serde_json::json!(["berlin", "hamburg"]))
    );
    assert_eq!(http::post(&served.address, "/api/search", "", &body).status, 401);
    let picture = format!("{bearer}Content-Type: image/jpeg\r\n");
    assert_eq!(http::post(&served.address, "/api/search", &picture, "a").status, 403, "a mirror sends no picture");
    assert_eq!(http::post(&served.address, "/api/search", &bearer, "{\"embedding\": [1]}").status, 400);

    // Heartbeats, metrics, discovery, page.
    let beat =
        "{\"version\": \"0.1.0\", \"release\": 1, \"reasons\": [\"camera: <gone>\"], \"frames_per_second\": 9.5}";
    assert_eq!(http::post(&served.address, "/api/heartbeat", &bearer, beat).status, 204);
    let metrics = http::get(&served.address, "/metrics").text();
    assert!(metrics.contains("vetrina_hub_mirror_up{mirror=\"b1\",shop=\"berlin\"} 0"), "{metrics}");
    let targets = http::get(&served.address, "/targets.json").json();
    assert_eq!(targets[0]["targets"][0], "127.0.0.1:8080");
    let page = http::get(&served.address, "/").text();
    assert!(page.contains("camera: &lt;gone&gt;") && !page.contains("<gone>"));

    // A release for a part of the mirrors: none gets it at no percent, and all get it once those that have it are well.
    hub.postgres.sql("hub", "update offer set price = '1 EUR'");
    let staged = json(&[&strs(&hub.publish_command("berlin"))[..], &["--share", "0"]].concat());
    assert_eq!(staged["release"], 2);
    assert_eq!(once(&folder)["release"], 1);
    let held = || json(&["hub", "status", "--database", &hub.database])["shops"][0]["waits"].clone();
    assert!(held().as_str().unwrap().contains("roll-out berlin --share"), "{}", held());
    // One mirror at least is among them, and until it says that it has the release it goes to no more.
    done(&["hub", "roll-out", "berlin", "--share", "1", "--database", &hub.database]);
    assert_eq!(once(&folder)["release"], 2);
    thread::sleep(Duration::from_secs(3));
    let state = "select share from release where shop = 'berlin' and number = 2";
    assert_eq!(
        (held(), hub.postgres.sql("hub", state).as_str()),
        ("1 of 1 mirrors do not have it yet: b1".into(), "1")
    );
    let table = done(&["hub", "status", "--database", &hub.database]);
    assert!(table.contains("do not have it yet: b1"), "{table}");
    assert!(http::get(&served.address, "/").text().contains("do not have it yet: b1"));
    let beat = beat.replace("\"camera: <gone>\"", "").replace("\"release\": 1", "\"release\": 2");
    assert_eq!(http::post(&served.address, "/api/heartbeat", &bearer, &beat).status, 204);
    let deadline = Instant::now() + Duration::from_secs(60);
    while hub.postgres.sql("hub", state) != "100" {
        assert!(Instant::now() < deadline, "{}", hub.postgres.sql("hub", "select * from audit"));
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(held(), Value::Null);
    assert_eq!(once(&folder)["release"], 2);

    done(&["hub", "revoke", "b1", "--database", &hub.database]);
    assert_eq!(get("/releases/berlin/release.json", &bearer), 401);
    refused(&["sync", "once", "--config", &config], 8, "join the hub");
    refused(&["hub", "revoke", "b1", "--database", &hub.database], 2, "no mirror");
    let audit = hub.postgres.sql("hub", "select string_agg(action, ' ' order by at) from audit");
    for action in ["init", "import", "publish", "enrol", "join", "search", "refused", "roll-out", "revoke"] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
}

#[test]
fn an_approximate_search_by_choice_finds_what_the_exact_one_finds() {
    let Some(hub) = Hub::with_release(6) else { return };
    let serve =
        ["hub", "serve", "--database", &hub.database, "--releases", &hub.releases(), "--model", &model(), "--hnsw"];
    refused(&serve, 2, "no indexes");
    let init = ["hub", "init", "--database", &hub.database, "--model", &model(), "--hnsw"];
    done(&init);
    done(&init);
    let served = Served::start(&hub, &["--hnsw"]);
    let folder = joined(&hub, &served, "berlin");
    let catalogue = Catalogue::open(folder.path("shop.db").as_ref()).unwrap();
    let (id, embedding) = first_descriptor(&catalogue);
    let (best, logit) = best_product(&catalogue, &embedding);
    let token = fs::read_to_string(folder.path("shop.db.sync/mirror.json")).unwrap();
    let token: Value = serde_json::from_str(&token).unwrap();
    let bearer = format!("Authorization: Bearer {}\r\n", token["token"].as_str().unwrap());
    let body = serde_json::json!({ "embedding": embedding, "most": 3 }).to_string();
    let answer = http::post(&served.address, "/api/search", &bearer, &body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let hit = answer.json()["products"][0].clone();
    assert_eq!((hit["id"].as_str(), best.as_str()), (Some(id.as_str()), id.as_str()));
    assert!((hit["logit"].as_f64().unwrap() - f64::from(logit)).abs() < 1e-3, "{hit} {logit}");
    // By the indexes, though a scan of so few rows is faster. PostgreSQL counts with a delay.
    let uses = "select sum(idx_scan) > 0 from pg_stat_user_indexes where indexrelname like 'view%hnsw'";
    let mut looks = (0..150).inspect(|_| thread::sleep(Duration::from_millis(100)));
    assert!(looks.any(|_| hub.postgres.sql("hub", uses).trim() == "t"), "no index was used");
    // The expression is the index's own: PostgreSQL can use it, however few rows there are.
    let scale =
        vetrina::hub::approximate::scales(&vetrina::network::Manifest::load(model().as_ref()).unwrap()).unwrap();
    let query = format!(
        "set enable_seqscan = off; explain (costs off) select sha256 from {} order by {} <-> '{:?}' limit 10",
        hub.postgres.sql("hub", "select relname from pg_class where relname like 'view%upper_aggregation'"),
        scale[1].row(),
        embedding
    );
    let plan = hub.postgres.sql("hub", &query);
    assert!(plan.contains("_hnsw"), "{plan}");
}

/// Ten seconds is a search's patience. Nothing is left of it in the database then, nor where its asker has left.
#[test]
fn a_search_that_takes_too_long_is_ended_in_the_database() {
    let Some(hub) = Hub::with_release(2) else { return };
    done(&["hub", "init", "--database", &hub.database, "--model", &model(), "--hnsw"]);
    let servers = [Served::start(&hub, &[]), Served::start(&hub, &["--hnsw"])];
    let token = done(&["hub", "token", "add", "desk", "reader", "--database", &hub.database]);
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let folder = joined(&hub, &servers[0], "berlin");
    let (_, embedding) = first_descriptor(&Catalogue::open(folder.path("shop.db").as_ref()).unwrap());
    let body = serde_json::json!({ "embedding": embedding, "most": 3 }).to_string();
    let search = |served: &Served| http::post(&served.address, "/api/search", &bearer, &body).status;
    assert_eq!(servers.each_ref().map(search), [200, 200]);
    let held = "select count(*) > 0 from pg_locks where relation = 'view'::regclass and mode = 'AccessExclusiveLock'";
    let hold = "do $$ begin
                  lock table view;
                  for round in 1..600 loop exit when exists (select from let_go); perform pg_sleep(0.1); end loop;
                end $$";
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
    let open = "select count(*) from pg_stat_activity where state like 'idle in transaction%'";
    let soon = |query: &str, count: &str| {
        let mut looks = (0..50).inspect(|_| thread::sleep(Duration::from_millis(100)));
        looks.any(|_| hub.postgres.sql("hub", query) == count)
    };
    hub.postgres.sql("hub", "create table let_go ()");
    thread::scope(|scope| {
        let holder = scope.spawn(|| hub.postgres.sql("hub", hold));
        while hub.postgres.sql("hub", held) == "f" {
            assert!(!holder.is_finished());
            thread::sleep(Duration::from_millis(20));
        }
        let answers = servers.each_ref().map(|served| scope.spawn(move || search(served)));
        assert!(soon(waiting, "2"));
        assert_eq!(answers.map(|answer| answer.join().unwrap()), [503, 503], "they wait for the table in vain");
        assert!(soon(waiting, "0") && soon(open, "0"), "{}", hub.postgres.sql("hub", "select * from pg_stat_activity"));
        // These do not wait for their answers.
        let leaving = servers.each_ref().map(|served| {
            let mut stream = TcpStream::connect(&served.address).unwrap();
            let head = format!("POST /api/search HTTP/1.1\r\nHost: hub\r\n{bearer}Content-Length: {}\r\n", body.len());
            stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
            stream
        });
        assert!(soon(waiting, "2"));
        drop(leaving);
        thread::sleep(Duration::from_secs(10));
        assert!(soon(waiting, "0") && soon(open, "0"), "{}", hub.postgres.sql("hub", "select * from pg_stat_activity"));
        hub.postgres.sql("hub", "insert into let_go default values");
        holder.join().unwrap();
    });
    assert_eq!(servers.each_ref().map(search), [200, 200]);
}

/// A product, and the aggregation head's embedding of its first picture.
fn first_descriptor(catalogue: &Catalogue) -> (String, Vec<f32>) {
    use vetrina::catalogue::Index;
    use vetrina::network::Manifest;
    use vetrina::seam::EmbeddingHead;
    let score = Manifest::load(model().as_ref()).unwrap().aggregation_score();
    let index = Index::load(catalogue, EmbeddingHead::Aggregation, &score.weight, score.bias).unwrap();
    let gallery = index.gallery();
    let product = index.product(gallery.product(0)).id.clone();
    (product, gallery.matrix()[..gallery.embedding()].to_vec())
}

#[test]
fn a_mirror_with_thousands_of_enrolments_shares_them_all() {
    let Some(hub) = Hub::with_release(2) else { return };
    let served = Served::start(&hub, &[]);
    let mirror = joined(&hub, &served, "berlin");
    let mut catalogue = Catalogue::open(mirror.path("shop.db").as_ref()).unwrap();
    let (id, embedding) = first_descriptor(&catalogue);
    let stamp = catalogue.stamp().unwrap().unwrap();
    catalogue.enrol("test", &stamp, &[WornProduct { id, views: vec![worn_view(&embedding)] }]).unwrap();
    let mut line = Vec::new();
    catalogue.export_worn(&mut line).unwrap();
    let mut line: Value = serde_json::from_slice(&line).unwrap();
    // More than the hub can name in one answer.
    let mut lines = String::new();
    for number in 0..2000 {
        line["uid"] = format!("{number:032x}").into();
        lines += &format!("{line}\n");
    }
    assert_eq!(catalogue.import_worn(lines.as_bytes()).unwrap().enrolments, 2000);
    drop(catalogue);
    once(&mirror);
    assert_eq!(hub.count("worn"), 2001);
}

fn worn_view(embedding: &[f32]) -> WornView {
    WornView {
        class: 0,
        score: 0.9,
        sharpness: 1.0,
        match_embedding: embedding.to_vec().into(),
        aggregation_embedding: embedding.to_vec().into(),
    }
}

/// The best product for an embedding of the aggregation head, and its logit.
fn best_product(catalogue: &Catalogue, embedding: &[f32]) -> (String, f32) {
    use vetrina::catalogue::Index;
    use vetrina::network::Manifest;
    use vetrina::seam::EmbeddingHead;
    let score = Manifest::load(model().as_ref()).unwrap().aggregation_score();
    let index = Index::load(catalogue, EmbeddingHead::Aggregation, &score.weight, score.bias).unwrap();
    let hit = index.search(embedding, 1)[0];
    (index.product(hit.product).id.clone(), hit.logit)
}

#[test]
fn a_dump_restored_is_the_same_hub() {
    let Some(hub) = Hub::with_release(3) else { return };
    let dump = format!("{}/dump", hub.postgres.host());
    hub.postgres.run("pg_dump", &["-h", &hub.postgres.host(), "-U", "hub", "-Fc", "-f", &dump, "hub"]);
    let restored = hub.postgres.create("restored");
    hub.postgres.run("pg_restore", &["-h", &hub.postgres.host(), "-U", "hub", "-d", "restored", &dump]);
    let publish = |database: &str, to: &str| {
        json(&["hub", "publish", "--shop", "berlin", "--key", &hub.key(), "--to", to, "--database", database])
    };
    assert_eq!(publish(&restored, &hub.releases())["is_new"], false, "the same state, to the last descriptor");
    // The folder of releases is lost as well: the numbers go on, and mirrors take the next one.
    let (folder, _) = follower(&hub, &format!("file://{}/berlin", hub.shop.path("anew")));
    assert_eq!(publish(&restored, &hub.shop.path("anew"))["release"], 2);
    assert_eq!(once(&folder)["release"], 2);
}

#[test]
fn a_search_reads_the_rows_of_one_head() {
    let Some(hub) = Hub::new() else { return };
    // A hub whose model is named again keeps its tables.
    hub.import(&hub.feed("berlin.csv", 0, 1), &["berlin"]);
    hub.work();
    done(&["hub", "init", "--database", &hub.database, "--model", &model()]);
    assert!(hub.count("view") > 0);
    let plan = hub.postgres.sql("hub", "explain (costs off) select sha256 from view where head = 'aggregation'");
    for region in ["upper", "lower", "dress", "unknown"] {
        assert!(plan.contains(&format!("_{region}_aggregation")), "{plan}");
    }
    assert!(!plan.contains("_match"), "{plan}");
}

#[test]
fn the_measurement_runs_and_runs_again_on_what_it_has_filled() {
    let Some(hub) = Hub::new() else { return };
    let database = hub.postgres.create("bench");
    let folder = hub.shop.path("bench");
    fs::create_dir(&folder).unwrap();
    let args = ["hub", "bench", "--hnsw", "--products", "300", "--shop-products", "200", "--folder", &folder];
    let measure = || -> Value {
        // One report after each part; the last is whole.
        let text = done(&[&args[..], &["--database", &database]].concat());
        serde_json::Deserializer::from_str(&text).into_iter::<Value>().last().unwrap().unwrap()
    };
    let first = measure();
    assert!(first["fill_seconds"].as_f64().unwrap() > 0.0, "{first}");
    let workers: Vec<i64> =
        first["searches"].as_array().unwrap().iter().filter_map(|one| one["workers"].as_i64()).collect();
    assert_eq!(workers, [0, 1, 2]);
    assert!(first["approximate"]["recall"].as_f64().unwrap() > 0.9, "{first}");
    assert!(first["delta"]["bytes"].as_i64().unwrap() * 10 < first["publish"]["bytes"].as_i64().unwrap(), "{first}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "it leaves nothing");
    let second = measure();
    assert!(second["fill_seconds"].is_null() && second["delta"]["bytes"].as_i64() > Some(0), "{second}");
}
