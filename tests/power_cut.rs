//! A power cut during an import, an undo or an update of prices, simulated with SIGKILL on the real binary many times: the
//! catalogue is always valid and has either the old state or the new one completely. Finished embeddings are not lost.
//!
//! The moments are random; the seed is printed. `VETRINA_KILLS` sets the number of kills (default 24), `VETRINA_SEED`
//! the seed.

#![allow(clippy::unwrap_used)]

mod kills;
mod mirror;

use mirror::http::address;
use mirror::{Mirror, Shop, repository};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use vetrina::evaluation::random::SeededRng;

const KILLS: u64 = 24;
const SEED: u64 = 20_260_601;
const SIGKILL: i32 = 9;
/// Exit code for a catalogue that is missing, or was created but never filled.
const NO_CATALOGUE: i32 = 5;
/// Number of products. They share a few pictures, so that an import is almost all transaction.
const ROWS: usize = 1500;

/// A feed, and the catalogue's export after its import.
struct Feed {
    name: &'static str,
    file: &'static str,
    exported: String,
    /// Duration of its import and size of its journal.
    takes: Duration,
    journal: u64,
}

/// When the import is killed.
#[derive(Debug)]
enum Moment {
    /// After this time.
    Time(Duration),
    /// When the journal reaches this number of bytes: between two writes of the transaction, or while it is committed
    /// or checkpointed.
    Journal(u64),
}

#[test]
fn a_killed_import_leaves_the_old_catalogue_or_the_new_one() {
    let (kills, seed, mut random) = plan();
    let shop = Shop::empty();
    let feeds = feeds(&shop);
    let mut held = 0;
    let (mut old, mut new, mut late) = (0, 0, 0);
    for round in 0..kills {
        // A feed other than the current one.
        let next = (held + 1 + random.below(feeds.len() as u64 - 1) as usize) % feeds.len();
        let feed = &feeds[next];
        let moment = if random.below(2) == 0 {
            Moment::Time(Duration::from_micros(random.below(feed.takes.as_micros() as u64)))
        } else {
            Moment::Journal(1 + random.below(feed.journal.max(1)))
        };
        let status = cut(&shop, feed, &moment);
        let said = format!("round {round} of seed {seed}, {} over {}, {moment:?}", feed.name, feeds[held].name);
        let checked = ask(&shop, &["check"]);
        let text = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(checked.status.success() && text.ends_with("sound\n"), "{said}: {text}");
        let exported = export(&shop);
        let after = [held, next].into_iter().find(|index| feeds[*index].exported == exported);
        let after = after.unwrap_or_else(|| panic!("{said}: neither the old nor the new catalogue"));
        if status.success() {
            assert_eq!(after, next, "{said}: it reported success");
            late += 1;
        } else {
            assert_eq!(status.signal(), Some(SIGKILL), "{said}: {status}");
            *if after == held { &mut old } else { &mut new } += 1;
        }
        held = after;
    }
    println!("killed: {old} left the old catalogue, {new} the new one; {late} had ended before");
    assert_eq!(old + new + late, kills);
    // A test that never hits an import proves nothing.
    assert!(4 * (old + new) >= kills && old > 0, "only {} imports were hit", old + new);
}

#[test]
fn a_killed_first_import_is_no_catalogue_or_the_new_one_and_can_be_repeated() {
    let (kills, seed, mut random) = plan();
    let demo = fs::read_to_string(repository("demo/feed.csv")).unwrap();
    let few = demo.lines().take(3).collect::<Vec<_>>().join("\n");
    let start = |shop: &Shop| {
        shop.write("feed.csv", &few);
        Instant::now()
    };
    let whole = Shop::empty();
    let began = start(&whole);
    assert!(import(&whole, "feed.csv").wait().unwrap().success());
    let (takes, exported) = (began.elapsed(), export(&whole));
    let mut without = 0;
    for round in 0..kills.div_ceil(4) {
        let shop = Shop::empty();
        start(&shop);
        // The file is created in the first moments.
        let span = if random.below(2) == 0 { takes } else { takes / 20 };
        let moment = Moment::Time(Duration::from_micros(random.below(span.as_micros() as u64)));
        let said = format!("round {round} of seed {seed}, {moment:?}");
        let feed = Feed { name: "", file: "feed.csv", exported: String::new(), takes, journal: 0 };
        cut(&shop, &feed, &moment);
        let found = ask(&shop, &["export"]);
        let text = String::from_utf8_lossy(&found.stdout).into_owned();
        if text != exported {
            without += 1;
            // Either there is none, which is reported, or it is valid and empty.
            let sound = found.status.success() && text.lines().count() <= 1 && ask(&shop, &["check"]).status.success();
            assert!(sound || found.status.code() == Some(NO_CATALOGUE), "{said}: {found:?}");
        }
        assert!(import(&shop, "feed.csv").wait().unwrap().success(), "{said}: it cannot be repeated");
        assert_eq!(export(&shop), exported, "{said}");
        assert!(ask(&shop, &["check"]).status.success(), "{said}");
    }
    println!("{without} of {} were killed before the catalogue stood", kills.div_ceil(4));
    assert!(without > 0, "no import was hit");
}

