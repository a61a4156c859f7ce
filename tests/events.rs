//! What goes out of a running mirror when somebody comes before it: the stream, the counts, the webhook, the broker; asked at the
//! real binary with real receivers.

#![allow(clippy::unwrap_used)]

mod mirror;

use mirror::http::{address, answer, connect, get, get_with, metric, post};
use mirror::{Mirror, Shop, repository};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const WEB: &str = "listen = \"127.0.0.1:0\"\n";
const PATIENCE: Duration = Duration::from_secs(120);

fn vetrina(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vetrina")).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// The events of a stream, one JSON object each.
fn events(stream: TcpStream) -> impl Iterator<Item = Value> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
}

#[test]
fn a_person_before_the_mirror_is_an_event_and_a_count_that_outlives_a_kill() {
    let shop = Shop::with_products(72);
    let config = shop.config_with_web("1.mjpg?loop", WEB);
    let mut mirror = Mirror::start(&shop, &config);
    let at = address(&mut mirror);
    let mut stream = events(connect(&at, "/api/events", ""));
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    while !["person_came", "garment_matched", "product_shown"].iter().all(|kind| seen.contains(*kind)) {
        let event = stream.next().unwrap_or_else(|| panic!("the stream ended: {}", mirror.log()));
        seen.insert(event["event"].as_str().unwrap().to_owned());
        all.push(event);
    }
    let numbers: Vec<u64> = all.iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    let of = |kind: &str| all.iter().find(|event| event["event"] == kind).unwrap();
    let (came, matched, shown) = (of("person_came"), of("garment_matched"), of("product_shown"));
    assert_eq!(came["person"], 1);
    // On a slow machine the first may have gone before a garment was matched.
    let came_before = |person: &Value| all.iter().any(|one| one["event"] == "person_came" && one["person"] == *person);
    assert!(came_before(&matched["person"]) && came_before(&shown["person"]), "{all:?}");
    let feed = std::fs::read_to_string(repository("demo/feed.csv")).unwrap();
    assert!(feed.contains(matched["product"].as_str().unwrap()), "{matched}");
    assert!((0.0..=1.0).contains(&shown["score"].as_f64().unwrap()), "{shown}");
    assert!(["upper", "lower", "dress"].contains(&shown["region"].as_str().unwrap()), "{shown}");
    // No picture, and nothing else that is not named.
    let known = BTreeSet::from([
        "number", "time", "event", "person", "seconds", "garment", "region", "product", "score", "likely",
    ]);
    for event in &all {
        assert!(event.as_object().unwrap().keys().all(|key| known.contains(key.as_str())), "{event}");
    }
    // Written ten seconds after the first that is not.
    let people = |value: &Value| {
        value["hours"].as_array().unwrap().iter().map(|hour| hour["people"].as_u64().unwrap()).sum::<u64>()
    };
    mirror.wait_until("it is counted", || {
        let counts = get(&at, "/api/stats?days=1").json();
        people(&counts) >= 1 && counts["products"].as_array().unwrap().iter().any(|one| one["shown"].as_u64() > Some(0))
    });
    let counts = get(&at, "/api/stats?days=1").json();
    assert!(metric(&get(&at, "/metrics").text(), "vetrina_events_total").unwrap() >= all.len() as f64);
    assert_charts_are_drawn(&at);
    mirror.signal("KILL");
    mirror.wait_for_end();
    let (code, text) = vetrina(&["stats", "--format", "json", "--days", "1", "--config", &shop.path("vetrina.toml")]);
    let kept: Value = serde_json::from_str(&text).unwrap();
    // The page adds the titles, from the catalogue.
    let mut products = counts["products"].clone();
    for product in products.as_array_mut().unwrap() {
        let title = product.as_object_mut().unwrap().remove("title").unwrap();
        assert!(title.as_str().is_some_and(|title| !title.is_empty()), "{counts}");
    }
    assert_eq!((code, &kept["hours"], &kept["products"]), (Some(0), &counts["hours"], &products));
    let (_, table) = vetrina(&["stats", "--config", &shop.path("vetrina.toml")]);
    assert!(table.starts_with("hour ") && table.contains("in all"), "{table}");
    // They go on from there.
    let mut mirror = Mirror::start(&shop, &config);
    let at = address(&mut mirror);
    mirror.wait_until("more is counted", || people(&get(&at, "/api/stats?days=1").json()) > people(&counts));
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
    // Who stands there when the program ends has left, and that is counted.
    let (_, csv) = vetrina(&["stats", "--format", "csv", "--config", &shop.path("vetrina.toml")]);
    let dwell: f64 = csv.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse::<f64>().unwrap()).sum();
    assert!(dwell > 0.0, "{csv}");
}

