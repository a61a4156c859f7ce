//! Plain values of the catalogue: a product, its pictures, and the model that embedded them.

use crate::seam::Detection;
use serde::Serialize;

/// One product as the feed has it. Fields are Google Merchant's; texts are trimmed and hold no control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Product {
    /// The shop's own identifier, unique in a catalogue.
    pub id: String,
    pub title: String,
    /// A path under the picture folder, or a URL whose last part names a file there.
    pub image_link: String,
    /// Further pictures of the same product.
    pub additional_image_links: Vec<String>,
    /// As the feed says it, such as `19.90 EUR`.
    pub price: Option<String>,
    pub brand: Option<String>,
    pub color: Option<String>,
    pub size: Option<String>,
    pub availability: Option<String>,
    pub product_type: Option<String>,
    /// The product's page.
    pub link: Option<String>,
    /// The same for all sizes and colours of one garment.
    pub item_group_id: Option<String>,
}

impl Product {
    /// All links in order of position: `image_link` is 0.
    pub fn image_links(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.image_link.as_str()).chain(self.additional_image_links.iter().map(String::as_str))
    }

    /// The additional links as one field of a feed, `None` for none.
    pub fn additional_image_field(&self) -> Option<String> {
        (!self.additional_image_links.is_empty()).then(|| self.additional_image_links.join(","))
    }
}

/// Splits a feed's `additional_image_link`: a comma-separated list, empty parts dropped.
pub fn split_links(field: &str) -> Vec<String> {
    field.split(',').map(str::trim).filter(|link| !link.is_empty()).map(str::to_owned).collect()
}

/// What a screen or a table shows of a product; kept in memory by the index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProductSummary {
    pub id: String,
    pub title: String,
    pub brand: Option<String>,
    pub price: Option<String>,
    pub color: Option<String>,
    pub size: Option<String>,
    pub availability: Option<String>,
    pub product_type: Option<String>,
    pub link: Option<String>,
}

/// Names one picture's content in a catalogue file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId(pub i64);

/// Which model embedded a catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelStamp {
    /// The manifest's name, for people.
    pub name: String,
    /// The manifest's hash of all that makes a descriptor.
    pub descriptor_hash: String,
    /// Values in one embedding.
    pub embedding: usize,
}

/// A product with all that the catalogue knows of its pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProductDetail {
    #[serde(flatten)]
    pub product: Product,
    pub pictures: Vec<PictureDetail>,
}

/// One picture of a product and what the network saw in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PictureDetail {
    /// 0 is the main picture.
    pub position: usize,
    /// The link as the feed says it.
    pub source: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    /// Index into the model's class names.
    pub class: usize,
    /// 0 to 1.
    pub score: f32,
    /// x1, y1, x2, y2 in pixels of the original picture.
    #[serde(rename = "box")]
    pub bounds: [f32; 4],
    /// Size of the thumbnail in bytes.
    pub thumbnail_bytes: usize,
}

/// One picture of the shop, embedded by the importer.
#[derive(Clone, Debug)]
pub struct ShopPicture {
    /// The picture's one garment.
    pub detection: Detection,
    /// At most 480 pixels on its long side.
    pub thumbnail_jpeg: Vec<u8>,
}