#[test]
fn a_killed_undo_or_import_after_one_leaves_one_generation_or_the_other_and_loses_none() {
    let (kills, seed, mut random) = plan();
    let shop = Shop::empty();
    let demo = fs::read_to_string(repository("demo/feed.csv")).unwrap();
    let lines: Vec<&str> = demo.lines().collect();
    let mut exported = Vec::new();
    for (word, turned) in [("first", 0), ("second", ROWS / 2)] {
        shop.write("feed.csv", &many(&lines, word, turned));
        assert!(import(&shop, "feed.csv").wait().unwrap().success());
        exported.push(export(&shop));
    }
    // An import after an undo writes the products that this one brought back.
    let undone = watched(&shop, undo(&shop));
    let imported = watched(&shop, import_feed(&shop));
    watched(&shop, undo(&shop));
    let mut held = exported[0].clone();
    assert_eq!(export(&shop), held);
    let mut hit = 0;
    for round in 0..kills {
        let is_import = held == exported[0] && random.below(2) == 0;
        let (takes, bytes) = if is_import { imported } else { undone };
        let moment = if random.below(2) == 0 {
            Moment::Time(Duration::from_micros(random.below(takes.as_micros() as u64)))
        } else {
            Moment::Journal(1 + random.below(bytes.max(1)))
        };
        let said = format!("round {round} of seed {seed}, import {is_import}, {moment:?}");
        let child = if is_import { import_feed(&shop) } else { undo(&shop) };
        let status = kill_at(&shop, child, &moment);
        let checked = ask(&shop, &["check"]);
        assert!(checked.status.success(), "{said}: {}", String::from_utf8_lossy(&checked.stdout));
        let after = export(&shop);
        assert!(exported.contains(&after), "{said}: neither generation");
        let history = ask(&shop, &["history", "--json"]);
        let history: serde_json::Value = serde_json::from_slice(&history.stdout).unwrap();
        assert!(history.as_array().unwrap().len() >= 3, "{said}: {history}");
        if status.success() {
            assert!(if is_import { after == exported[1] } else { after != held }, "{said}: it reported success");
        } else {
            assert_eq!(status.signal(), Some(SIGKILL), "{said}: {status}");
            hit += 1;
        }
        held = after;
    }
    println!("{hit} of {kills} undos and imports after them were killed");
    assert!(4 * hit >= kills, "only {hit} were hit");
}

