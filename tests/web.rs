//! Plain HTTP requests to the real binary's page.

#![allow(clippy::unwrap_used)]

mod mirror;

use mirror::http::{address, connect, get, get_with, metric, post};
use mirror::{Mirror, Shop, repository};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_page_and_its_metrics_are_served_to_this_machine() {
    let shop = Shop::with_products(3);
    let mut mirror = Mirror::start(&shop, &shop.config_with_web("1.mjpg?loop", "listen = \"127.0.0.1:0\"\n"));
    let at = address(&mut mirror);
    mirror.wait_until("it runs", || get(&at, "/healthz").status == 200);
    let health = get(&at, "/healthz").json();
    assert_eq!(health["status"], "running");
    // By default it prefers TensorRT, and says why it is not used.
    if !cfg!(feature = "tensorrt") {
        assert_eq!(health["network"], "the CPU");
        assert!(health["fallback"].as_str().unwrap().contains("--features tensorrt"), "{health}");
    }
    mirror.wait_until("frames are recognized", || {
        metric(&get(&at, "/metrics").text(), "vetrina_frames_recognised_total").is_some_and(|count| count > 0.0)
    });
    let metrics = get(&at, "/metrics").text();
    assert_metrics_are_clean(&metrics);
    assert_eq!(metric(&metrics, "vetrina_up"), Some(1.0), "{metrics}");
    assert_eq!(metric(&metrics, "vetrina_catalogue_products"), Some(3.0), "{metrics}");
    assert!(metrics.contains("vetrina_stage_seconds_bucket{stage=\"trunk\",le=\"+Inf\"}"), "{metrics}");
    mirror
        .wait_until("somebody is seen", || !get(&at, "/status.json").json()["garments"].as_array().unwrap().is_empty());
    let page = get(&at, "/");
    assert!(page.status == 200 && page.text().contains("live.mjpg"));
    assert!(page.head.contains("content-security-policy: default-src 'self'"), "{}", page.head);
    for (part, kind) in [
        ("/page.js", "text/javascript"),
        ("/shared.js", "text/javascript"),
        ("/texts.js", "text/javascript"),
        ("/page.css", "text/css"),
        ("/icon.svg", "image/svg+xml"),
        ("/favicon.ico", "image/svg+xml"),
    ] {
        let answer = get(&at, part);
        assert!(answer.status == 200 && answer.head.contains(&format!("content-type: {kind}")), "{}", answer.head);
    }
    assert_eq!(get(&at, "/nothing").status, 404);
    let picture = image::load_from_memory(&get(&at, "/frame.jpg").body).unwrap();
    assert!(picture.width() > 100);
    assert_eq!(get_with(&at, "/frame.jpg", "Host: evil.example\r\n").status, 403);
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
}

/// The rules of `promtool check metrics`; runs promtool too if installed (Debian: `apt install prometheus`).
fn assert_metrics_are_clean(text: &str) {
    let names = |kind: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(&format!("# {kind} "))?.split_once(' '));
        lines.map(|(name, words)| (name.to_owned(), words.to_owned())).collect::<BTreeSet<_>>()
    };
    let (help, types) = (names("HELP"), names("TYPE"));
    assert!(help.len() >= 26 && help.iter().all(|(_, words)| words.ends_with('.')), "{help:?}");
    for (name, kind) in &types {
        assert!(help.iter().any(|(known, _)| known == name), "{name} has no HELP");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        let abbreviated = ["_ms", "_sec", "_kb", "_mb", "_milliseconds", "_kilobytes", "_megabytes"];
        assert!(!abbreviated.iter().any(|unit| name.ends_with(unit)), "{name} is not in base units");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert_eq!(types.iter().filter(|(known, _)| known == base).count(), 1, "{name} has no TYPE");
    }
    let promtool =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    if let Ok(mut promtool) = promtool {
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let said = promtool.wait_with_output().unwrap();
        assert!(said.status.success() && said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    }
}

