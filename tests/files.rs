//! Files as shops and cameras produce them, given to the real program: cut-outs, icons, damaged clips.

#![allow(clippy::unwrap_used)]

mod mirror;

use image::{Rgb, RgbImage, Rgba, RgbaImage};
use mirror::{Shop, repository};
use serde_json::Value;
use std::fs;
use std::process::{Command, Output};

fn vetrina(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vetrina")).args(arguments).env_remove("VETRINA_LOG").output().unwrap()
}

/// A command's JSON output, and its stderr.
fn json(arguments: &[&str]) -> (Value, String) {
    let output = vetrina(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

fn model() -> String {
    repository("models/compact").display().to_string()
}

#[test]
fn a_cut_out_is_composited_on_white_whatever_its_hidden_colour() {
    let shop = Shop::empty();
    let photo = image::open(repository("demo/pictures/V155.jpg")).unwrap().into_rgb8();
    let (width, height) = photo.dimensions();
    // Everything outside an ellipse is transparent.
    let inside = |x: u32, y: u32| {
        let from_middle = |at: u32, length: u32| (2.0 * at as f32 / length as f32 - 1.0).powi(2);
        from_middle(x, width) + from_middle(y, height) < 0.9
    };
    let on_white =
        RgbImage::from_fn(width, height, |x, y| if inside(x, y) { *photo.get_pixel(x, y) } else { Rgb([255; 3]) });
    on_white.save(shop.path("white.png")).unwrap();
    let seen = |name: &str| json(&["inspect", &shop.path(name), "--model", &model(), "--json"]).0["detections"].clone();
    let expected = seen("white.png");
    assert!(!expected.as_array().unwrap().is_empty());
    for (name, hidden) in [("magenta.png", [255, 0, 255]), ("black.webp", [0; 3])] {
        let cut_out = RgbaImage::from_fn(width, height, |x, y| {
            let [red, green, blue] = if inside(x, y) { photo.get_pixel(x, y).0 } else { hidden };
            Rgba([red, green, blue, if inside(x, y) { 255 } else { 0 }])
        });
        cut_out.save(shop.path(name)).unwrap();
        assert_eq!(seen(name), expected, "{name}");
    }
}

#[test]
fn icons_are_refused_with_row_and_reason() {
    let shop = Shop::empty();
    fs::copy(repository("demo/pictures/V155.jpg"), shop.path("coat.jpg")).unwrap();
    for (name, width, height) in [("dot.png", 1, 1), ("strip.png", 31, 400), ("smallest.png", 32, 32)] {
        RgbImage::from_pixel(width, height, Rgb([200, 30, 40])).save(shop.path(name)).unwrap();
    }
    shop.write(
        "feed.csv",
        "id,title,image_link,additional_image_link\n1,Coat,coat.jpg,dot.png\n2,Dot,dot.png,\n3,Strip,strip.png,\n",
    );
    let (feed, images, db) = (shop.path("feed.csv"), shop.path(""), shop.path("shop.db"));
    let (report, _) =
        json(&["catalogue", "import", &feed, "--images", &images, "--db", &db, "--model", &model(), "--json"]);
    assert_eq!(report["products"], 1, "{report}");
    let reason = |row: &Value| (row["line"].as_u64().unwrap(), row["reason"].as_str().unwrap().to_owned());
    let rows: Vec<_> = report["skipped_rows"].as_array().unwrap().iter().map(reason).collect();
    assert!(rows[0].0 == 3 && rows[0].1.contains("dot.png is 1x1 pixels: too small to show a product"), "{rows:?}");
    assert!(rows[1].0 == 4 && rows[1].1.contains("strip.png is 31x400 pixels: too small"), "{rows:?}");
    assert!(rows[1].1.contains("at least 32 pixels a side"), "{rows:?}");
    let pictures: Vec<_> = report["skipped_pictures"].as_array().unwrap().iter().map(reason).collect();
    assert!(pictures.len() == 1 && pictures[0].0 == 2, "{pictures:?}");
}

#[test]
fn a_damaged_clip_is_matched_with_a_warning_and_a_truncated_still_is_refused() {
    let shop = Shop::with_products(2);
    let mut clip = fs::read(repository("demo/clips/1.mjpg")).unwrap();
    let starts: Vec<usize> =
        clip.windows(3).enumerate().filter(|(_, window)| *window == [0xff, 0xd8, 0xff]).map(|(at, _)| at).collect();
    let frames = 8;
    assert!(starts.len() > frames);
    // The last of eight frames is truncated, as on a full disk; a part of the third is missing.
    clip.truncate(starts[frames] - 40);
    clip.drain(starts[2] + 700..starts[3]);
    fs::write(shop.path("cut.mjpg"), &clip).unwrap();
    let db = shop.path("shop.db");
    let (found, said) = json(&["match", &shop.path("cut.mjpg"), "--catalogue", &db, "--model", &model(), "--json"]);
    assert_eq!(found["damaged_frames"], 2, "{found}");
    assert!(said.contains("cut.mjpg: 2 damaged frames were skipped; the first: frame 2 of"), "{said}");
    fs::write(shop.path("cut.jpg"), &clip[..600]).unwrap();
    let still = vetrina(&["match", &shop.path("cut.jpg"), "--catalogue", &db, "--model", &model()]);
    assert_eq!(still.status.code(), Some(3), "{}", String::from_utf8_lossy(&still.stderr));
}