#[test]
fn a_killed_import_goes_on_where_it_was() {
    let demo = fs::read_to_string(repository("demo/feed.csv")).unwrap();
    let few = demo.lines().take(25).collect::<Vec<_>>().join("\n");
    let whole = Shop::empty();
    whole.write("feed.csv", &few);
    assert!(import(&whole, "feed.csv").wait().unwrap().success());
    let shop = Shop::empty();
    shop.write("feed.csv", &few);
    let size = |name: &str| fs::metadata(shop.path(name)).map_or(0, |file| file.len());
    let mut reused = 0;
    for bytes in [60_000, 160_000] {
        let mut child = import(&shop, "feed.csv");
        while size("shop.db-import") + size("shop.db-import-wal") < bytes {
            assert!(child.try_wait().unwrap().is_none(), "it ended too soon");
            sleep(Duration::from_micros(500));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let preview = report(&shop, &["--dry-run"]);
        let known = preview["pictures_reused"].as_u64().unwrap();
        assert!(known > reused && preview["pictures_pending"].as_u64() > Some(0), "{preview}");
        reused = known;
        assert_eq!(preview["added"], 24, "the catalogue is empty still");
    }
    let report = report(&shop, &[]);
    assert_eq!(report["pictures_reused"].as_u64(), Some(reused), "{report}");
    assert_eq!(export(&shop), export(&whole));
    assert!(ask(&shop, &["check"]).status.success());
    assert_eq!((size("shop.db-import"), size("shop.db-import-wal")), (0, 0));
}

/// What an import of feed.csv with these flags reports.
fn report(shop: &Shop, flags: &[&str]) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_vetrina"))
        .args(["catalogue", "import", &shop.path("feed.csv"), "--json", "--db", &shop.path("shop.db"), "--images"])
        .arg(repository("demo"))
        .arg("--model")
        .arg(repository("models/compact"))
        .args(flags)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Price and place of a product in a catalogue's export: updates always write the same number into both.
fn update_of(exported: &str, id: &str) -> u64 {
    let mut reader = csv::Reader::from_reader(exported.as_bytes());
    let column = |name: &str, head: &csv::StringRecord| head.iter().position(|other| other == name).unwrap();
    let head = reader.headers().unwrap().clone();
    let row = reader.records().map(Result::unwrap).find(|row| &row[column("id", &head)] == id).unwrap();
    let price = row[column("price", &head)].strip_suffix(".00 EUR").unwrap_or("0").parse().unwrap();
    let place = row[column("location", &head)].strip_prefix("shelf ").unwrap_or("0").parse::<u64>().unwrap();
    assert_eq!(place, price, "half an update of {id}");
    price
}

/// One update after the other comes, of two products at once and of the first alone, when the mirror is killed.
#[test]
fn a_killed_mirror_keeps_every_update_that_it_has_acknowledged_and_no_half_one() {
    let (kills, seed, mut random) = plan();
    let shop = Shop::empty();
    let priced = "id,title,image_link,price,location\nV101,Tee,pictures/V101.jpg,0.00 EUR,shelf 0\n\
                  V102,Tee,pictures/V102.jpg,0.00 EUR,shelf 0\n";
    shop.import_feed("shop.db", priced);
    let web = "listen = \"127.0.0.1:0\"\ntoken = \"battery staple\"\n";
    let config = shop.config_with_web("1.mjpg?loop", web).replace("\"png\"", "\"none\"");
    let (sent, acknowledged, of_both) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let takes = AtomicU64::new(0);
    let mut in_flight = 0;
    let kills = kills * 5 / 6;
    for round in 0..kills {
        let mut mirror = Mirror::start(&shop, &config);
        let at = address(&mut mirror);
        // Within the time of four updates, or of one from when its journal is written.
        let in_journal = random.below(2) == 0;
        let share = random.below(1000) as u32 * if in_journal { 1 } else { 4 };
        let said = format!(
            "round {round} of seed {seed}, in the journal {in_journal}, after {share} thousandths of an update"
        );
        let first = acknowledged.load(Ordering::SeqCst);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                loop {
                    let number = sent.fetch_add(1, Ordering::SeqCst) + 1;
                    let begun = Instant::now();
                    if !update(&at, number) {
                        break;
                    }
                    takes.store(begun.elapsed().as_micros() as u64, Ordering::SeqCst);
                    acknowledged.store(number, Ordering::SeqCst);
                    if is_of_both(number) {
                        of_both.store(number, Ordering::SeqCst);
                    }
                }
            });
            // However busy the machine: one update is done, and others are under way.
            mirror.wait_until("an update is done", || acknowledged.load(Ordering::SeqCst) > first);
            if in_journal {
                wait_for_journal(&shop, false);
                wait_for_journal(&shop, true);
            }
            sleep(Duration::from_micros(takes.load(Ordering::SeqCst)) * share / 1000);
            mirror.kill();
        });
        let [sent, acknowledged, of_both] =
            [&sent, &acknowledged, &of_both].map(|number| number.load(Ordering::SeqCst));
        assert_eq!(mirror.wait_for_end(), None);
        let checked = ask(&shop, &["check"]);
        assert!(checked.status.success(), "{said}: {}", String::from_utf8_lossy(&checked.stdout));
        let exported = export(&shop);
        let [one, two] = ["V101", "V102"].map(|id| update_of(&exported, id));
        assert!((acknowledged..=sent).contains(&one), "{said}: {one} of {acknowledged} to {sent}");
        assert!((of_both..=one).contains(&two) && is_of_both(two), "{said}: {two} of {of_both} to {one}");
        assert!(two == one || !is_of_both(one), "{said}: half an update: {one} and {two}");
        in_flight += u64::from(one > acknowledged);
    }
    let all = acknowledged.load(Ordering::SeqCst);
    println!("{kills} kills, {all} updates acknowledged, {in_flight} more were done and not yet said");
}

/// Waits until a journal is there, or is not; not for ever.
fn wait_for_journal(shop: &Shop, there: bool) {
    let start = Instant::now();
    while (journal(shop) > 0) != there && start.elapsed() < Duration::from_secs(10) {
        sleep(Duration::from_micros(50));
    }
}

/// Whether the update of this number is one of both products.
fn is_of_both(number: u64) -> bool {
    number.is_multiple_of(2)
}

/// Sends an update; whether it was acknowledged before the mirror was gone.
fn update(at: &str, number: u64) -> bool {
    let values = format!("\"price\": \"{number}.00 EUR\", \"location\": \"shelf {number}\"");
    let (request, body) = match is_of_both(number) {
        true => {
            let product = |id| format!("{{\"id\": \"{id}\", {values}}}");
            ("POST /api/products", format!("{{\"products\": [{}, {}]}}", product("V101"), product("V102")))
        }
        false => ("PATCH /api/products/V101", format!("{{{values}}}")),
    };
    let answer = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(at)?;
        let length = body.len();
        let head = format!("{request} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Length: {length}");
        write!(stream, "{head}\r\nAuthorization: Bearer battery staple\r\n\r\n{body}")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    let answer = answer().unwrap_or_default();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.contains("changed")
}

