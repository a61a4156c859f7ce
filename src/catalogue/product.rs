//! Plain values of the catalogue: a product, its pictures, and the model that embedded them.

use crate::seam::Detection;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One product as the feed has it. Fields are Google Merchant's; texts are trimmed and hold no control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Product {
    /// The shop's own identifier, unique in a catalogue.
    pub id: String,
    pub title: String,
    /// A path under the picture folder, or a URL the end of whose path names a file there.
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
    /// The same for all sizes and colours of one garment: variants of one product.
    pub item_group_id: Option<String>,
    /// The price while `sale_price_effective_date` lasts; without one, always.
    pub sale_price: Option<String>,
    /// Two times of ISO 8601 with a slash between them.
    pub sale_price_effective_date: Option<String>,
    /// Pieces in stock: `3`, or by size, `S=3, M=0`.
    pub quantity: Option<String>,
    /// Where in the shop it hangs, for people.
    pub location: Option<String>,
    /// The number under the bar code of its label (EAN, UPC, ISBN); several with commas between them.
    pub gtin: Option<String>,
}

impl Product {
    /// All links in order of position: `image_link` is 0.
    pub fn image_links(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.image_link.as_str()).chain(self.additional_image_links.iter().map(String::as_str))
    }

    /// Whether `code`, typed or scanned, is on its label. Zeros before a number, spaces and hyphens do not count: a UPC is an EAN
    /// that begins with a zero.
    pub fn has_code(&self, code: &str) -> bool {
        let wanted = bare_code(code);
        let own = self.gtin.as_deref().unwrap_or_default();
        !wanted.is_empty() && own.split([',', ';', '|', '/']).any(|one| bare_code(one) == wanted)
    }

    /// The additional links as one field of a feed, `None` for none.
    pub fn additional_image_field(&self) -> Option<String> {
        (!self.additional_image_links.is_empty()).then(|| self.additional_image_links.join(","))
    }
}

fn bare_code(code: &str) -> String {
    let kept: String = code.chars().filter(|letter| letter.is_alphanumeric()).collect();
    kept.trim_start_matches('0').to_lowercase()
}

/// Splits a feed's `additional_image_link`: a comma-separated list, empty parts dropped. After a web address only another one
/// begins a new link, whatever stands between them: an address may hold commas.
pub fn split_links(field: &str) -> Vec<String> {
    let field = &commas_between_addresses(field);
    let mut links: Vec<String> = Vec::new();
    for part in field.split(',') {
        match links.last_mut() {
            Some(before) if is_address(before) && !is_address(part.trim_start()) && !part.trim().is_empty() => {
                before.push(',');
                before.push_str(part.trim_end());
            }
            _ => links.push(part.trim().to_owned()),
        }
    }
    links.retain(|link| !link.is_empty());
    links
}

fn commas_between_addresses(field: &str) -> Cow<'_, str> {
    let mut field = Cow::Borrowed(field);
    if field.matches("://").count() > 1 {
        for scheme in ["https://", "http://"] {
            for separator in ["; ", ";", "| ", "|", " "] {
                field = Cow::Owned(field.replace(&format!("{separator}{scheme}"), &format!(",{scheme}")));
            }
        }
    }
    field
}

/// What separates several paths in one field.
const SEPARATORS: [char; 3] = [',', '|', ';'];

/// The paths that a field may be, each separator in it with its list; none where it is a web address, which may hold them.
pub(super) fn split_paths(field: &str) -> impl Iterator<Item = (char, Vec<&str>)> {
    let separators = SEPARATORS.into_iter().filter(move |separator| !is_address(field) && field.contains(*separator));
    separators.map(move |separator| {
        (separator, field.split(separator).map(str::trim).filter(|part| !part.is_empty()).collect())
    })
}

fn is_address(link: &str) -> bool {
    link.starts_with("//")
        || link.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphabetic()))
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
    pub item_group_id: Option<String>,
    pub sale_price: Option<String>,
    pub sale_price_effective_date: Option<String>,
    pub quantity: Option<String>,
    pub location: Option<String>,
}

impl ProductSummary {
    /// What all variants of the product have in common: the group, or the id of a product without one.
    pub fn group(&self) -> &str {
        self.item_group_id.as_deref().unwrap_or(&self.id)
    }
}

/// Names one picture's content in a catalogue file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentId(pub i64);

/// Which model embedded a catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
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
    /// It shows a part of the product from near: [`crate::seam::is_detail`].
    pub detail: bool,
    /// At most 480 pixels on its long side.
    pub thumbnail_jpeg: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_however_it_is_written() {
        let product = Product { gtin: Some("4006381333931, 0-12345-67890-5".into()), ..Product::default() };
        for code in
            ["4006381333931", " 04006381333931", "4006381 333931", "012345678905", "12345678905", "0012345678905"]
        {
            assert!(product.has_code(code), "{code}");
        }
        for code in ["", "0", "-", "400638133393", "4006381333932", "40063813339310123"] {
            assert!(!product.has_code(code), "{code}");
        }
        assert!(!Product::default().has_code("4006381333931"));
    }

    #[test]
    fn links_are_split_at_commas_that_are_not_part_of_an_address() {
        assert_eq!(split_links("a.jpg, b.jpg ,,c d.jpg"), ["a.jpg", "b.jpg", "c d.jpg"]);
        let cloud = "https://c.example/w_200,h_300/V101.jpg";
        assert_eq!(split_links(&format!("{cloud}, {cloud},http://h/b.jpg")), [cloud, cloud, "http://h/b.jpg"]);
        assert_eq!(split_links(&format!("a.jpg,{cloud}")), ["a.jpg", cloud]);
        assert_eq!(split_links(&format!("{cloud},")), [cloud]);
        for separator in [" ", "|", " | ", ";", "; "] {
            assert_eq!(split_links(&format!("{cloud}{separator}http://h/b;1.jpg")), [cloud, "http://h/b;1.jpg"]);
        }
    }
}
