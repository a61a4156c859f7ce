//! A shop's feed into the tables, in two steps: its new pictures are queued for the workers, a few at a time, so that an import
//! that was interrupted goes on where it was; then the products of the shop are replaced in one transaction.

use super::database::{Database, SqlResult, actor, database_fault, note};
use crate::catalogue::{ColumnMap, Currency, Feed, Found, ImageFolder, Product, images, require_price};
use crate::fault::{Fault, Kind, Result};
use crate::seam::Region;
use crate::sync::source::is_shop_name;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use tokio_postgres::{Client, Transaction};

/// Pictures that are queued in one transaction: some megabytes.
const QUEUED_AT_ONCE: usize = 32;
/// Products that one statement writes.
const ROWS_AT_ONCE: usize = 2000;

/// What is imported, and for whom.
#[derive(Clone, Debug)]
pub struct HubImport {
    pub feed: PathBuf,
    /// The folder of pictures.
    pub images: PathBuf,
    /// The shops that sell exactly what the feed has.
    pub shops: Vec<String>,
    /// Which columns are which, where their names do not say it.
    pub map: ColumnMap,
    /// Of prices that have none.
    pub currency: Currency,
    /// The largest share of a shop's products that may go, 0 to 1.
    pub max_removals: f64,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HubImportReport {
    pub products: usize,
    /// Rows of the feed that could not be used, with the reasons.
    pub skipped: Vec<String>,
    /// What else is to be said of the feed: unknown columns, values that were left empty, pictures of a product that are missing.
    pub warnings: Vec<String>,
    pub pictures: usize,
    /// Of these, how many are new and wait for a worker now.
    pub queued: usize,
    /// By shop: products that it no longer sells.
    pub removed: usize,
}

/// A product of the feed with its pictures: position, link, hash.
struct HubProduct {
    product: Product,
    region: &'static str,
    pictures: Vec<(i32, String, images::Sha)>,
}

/// Imports a feed. `observe` gets the number of pictures read, and of all pictures.
///
/// # Errors
/// [`Kind::Input`] where the feed cannot be used, or a shop would lose too many products; nothing has changed then.
pub fn import(
    database: &mut Database,
    request: &HubImport,
    mut observe: impl FnMut(usize, usize),
) -> Result<HubImportReport> {
    if let Some(wrong) = request.shops.iter().find(|shop| !is_shop_name(shop)) {
        return Err(Fault::new(Kind::Usage, format!("{wrong:?} is no name of a shop"))
            .cure("use letters, digits, hyphens and dots: it becomes part of an address"));
    }
    let model = database.require_model()?;
    let mut feed = Feed::read(&request.feed, &request.map)?;
    feed.complete_prices(&request.currency);
    let mut report = HubImportReport {
        skipped: feed.problems.iter().map(|problem| format!("line {}: {}", problem.line, problem.reason)).collect(),
        ..HubImportReport::default()
    };
    let found = ImageFolder::open(&request.images)?.find_all(&feed.links(), |_| {});
    report.warnings.extend(feed.warnings().into_iter().chain(images::collisions(&found)).chain(feed.hints()));
    let products = products_of(&feed, &found, &mut report);
    if products.is_empty() {
        let first = report.skipped.first().cloned().unwrap_or_else(|| "it has no rows".into());
        return Err(Fault::new(Kind::Input, format!("no row of the feed can be used; the first: {first}")));
    }
    report.products = products.len();
    let wanted = wanted_pictures(&products);
    report.pictures = wanted.len();
    for (done, part) in wanted.chunks(QUEUED_AT_ONCE).enumerate() {
        observe(done * QUEUED_AT_ONCE, wanted.len());
        report.queued += queue(database, part, &found, &model.descriptor_hash)?;
    }
    observe(wanted.len(), wanted.len());
    let (shops, share) = (request.shops.clone(), request.max_removals);
    let replaced = database.run(async |client| replace(client, &shops, &products, share).await)?;
    report.removed = replaced.map_err(|text| {
        Fault::new(Kind::Input, text).cure("if the shop no longer sells them, import with --allow-removals")
    })?;
    Ok(report)
}

fn products_of(feed: &Feed, found: &HashMap<String, Found>, report: &mut HubImportReport) -> Vec<HubProduct> {
    let mut products = Vec::with_capacity(feed.rows.len());
    for row in &feed.rows {
        let mut pictures: Vec<(i32, String, images::Sha)> = Vec::new();
        let mut reasons = Vec::new();
        let product = row.product_with(found);
        for (position, link) in (0i32..).zip(product.image_links()) {
            match found.get(link) {
                Some(Ok(file)) if pictures.iter().any(|(_, _, other)| *other == file.sha256) => {}
                Some(Ok(file)) => pictures.push((position, link.to_owned(), file.sha256)),
                Some(Err(reason)) => reasons.push(reason.clone()),
                None => reasons.push(format!("{link} was not looked for")),
            }
        }
        if pictures.is_empty() {
            report.skipped.push(format!("line {}: {}", row.line, reasons.join("; ")));
        } else {
            report.warnings.extend(reasons.into_iter().map(|reason| format!("line {}: {reason}", row.line)));
            let region = product.region().map_or("", Region::name);
            products.push(HubProduct { product, region, pictures });
        }
    }
    products
}

/// Each picture once for each region that is looked for in it: hash, region, link.
fn wanted_pictures(products: &[HubProduct]) -> Vec<(images::Sha, &'static str, String)> {
    let mut seen = HashSet::new();
    let all =
        products.iter().flat_map(|one| one.pictures.iter().map(|(_, link, sha)| (*sha, one.region, link.clone())));
    all.filter(|(sha, region, _)| seen.insert((*sha, *region))).collect()
}

/// Queues the pictures that are not embedded yet; returns how many.
fn queue(
    database: &mut Database,
    part: &[(images::Sha, &'static str, String)],
    found: &HashMap<String, Found>,
    model: &str,
) -> Result<usize> {
    let shas: Vec<&[u8]> = part.iter().map(|(sha, _, _)| &sha[..]).collect();
    let regions: Vec<&str> = part.iter().map(|(_, region, _)| *region).collect();
    let unknown: Vec<i64> = database.run(async |client| {
        let query = "select place from unnest($1::bytea[], $2::text[]) with ordinality as asked (sha256, wanted, place)
                     where not exists (select 1 from job where (job.sha256, job.wanted) = (asked.sha256, asked.wanted))
                     and not exists (select 1 from refusal as r
                       where (r.sha256, r.wanted, r.model) = (asked.sha256, asked.wanted, $3))
                     and not exists (select 1 from view as v
                       where (v.sha256, v.wanted, v.model) = (asked.sha256, asked.wanted, $3))";
        let rows = client.query(query, &[&shas, &regions, &model]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    })?;
    let mut jobs = Vec::with_capacity(unknown.len());
    for place in unknown {
        let (sha, region, link) = &part[place as usize - 1];
        let Some(Ok(file)) = found.get(link) else { continue };
        let (bytes, now) = images::read_picture(&file.path).map_err(|reason| Fault::new(Kind::Input, reason))?;
        if now != *sha {
            return Err(Fault::new(Kind::Input, format!("{} changed during the import", file.path.display())));
        }
        jobs.push((*sha, *region, link.clone(), bytes));
    }
    database.run(async |client| {
        let shas: Vec<&[u8]> = jobs.iter().map(|(sha, ..)| &sha[..]).collect();
        let regions: Vec<&str> = jobs.iter().map(|(_, region, ..)| *region).collect();
        let names: Vec<&str> = jobs.iter().map(|(_, _, name, _)| name.as_str()).collect();
        let bytes: Vec<&[u8]> = jobs.iter().map(|(.., bytes)| &bytes[..]).collect();
        let query = "insert into job (sha256, wanted, name, bytes)
                     select * from unnest($1::bytea[], $2::text[], $3::text[], $4::bytea[]) as one (sha256, wanted, name, bytes)
                     order by sha256, wanted on conflict do nothing";
        // Importers that run side by side wait for one another's rows in the same order.
        client.execute(query, &[&shas, &regions, &names, &bytes]).await.map(|count| count as usize)
    })
}

/// Replaces what the shops sell; the number of products that go, or why they must not.
async fn replace(
    client: &mut Client,
    shops: &[String],
    products: &[HubProduct],
    max_removals: f64,
) -> SqlResult<std::result::Result<usize, String>> {
    let mut by_id: Vec<(i64, &HubProduct)> = (0..).zip(products).collect();
    // Importers that run side by side lock rows in the same order.
    by_id.sort_by(|(_, a), (_, b)| a.product.id.cmp(&b.product.id));
    let mut shops = shops.to_vec();
    shops.sort();
    let ids: Vec<&str> = by_id.iter().map(|(_, one)| one.product.id.as_str()).collect();
    let transaction = client.transaction().await?;
    let mut removed = 0;
    for shop in &shops {
        transaction.execute("select pg_advisory_xact_lock(hashtextextended($1, 1))", &[shop]).await?;
        transaction.execute("insert into shop (name) values ($1) on conflict do nothing", &[shop]).await?;
        let query = "select count(*), count(*) filter (where product_id <> all ($2)) from offer where shop = $1";
        let row = transaction.query_one(query, &[shop, &ids]).await?;
        let (before, gone): (i64, i64) = (row.get(0), row.get(1));
        if gone as f64 > max_removals * before as f64 {
            return Ok(Err(format!(
                "the import would remove {gone} of {before} products of {shop}; nothing was changed"
            )));
        }
        transaction.execute("delete from offer where shop = $1 and product_id <> all ($2)", &[shop, &ids]).await?;
        removed += gone as usize;
    }
    for part in by_id.chunks(ROWS_AT_ONCE) {
        write_products(&transaction, part).await?;
        write_pictures(&transaction, part).await?;
        for shop in &shops {
            write_offers(&transaction, shop, part).await?;
        }
    }
    let detail = format!("{} products for {}", products.len(), shops.join(", "));
    note(transaction.client(), &actor(), "import", &detail).await?;
    transaction.commit().await?;
    Ok(Ok(removed))
}

type OptionalTexts<'a> = Vec<Option<&'a str>>;

fn texts<'a>(part: &[(i64, &'a HubProduct)], of: impl Fn(&'a Product) -> Option<&'a String>) -> OptionalTexts<'a> {
    part.iter().map(|(_, one)| of(&one.product).map(String::as_str)).collect()
}

async fn write_products(transaction: &Transaction<'_>, part: &[(i64, &HubProduct)]) -> SqlResult<()> {
    let ids: Vec<&str> = part.iter().map(|(_, one)| one.product.id.as_str()).collect();
    let titles: Vec<&str> = part.iter().map(|(_, one)| one.product.title.as_str()).collect();
    let images: Vec<&str> = part.iter().map(|(_, one)| one.product.image_link.as_str()).collect();
    let more: Vec<Option<String>> = part.iter().map(|(_, one)| one.product.additional_image_field()).collect();
    let regions: Vec<&str> = part.iter().map(|(_, one)| one.region).collect();
    let [link, brand, color] = [
        texts(part, |product| product.link.as_ref()),
        texts(part, |product| product.brand.as_ref()),
        texts(part, |product| product.color.as_ref()),
    ];
    let [size, kind, group] = [
        texts(part, |product| product.size.as_ref()),
        texts(part, |product| product.product_type.as_ref()),
        texts(part, |product| product.item_group_id.as_ref()),
    ];
    let codes = texts(part, |product| product.gtin.as_ref());
    let query = "insert into product (id, title, link, image_link, additional_image_link, brand, color, size, product_type,
                 item_group_id, region, gtin)
                 select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                 $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])
                 on conflict (id) do update set (title, link, image_link, additional_image_link, brand, color, size,
                 product_type, item_group_id, region, gtin) = (excluded.title, excluded.link, excluded.image_link,
                 excluded.additional_image_link, excluded.brand, excluded.color, excluded.size, excluded.product_type,
                 excluded.item_group_id, excluded.region, excluded.gtin)
                 where (product.*) is distinct from (excluded.*)";
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 12] =
        [&ids, &titles, &link, &images, &more, &brand, &color, &size, &kind, &group, &regions, &codes];
    transaction.execute(query, &values).await.map(drop)
}