/// The number of kills, and the source of their moments.
fn plan() -> (u64, u64, SeededRng) {
    let (kills, seed) = kills::and_seed(KILLS, SEED);
    println!("seed {seed}, {kills} kills");
    (kills, seed, SeededRng::new(seed, "kills"))
}

/// Creates the catalogue and records each feed's export. The first feed is current at the end.
fn feeds(shop: &Shop) -> Vec<Feed> {
    let demo = fs::read_to_string(repository("demo/feed.csv")).unwrap();
    let lines: Vec<&str> = demo.lines().collect();
    let few = lines[..6].join("\n");
    // Pictures that the other feeds lack: their import embeds them every time.
    let other = [&lines[..3], &lines[10..14]].concat().join("\n");
    let mut feeds = Vec::new();
    let texts = [
        ("many", many(&lines, "first", 0)),
        ("other pictures", other),
        ("other texts", many(&lines, "second", 0)),
        ("few", few),
        ("another order", many(&lines, "first", ROWS / 2)),
    ];
    for (index, (name, text)) in texts.into_iter().enumerate() {
        let file = ["0.csv", "1.csv", "2.csv", "3.csv", "4.csv"][index];
        shop.write(file, &text);
        let mut feed = Feed { name, file, exported: String::new(), takes: Duration::ZERO, journal: 0 };
        (feed.takes, feed.journal) = watched(shop, import(shop, file));
        feed.exported = export(shop);
        println!("{name}: {:.0} ms, journal {} kB", feed.takes.as_secs_f64() * 1e3, feed.journal / 1024);
        feeds.push(feed);
    }
    assert!(import(shop, feeds[0].file).wait().unwrap().success());
    assert_eq!(export(shop), feeds[0].exported);
    feeds
}

/// A feed of many products with the demo's first pictures. `word` is in every title; the products are rotated by
/// `turned`.
fn many(lines: &[&str], word: &str, turned: usize) -> String {
    let link = |line: &&str| line.split(',').find(|field| field.starts_with("pictures/")).unwrap().to_owned();
    let links: Vec<String> = lines[1..6].iter().map(link).collect();
    let row = |index: usize| {
        let product = (index + turned) % ROWS;
        format!("p{product:05},Jacket {word} {product},{}\n", links[product % links.len()])
    };
    format!("id,title,image_link\n{}", (0..ROWS).map(row).collect::<String>())
}

/// How long the newly started `child` takes, and the most bytes that the journal has meanwhile.
fn watched(shop: &Shop, mut child: Child) -> (Duration, u64) {
    let (start, mut bytes) = (Instant::now(), 0);
    while child.try_wait().unwrap().is_none() {
        bytes = bytes.max(journal(shop));
        sleep(Duration::from_micros(200));
    }
    assert!(child.wait().unwrap().success());
    (start.elapsed(), bytes)
}

/// Starts an import and kills it at `moment`, if it is still running.
fn cut(shop: &Shop, feed: &Feed, moment: &Moment) -> ExitStatus {
    kill_at(shop, import(shop, feed.file), moment)
}

/// Kills the newly started `child` at `moment`, if it is still running.
fn kill_at(shop: &Shop, mut child: Child, moment: &Moment) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        let now = match moment {
            Moment::Time(after) => start.elapsed() >= *after,
            Moment::Journal(bytes) => journal(shop) >= *bytes,
        };
        if now {
            child.kill().unwrap();
            return child.wait().unwrap();
        }
        sleep(Duration::from_micros(200));
    }
}

fn journal(shop: &Shop) -> u64 {
    fs::metadata(shop.path("shop.db-wal")).map_or(0, |file| file.len())
}

fn import(shop: &Shop, feed: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_vetrina"))
        .args(["catalogue", "import", &shop.path(feed), "--allow-removals", "--db", &shop.path("shop.db"), "--images"])
        .arg(repository("demo"))
        .arg("--model")
        .arg(repository("models/compact"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn import_feed(shop: &Shop) -> Child {
    import(shop, "feed.csv")
}

fn undo(shop: &Shop) -> Child {
    Command::new(env!("CARGO_BIN_EXE_vetrina"))
        .args(["catalogue", "undo", "--db", &shop.path("shop.db")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn export(shop: &Shop) -> String {
    let output = ask(shop, &["export"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn ask(shop: &Shop, command: &[&str]) -> Output {
    let mut vetrina = Command::new(env!("CARGO_BIN_EXE_vetrina"));
    vetrina.arg("catalogue").args(command).args(["--db", &shop.path("shop.db")]).output().unwrap()
}
