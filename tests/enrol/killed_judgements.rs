//! A judgement whose garment is kept as a worn view, on a mirror that is killed while it writes: both are there or neither is, and what
//! was answered is there, with its line in the audit log.
//!
//! The seed is printed. `VETRINA_KILLS` sets the number of kills, `VETRINA_SEED` the seed.

use super::running_mirror::PASSWORD;
use super::*;
use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};
use vetrina::evaluation::random::SeededRng;

const WEB: &str = "listen = \"127.0.0.1:0\"\npassword = \"correct horse\"\n";
const KILLS: u64 = 10;
const SEED: u64 = 20_261_128;

/// A mirror with an answer that nobody judged, and the request that confirms and keeps it.
fn mirror_with_an_answer(shop: &mirror::Shop, config: &str) -> (Mirror, String, String) {
    let mut mirror = Mirror::start(shop, config);
    let at = address(&mut mirror);
    let open = || {
        let answers = get_with(&at, "/staff/answers.json", PASSWORD).json()["answers"].as_array().unwrap().clone();
        answers.into_iter().find(|one| one["judged"] == false && one["verdict"] != "none")
    };
    mirror.wait_until("there is an answer", || open().is_some());
    let body = json!({ "number": open().unwrap()["number"], "judgement": "right", "keep": true }).to_string();
    let length = body.len();
    let request = format!(
        "POST /staff/judge HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{PASSWORD}x-vetrina: 1\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    (mirror, at, request)
}

/// How many judgements, enrolments, and lines of judgements in the audit log there are.
fn kept(shop: &mirror::Shop) -> [usize; 3] {
    let catalogue = Catalogue::open(Path::new(&shop.path("shop.db"))).unwrap();
    assert!(catalogue.check(None).unwrap().is_sound());
    let judged = catalogue.confirmed_weeks().unwrap().iter().map(|week| week.answers()).sum();
    let enrolments = catalogue.enrolments().unwrap().len();
    let log = AuditLog::new(shop.path("audit.jsonl").into()).read().unwrap();
    [judged, enrolments, log.entries.iter().filter(|entry| entry.action == AuditAction::Correct).count()]
}

/// Whether the whole answer came, and it was a yes.
fn is_answered(stream: &mut TcpStream) -> bool {
    let mut bytes = Vec::new();
    let whole = stream.read_to_end(&mut bytes).is_ok();
    whole && bytes.starts_with(b"HTTP/1.1 200") && bytes.ends_with(b"}\n")
}

#[test]
fn a_killed_judgement_is_kept_with_its_worn_view_or_not_at_all() {
    let (kills, seed) = kills::and_seed(KILLS, SEED);
    let mut random = SeededRng::new(seed, "judgements");
    let shop = mirror::Shop::with_products(72);
    let config = shop.config_with_web("1.mjpg?loop", WEB);
    // How long one takes. The line is there when it is answered.
    let (mut mirror, at, request) = mirror_with_an_answer(&shop, &config);
    let mut stream = TcpStream::connect(&at).unwrap();
    let began = Instant::now();
    stream.write_all(request.as_bytes()).unwrap();
    assert!(is_answered(&mut stream));
    let takes = began.elapsed();
    mirror.signal("KILL");
    mirror.wait_for_end();
    let mut before = kept(&shop);
    assert_eq!(before, [1, 1, 1]);
    let (mut none, mut both) = (0, 0);
    for round in 0..kills {
        let (mut mirror, at, request) = mirror_with_an_answer(&shop, &config);
        let mut stream = TcpStream::connect(&at).unwrap();
        // Spread evenly over the time that it takes, and a little more.
        let share = (round as f64 + f64::from(random.below(1000) as u32) / 1000.0) / kills as f64;
        stream.write_all(request.as_bytes()).unwrap();
        thread::sleep(takes.mul_f64(1.25 * share));
        mirror.signal("KILL");
        mirror.wait_for_end();
        let (answered, after) = (is_answered(&mut stream), kept(&shop));
        let said = format!("round {round} of seed {seed}: {before:?}, then {after:?}, answered: {answered}");
        let new = [0, 1, 2].map(|at| after[at] - before[at]);
        assert!(new == [0; 3] && !answered || new == [1; 3] || new == [1, 1, 0] && !answered, "{said}");
        if new[0] == 0 {
            none += 1
        } else {
            both += 1
        }
        before = after;
    }
    println!("seed {seed}: {kills} kills within {takes:?}, {none} left nothing, {both} both");
    let stats = ok(vetrina(&["stats", "--config", &shop.path("vetrina.toml")]).output().unwrap());
    assert!(stats.contains("as staff confirmed:"), "{stats}");
    let again = ok(vetrina(&["catalogue", "corrections", "--json", "--db", &shop.path("shop.db")]).output().unwrap());
    let weeks: Value = serde_json::from_str(&again).unwrap();
    let answers: u64 = weeks.as_array().unwrap().iter().map(|week| week["answers"].as_u64().unwrap()).sum();
    assert_eq!(answers as usize, before[0], "{weeks}");
}

/// Whoever closes the page while it is written leaves a line all the same.
#[test]
fn a_judgement_whose_client_has_left_is_in_the_audit_log() {
    let shop = mirror::Shop::with_products(72);
    let config = shop.config_with_web("1.mjpg?loop", WEB);
    let (mut mirror, at, request) = mirror_with_an_answer(&shop, &config);
    // Another process writes for a moment: the judgement waits for it while its client leaves. Where it waited too long it is not judged.
    let other = Connection::open(shop.path("shop.db")).unwrap();
    for _ in 0..40 {
        other.execute_batch("begin immediate").unwrap();
        let mut stream = TcpStream::connect(&at).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(100));
        drop(stream);
        thread::sleep(Duration::from_millis(100));
        other.execute_batch("rollback").unwrap();
        thread::sleep(Duration::from_secs(1));
        if kept(&shop)[0] > 0 {
            break;
        }
    }
    assert_eq!(kept(&shop)[..2], [1, 1]);
    mirror.wait_until("it is logged", || kept(&shop)[2] == 1);
}
