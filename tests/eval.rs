//! `vetrina eval`, the real binary, on a small data set in MovingFashion's layout made from the demo's clips.

#![allow(clippy::unwrap_used)]

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use vetrina::network::Manifest;
use vetrina::pipeline::settings::PipelineSettings;

fn demo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo").join(name)
}

fn vetrina(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vetrina")).args(args).output().unwrap()
}

#[track_caller]
fn refused(args: &[&str], code: i32, words: &[&str]) {
    let output = vetrina(args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {error}");
    assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
}

struct Data {
    folder: tempfile::TempDir,
}

impl Data {
    fn new() -> Self {
        Data { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }
}

fn truth() -> Value {
    serde_json::from_slice(&fs::read(demo("truth.json")).unwrap()).unwrap()
}

/// Frame numbers and boxes of the worn product in one of the demo's clips, for frames where enough of it is visible.
fn boxes(truth: &Value, clip: usize, id: &str) -> Vec<(u64, Vec<f64>)> {
    let frames = truth["clips"][clip]["frames"].as_array().unwrap();
    let mut boxes = Vec::new();
    for frame in frames {
        let seen = frame["boxes"].as_array().unwrap().iter();
        let worn = seen.filter(|one| one["id"] == id && one["visible"].as_f64().unwrap() > 0.2);
        boxes.extend(worn.map(|one| {
            let corners = one["box"].as_array().unwrap().iter().map(|side| side.as_f64().unwrap()).collect();
            (frame["frame"].as_u64().unwrap(), corners)
        }));
    }
    boxes
}

/// The first two products worn in each of the first two clips, with the clip.
fn worn(truth: &Value) -> Vec<(String, usize)> {
    let mut worn = Vec::new();
    for clip in 0..2 {
        let ids = truth["clips"][clip]["worn"].as_array().unwrap();
        worn.extend(ids.iter().take(2).map(|id| (id.as_str().unwrap().to_owned(), clip)));
    }
    worn
}

/// The annotations: the products worn in two clips, one of them Hard, one without ground truth.
fn annotations(truth: &Value) -> Value {
    let mut products = Map::new();
    for (place, (id, clip)) in worn(truth).into_iter().enumerate() {
        let tracklet: Map<String, Value> =
            boxes(truth, clip, &id).into_iter().map(|(frame, corners)| (frame.to_string(), json!(corners))).collect();
        let mut product = json!({
            "img_path": format!("pictures/{id}.jpg"),
            "video_paths": [format!("clips/{}.mjpg", clip + 1)],
            "source": usize::from(place != 1),
        });
        if place != 3 {
            product["tracklets"] = json!([tracklet]);
        }
        products.insert(id, product);
    }
    Value::Object(products)
}

fn share(figures: &Value, k: &str) -> f64 {
    figures["top"][k]["share"].as_f64().unwrap()
}

#[test]
fn clips_are_measured_in_every_way_and_an_interrupted_run_continues() {
    let data = Data::new();
    let list = data.write("test.json", &annotations(&truth()).to_string());
    let root = demo("").display().to_string();
    let (cache, json, plot) = (data.path("cache"), data.path("out.json"), data.path("out.png"));
    let errors = data.path("errors.png");
    let args = [
        "eval",
        "--data",
        &root,
        "--annotations",
        &list,
        "--windows",
        "--noise",
        "off",
        "--seed",
        "3",
        "--cache",
        &cache,
        "--json",
        &json,
        "--plot",
        &plot,
        "--errors",
        &errors,
    ];
    let output = vetrina(&args);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for word in ["4 queries of 10 frames", "gallery of 4 products", "noise off", "SEAM", "maximum score", "regular"] {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
    let first = data.json("out.json");
    assert_eq!(
        (&first["queries"], &first["gallery"], &first["without_ground_truth"]),
        (&json!(4), &json!(4), &json!(1))
    );
    let results = first["results"].as_array().unwrap();
    let of = |choice: &str, products: &str| {
        results.iter().find(|one| one["choice"] == choice && one["products"] == products).unwrap()["methods"].clone()
    };
    for (choice, all, regular, hard) in [("oracle", 3, 2, 1), ("own", 4, 3, 1), ("own_region", 4, 3, 1)] {
        for (products, queries) in [("all", all), ("regular", regular), ("hard", hard)] {
            let methods = of(choice, products);
            assert_eq!(methods.as_array().unwrap().len(), 7);
            for method in methods.as_array().unwrap() {
                let figures = &method["figures"];
                assert_eq!(figures["queries"], queries, "{choice} {products}");
                // Top-5 is at least top-1, and in a gallery of 4 top-5 includes everything found.
                assert!(share(figures, "1") <= share(figures, "5") && share(figures, "5") == share(figures, "20"));
            }
            let [single, best] = [1, 2].map(|place| share(&methods[place]["figures"], "1"));
            assert!(single <= best, "{choice} {products}: a single frame {single} beats the best {best}");
        }
    }
    let windows = first["windows"].as_array().unwrap();
    assert_eq!(
        windows.iter().map(|one| one["frames"].as_u64().unwrap()).collect::<Vec<_>>(),
        (1..=10).collect::<Vec<_>>()
    );
    let open_set = &first["open_set"];
    assert_eq!((&open_set["queries"], open_set["curve"].as_array().unwrap().len()), (&json!(3), 7));
    let rejected = |row: &Value| row["wrong_rejections"]["share"].as_f64().unwrap();
    let accepted = |row: &Value| row["wrong_acceptances"]["share"].as_f64().unwrap();
    for pair in open_set["curve"].as_array().unwrap().windows(2) {
        assert!(rejected(&pair[0]) <= rejected(&pair[1]) && accepted(&pair[0]) >= accepted(&pair[1]), "{open_set}");
    }
    let lead = of("oracle", "all")[0]["seam_ahead_top_1"].clone();
    assert_eq!(lead, json!([0.0, 0.0, 0.0]), "SEAM is not ahead of itself");
    assert!(text.contains("SEAM ahead, top-1") && text.contains("wrongly rejected"), "{text}");
    let as_the_mirror = format!("any of the first {} garments", PipelineSettings::default().max_garments);
    assert!(text.contains(&as_the_mirror), "no {as_the_mirror:?} in {text}");
    assert!(image::open(&plot).unwrap().width() > 500);
    // A row of 246 pixels for each of at most three queries with a ground truth.
    let sheet = image::open(&errors).unwrap();
    assert!([256, 502, 748].contains(&sheet.height()), "{} pixels high", sheet.height());
    // An interrupted run: one record is missing, another is truncated.
    let model = fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    // What a record depends on: the model, what it runs on, and this very program.
    let basis = fs::read_to_string(model.join("basis.txt")).unwrap();
    let program = Sha256::digest(fs::read(env!("CARGO_BIN_EXE_vetrina")).unwrap());
    let program: String = program.iter().map(|byte| format!("{byte:02x}")).collect();
    let manifest = Manifest::load(&demo("../models/compact")).unwrap();
    for part in [manifest.descriptor_hash.as_str(), "runs on the CPU", &program] {
        assert!(basis.contains(part), "no {part} in {basis}");
    }
    let mut records: Vec<PathBuf> = fs::read_dir(model).unwrap().map(|entry| entry.unwrap().path()).collect();
    records.retain(|path| path.extension().is_some_and(|ending| ending == "seen"));
    records.sort();
    assert_eq!(records.len(), 8);
    fs::remove_file(&records[0]).unwrap();
    let cut = fs::read(&records[5]).unwrap();
    fs::write(&records[5], &cut[..cut.len() / 2]).unwrap();
    assert!(vetrina(&args).status.success());
    assert_eq!(data.json("out.json"), first);
    assert_eq!(fs::read(&records[5]).unwrap(), cut);
}

#[test]
fn stills_are_measured_with_given_and_detected_boxes() {
    let data = Data::new();
    let truth = truth();
    let (mut queries, mut gallery) = (
        "query_id,file,frame,x0,y0,x1,y1,garment_id,region\n".to_owned(),
        "garment_id,view,category,file\n".to_owned(),
    );
    for (id, clip) in worn(&truth) {
        let seen = boxes(&truth, clip, &id);
        let (frame, b) = &seen[seen.len() / 2];
        let clip = demo(&format!("clips/{}.mjpg", clip + 1));
        queries += &format!("q-{id},{},{frame},{},{},{},{},{id},\n", clip.display(), b[0], b[1], b[2], b[3]);
        gallery += &format!("{id},main,,{}\n", demo(&format!("pictures/{id}.jpg")).display());
    }
    // A garment that the shop does not have.
    let first = queries.lines().nth(1).unwrap().split(',').collect::<Vec<_>>();
    queries += &format!("stranger,{},,\n", first[1..7].join(","));
    let (queries, gallery) = (data.write("queries.csv", &queries), data.write("gallery.csv", &gallery));
    let json = data.path("out.json");
    let output = vetrina(&["eval", "--pairs", &queries, "--gallery", &gallery, "--json", &json]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = data.json("out.json");
    assert_eq!((&found["queries"], &found["gallery"]["garments"]), (&json!(4), &json!(4)));
    let results = found["results"].as_array().unwrap();
    assert_eq!(results.len(), 8);
    let detected = found["detected"]["share"].as_f64().unwrap();
    let [as_match, as_mirror] =
        ["detected_as_match", "detected_as_mirror"].map(|key| found[key]["share"].as_f64().unwrap());
    assert!(as_mirror <= as_match && as_match <= detected);
    // The score from which a mirror starts a track.
    let (text, begin) = (String::from_utf8_lossy(&output.stdout), vetrina::seam::TrackSettings::default().begin);
    assert!(text.contains(&format!("{begin}: ")), "{text}");
    for row in results {
        let top = share(&row["figures"], "20");
        if row["region_filter"] == false {
            // Everything found is among four.
            assert_eq!(top, if row["boxes"] == "given" { 1.0 } else { detected }, "{row}");
        }
        assert!(share(&row["figures"], "1") <= top);
    }
    let claims = &found["claims"][0];
    assert_eq!(
        (&claims["known"], &claims["strangers"]),
        (&json!(4), &json!(5)),
        "the stranger, and each without its product"
    );
    assert_eq!(claims["likely"], 0, "four products cannot show that one stands out");
    let lacking = data.write("lacking.csv", "garment_id,file\nnobody,test.jpg\n");
    // At once: the photo, which is not there either, was not opened.
    refused(&["eval", "--pairs", &queries, "--gallery", &lacking], 3, &["the query q-", "which the gallery lacks"]);
}

#[test]
fn garments_of_a_clip_stay_one_track_each() {
    let (truth, data) = (truth(), Data::new());
    let mut rows = "clip,frame,garment,x0,y0,x1,y1\n".to_owned();
    for frame in truth["clips"][0]["frames"].as_array().unwrap().iter().take(61).step_by(5) {
        for one in frame["boxes"].as_array().unwrap() {
            let name = if one["visible"].as_f64().unwrap() > 0.4 { one["id"].as_str().unwrap() } else { "" };
            let corners: Vec<String> = one["box"].as_array().unwrap().iter().map(Value::to_string).collect();
            rows += &format!("1.mjpg,{},{name},{}\n", frame["frame"], corners.join(","));
        }
    }
    let (table, json, clips) =
        (data.write("boxes.csv", &rows), data.path("out.json"), demo("clips").display().to_string());
    let output = vetrina(&["eval", "--tracks", &table, "--clips", &clips, "--json", &json]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures = &data.json("out.json")["all"];
    assert_eq!(figures["garments"], 2);
    assert!(figures["boxes"].as_u64().unwrap() >= 10, "{figures}");
    assert!(figures["idf1"].as_f64().unwrap() >= 0.8, "{figures}");
    assert_eq!(figures["switches"], 0, "{figures}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("IDF1"));
    let far = data.write("far.csv", "clip,frame,garment,x0,y0,x1,y1\n1.mjpg,500,shirt,1,1,9,9\n");
    refused(&["eval", "--tracks", &far, "--clips", &clips], 3, &["1.mjpg has 120 frames", "frame 500", "15 a second"]);
    refused(&["eval", "--tracks", &table], 3, &["1.mjpg"]);
}

#[test]
fn unusable_data_is_named() {
    let data = Data::new();
    let root = data.path("");
    let list = data.write("test.json", r#"{"a": {"img_path": "a.jpg", "video_paths": ["b.mp4"], "source": 1}}"#);
    refused(&["eval", "--data", &root, "--annotations", &list], 3, &["2 of the annotated files", "a.jpg"]);
    let broken = data.write("broken.json", "{\"a\": 3");
    refused(&["eval", "--data", &root, "--annotations", &broken], 3, &["broken.json", "line 1"]);
    refused(&["eval", "--data", &root], 2, &["--annotations"]);
    refused(&["eval"], 2, &["--data", "--pairs"]);
    refused(&["eval", "--pairs", &list, "--gallery", &list], 3, &["test.json", "no row"]);
}
