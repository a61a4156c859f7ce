//! A shop with tiny pictures, and a fake network whose embedding is a picture's first byte.

#![allow(dead_code)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vetrina::catalogue::{Catalogue, Feed, ImportOptions, ImportReport, ModelStamp, ShopPicture, feed, images};
use vetrina::fault::{Fault, Kind, Result};
use vetrina::geometry::Rect;
use vetrina::seam::{Detection, Region};

pub const LENGTH: usize = 4;
/// Regions of a small model's classes.
pub const CLASSES: [Option<Region>; 4] = [Some(Region::Upper), Some(Region::Lower), Some(Region::Dress), None];

/// Import options: refuse all if any row is unusable.
pub fn strict() -> ImportOptions {
    ImportOptions { strict: true, ..lenient() }
}

/// Import options: remove everything that the feed lacks.
pub fn lenient() -> ImportOptions {
    ImportOptions { max_removals: 1.0, ..ImportOptions::default() }
}

pub struct Shop {
    pub folder: tempfile::TempDir,
}

impl Shop {
    /// Pictures a.jpg to f.jpg; their content is their name.
    pub fn new() -> Self {
        let shop = Shop { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(shop.images()).unwrap();
        for name in ["a", "b", "c", "d", "e", "f"] {
            shop.picture(&format!("{name}.jpg"), name);
        }
        shop
    }

    pub fn images(&self) -> PathBuf {
        self.folder.path().join("images")
    }

    pub fn db(&self) -> PathBuf {
        self.folder.path().join("shop.db")
    }

    pub fn picture(&self, name: &str, content: &str) {
        fs::write(self.images().join(name), content).unwrap();
    }

    pub fn find(&self, feed: &Feed) -> HashMap<String, images::Found> {
        images::ImageFolder::open(&self.images()).unwrap().find_all(&feed.links(), |_| {})
    }

    pub fn open(&self) -> Catalogue {
        Catalogue::create_or_open(&self.db()).unwrap()
    }

    pub fn import(&self, text: &str) -> Result<ImportReport> {
        import(&mut self.open(), text, &self.images(), &stamp("one"), lenient())
    }

    pub fn ids(&self) -> Vec<String> {
        self.open().list().unwrap().into_iter().map(|(product, _)| product.id).collect()
    }
}

pub fn stamp(hash: &str) -> ModelStamp {
    ModelStamp { name: "compact".into(), descriptor_hash: hash.into(), embedding: LENGTH }
}

/// A fake network: sees in each picture one garment derived from its first byte, and none if the content begins with
/// "none". Its class is that of the requested region, by [`CLASSES`], otherwise 3.
/// Files whose names begin with "detail" show a close-up.
pub fn embed(bytes: &[u8], path: &Path, region: Option<Region>) -> Result<ShopPicture> {
    if bytes.starts_with(b"none") {
        return Err(Fault::new(Kind::Input, format!("{} shows no garment", path.display())));
    }
    if bytes.starts_with(b"broken") {
        return Err(Fault::new(Kind::Internal, "the engine stopped"));
    }
    let value = f32::from(bytes[0] - b'a');
    let detection = Detection {
        bounds: Rect::new(1.0, 2.0, 30.5, 40.0),
        class: region.map_or(3, |region| CLASSES.iter().position(|class| *class == Some(region)).unwrap()),
        score: 0.75,
        match_embedding: Arc::from([value, 0.5, -0.5, 0.0]),
        aggregation_embedding: Arc::from([-value, 1.0, 0.0, 0.25]),
    };
    let detail = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("detail"));
    Ok(ShopPicture { detection, detail, thumbnail_jpeg: jpeg() })
}

pub fn jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::RgbImage::from_pixel(8, 8, image::Rgb([200, 30, 40]));
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Jpeg).unwrap();
    bytes
}

pub fn import(
    catalogue: &mut Catalogue,
    text: &str,
    images: &Path,
    stamp: &ModelStamp,
    options: ImportOptions,
) -> Result<ImportReport> {
    let feed = feed::parse(text.as_bytes())?;
    let found = images::ImageFolder::open(images)?.find_all(&feed.links(), |_| {});
    let mut plan = catalogue.plan(&feed, &found, stamp, options)?;
    for (index, picture) in plan.pending().to_vec().iter().enumerate().rev() {
        plan.supply(index, picture.read().and_then(|bytes| embed(&bytes, &picture.path, picture.region)))?;
    }
    plan.finish()
}

pub const FEED: &str = "id,title,image_link,additional_image_link,price,brand\n\
                    1,Scarf,a.jpg,\"b.jpg,c.jpg\",19.90 EUR,Acme\n\
                    2,Glove,d.jpg,,5 EUR,\n\
                    3,\"Cape, blue\",e.jpg,a.jpg,,Acme\n";