/// The page with the counts, as a browser without a screen shows it.
fn assert_charts_are_drawn(at: &str) {
    let browser = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()));
    let Some(browser) = browser else {
        return eprintln!("skipped: there is no Chromium (apt-get install chromium)");
    };
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://{at}/stats"))
        .output()
        .unwrap();
    let page = String::from_utf8_lossy(&output.stdout);
    for part in ["class=\"people\"", "class=\"matched\"", "kept for 90 days", "mirror started"] {
        assert!(page.contains(part), "{part} is not on the page: {page}");
    }
}

#[test]
fn what_is_found_is_said_aloud_where_it_is_configured() {
    let shop = Shop::with_products(72);
    let told = shop.path("told");
    let path = shop.program("spd-say", &format!("#!/bin/sh\nprintf '%s\\n' \"$*\" >> {told}\n"));
    let config = shop.config("1.mjpg?loop", "").replace("rate = 10\n", "rate = 10\naudio = true\n");
    let mut mirror = Mirror::start_with(&shop, &config, &[("PATH", &path)]);
    let read = || std::fs::read_to_string(&told).unwrap_or_default();
    mirror.wait_until("it speaks", || read().ends_with('\n'));
    let told = read();
    let (options, sentence) = told.lines().next().unwrap().split_once(" -- ").unwrap();
    assert_eq!(options, "--application-name vetrina --language en");
    let (sure, title) = sentence.split_once(": ").unwrap();
    assert!(["You are wearing this", "Similar to what you wear"].contains(&sure), "{told}");
    let feed = std::fs::read_to_string(repository("demo/feed.csv")).unwrap();
    assert!(feed.contains(title.split('.').next().unwrap()), "{told}");
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
}

#[test]
fn readers_of_events_are_few_and_programs_bring_the_token() {
    let shop = Shop::with_products(2);
    let web = format!("{WEB}password = \"correct horse\"\ntoken = \"battery staple\"\n");
    let mut mirror = Mirror::start(&shop, &shop.config_with_web("1.mjpg?loop", &web));
    let at = address(&mut mirror);
    assert_eq!(get(&at, "/api/events").status, 401);
    let token = "Authorization: Bearer battery staple\r\n";
    let open = || {
        let mut stream = connect(&at, "/api/events", token);
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        (stream, String::from_utf8(head.to_vec()).unwrap())
    };
    let readers: Vec<_> = (0..8).map(|_| open()).collect();
    assert!(readers.iter().all(|(_, head)| head == "HTTP/1.1 200"));
    let ninth = answer(connect(&at, "/api/events", token));
    assert!(ninth.status == 503 && ninth.head.contains("retry-after"), "{}", ninth.head);
    drop(readers);
    mirror.wait_until("there is a place again", || open().1 == "HTTP/1.1 200");
    assert_eq!(get_with(&at, "/api/stats?format=lunch", token).status, 400);
    // A reader who stays does not hold up the end.
    let _stays = open();
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
}

/// A receiver of HTTP: answers each request with the next status of `answers`, the last one again and again, and hands on what came.
fn receiver(answers: Vec<u16>) -> (String, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (outbox, inbox) = channel();
    thread::spawn(move || {
        let mut answers = answers.into_iter().peekable();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head).unwrap() == 0 {
                    break;
                }
            }
            let length =
                head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            let status = answers.next_if(|_| true).unwrap_or(200);
            let _ = write!(stream, "HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            if outbox.send((head, String::from_utf8(body).unwrap())).is_err() {
                return;
            }
        }
    });
    (url, inbox)
}

#[test]
fn the_webhook_is_told_of_events_and_told_again_where_it_was_away() {
    let shop = Shop::with_products(72);
    let (url, inbox) = receiver(vec![503, 200]);
    let hook = format!(
        "[webhook]\nurl = \"{url}\"\ntoken = \"battery staple\"\nevents = [\"garment_matched\"]\n\
         template = '{{\"text\": \"{{{{product}}}} by {{{{person}}}}\", \"event\": \"{{{{event}}}}\"}}'\n"
    );
    let config = format!("{}{hook}", shop.config_with_web("1.mjpg?loop", WEB));
    let mut mirror = Mirror::start(&shop, &config);
    let at = address(&mut mirror);
    let (head, first) = inbox.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{}", mirror.log()));
    let (_, again) = inbox.recv_timeout(PATIENCE).unwrap();
    assert!(
        head.starts_with("POST /hook ") && head.to_lowercase().contains("authorization: bearer battery staple"),
        "{head}"
    );
    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
    assert_eq!(first, again, "what was not taken comes again");
    let value: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(value["event"], "garment_matched");
    assert!(value["text"].as_str().unwrap().contains(" by "), "{value}");
    mirror.wait_until("both are counted", || {
        let metrics = get(&at, "/metrics").text();
        metric(&metrics, "vetrina_webhook_failures_total") == Some(1.0)
            && metric(&metrics, "vetrina_webhook_deliveries_total") >= Some(1.0)
    });
    assert!(mirror.log().contains("cannot be reached and is tried again") && !mirror.log().contains("battery"));
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
}

