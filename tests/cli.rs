//! The real binary as a person or a script uses it: its output, and how it refuses unusable input.

#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn vetrina(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vetrina")).args(args).output().unwrap()
}

/// Runs a command and expects a refusal: this exit code, one line on stderr that contains each of `words`, nothing on
/// stdout.
#[track_caller]
fn refused(args: &[&str], code: i32, words: &[&str]) {
    let output = vetrina(args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
    for word in words {
        assert!(error.contains(word), "{args:?}: no {word:?} in {error}");
    }
    assert!(output.stdout.is_empty());
}

#[track_caller]
fn json(args: &[&str]) -> Value {
    let output = vetrina(args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A folder with three products of the demo shop and their catalogue.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Self {
        Shop { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// The header and the first `count` rows of the demo's feed.
    fn feed(&self, count: usize) -> String {
        let feed = fs::read_to_string(repository("demo/feed.csv")).unwrap();
        let rows: Vec<&str> = feed.lines().take(count + 1).collect();
        self.write("feed.csv", rows.join("\n"))
    }

    fn import(&self, feed: &str) -> Output {
        self.import_with(feed, &[])
    }

    fn import_with(&self, feed: &str, more: &[&str]) -> Output {
        let (images, db, model) =
            (repository("demo").display().to_string(), self.path("shop.db"), repository("models/compact"));
        let model = model.display().to_string();
        let args = ["catalogue", "import", feed, "--images", &images, "--db", &db, "--model", &model];
        vetrina(&[&args, more].concat())
    }
}

#[test]
fn help_and_version_are_there() {
    let help = String::from_utf8(vetrina(&["--help"]).stdout).unwrap();
    for command in
        ["demo", "match", "catalogue", "inspect", "bench", "run", "check-config", "cameras", "doctor", "eval"]
    {
        assert!(help.contains(command), "{command} is not in the help");
    }
    assert!(vetrina(&["--version"]).status.success());
    refused(&["mtach"], 2, &["'mtach'", "'match'", "see `vetrina --help`"]);
    refused(&["match", "--catalog", "a.db"], 2, &["'--catalog'", "'--catalogue'", "see `vetrina match --help`"]);
    refused(&["match"], 2, &["<INPUT>", "were not provided", "see `vetrina match --help`"]);
    refused(&["catalogue", "history", "--db"], 2, &["--db", "see `vetrina catalogue history --help`"]);
    refused(&["match", "a.mjpg", "--backend", "gpu"], 2, &["'gpu'", "see `vetrina match --help`"]);
}

#[test]
fn a_mistyped_catalogue_is_said_and_nothing_is_made_there() {
    let shop = Shop::new();
    let (feed, images) = (shop.feed(1), repository("demo").display().to_string());
    let mistyped = shop.path("shops/shop.db");
    let import = ["catalogue", "import", &feed, "--images", &images, "--db", &mistyped];
    refused(&import, 7, &["there is no folder", "shops", "check the path, or make the folder"]);
    assert!(!fs::exists(shop.path("shops")).unwrap());
    let text = shop.write("notes.db", "milk, bread");
    refused(
        &["catalogue", "check", "--db", &text],
        5,
        &["not a vetrina catalogue", "; give the path of a catalogue\n"],
    );
    refused(&["catalogue", "import", &feed, "--images", &images, "--db", &text], 5, &["does not exist yet"]);
}

#[test]
fn invalid_pictures_are_refused() {
    let shop = Shop::new();
    refused(&["inspect", &shop.path("none.jpg")], 3, &["none.jpg", "check the path"]);
    refused(&["inspect", &shop.write("empty.jpg", b"")], 3, &["empty.jpg", "empty"]);
    refused(
        &["inspect", &shop.write("text.jpg", b"not a picture at all")],
        3,
        &["text.jpg", "not a JPEG, PNG or WebP"],
    );
    let clip = fs::read(repository("demo/clips/1.mjpg")).unwrap();
    refused(&["inspect", &shop.write("cut.jpg", &clip[..9000])], 3, &["cut.jpg", "cut short", "copy it again"]);
    refused(&["inspect", &shop.write("huge.png", png_header(20_000, 20_000))], 3, &["huge.png", "20000x20000"]);
    refused(&["inspect", &shop.write("none.png", png_header(0, 0))], 3, &["none.png"]);
    let good = repository("demo/pictures/V101.jpg").display().to_string();
    let drawn = vetrina(&["inspect", &good, "--draw", &shop.path("boxes.txt")]);
    let error = String::from_utf8(drawn.stderr).unwrap();
    assert!(drawn.status.code() == Some(2) && error.contains("a name that ends in .png"), "{error}");
    assert!(!Path::new(&shop.path("boxes.txt")).exists());
}

/// The header of a PNG of this size, without pixels.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend_from_slice(&width.to_be_bytes());
    chunk.extend_from_slice(&height.to_be_bytes());
    chunk.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut crc = u32::MAX;
    for byte in &chunk {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    png.extend_from_slice(&chunk);
    png.extend_from_slice(&(!crc).to_be_bytes());
    png.extend_from_slice(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
    png
}

#[test]
fn invalid_models_are_refused() {
    let shop = Shop::new();
    let picture = repository("demo/pictures").read_dir().unwrap().next().unwrap().unwrap().path();
    let picture = picture.display().to_string();
    let inspect = |model: &str| vec!["inspect".to_owned(), picture.clone(), "--model".into(), model.to_owned()];
    let check = |model: &str, words: &[&str]| {
        let args = inspect(model);
        refused(&args.iter().map(String::as_str).collect::<Vec<_>>(), 4, words);
    };
    check(&shop.path("none"), &["none/model.toml"]);
    let copy = shop.folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for entry in repository("models/compact").read_dir().unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    let trunk = fs::read(copy.join("trunk.onnx")).unwrap();
    fs::write(copy.join("trunk.onnx"), &trunk[..trunk.len() / 2]).unwrap();
    check(&shop.path("copy"), &["trunk.onnx", "sha256", "copy the whole model folder again"]);
    fs::write(copy.join("trunk.onnx"), &trunk).unwrap();
    let manifest = fs::read_to_string(copy.join("model.toml")).unwrap();
    fs::write(copy.join("model.toml"), manifest.replacen("[input]", "[input]\ncolour = 3", 1)).unwrap();
    check(&shop.path("copy"), &["colour", "line"]);
}

#[test]
fn unreadable_clips_are_refused() {
    let shop = Shop::new();
    assert!(shop.import(&shop.feed(3)).status.success());
    let db = shop.path("shop.db");
    let clip = fs::read(repository("demo/clips/1.mjpg")).unwrap();
    let cut = shop.write("cut.mjpg", &clip[..100_000]);
    let output = vetrina(&["match", &cut, "--catalogue", &db]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert!(error.contains("1 damaged frame was skipped") && error.contains("cut.mjpg"), "{error}");
    let first = shop.write("first.mjpg", &clip[..3000]);
    refused(&["match", &first, "--catalogue", &db], 3, &["every motion-JPEG frame in it is damaged", "first.mjpg"]);
    let film = shop.write("film.mp4", b"\0\0\0\x18ftypmp42 nothing more");
    let output = Command::new(env!("CARGO_BIN_EXE_vetrina"))
        .args(["match", &film, "--catalogue", &db])
        .env("PATH", shop.folder.path())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(8), "{error}");
    assert!(error.contains("ffmpeg") && error.contains("install"), "{error}");
    let readme = repository("README.md").display().to_string();
    refused(
        &["match", &readme, "--catalogue", &db],
        3,
        &[
            "README.md is neither a picture nor a clip: ffmpeg finds \"Invalid data",
            "JPEG, PNG or WebP picture, a folder",
        ],
    );
    fs::create_dir(shop.path("empty")).unwrap();
    refused(&["match", &shop.path("empty"), "--catalogue", &db], 3, &["no pictures in"]);
    refused(&["match", "rtsp://camera", "--catalogue", &db], 2, &["rtsp"]);
}

#[test]
fn invalid_catalogues_are_refused_and_left_unchanged() {
    let shop = Shop::new();
    let list = |db: &str| ["catalogue", "list", "--db"].map(str::to_owned).into_iter().chain([db.to_owned()]).collect();
    let check = |db: &str, code: i32, words: &[&str]| {
        let args: Vec<String> = list(db);
        refused(&args.iter().map(String::as_str).collect::<Vec<_>>(), code, words);
    };
    check(&shop.path("none.db"), 5, &["none.db"]);
    let text = shop.write("text.db", "this is no database, however long the text may be that stands in it");
    check(&text, 5, &["text.db"]);
    assert!(fs::read_to_string(&text).unwrap().starts_with("this is no database"));
    assert!(shop.import(&shop.feed(3)).status.success());
    let whole = fs::read(shop.path("shop.db")).unwrap();
    let cut = shop.write("cut.db", &whole[..whole.len() / 2]);
    let output = vetrina(&["catalogue", "check", "--db", &cut]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{error}");
    assert_eq!(error.matches("malformed").count(), 1, "SQLite says it twice: {error}");
    refused(&["catalogue", "export", "--db", &shop.path("shop.db"), "--output", "/dev/full"], 7, &["space"]);
}

#[test]
fn list_and_show_say_sale_price_stock_and_location() {
    let shop = Shop::new();
    let text = "id,title,image_link,price,sale_price,availability,quantity,location\n\
                P1,Cardigan,pictures/V101.jpg,9 EUR,4.50 EUR,in_stock,2,Wall 3\n";
    let output = shop.import(&shop.write("placed.csv", text));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let db = shop.path("shop.db");
    let listed = json(&["catalogue", "list", "--db", &db, "--json"])[0].clone();
    let id = listed["id"].as_str().unwrap();
    let shown = json(&["catalogue", "show", id, "--db", &db, "--json"]);
    for product in [&listed, &shown] {
        let said = ["sale_price", "stock", "location"].map(|name| product[name].as_str().unwrap_or_default());
        assert_eq!(said, ["4.50 EUR", "few", "Wall 3"], "{product}");
    }
    for args in [vec!["catalogue", "list", "--db", &db], vec!["catalogue", "show", id, "--db", &db]] {
        let text = String::from_utf8(vetrina(&args).stdout).unwrap();
        for word in ["4.50 EUR", "few", "Wall 3"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}

#[test]
fn a_catalogue_in_use_is_reported_as_busy() {
    let shop = Shop::new();
    let feed = shop.feed(3);
    assert!(shop.import(&feed).status.success());
    let other = rusqlite::Connection::open(shop.path("shop.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Removes nothing: a refused removal would be said first.
    let output = shop.import(&shop.feed(4));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(json(&["catalogue", "list", "--db", &shop.path("shop.db"), "--json"]).as_array().unwrap().len(), 3);
}

#[test]
fn unusable_feeds_leave_the_catalogue_unchanged() {
    let shop = Shop::new();
    assert!(shop.import(&shop.feed(3)).status.success());
    let refuse = |bytes: &[u8], words: &[&str]| {
        let output = shop.import(&shop.write("bad.csv", bytes));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
    };
    refuse(b"", &["bad.csv"]);
    refuse(b"id,title,image_link\n1,Stra\0e,pictures/a.jpg\n", &["zero bytes", "UTF-8"]);
    refuse(b"number,name\n1,a\n", &["id"]);
    let list = json(&["catalogue", "list", "--db", &shop.path("shop.db"), "--json"]);
    assert_eq!(list.as_array().unwrap().len(), 3);
}

#[test]
fn a_feed_that_is_not_utf8_is_imported_and_its_encoding_said() {
    let shop = Shop::new();
    let feed = b"id;title;image_link;price\r\nV101;Gestreiftes Shirt, wei\xdf;pictures/V101.jpg;39,90 \x80\r\n";
    let output = shop.import_with(&shop.write("feed.csv", feed), &["--strict", "--json"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let said = report["warnings"][0].as_str().unwrap();
    assert!(said.starts_with("the feed was read as windows-1252: \"Gestreiftes Shirt, weiß\""), "{report}");
    let list = json(&["catalogue", "list", "--db", &shop.path("shop.db"), "--json"]);
    assert_eq!(
        (list[0]["title"].as_str(), list[0]["price"].as_str()),
        (Some("Gestreiftes Shirt, weiß"), Some("39,90 €"))
    );
}

#[test]
fn a_truncated_feed_is_refused_and_an_import_can_be_undone() {
    let shop = Shop::new();
    assert!(shop.import(&shop.feed(3)).status.success());
    let db = shop.path("shop.db");
    let count = || json(&["catalogue", "list", "--db", &db, "--json"]).as_array().unwrap().len();
    let short = shop.feed(2);
    let output = shop.import(&short);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("would remove 1 of 3 products") && error.contains("--allow-removals"), "{error}");
    let output = shop.import_with(&short, &["--dry-run", "--allow-removals"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\n- ") || text.starts_with("- "), "{text}");
    assert!(text.contains("2 unchanged, 1 removed") && text.contains("nothing was changed"), "{text}");
    assert_eq!(count(), 3);
    assert!(shop.import_with(&short, &["--allow-removals"]).status.success());
    assert_eq!(count(), 2);
    let history = json(&["catalogue", "history", "--db", &db, "--json"]);
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert_eq!((&history[0]["removed"], &history[0]["source"]), (&1.into(), &"import of feed.csv".into()));
    assert!(vetrina(&["catalogue", "undo", "--db", &db]).status.success());
    assert_eq!(count(), 3);
    refused(&["catalogue", "undo", "--to", "77", "--db", &db], 2, &["77", "history"]);
}

#[test]
fn what_the_command_line_changes_is_in_the_mirrors_audit_log() {
    let shop = Shop::new();
    let (db, log) = (shop.path("shop.db"), shop.path("audit.jsonl"));
    let done = |output: Output| assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    done(shop.import(&shop.feed(3)));
    assert!(!Path::new(&log).exists(), "no mirror has shown this catalogue");
    // A mirror that starts makes its log.
    shop.write("audit.jsonl", "");
    done(shop.import_with(&shop.feed(3), &["--dry-run"]));
    refused(&["catalogue", "undo", "--to", "77", "--db", &db], 2, &["77"]);
    done(shop.import_with(&shop.feed(3), &["--audited"]));
    done(shop.import(&shop.feed(3)));
    done(vetrina(&["catalogue", "remove", "V102", "--db", &db]));
    done(vetrina(&["catalogue", "undo", "--db", &db]));
    let lines = fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actions: Vec<&str> = lines.iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["import", "remove", "undo"], "neither what changed nothing nor what the page has written");
    assert!(lines.iter().all(|line| line["who"] == "command line"), "{lines:?}");
    let details: Vec<&str> = lines.iter().map(|line| line["detail"].as_str().unwrap()).collect();
    assert!(details[0].ends_with("feed.csv") && details[1] == "V102" && details[2].contains("undo"), "{details:?}");
}

#[test]
fn a_feed_is_read_from_standard_input() {
    let shop = Shop::new();
    let (images, db) = (repository("demo").display().to_string(), shop.path("shop.db"));
    let feed = fs::File::open(shop.feed(2)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vetrina"))
        .args(["catalogue", "import", "-", "--images", &images, "--db", &db, "--model"])
        .arg(repository("models/compact"))
        .stdin(feed)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(json(&["catalogue", "list", "--db", &db, "--json"]).as_array().unwrap().len(), 2);
}

#[test]
fn a_shop_is_imported_once_and_its_own_picture_is_found() {
    let shop = Shop::new();
    let feed = shop.feed(5);
    assert!(shop.import(&feed).status.success());
    let again = String::from_utf8(shop.import(&feed).stdout).unwrap();
    assert!(again.contains("0 pictures embedded") && again.contains("5 unchanged"), "{again}");
    let db = shop.path("shop.db");
    let list = json(&["catalogue", "list", "--db", &db, "--json"]);
    let product = &list[0];
    let picture = repository("demo").join(product["image_link"].as_str().unwrap()).display().to_string();
    let found = json(&["match", &picture, "--catalogue", &db, "--top", "3", "--json"]);
    let first = &found["garments"][0]["matches"][0];
    assert_eq!(first["id"], product["id"], "{found}");
    assert_eq!(first["rank"], 1);
    assert!(vetrina(&["catalogue", "check", "--db", &db]).status.success());
}

#[test]
fn inspect_prints_every_detection() {
    let picture = repository("demo/pictures").read_dir().unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let seen = json(&["inspect", &picture.display().to_string(), "--json"]);
    let detections = seen["detections"].as_array().unwrap();
    assert!(!detections.is_empty());
    let (width, height) = (seen["width"].as_f64().unwrap(), seen["height"].as_f64().unwrap());
    for detection in detections {
        let corners: Vec<f64> =
            detection["box"].as_array().unwrap().iter().map(|side| side.as_f64().unwrap()).collect();
        assert!(corners[0] < corners[2] && corners[1] < corners[3]);
        assert!(corners[0] >= 0.0 && corners[2] <= width + 0.01 && corners[3] <= height + 0.01);
        for head in ["match_embedding", "aggregation_embedding"] {
            assert_eq!(detection[head].as_array().unwrap().len(), 256);
        }
    }
}

#[test]
fn a_missing_backend_is_refused_with_the_cure() {
    if cfg!(feature = "tensorrt") {
        return eprintln!("skipped: with the feature tensorrt the backend may be available");
    }
    let picture = repository("demo/mirror.png").display().to_string();
    refused(&["inspect", &picture, "--backend", "tensorrt"], 8, &["cannot use TensorRT", "backend = \"cpu\""]);
    refused(&["engine", "build"], 8, &["cannot use TensorRT"]);
    // Where nobody asked for it, its absence is no fault to be cured.
    let seen =
        Command::new(env!("CARGO_BIN_EXE_vetrina")).args(["inspect", &picture]).env("VETRINA_LOG", "info").output();
    let said = String::from_utf8(seen.unwrap().stderr).unwrap();
    assert!(said.contains("info: the CPU runs the network: ") && !said.contains("--features"), "{said}");
    let seen = vetrina(&["inspect", &picture, "--backend", "gpu"]);
    assert_eq!(seen.status.code(), Some(2));
    let by_itself = json(&["inspect", &picture, "--json"]);
    assert_eq!(by_itself, json(&["inspect", &picture, "--json", "--backend", "cpu"]));
}

#[test]
fn damaged_engines_are_listed_and_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let engines = folder.path().display().to_string();
    assert_eq!(json(&["engine", "list", "--engines", &engines, "--json"])["engines"], Value::Array(vec![]));
    fs::write(folder.path().join("trunk-fp16-00.engine"), [7; 900]).unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let listed = json(&["engine", "list", "--engines", &engines, "--json"]);
    assert_eq!(listed["engines"][0]["state"], "damaged");
    assert!(vetrina(&["engine", "prune", "--engines", &engines]).status.success());
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name != ".lock").collect();
    assert_eq!(left, ["notes.txt"]);
}

#[test]
fn bench_prints_the_table_of_the_documentation() {
    let output = vetrina(&["bench", "--frames", "1", "--backend", "cpu", "--products", "10"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    let documented = fs::read_to_string(repository("docs/tensorrt.md")).unwrap();
    let begins = |line: &&str| !line.trim_start().starts_with("model compact on ");
    let ends = |line: &&str| !line.trim_start().starts_with("one thread: ");
    // Row names are in a column as wide as the widest name; the header is split into words.
    let table = |text: &str| -> (Vec<String>, Vec<String>) {
        let mut lines = text.lines().skip_while(begins).skip(1).take_while(ends).map(str::trim_start);
        let header = lines.next().unwrap();
        let words = header.split_whitespace().map(str::to_owned).collect();
        let rows = lines.map(|line| line.chars().take("roi_align 14x14".len()).collect::<String>().trim().to_owned());
        (words, rows.collect())
    };
    let (header, rows) = table(&documented);
    assert!(header.len() >= 5 && rows.len() >= 13, "{header:?} {rows:?}");
    assert_eq!(table(&printed), (header, rows));
    // The text without its numbers equals the documentation's lines.
    let words =
        |text: &str| text.lines().find(|line| !ends(line)).map(|line| line.replace(|c: char| !c.is_alphabetic(), ""));
    assert_eq!(words(&printed), words(&documented));
}