#[test]
fn the_catalogue_is_searched_and_the_live_picture_moves() {
    let shop = Shop::with_products(4);
    let mut mirror = Mirror::start(&shop, &shop.config_with_web("1.mjpg?loop", "listen = \"127.0.0.1:0\"\n"));
    let at = address(&mut mirror);
    let all = get(&at, "/catalogue.json").json();
    assert_eq!((all["found"].as_u64(), all["products"].as_array().unwrap().len()), (Some(4), 4));
    let id = all["products"][1]["id"].as_str().unwrap();
    let one = get(&at, &format!("/catalogue.json?q={}", id.to_lowercase())).json();
    assert_eq!((one["found"].as_u64(), &one["products"][0]["id"]), (Some(1), &all["products"][1]["id"]));
    assert_eq!(get(&at, "/catalogue.json?q=no%20such%20thing").json()["found"], 0);
    assert_eq!(get(&at, &format!("/catalogue.json?q={}", "a+".repeat(1000))).status, 400);
    let mut stream = connect(&at, "/live.mjpg", "");
    let mut bytes = Vec::new();
    let mut block = [0; 4096];
    while bytes.windows(7).filter(|window| window == b"--frame").count() < 3 {
        let count = stream.read(&mut block).unwrap();
        assert!(count > 0, "the stream ended: {}", mirror.log());
        bytes.extend_from_slice(&block[..count]);
    }
    // A connected viewer does not delay the shutdown.
    mirror.signal("TERM");
    assert_eq!(mirror.wait_for_end(), Some(0), "{}", mirror.log());
}

#[test]
fn a_password_is_required_if_one_is_set() {
    let shop = Shop::with_products(2);
    let web = "listen = \"127.0.0.1:0\"\npassword = \"correct horse\"\n";
    let mut mirror = Mirror::start(&shop, &shop.config_with_web("1.mjpg?loop", web));
    let at = address(&mut mirror);
    for path in ["/", "/healthz", "/frame.jpg", "/live.mjpg", "/catalogue.json"] {
        let answer = get(&at, path);
        assert!(answer.status == 401 && answer.head.contains("www-authenticate: basic"), "{path}: {}", answer.head);
    }
    // vetrina:correct horse, and vetrina:wrong horse
    for scheme in ["Basic", "basic", "BASIC"] {
        assert_eq!(
            get_with(&at, "/", &format!("Authorization: {scheme} dmV0cmluYTpjb3JyZWN0IGhvcnNl\r\n")).status,
            200
        );
    }
    assert_eq!(get_with(&at, "/", "Authorization: Basic dmV0cmluYTp3cm9uZyBob3JzZQ==\r\n").status, 401);
}

const PASSWORD: &str = "Authorization: Basic dmV0cmluYTpjb3JyZWN0IGhvcnNl\r\n";

