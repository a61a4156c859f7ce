//! Writing rows: what an import puts into the tables.

use super::history;
use super::images::Sha;
use super::product::{Product, ShopPicture};
use super::records::PRODUCT_COLUMNS;
use crate::fault::{Fault, Kind, Result};
use crate::seam::{Detection, Region};
use rusqlite::{Transaction, params};
use std::path::Path;

/// A row of `picture`: a content that shows a product.
#[derive(Debug, PartialEq)]
pub(super) struct Shown {
    pub position: i64,
    pub link: String,
    /// The row of `content`.
    pub content: i64,
}

/// Refuses embeddings that cannot be searched: the fault is then the caller's network, not the picture.
pub(super) fn check_embeddings(detection: &Detection, length: usize, path: &Path) -> Result<()> {
    for embedding in [&detection.match_embedding, &detection.aggregation_embedding] {
        if embedding.len() != length || !embedding.iter().all(|value| value.is_finite()) {
            let text = format!("the model gave no usable embedding of {length} values for {}", path.display());
            return Err(Fault::new(Kind::Model, text).cure("check the model folder"));
        }
    }
    Ok(())
}

/// Stores one embedded picture, as it shows the garment of `region`; returns the id of its content.
pub(super) fn insert_content(
    transaction: &Transaction,
    sha: &Sha,
    region: Option<Region>,
    picture: &ShopPicture,
) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached("insert into content (sha256, thumbnail) values (?, ?) on conflict (sha256) do nothing")?
        .execute(params![sha, picture.thumbnail_jpeg])?;
    let id: i64 =
        transaction.prepare_cached("select id from content where sha256 = ?")?.query_row([sha], |row| row.get(0))?;
    let blob = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let detection = &picture.detection;
    let [x1, y1, x2, y2] = detection.bounds.corners().map(f64::from);
    let query = "insert into descriptor values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                 on conflict (content_id, region) do nothing";
    transaction.prepare_cached(query)?.execute(params![
        id,
        region_key(region),
        detection.class as i64,
        f64::from(detection.score),
        x1,
        y1,
        x2,
        y2,
        blob(&detection.match_embedding),
        blob(&detection.aggregation_embedding),
        picture.detail,
    ])?;
    Ok(id)
}

/// A region as a key of `descriptor` and `refusal`: these know no null.
pub(super) fn region_key(region: Option<Region>) -> &'static str {
    region.map_or("", Region::name)
}

/// Stores a product and the pictures that show it from `generation` on, in place of what was there.
pub(super) fn write_product(
    transaction: &Transaction,
    generation: i64,
    position: i64,
    product: &Product,
    pictures: &[Shown],
) -> rusqlite::Result<()> {
    history::end_version(transaction, &product.id, generation)?;
    let query = format!(
        "insert into product_version ({PRODUCT_COLUMNS}, since, position, region)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    );
    transaction.prepare_cached(&query)?.execute(params![
        product.id,
        product.title,
        product.link,
        product.image_link,
        product.additional_image_field(),
        product.availability,
        product.price,
        product.brand,
        product.color,
        product.size,
        product.product_type,
        product.item_group_id,
        product.sale_price,
        product.sale_price_effective_date,
        product.quantity,
        product.location,
        product.gtin,
        generation,
        position,
        product.region().map(Region::name),
    ])?;
    let mut insert = transaction.prepare_cached("insert into picture_version values (?, ?, ?, ?, ?)")?;
    for shown in pictures {
        insert.execute(params![product.id, generation, shown.position, shown.link, shown.content])?;
    }
    Ok(())
}