async fn write_pictures(transaction: &Transaction<'_>, part: &[(i64, &HubProduct)]) -> SqlResult<()> {
    let all = || part.iter().flat_map(|(_, one)| one.pictures.iter().map(|picture| (one.product.id.as_str(), picture)));
    let ids: Vec<&str> = all().map(|(id, _)| id).collect();
    let positions: Vec<i32> = all().map(|(_, (position, ..))| *position).collect();
    let links: Vec<&str> = all().map(|(_, (_, link, _))| link.as_str()).collect();
    let shas: Vec<&[u8]> = all().map(|(_, (_, _, sha))| &sha[..]).collect();
    let owners: Vec<&str> = part.iter().map(|(_, one)| one.product.id.as_str()).collect();
    let query = "delete from picture where product_id = any ($1) and (product_id, position) not in
                 (select * from unnest($2::text[], $3::integer[]))";
    transaction.execute(query, &[&owners, &ids, &positions]).await?;
    let query = "insert into picture (product_id, position, source, sha256)
                 select * from unnest($1::text[], $2::integer[], $3::text[], $4::bytea[])
                 on conflict (product_id, position) do update set source = excluded.source, sha256 = excluded.sha256
                 where (picture.*) is distinct from (excluded.*)";
    transaction.execute(query, &[&ids, &positions, &links, &shas]).await.map(drop)
}