#[test]
fn a_feed_imported_from_the_page_reaches_the_mirror() {
    let shop = Shop::with_products(2);
    let web = "listen = \"127.0.0.1:0\"\npassword = \"correct horse\"\n";
    let config = shop.config_with_web("1.mjpg?loop", web);
    let images = format!("[catalogue]\nimages = \"{}\"\n", repository("demo").display());
    let config = config.replace("[catalogue]\n", &images).replace("[screen]\n", "[screen]\nfonts = \"no fonts\"\n");
    let mut mirror = Mirror::start(&shop, &config);
    let at = address(&mut mirror);
    mirror.wait_for_log("running");
    let now = || get_with(&at, "/import.json", PASSWORD).json();
    assert_eq!((&now()["cannot"], &now()["feeds"]), (&Value::Null, &serde_json::json!(["feed.csv"])));
    let from_page = format!("{PASSWORD}x-vetrina: 1\r\n");
    let form = post(&at, "/import?feed=feed.csv", PASSWORD, "");
    assert_eq!(form.status, 403, "another site's form");
    assert!(form.text().contains("x-vetrina") && !form.text().contains("web.password"), "{}", form.text());
    assert_eq!(post(&at, "/import?feed=feed.csv", "x-vetrina: 1\r\n", "").status, 401);
    assert_eq!(post(&at, "/import?feed=..%2Ffeed.csv", &from_page, "").status, 400);
    // Four rows, one in letters that the mirror's fonts lack, and one whose picture is missing.
    let feed = std::fs::read_to_string(repository("demo/feed.csv")).unwrap();
    let mut rows: Vec<String> = feed.lines().take(5).map(str::to_owned).collect();
    rows[2] = rows[2].replacen("Breton", "着物", 1);
    rows.push(rows[4].replace("pictures/", "nowhere/").replacen(',', "x,", 1));
    assert_eq!(post(&at, "/import?feed=new.csv", &from_page, &rows.join("\n")).status, 202);
    let second = post(&at, "/import?feed=feed.csv", &from_page, "");
    assert_eq!(second.status, 409, "one at a time: {}", second.text());
    mirror.wait_until("the import is over", || now()["import"]["state"] != "running");
    let import = now()["import"].clone();
    assert_eq!((&import["state"], &import["report"]["products"]), (&"done".into(), &4.into()), "{import}");
    let skipped = import["report"]["skipped_rows"].as_array().unwrap();
    assert!(skipped.len() == 1 && skipped[0]["line"] == 6, "{import}");
    let warning = import["report"]["warnings"][0].as_str().unwrap_or_default();
    let folder = shop.path("no fonts");
    assert!(warning.contains("boxes: 物着;") || warning.contains("boxes: 着物;"), "{import}");
    assert!(warning.contains(&format!("install fonts in {folder} ")), "the mirror's own fonts: {warning}");
    assert_eq!((&import["done"], &import["pictures"]), (&import["pictures"], &import["report"]["pictures_embedded"]));
    mirror.wait_for_log("4 products");
    assert_eq!(post(&at, "/import/apply", &from_page, "").status, 400, "there is no preview");
    assert_eq!(post(&at, "/import/pictures", &from_page, "no archive").status, 400);
    assert_eq!(post(&at, "/import/pictures", PASSWORD, "").status, 403);
    // A preview changes nothing and may be dropped.
    assert_eq!(post(&at, "/import?feed=feed.csv&preview=true", &from_page, "").status, 202);
    mirror.wait_until("it is known", || now()["import"]["state"] == "previewed");
    assert!(now()["import"]["report"]["added"].as_u64().unwrap() > 50, "{}", now());
    assert_eq!(post(&at, "/import/cancel", &from_page, "").status, 200);
    assert_eq!(now()["import"]["state"], "cancelled");
    assert_eq!(post(&at, "/import/apply", &from_page, "").status, 400);
    // A running one is ended, and the catalogue is as it was.
    assert_eq!(post(&at, "/import?feed=feed.csv", &from_page, "").status, 202);
    assert_eq!(post(&at, "/import/cancel", &from_page, "").status, 200);
    mirror.wait_until("it has ended", || now()["import"]["state"] == "cancelled");
    assert_eq!(get_with(&at, "/catalogue.json", PASSWORD).json()["found"], 4);
    // A broken feed changes nothing, and the reason is shown.
    assert_eq!(post(&at, "/import?feed=broken.csv", &from_page, "this is no feed").status, 202);
    mirror.wait_until("it has failed", || now()["import"]["state"] == "failed");
    assert!(now()["import"]["fault"].as_str().unwrap().contains("cannot read the feed"), "{}", now());
    assert_eq!(get_with(&at, "/catalogue.json", PASSWORD).json()["found"], 4);
    let log = get_with(&at, "/log.json", PASSWORD).json();
    let lines: Vec<&str> = log["lines"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect();
    assert!(lines.contains(&"import of \"new.csv\" started") && lines.contains(&"running"), "{lines:?}");
}

#[test]
fn heat_is_reported_as_a_reason_and_a_metric() {
    let shop = Shop::with_products(2);
    let zone = shop.path("sys/class/thermal/thermal_zone0");
    std::fs::create_dir_all(&zone).unwrap();
    std::fs::write(format!("{zone}/temp"), "71500\n").unwrap();
    let config = shop.config_with_web("1.mjpg?loop", "listen = \"127.0.0.1:0\"\n");
    let mut mirror = Mirror::start(&shop, &config.replace("[heat]\n", "[heat]\nlimit = 70\n"));
    let at = address(&mut mirror);
    mirror.wait_until("it says so", || get(&at, "/healthz").json()["status"] == "degraded");
    let reasons = get(&at, "/healthz").json()["reasons"].to_string();
    assert!(
        reasons.contains("71 °C, the limit is 70 °C") || reasons.contains("72 °C, the limit is 70 °C"),
        "{reasons}"
    );
    let metrics = get(&at, "/metrics").text();
    assert_metrics_are_clean(&metrics);
    assert_eq!(metric(&metrics, "vetrina_temperature_celsius"), Some(71.5), "{metrics}");
    assert!(metric(&metrics, "vetrina_throttle_level").is_some_and(|level| level >= 1.0), "{metrics}");
    assert_eq!(get(&at, "/import.json").json()["cannot"], "set web.password to import from this page");
}

#[test]
fn an_address_in_use_is_reported() {
    let shop = Shop::with_products(2);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let web = format!("listen = \"{}\"\n", taken.local_addr().unwrap());
    let mut mirror = Mirror::start(&shop, &shop.config_with_web("1.mjpg?loop", &web));
    assert_eq!(mirror.wait_for_end(), Some(6), "{}", mirror.log());
    assert!(mirror.log().contains("web.listen"), "{}", mirror.log());
}

/// Replaces systemctl: the unit is active and was never restarted.
const SYSTEMCTL: &str = "#!/bin/sh\n[ \"$1\" = show ] && echo 0\nexit 0\n";

#[test]
fn an_update_is_marked_good_only_if_the_mirror_works() {
    if Command::new("curl").arg("--version").output().is_err() {
        return eprintln!("skipped: there is no curl");
    }
    let shop = Shop::with_products(3);
    let vetrina = Path::new(env!("CARGO_BIN_EXE_vetrina")).parent().unwrap().display().to_string();
    let path = format!("{vetrina}:{}", shop.program("systemctl", SYSTEMCTL));
    let mark_good = |at: &str, catalogue: &str| {
        let done = Command::new(repository("firmware/rauc/mark-good"))
            .args([&shop.path(catalogue), &format!("http://{at}")])
            .env("PATH", &path)
            .envs([("WELL", "0"), ("MARK", "echo marked")])
            .output()
            .unwrap();
        (done.status.code(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
    };
    let mut mirror = Mirror::start(&shop, &shop.config_with_web("1.mjpg?loop", "listen = \"127.0.0.1:0\"\n"));
    let at = address(&mut mirror);
    mirror.wait_until("it runs", || get(&at, "/healthz").json()["status"] == "running");
    let (code, said) = mark_good(&at, "shop.db");
    assert!(code == Some(0) && said.ends_with("marked\n"), "{said}");
    shop.write("torn.db", "no catalogue");
    let (code, said) = mark_good(&at, "torn.db");
    assert!(code == Some(1) && said.contains("the catalogue is not whole"), "{said}");
    mirror.signal("TERM");
    mirror.wait_for_end();
    let (code, said) = mark_good(&at, "shop.db");
    assert!(code == Some(1) && said.contains("does not answer"), "{said}");
}

/// A picture of a QR code as it is held before a camera: nine degrees askew, a little out of focus, grey on grey.
fn code_in_a_hand(text: &str) -> image::RgbImage {
    let code = qrcodegen::QrCode::encode_text(text, qrcodegen::QrCodeEcc::Medium).unwrap();
    let (sin, cos) = 9f32.to_radians().sin_cos();
    let module = |pixel: f32| (pixel / 6.0).floor() as i32 + code.size() / 2;
    let level = |x: u32, y: u32| {
        let (x, y) = (x as f32 - 400.0, y as f32 - 250.0);
        let (x, y) = (module(x * cos - y * sin), module(x * sin + y * cos));
        let is_paper = [x, y].iter().all(|at| (-4..code.size() + 4).contains(at));
        if code.get_module(x, y) {
            50
        } else if is_paper {
            200
        } else {
            120
        }
    };
    let sharp = image::RgbImage::from_fn(640, 480, |x, y| image::Rgb([level(x, y); 3]));
    image::imageops::blur(&sharp, 1.2)
}

/// The label of 4006381333931 in a hand: 1.3 pixels a module, seven degrees askew, a little out of focus.
fn label_in_a_hand() -> image::RgbImage {
    let bars =
        "10100011010100111010111101111010001001011001101010100001010000101000010111010010000101100110101".as_bytes();
    let (sin, cos) = 7f32.to_radians().sin_cos();
    let level = |x: u32, y: u32| {
        let (x, y) = (x as f32 / 4.0 - 300.0, y as f32 / 4.0 - 200.0);
        let (x, y) = ((x * cos + y * sin) / 1.3, (y * cos - x * sin) / 1.3);
        match bars.get((x + 47.0) as usize) {
            Some(b'1') if x >= -47.0 && y.abs() < 35.0 => 50,
            _ if x.abs() < 60.0 && y.abs() < 45.0 => 200,
            _ => 120,
        }
    };
    let fine = image::RgbImage::from_fn(2560, 1920, |x, y| image::Rgb([level(x, y); 3]));
    image::imageops::blur(&image::imageops::thumbnail(&fine, 640, 480), 0.8)
}

#[test]
fn a_code_that_is_held_before_the_camera_chooses_the_product() {
    let shop = Shop::with_products(3);
    let scanned = |picture: image::RgbImage| {
        picture.save(shop.path("code.jpg")).unwrap();
        let source = format!("file://{}?loop", shop.path("code.jpg"));
        let config = shop.config_for(&source, "").replace("enabled = false\n", "listen = \"127.0.0.1:0\"\n");
        let mut mirror = Mirror::start(&shop, &config);
        let at = address(&mut mirror);
        mirror.wait_until("there is a picture", || get(&at, "/staff/scan.json").status == 200);
        get(&at, "/staff/scan.json").json()
    };
    let scan = |text: &str| scanned(code_in_a_hand(text));
    assert_eq!(scan("https://shop.example/p/V102?from=tag")["product"]["id"], "V102");
    let foreign = scan("https://other.example/p/ZZ9");
    assert_eq!((&foreign["product"], &foreign["codes"]), (&Value::Null, &Value::from(1)));
    shop.import_feed("shop.db", "id,title,image_link,gtin\nV101,Tee,pictures/V101.jpg,4006381333931\n");
    assert_eq!(scanned(label_in_a_hand())["product"]["id"], "V101");
}