#[test]
fn a_webhook_that_never_answers_holds_nothing_up() {
    let shop = Shop::with_products(2);
    // Takes connections, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = format!("[webhook]\nurl = \"http://{}\"\n", listener.local_addr().unwrap());
    let mut mirror = Mirror::start(&shop, &format!("{}{hook}", shop.config_with_web("1.mjpg?loop", WEB)));
    let at = address(&mut mirror);
    mirror.wait_for_log("cannot be reached and is tried again");
    assert_eq!(get(&at, "/healthz").json()["status"], "running");
    let begun = Instant::now();
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// A real broker; it is ended when the test is over.
struct Mosquitto {
    child: Child,
    port: u16,
}

impl Mosquitto {
    /// `None` where there is none on this machine.
    fn start(shop: &Shop, port: u16, more: &str) -> Option<Self> {
        let program = ["mosquitto", "/usr/sbin/mosquitto"]
            .into_iter()
            .find(|name| Command::new(name).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok())?;
        shop.write("mosquitto.conf", &format!("listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n{more}"));
        let child =
            Command::new(program).args(["-c", &shop.path("mosquitto.conf")]).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the broker does not start");
            thread::sleep(Duration::from_millis(20));
        }
        Some(Mosquitto { child, port })
    }

    /// The messages of every topic from now on, as `topic payload`; those that are retained first.
    fn listen(&self, more: &[&str]) -> (Child, Receiver<String>) {
        let mut child = Command::new("mosquitto_sub")
            .args(["-h", "localhost", "-p", &self.port.to_string(), "-v", "-t", "#"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (outbox, inbox) = channel();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| outbox.send(line)));
        (child, inbox)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The first message of a topic.
#[track_caller]
fn wait_for(messages: &Receiver<String>, start: &str, log: &dyn Fn() -> String) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match messages.recv_timeout(left) {
            Ok(line) if line.starts_with(start) => return line,
            Ok(_) => {}
            Err(error) => panic!("no message {start}: {error}: {}", log()),
        }
    }
}

#[test]
fn a_broker_gets_events_and_home_assistant_finds_the_mirror() {
    let shop = Shop::with_products(72);
    let port = free_port();
    let Some(broker) = Mosquitto::start(&shop, port, "") else {
        return eprintln!("skipped: there is no mosquitto (apt-get install mosquitto mosquitto-clients)");
    };
    let (mut listening, messages) = broker.listen(&[]);
    let more = format!("[mqtt]\nbroker = \"mqtt://localhost:{port}\"\nid = \"left\"\n");
    let mut mirror = Mirror::start(&shop, &format!("{}{more}", shop.config_with_web("1.mjpg?loop", WEB)));
    let log = mirror.log_path();
    let log = || std::fs::read_to_string(&log).unwrap();
    let found = wait_for(&messages, "homeassistant/binary_sensor/vetrina_left/person/config ", &log);
    let config: Value = serde_json::from_str(found.split_once(' ').unwrap().1).unwrap();
    assert_eq!(config["state_topic"], "vetrina/left/person");
    assert_eq!(config["availability_topic"], "vetrina/left/availability");
    wait_for(&messages, "vetrina/left/availability online", &log);
    wait_for(&messages, "vetrina/left/person OFF", &log);
    wait_for(&messages, "vetrina/left/person ON", &log);
    let event = wait_for(&messages, "vetrina/left/events ", &log);
    assert_eq!(serde_json::from_str::<Value>(event.split_once(' ').unwrap().1).unwrap()["event"], "person_came");
    wait_for(&messages, "vetrina/left/product ", &log);
    // Torn out of life: the broker says so.
    mirror.signal("KILL");
    mirror.wait_for_end();
    wait_for(&messages, "vetrina/left/availability offline", &log);
    // And says it itself at an orderly end.
    let mut mirror = Mirror::start(&shop, &std::fs::read_to_string(shop.path("vetrina.toml")).unwrap());
    wait_for(&messages, "vetrina/left/availability online", &log);
    mirror.signal("TERM");
    wait_for(&messages, "vetrina/left/availability offline", &log);
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
    let _ = listening.kill();
    let _ = listening.wait();
}

