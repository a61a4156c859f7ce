//! A shop's products out of the tables, as a catalogue file has them.

use super::database::{Database, SqlResult};
use crate::catalogue::product::split_links;
use crate::catalogue::{ModelStamp, Product, ReleasePicture, ReleaseProduct, ShopPicture, add_worn, write_snapshot};
use crate::fault::{Fault, Kind, Result};
use crate::geometry::Rect;
use crate::seam::Detection;
use pgvector::Vector;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tokio_postgres::{Client, Row};

/// Products that are read at once.
const PAGE: i64 = 500;

/// Enrolments that are read at once: each may have a megabyte.
const WORN_PAGE: i64 = 50;

/// How many pictures of the shop no worker has looked at by this model, queued or not.
///
/// # Errors
/// [`Kind::Usage`] where there is no such shop.
pub fn waiting(database: &mut Database, shop: &str, model: &ModelStamp) -> Result<i64> {
    let (exists, waiting) = database.run(async |client| {
        let query = "select exists (select 1 from shop where name = $1),
                     (select count(distinct (picture.sha256, product.region)) from offer
                       join product on product.id = offer.product_id
                       join picture on picture.product_id = product.id
                       where offer.shop = $1
                       and not exists (select 1 from view where view.sha256 = picture.sha256
                         and view.wanted = product.region and view.head = 'match' and view.model = $2)
                       and not exists (select 1 from refusal where refusal.sha256 = picture.sha256
                         and refusal.wanted = product.region and refusal.model = $2))";
        let row = client.query_one(query, &[&shop, &model.descriptor_hash]).await?;
        Ok((row.get::<_, bool>(0), row.get::<_, i64>(1)))
    })?;
    if exists {
        return Ok(waiting);
    }
    Err(Fault::new(Kind::Usage, format!("the hub has no shop {shop:?}"))
        .cure("import a feed for it with `vetrina hub import --shop`"))
}

/// Writes the shop's catalogue as it is now. Pictures that no worker has embedded yet are left out; how many there are of them.
pub fn write(database: &mut Database, shop: &str, model: &ModelStamp, path: &Path) -> Result<i64> {
    // All pages are of one moment.
    database.run(async |client| client.batch_execute("begin isolation level repeatable read read only").await)?;
    let left_out = waiting(database, shop, model);
    let mut after = String::new();
    let written = write_snapshot(path, model, &format!("hub, shop {shop}"), || {
        let last = std::mem::take(&mut after);
        let page = database.run(async |client| page(client, shop, model, &last).await)?;
        after = page.last().map(|product| product.product.id.clone()).unwrap_or_default();
        Ok(page)
    });
    let ended = database.run(async |client| client.batch_execute("commit").await);
    let left_out = written.and(ended).and(left_out)?;
    let mut after = String::new();
    loop {
        let lines = database.run(async |client| worn_lines(client, shop, model, &after).await)?;
        let Some((last, _)) = lines.last() else { return Ok(left_out) };
        after.clone_from(last);
        add_worn(path, lines.iter().map(|(_, line)| line.as_str()))?;
    }
}

/// The next worn views of the shop's products after the uid `after`: uid and line.
async fn worn_lines(client: &Client, shop: &str, model: &ModelStamp, after: &str) -> SqlResult<Vec<(String, String)>> {
    let query = "select uid, line from worn where model = $2 and uid > $3
                 and exists (select 1 from offer where shop = $1 and product_id = any (worn.products))
                 order by uid limit $4";
    let rows = client.query(query, &[&shop, &model.descriptor_hash, &after, &WORN_PAGE]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The next products after the id `after`, in the order of ids.
async fn page(client: &Client, shop: &str, model: &ModelStamp, after: &str) -> SqlResult<Vec<ReleaseProduct>> {
    let query = "select id, title, link, image_link, additional_image_link, brand, color, size, product_type,
                 item_group_id, price, sale_price, sale_price_effective_date, availability, quantity, location, gtin, position
                 from offer join product on product.id = product_id
                 where shop = $1 and product_id > $2 order by product_id limit $3";
    let rows = client.query(query, &[&shop, &after, &PAGE]).await?;
    let mut products: Vec<ReleaseProduct> = rows.iter().map(product).collect();
    let places: HashMap<String, usize> =
        products.iter().enumerate().map(|(place, one)| (one.product.id.clone(), place)).collect();
    let ids: Vec<&str> = products.iter().map(|one| one.product.id.as_str()).collect();
    let query =
        "select picture.product_id, picture.position, picture.source, picture.sha256, thumbnail, one.class, one.score,
                 one.x1, one.y1, one.x2, one.y2, one.embedding, two.embedding, one.detail
                 from picture join product on product.id = picture.product_id
                 join content on content.sha256 = picture.sha256
                 join view as one on one.sha256 = picture.sha256 and one.wanted = product.region
                   and one.head = 'match' and one.model = $2
                 join view as two on two.sha256 = picture.sha256 and two.wanted = product.region
                   and two.head = 'aggregation' and two.model = $2
                 where picture.product_id = any ($1) order by picture.product_id, picture.position";
    for row in client.query(query, &[&ids, &model.descriptor_hash]).await? {
        let Some(place) = places.get(row.get::<_, &str>(0)) else { continue };
        products[*place].pictures.extend(picture(&row));
    }
    Ok(products)
}

fn product(row: &Row) -> ReleaseProduct {
    let additional: Option<String> = row.get(4);
    let product = Product {
        id: row.get(0),
        title: row.get(1),
        link: row.get(2),
        image_link: row.get(3),
        additional_image_links: additional.as_deref().map(split_links).unwrap_or_default(),
        brand: row.get(5),
        color: row.get(6),
        size: row.get(7),
        product_type: row.get(8),
        item_group_id: row.get(9),
        price: row.get(10),
        sale_price: row.get(11),
        sale_price_effective_date: row.get(12),
        availability: row.get(13),
        quantity: row.get(14),
        location: row.get(15),
        gtin: row.get(16),
    };
    ReleaseProduct { position: row.get(17), product, pictures: Vec::new() }
}

/// `None` for a hash of another length, which the tables do not let in.
fn picture(row: &Row) -> Option<ReleasePicture> {
    let corner = |column: usize| row.get::<_, f32>(column);
    let detection = Detection {
        bounds: Rect::new(corner(7), corner(8), corner(9), corner(10)),
        class: usize::try_from(row.get::<_, i32>(5)).unwrap_or(0),
        score: row.get(6),
        match_embedding: without_bias(&row.get(11)),
        aggregation_embedding: without_bias(&row.get(12)),
    };
    Some(ReleasePicture {
        position: row.get::<_, i32>(1).into(),
        link: row.get(2),
        sha256: row.get::<_, &[u8]>(3).try_into().ok()?,
        picture: ShopPicture { detection, detail: row.get(13), thumbnail_jpeg: row.get(4) },
    })
}

fn without_bias(vector: &Vector) -> Arc<[f32]> {
    let values = vector.as_slice();
    values[..values.len().saturating_sub(1)].into()
}
