//! `catalogue import --fetch` against a server on this machine, with the real binary: what is fetched, what is refused, what is asked for
//! again; and that nothing is asked for unless it is told to.

#![allow(clippy::unwrap_used)]

mod mirror;

use mirror::{Shop, repository};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};
use vetrina::catalogue::FetchFrom;
use vetrina::catalogue::images::{MOST_PICTURE, fetched_name};
use vetrina::pipeline::import::fetch::PictureFetcher;

/// Requests by path, each with whether it was conditional.
type Asked = Arc<Mutex<BTreeMap<String, Vec<bool>>>>;

struct Server {
    address: String,
    asked: Asked,
}

impl Server {
    /// Serves the demo's pictures, and what a server should not.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Asked::default();
        let log = asked.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let log = log.clone();
                thread::spawn(move || answer(stream, &log));
            }
        });
        Server { address, asked }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    fn asked(&self, path: &str) -> Vec<bool> {
        self.asked.lock().unwrap().get(&format!("/{path}")).cloned().unwrap_or_default()
    }
}

fn answer(mut stream: TcpStream, log: &Asked) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_lowercase());
    }
    let Some(path) = lines.first().and_then(|line| line.split(' ').nth(1)).map(str::to_owned) else { return };
    let conditional = lines.iter().any(|line| line == "if-none-match: \"v1\"");
    log.lock().unwrap().entry(path.clone()).or_default().push(conditional);
    let picture = || fs::read(repository("demo/pictures/V101.jpg")).unwrap();
    let (status, headers, body) = match path.split('?').next().unwrap().trim_start_matches('/') {
        _ if conditional => ("304 Not Modified", "", Vec::new()),
        "moved.jpg" => ("302 Found", "Location: /p/v101.jpg\r\n", Vec::new()),
        "round.jpg" => ("302 Found", "Location: /round.jpg\r\n", Vec::new()),
        "page.jpg" => ("200 OK", "Content-Type: text/html\r\n", b"<html>sign in</html>".to_vec()),
        "no-picture.jpg" => ("200 OK", "Content-Type: image/jpeg\r\n", b"<html>sign in</html>".to_vec()),
        "huge.jpg" => ("200 OK", "", vec![0; MOST_PICTURE as usize + 1]),
        "broken.jpg" => ("500 Internal Server Error", "", Vec::new()),
        name if name.starts_with("p/") => ("200 OK", "Content-Type: image/jpeg\r\nETag: \"v1\"\r\n", picture()),
        _ => ("404 Not Found", "", Vec::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

fn import(shop: &Shop, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vetrina"))
        .args(["catalogue", "import", &shop.path("feed.csv"), "--json", "--db", &shop.path("shop.db"), "--images"])
        .arg(shop.path("images"))
        .arg("--model")
        .arg(repository("models/compact"))
        .args(flags)
        .output()
        .unwrap()
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn pictures_are_fetched_if_that_is_asked_for_and_kept() {
    let server = Server::start();
    let shop = Shop::empty();
    fs::create_dir(shop.path("images")).unwrap();
    fs::copy(repository("demo/pictures/V102.jpg"), shop.path("images/here.jpg")).unwrap();
    let rows = [
        format!("1,Tee,{}", server.url("p/v101.jpg?w=1")),
        format!("2,Tee,{}", server.url("moved.jpg")),
        format!("3,Tee,{}", server.url("page.jpg")),
        format!("4,Tee,{}", server.url("x/here.jpg")),
        "5,Tee,here.jpg".to_owned(),
    ];
    shop.write("feed.csv", &format!("id,title,image_link\n{}\n", rows.join("\n")));
    // Not asked for: nothing is called, and the one picture that is there serves.
    let first = report(&import(&shop, &[]));
    assert_eq!(first["products"], 2, "{first}");
    assert!(server.asked.lock().unwrap().is_empty());
    assert!(first["skipped_rows"][0]["reason"].as_str().unwrap().contains("or import with --fetch"), "{first}");
    // From the public network alone: this server is none of it.
    let public = report(&import(&shop, &["--fetch"]));
    assert_eq!(public["products"], 2);
    assert!(public["skipped_rows"][0]["reason"].as_str().unwrap().contains("not https"), "{public}");
    assert!(server.asked.lock().unwrap().is_empty());
    let fetched = report(&import(&shop, &["--fetch=any"]));
    assert_eq!(fetched["products"], 4, "{fetched}");
    let reason = fetched["skipped_rows"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("page.jpg: it is text/html, not a picture"), "{reason}");
    assert_eq!(server.asked("p/v101.jpg?w=1"), [false]);
    // It is found by its name alone here; the server has none of that name, so that is what counts, and it is said.
    assert!(fetched["warnings"].to_string().contains("the picture that is here was taken"), "{}", fetched["warnings"]);
    // Fetched lately: an import that was interrupted does not begin anew. And later ones need no flag.
    report(&import(&shop, &["--fetch=any"]));
    assert_eq!(server.asked("p/v101.jpg?w=1"), [false]);
    assert_eq!(report(&import(&shop, &[]))["products"], 4);
    // Later it is asked whether it has changed.
    let file = format!("{}/{}", shop.path("shop.db-pictures/fetched"), fetched_name(&server.url("p/v101.jpg?w=1")));
    let old = SystemTime::now() - Duration::from_secs(7200);
    fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
    let again = report(&import(&shop, &["--fetch=any"]));
    assert_eq!((&again["products"], &again["unchanged"]), (&4.into(), &4.into()));
    assert_eq!(server.asked("p/v101.jpg?w=1"), [false, true]);
    assert!(fs::metadata(&file).unwrap().modified().unwrap() > old, "it is fresh again");
}

#[test]
fn what_is_too_large_no_picture_or_leads_on_and_on_is_refused() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let fetcher = PictureFetcher::new(folder.path(), FetchFrom::Anywhere).unwrap();
    for (name, says) in [
        ("no-picture.jpg", "no JPEG, PNG or WebP"),
        ("huge.jpg", "larger than 64 MiB"),
        ("round.jpg", "leads on more than"),
        ("nothing.jpg", "404"),
    ] {
        let reason = fetcher.fetch(&server.url(name)).unwrap_err();
        assert!(reason.contains(says), "{name}: {reason}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left");
    // A host that fails again and again is left alone.
    for _ in 0..5 {
        assert!(fetcher.fetch(&server.url("broken.jpg")).unwrap_err().contains("500"));
    }
    let reason = fetcher.fetch(&server.url("p/other.jpg")).unwrap_err();
    assert!(reason.contains("failed 5 times") && server.asked("p/other.jpg").is_empty(), "{reason}");
}

#[test]
fn the_local_network_is_not_asked_by_whatever_name() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let fetcher = PictureFetcher::new(folder.path(), FetchFrom::Public).unwrap();
    let port = server.address.rsplit(':').next().unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0.0.0.0"] {
        let reason = fetcher.fetch(&format!("https://{host}:{port}/p/a.jpg")).unwrap_err();
        assert!(reason.contains("an address of the local network"), "{host}: {reason}");
    }
    assert!(fetcher.fetch(&server.url("p/a.jpg")).unwrap_err().contains("not https"));
    assert!(fetcher.fetch("https://").is_err());
    assert!(server.asked.lock().unwrap().is_empty());
}
