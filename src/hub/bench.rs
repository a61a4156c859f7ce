//! Measures a hub with made-up products: how fast descriptors go in, how long an exact search takes, and how long and how large a
//! release and a change of one product in a hundred are. The figures of docs/chain.md come from here.

use super::database::Database;
use super::publish::ReleaseFolder;
use super::search::{HubQuery, HubSearch, QueryHead, question};
use super::shop_catalogue;
use super::sign::ReleaseKey;
use super::work::{HEADS, with_bias};
use crate::catalogue::Catalogue;
use crate::fault::{Fault, Kind, Result};
use crate::network::Manifest;
use crate::pipeline::matcher::stamp;
use crate::seam::Region;
use crate::sync::{Follower, SyncSettings};
use pgvector::Vector;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Rows of one statement.
const AT_ONCE: usize = 2000;
const SEARCHES: usize = 30;
/// Descriptors that a search reads for an answer of ten, as [`HubSearch`] asks for.
const NEAR: i64 = 80;
/// The shop of the benchmark.
const SHOP: &str = "bench";

/// All times in seconds, sizes in bytes.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    pub products: usize,
    /// Values of a descriptor, without its bias; there are two for each product.
    pub values: usize,
    pub fill_seconds: f64,
    pub database_bytes: i64,
    /// Exact, best ten products of all regions.
    pub search_p50_seconds: f64,
    pub search_p95_seconds: f64,
    /// The same rows asked of pgvector alone.
    pub pgvector_p50_seconds: f64,
    pub pgvector_p95_seconds: f64,
    pub publish_seconds: f64,
    pub snapshot_bytes: u64,
    pub snapshot_applied_seconds: f64,
    /// The price of every hundredth product has changed.
    pub delta_publish_seconds: f64,
    pub delta_bytes: u64,
    pub delta_applied_seconds: f64,
}