/// A product that the shop sells already keeps its position, so that a row more in the feed is not a change of all after it.
async fn write_offers(transaction: &Transaction<'_>, shop: &str, part: &[(i64, &HubProduct)]) -> SqlResult<()> {
    let ids: Vec<&str> = part.iter().map(|(_, one)| one.product.id.as_str()).collect();
    let positions: Vec<i64> = part.iter().map(|(position, _)| *position).collect();
    let [price, sale_price, sale_dates] = [
        texts(part, |product| product.price.as_ref()),
        texts(part, |product| product.sale_price.as_ref()),
        texts(part, |product| product.sale_price_effective_date.as_ref()),
    ];
    let [availability, quantity, location] = [
        texts(part, |product| product.availability.as_ref()),
        texts(part, |product| product.quantity.as_ref()),
        texts(part, |product| product.location.as_ref()),
    ];
    let query = "insert into offer (shop, product_id, position, price, sale_price, sale_price_effective_date, availability,
                 quantity, location)
                 select $1, * from unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                 $8::text[], $9::text[])
                 on conflict (shop, product_id) do update set (price, sale_price, sale_price_effective_date, availability,
                 quantity, location) = (excluded.price, excluded.sale_price, excluded.sale_price_effective_date,
                 excluded.availability, excluded.quantity, excluded.location)
                 where (offer.price, offer.sale_price, offer.sale_price_effective_date, offer.availability, offer.quantity,
                 offer.location) is distinct from (excluded.price, excluded.sale_price,
                 excluded.sale_price_effective_date, excluded.availability, excluded.quantity, excluded.location)";
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 9] =
        [&shop, &ids, &positions, &price, &sale_price, &sale_dates, &availability, &quantity, &location];
    transaction.execute(query, &values).await.map(drop)
}

/// Changes the price of a product in a shop, as a till does between two feeds.
///
/// # Errors
/// [`Kind::Usage`] where the shop does not sell it, or this is no price.
pub async fn set_price(client: &Client, shop: &str, product: &str, price: &str, actor: &str) -> Result<()> {
    require_price(price)?;
    let query = "with changed as (update offer set price = $3 where shop = $1 and product_id = $2 returning 1),
                 noted as (insert into audit (actor, action, detail)
                   select $4, 'price', $1 || ' ' || $2 || ': ' || $3 from changed)
                 select count(*) from changed";
    match client.query_one(query, &[&shop, &product, &price, &actor]).await.map_err(database_fault)?.get::<_, i64>(0) {
        0 => Err(Fault::new(Kind::Usage, format!("the shop {shop:?} sells no product {product:?}"))),
        _ => Ok(()),
    }
}
