//! A large catalogue: import of a feed whose descriptors are given, the same again, a preview, an update, an undo, loading the index
//! and searching it.
//!
//! `cargo bench --bench catalogue` (100,000 products with a picture each; `VETRINA_BENCH_PRODUCTS` sets another number. The disk
//! needs 50 kB a product under `TMPDIR`.)

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use vetrina::catalogue::{Addressed, Catalogue, ImportOptions, ImportReport, Index, ModelStamp, ShopPicture};
use vetrina::fault::Result;
use vetrina::geometry::Rect;
use vetrina::pipeline::import::{ImportRequest, import_with};
use vetrina::seam::{Detection, EmbeddingHead, Region};

const LENGTH: usize = 256;
/// What a picture of 480 pixels takes as JPEG.
const THUMBNAIL: usize = 15_000;
const QUERIES: u64 = 200;

fn products() -> usize {
    std::env::var("VETRINA_BENCH_PRODUCTS").ok().and_then(|count| count.parse().ok()).unwrap_or(100_000)
}

/// splitmix64, from -1 to 1.
fn noise(seed: &mut u64) -> f32 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

fn embedding(seed: u64) -> Vec<f32> {
    let mut seed = seed.wrapping_mul(0x2545_f491_4f6c_dd1d);
    (0..LENGTH).map(|_| noise(&mut seed)).collect()
}

/// In the place of the network: the picture's number is its text.
fn embed(bytes: &[u8], _: &Path, _: Option<Region>) -> Result<ShopPicture> {
    let number: u64 = String::from_utf8_lossy(bytes).parse().unwrap();
    let values: Arc<[f32]> = embedding(number).into();
    let detection = Detection {
        bounds: Rect::new(1.0, 2.0, 300.0, 400.0),
        class: (number % 13) as usize,
        score: 0.9,
        match_embedding: values.clone(),
        aggregation_embedding: values,
    };
    Ok(ShopPicture { detection, thumbnail_jpeg: vec![number as u8; THUMBNAIL], detail: false })
}

/// Four sizes and colours of each style. One product in `every` costs `price`.
fn feed(count: usize, every: usize, price: &str) -> String {
    let mut text = "id,title,image_link,price,product_type,item_group_id,color,size,location\n".to_owned();
    for number in 0..count {
        let price = if number % every == 0 { price } else { "19.90 EUR" };
        let (style, colour) = (number / 4, ["red", "blue", "sand", "black"][number % 4]);
        text += &format!(
            "p{number:06},Jacket {style},{}/{number}.jpg,{price},Women > Jackets,s{style},{colour},M,Wall {}\n",
            number % 100,
            style % 9
        );
    }
    text
}

/// Seconds of processor time of this process so far: what stays true on a busy machine.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (start, before) = (Instant::now(), processor());
    let done = work();
    println!("{what:44} {:8.2} s, processor {:8.2} s", start.elapsed().as_secs_f64(), processor() - before);
    done
}

fn main() {
    let count = products();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for part in 0..100 {
        fs::create_dir_all(at(&format!("pictures/{part}"))).unwrap();
    }
    for number in 0..count {
        fs::write(at(&format!("pictures/{}/{number}.jpg", number % 100)), number.to_string()).unwrap();
    }
    let stamp = ModelStamp { name: "given".into(), descriptor_hash: "given".into(), embedding: LENGTH };
    let import = |text: &str, dry_run: bool| -> ImportReport {
        fs::write(at("feed.csv"), text).unwrap();
        let request = ImportRequest {
            feed: at("feed.csv"),
            images: at("pictures"),
            catalogue: at("shop.db"),
            options: ImportOptions::default(),
            dry_run,
        };
        import_with(&request, &stamp, |_| Ok(vec![embed; 2]), |_| ()).unwrap()
    };
    println!("{count} products, a picture each, {LENGTH} values and {THUMBNAIL} bytes of thumbnail a picture");
    let report = timed("first import, descriptors given", || import(&feed(count, 1, "19.90 EUR"), false));
    assert_eq!((report.added, report.pictures_embedded), (count, count));
    println!("{:44} {:8.1} MB", "the catalogue's file", fs::metadata(at("shop.db")).unwrap().len() as f64 / 1e6);
    let report = timed("preview of a feed with 1 % other prices", || import(&feed(count, 100, "9.90 EUR"), true));
    assert_eq!(report.updated, count.div_ceil(100));
    let report = timed("import of it", || import(&feed(count, 100, "9.90 EUR"), false));
    assert_eq!((report.updated, report.pictures_embedded), (count.div_ceil(100), 0));
    let mut catalogue = Catalogue::open(&at("shop.db")).unwrap();
    timed("undo", || catalogue.undo(None).unwrap());
    let all = feed(count, 1, "8.90 EUR");
    let report = timed("import after an undo, all prices other", || import(&all, false));
    assert_eq!(report.updated, count);
    let made = timed("undo of it", || catalogue.undo(None).unwrap());
    assert_eq!(made.counts.updated, count);
    let update = serde_json::from_str(r#"{"price": "5 EUR"}"#).unwrap();
    timed("update of one price", || catalogue.update(&[Addressed { id: "p000007".into(), update }]).unwrap());
    let weight = [-0.1; LENGTH];
    let mut index =
        timed("loading the index", || Index::load(&catalogue, EmbeddingHead::Aggregation, &weight, 1.0).unwrap());
    assert_eq!((index.len(), index.gallery().rows()), (count.div_ceil(4), count));
    timed("200 searches", || {
        for number in 1..=QUERIES {
            let hits = index.search(&embedding(number * 7), 5);
            assert_eq!(index.shown(hits[0].row).id, format!("p{:06}", number * 7));
        }
    });
    timed("taking a changed price over", || assert!(index.refresh(&catalogue).unwrap()));
}