/// Fills the empty hub at `address` and measures it.
///
/// # Errors
/// [`Kind::Usage`] where the hub has products already.
pub fn run(address: &str, products: usize, folder: &Path, model: &Path) -> Result<BenchReport> {
    let manifest = Manifest::load(model)?;
    let mut database = Database::init(address)?;
    let stamp = stamp(&manifest);
    database.set_model(&stamp)?;
    let already = database.run(async |client| {
        client.query_one("select count(*) from product", &[]).await.map(|row| row.get::<_, i64>(0))
    })?;
    if already > 0 {
        return Err(Fault::new(Kind::Usage, "the database is not empty").cure("make a new one for the measurement"));
    }
    let mut random = MadeUpValues(0x9e37_79b9_7f4a_7c15);
    let start = Instant::now();
    for first in (0..products).step_by(AT_ONCE) {
        fill(&mut database, &manifest, &mut random, first..(first + AT_ONCE).min(products))?;
    }
    database.run(async |client| client.batch_execute("analyze").await)?;
    let fill_seconds = start.elapsed().as_secs_f64();
    let database_bytes = database.run(async |client| {
        client.query_one("select pg_database_size(current_database())", &[]).await.map(|row| row.get(0))
    })?;
    let (own, direct) = searches(&mut database, &manifest, &mut random)?;

    let key = ReleaseKey::make(&folder.join("bench.key"))?;
    let mut publish = || -> Result<(f64, super::publish::PublishReport)> {
        let start = Instant::now();
        let publication = ReleaseFolder::open(folder)?.begin(SHOP)?;
        shop_catalogue::write(&mut database, SHOP, &stamp, &publication.catalogue())?;
        let report = publication.finish(&key, 0)?;
        Ok((start.elapsed().as_secs_f64(), report))
    };
    let (publish_seconds, whole) = publish()?;
    let catalogue = folder.join("mirror.db");
    let settings = SyncSettings {
        source: format!("file://{}/{SHOP}", absolute(folder)?),
        key: key.public()?,
        poll: Duration::from_secs(30),
        catalogue: catalogue.clone(),
        model: stamp.clone(),
    };
    let mut follower = Follower::new(settings)?;
    let mut applied = || -> Result<f64> {
        let start = Instant::now();
        follower.poll()?;
        Ok(start.elapsed().as_secs_f64())
    };
    let snapshot_applied_seconds = applied()?;
    let mut other = Database::open(address)?;
    other.run(async |client| {
        let query = "update offer set price = '1.23 EUR' where position % 100 = 0";
        client.batch_execute(query).await
    })?;
    let (delta_publish_seconds, delta) = publish()?;
    let delta_applied_seconds = applied()?;
    Catalogue::delete(&catalogue)?;
    for rest in ["bench.key", "mirror.db.sync", "objects", SHOP] {
        let path = folder.join(rest);
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
    Ok(BenchReport {
        products,
        values: stamp.embedding,
        fill_seconds,
        database_bytes,
        search_p50_seconds: quantile(&own, 0.5),
        search_p95_seconds: quantile(&own, 0.95),
        pgvector_p50_seconds: quantile(&direct, 0.5),
        pgvector_p95_seconds: quantile(&direct, 0.95),
        publish_seconds,
        snapshot_bytes: whole.snapshot_bytes,
        snapshot_applied_seconds,
        delta_publish_seconds,
        delta_bytes: delta.delta_bytes.first().copied().unwrap_or(0),
        delta_applied_seconds,
    })
}

fn absolute(folder: &Path) -> Result<String> {
    let path = folder.canonicalize().map_err(|error| Fault::io(Kind::Usage, "open the folder", folder, error))?;
    Ok(path.display().to_string())
}

/// Products `range` with a picture each, and its descriptors by both heads.
fn fill(
    database: &mut Database,
    manifest: &Manifest,
    random: &mut MadeUpValues,
    range: std::ops::Range<usize>,
) -> Result<()> {
    let weights = [manifest.match_score().weight, manifest.aggregation_score().weight];
    let hash = manifest.descriptor_hash.clone();
    let ids: Vec<String> = range.clone().map(|number| format!("P{number:08}")).collect();
    let positions: Vec<i64> = range.clone().map(|number| number as i64).collect();
    let shas: Vec<Vec<u8>> = ids.iter().map(|id| Sha256::digest(id.as_bytes()).to_vec()).collect();
    let bodies: Vec<&str> = range.map(|number| Region::ALL[number % 3].name()).collect();
    let length = manifest.matching.embedding;
    let mut descriptors = |weight: &[f32]| -> Vec<Vector> {
        ids.iter().map(|_| with_bias(&(0..length).map(|_| random.next()).collect::<Vec<f32>>(), weight)).collect()
    };
    let vectors = [descriptors(&weights[0]), descriptors(&weights[1])];
    // As large as a small thumbnail, and as hard to compress.
    let thumbnails: Vec<Vec<u8>> = shas.iter().map(|sha| sha.repeat(32)).collect();
    database.run(async |client| {
        let transaction = client.transaction().await?;
        transaction.execute("insert into shop (name) values ($1) on conflict do nothing", &[&SHOP]).await?;
        let query = "insert into product (id, title, image_link, region)
                     select id, 'A product of the benchmark ' || id, id || '.jpg', body
                     from unnest($1::text[], $2::text[]) as one (id, body)";
        transaction.execute(query, &[&ids, &bodies]).await?;
        let query = "insert into offer (shop, product_id, position, price)
                     select $1, id, position, '19.90 EUR' from unnest($2::text[], $3::bigint[]) as one (id, position)";
        transaction.execute(query, &[&SHOP, &ids, &positions]).await?;
        let query =
            "insert into picture select id, 0, id || '.jpg', sha from unnest($1::text[], $2::bytea[]) as one (id, sha)";
        transaction.execute(query, &[&ids, &shas]).await?;
        let query = "insert into content select * from unnest($1::bytea[], $2::bytea[])";
        transaction.execute(query, &[&shas, &thumbnails]).await?;
        for (head, vectors) in HEADS.iter().zip(&vectors) {
            let query = "insert into view select $1, body, sha, body, $2, 0, 0.9, 0, 0, 10, 10, false, embedding
                         from unnest($3::text[], $4::bytea[], $5::vector[]) as one (body, sha, embedding)";
            transaction.execute(query, &[&hash, head, &bodies, &shas, vectors]).await?;
        }
        transaction.commit().await
    })
}

/// Times of the hub's search, and of pgvector asked directly for the same rows; turn and turn about.
fn searches(database: &mut Database, manifest: &Manifest, random: &mut MadeUpValues) -> Result<(Vec<f64>, Vec<f64>)> {
    let search = HubSearch::new(manifest);
    let (mut own, mut direct) = (Vec::new(), Vec::new());
    for round in 0..SEARCHES + 3 {
        let embedding: Vec<f32> = (0..manifest.matching.embedding).map(|_| random.next()).collect();
        let (asked, _) = question(&manifest.aggregation_score(), &embedding);
        let query = HubQuery { embedding, head: QueryHead::Aggregation, region: None, most: 10 };
        let times = database.run(async |client| {
            let start = Instant::now();
            search.ask(client, &query).await?;
            let mine = start.elapsed().as_secs_f64();
            let start = Instant::now();
            let sql = "select sha256 from view where head = 'aggregation' order by embedding <#> $1 limit $2";
            client.query(sql, &[&asked, &NEAR]).await?;
            Ok((mine, start.elapsed().as_secs_f64()))
        })?;
        // The first ones fill the caches.
        if round >= 3 {
            own.push(times.0);
            direct.push(times.1);
        }
    }
    Ok((own, direct))
}

fn quantile(times: &[f64], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(((sorted.len() as f64 - 1.0) * share).round() as usize).copied().unwrap_or(0.0)
}

/// The same numbers at each run: xorshift, from -1 to 1.
struct MadeUpValues(u64);

impl MadeUpValues {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}