#[test]
fn a_broker_with_tls_is_checked_and_one_that_is_away_is_found_when_it_comes() {
    let shop = Shop::with_products(2);
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &shop.path("key.pem"), "-out", &shop.path("cert.pem")])
        .output();
    if !made.is_ok_and(|made| made.status.success()) {
        return eprintln!("skipped: there is no openssl");
    }
    let port = free_port();
    let more = format!("[mqtt]\nbroker = \"mqtts://localhost:{port}\"\nca = \"cert.pem\"\n");
    let mut mirror = Mirror::start(&shop, &format!("{}{more}", shop.config_with_web("1.mjpg?loop", WEB)));
    mirror.wait_for_log("the MQTT broker localhost is away and is tried again");
    let tls = format!("certfile {}\nkeyfile {}\n", shop.path("cert.pem"), shop.path("key.pem"));
    let Some(_broker) = Mosquitto::start(&shop, port, &tls) else {
        return eprintln!("skipped: there is no mosquitto (apt-get install mosquitto mosquitto-clients)");
    };
    mirror.wait_for_log("the MQTT broker localhost is there");
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
    // Vouched for by nobody whom this mirror trusts.
    let mut mirror = Mirror::start(
        &shop,
        &std::fs::read_to_string(shop.path("vetrina.toml")).unwrap().replace("ca = \"cert.pem\"\n", ""),
    );
    mirror.wait_for_log("is away and is tried again");
    assert!(mirror.log().to_lowercase().contains("certificate"), "{}", mirror.log());
}

#[test]
fn a_picture_that_is_sent_is_matched_one_at_a_time() {
    let shop = Shop::with_products(72);
    let web = format!("{WEB}password = \"correct horse\"\ntoken = \"battery staple\"\n");
    let mut mirror = Mirror::start(&shop, &shop.config_with_web("1.mjpg?loop", &web));
    let at = address(&mut mirror);
    let token = "Authorization: Bearer battery staple\r\n";
    let mut clip = vetrina::capture::open(&repository("demo/clips/1.mjpg").display().to_string()).unwrap();
    // Somebody stands there by then.
    let frame = (0..40).map(|_| clip.next().unwrap().unwrap()).last().unwrap();
    let jpeg = frame.picture.jpeg(95).unwrap();
    std::fs::write(shop.path("frame.jpg"), &jpeg).unwrap();
    let send = |bytes: &[u8], path: &str, headers: &str| {
        let mut stream = TcpStream::connect(&at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = bytes.len();
        write!(
            stream,
            "POST {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        )
        .unwrap();
        stream.write_all(bytes).unwrap();
        stream
    };
    let done = answer(send(&jpeg, "/api/match?top=3", token));
    assert_eq!(done.status, 200, "{}", done.text());
    let (_, printed) =
        vetrina(&["match", &shop.path("frame.jpg"), "--catalogue", &shop.path("shop.db"), "--top", "3", "--json"]);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert!(!printed["garments"].as_array().unwrap().is_empty(), "{printed}");
    assert_eq!(done.json()["garments"], printed["garments"], "as the command says");
    // Of many at once all are answered, and some are told to come again.
    let several: Vec<TcpStream> = (0..6).map(|_| send(&jpeg, "/api/match", token)).collect();
    let statuses: BTreeSet<u16> = several.into_iter().map(|stream| answer(stream).status).collect();
    assert_eq!(statuses, BTreeSet::from([200, 503]));
    for (bytes, path, headers, status) in [
        (&jpeg[..], "/api/match", "", 401),
        (&jpeg[..], "/api/match?top=0", token, 400),
        (b"no picture", "/api/match", token, 400),
        (&jpeg[..jpeg.len() / 2], "/api/match", token, 400),
    ] {
        let refused = answer(send(bytes, path, headers));
        assert_eq!(refused.status, status, "{path}: {}", refused.text());
    }
    // The owner without the page's header: a form of another site.
    let owner = "Authorization: Basic dmV0cmluYTpjb3JyZWN0IGhvcnNl\r\n";
    assert_eq!(answer(send(&jpeg, "/api/match", owner)).status, 403);
    assert_eq!(post(&at, "/api/match", &format!("{owner}x-vetrina: 1\r\n"), "no picture").status, 400);
}
