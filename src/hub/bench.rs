//! Measures a hub with made-up products: how fast descriptors go in, how long an exact search takes, and how long and how large a
//! release and a change of one product in a hundred are. The figures of docs/chain.md come from here.

use super::approximate::make_indexes;
use super::database::{BODIES, Database, HEADS, view_tables};
use super::publish::ReleaseFolder;
use super::search::{EXACT, HubQuery, HubSearch, QueryHead, nearest, question};
use super::shop_catalogue;
use super::sign::ReleaseKey;
use super::work::with_bias;
use crate::catalogue::{Catalogue, ModelStamp};
use crate::fault::{Fault, Kind, Result};
use crate::network::Manifest;
use crate::pipeline::matcher::stamp;
use crate::seam::Region;
use crate::sync::{Follower, SyncSettings};
use pgvector::Vector;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// Rows of one statement.
const AT_ONCE: usize = 2000;
/// Connections that fill the tables.
const FILLERS: usize = 2;
/// Searches for each number of workers: so many, or as many as are done in that time.
const SEARCHES: usize = 30;
const SEARCH_TIME: Duration = Duration::from_secs(60);
/// PostgreSQL's parallel workers that help a search.
const WORKERS: [u32; 3] = [0, 1, 2];
/// Descriptors that a search reads for an answer of ten, as [`HubSearch`] asks for.
const NEAR: i64 = 80;
/// Directions in which made-up descriptors vary.
const DIRECTIONS: u64 = 32;
/// The shop that is published, and the one that sells the other products.
const SHOPS: [&str; 2] = ["bench", "bench-rest"];

/// What is measured: all times in seconds, sizes in bytes. What is not measured yet is null or empty.
#[derive(Clone, Debug, Default, Serialize)]
pub struct BenchReport {
    pub products: usize,
    /// Values of a descriptor, without its bias; there are two for each product.
    pub values: usize,
    /// Null where an earlier measurement has filled the database.
    pub fill_seconds: Option<f64>,
    pub database_bytes: i64,
    /// Exact, best ten products of all regions.
    pub searches: Vec<SearchTimes>,
    /// By HNSW, beside exact search; null unless asked for.
    pub approximate: Option<ApproximateTimes>,
    /// Products of the shop that is published.
    pub shop_products: usize,
    pub publish: Option<PublishTimes>,
    /// The price of every hundredth product of the shop has changed.
    pub delta: Option<PublishTimes>,
}

/// Searches by the hub, and the same rows asked of pgvector alone, turn and turn about.
#[derive(Clone, Debug, Serialize)]
pub struct SearchTimes {
    /// PostgreSQL's `max_parallel_workers_per_gather`.
    pub workers: u32,
    pub searches: usize,
    pub p50: f64,
    pub p95: f64,
    pub pgvector_p50: f64,
    pub pgvector_p95: f64,
}

/// Searches by an HNSW index, and the same questions exactly.
#[derive(Clone, Debug, Serialize)]
pub struct ApproximateTimes {
    /// Near 0 where an earlier measurement has made them.
    pub index_seconds: f64,
    pub index_bytes: i64,
    pub searches: usize,
    pub p50: f64,
    pub p95: f64,
    pub exact_p50: f64,
    /// The share of the exact ten best products that are among the approximate ten.
    pub recall: f64,
    /// The share of questions whose best product is the exact one.
    pub best_found: f64,
}

/// A release made, and taken over by a mirror.
#[derive(Clone, Debug, Serialize)]
pub struct PublishTimes {
    /// Of which the catalogue is read from the tables and written.
    pub read_seconds: f64,
    pub publish_seconds: f64,
    pub bytes: u64,
    pub applied_seconds: f64,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct BenchSettings {
    pub database: String,
    pub products: usize,
    /// So many of them are sold by the shop that is published.
    pub shop_products: usize,
    /// Folder for releases.
    pub folder: PathBuf,
    pub model: PathBuf,
    /// Make HNSW indexes and measure them, too.
    pub hnsw: bool,
}

/// Fills the empty hub, or takes one that a measurement of as many products has filled, and measures it. `observe` gets the report
/// after each part.
///
/// # Errors
/// [`Kind::Usage`] where the hub has other products.
pub fn run(settings: &BenchSettings, mut observe: impl FnMut(&BenchReport) -> Result<()>) -> Result<()> {
    let manifest = Manifest::load(&settings.model)?;
    let mut database = Database::init(&settings.database)?;
    let stamp = stamp(&manifest);
    database.set_model(&stamp)?;
    let (all, own): (i64, i64) = database.run(async |client| {
        let query = "select (select count(*) from product), (select count(*) from offer where shop = $1)";
        client.query_one(query, &[&SHOPS[0]]).await.map(|row| (row.get(0), row.get(1)))
    })?;
    let shop_products = settings.shop_products.min(settings.products);
    let mut report =
        BenchReport { products: settings.products, values: stamp.embedding, shop_products, ..BenchReport::default() };
    if all == 0 {
        let start = Instant::now();
        fill_all(settings, &mut database, &manifest)?;
        report.fill_seconds = Some(start.elapsed().as_secs_f64());
    } else if (all, own) != (settings.products as i64, shop_products as i64) {
        return Err(Fault::new(Kind::Usage, "the database is not empty").cure("make a new one for the measurement"));
    }
    report.database_bytes = database.run(async |client| {
        client.query_one("select pg_database_size(current_database())", &[]).await.map(|row| row.get(0))
    })?;
    observe(&report)?;
    let mut random = MadeUpValues(0x9e37_79b9_7f4a_7c15);
    for workers in WORKERS {
        report.searches.push(searches(&mut database, &manifest, &mut random, workers)?);
        observe(&report)?;
    }
    if settings.hnsw {
        report.approximate = Some(approximate_searches(&mut database, &manifest, &mut random)?);
        observe(&report)?;
    }
    releases(&settings.folder, &mut database, &stamp, &mut report, &mut observe)
}

/// Publishes the shop, changes every hundredth price, publishes again; a mirror follows.
fn releases(
    folder: &Path,
    database: &mut Database,
    stamp: &ModelStamp,
    report: &mut BenchReport,
    observe: &mut impl FnMut(&BenchReport) -> Result<()>,
) -> Result<()> {
    let key = ReleaseKey::make(&folder.join("bench.key"))?;
    let catalogue = folder.join("mirror.db");
    let mut follower = Follower::new(SyncSettings {
        source: format!("file://{}/{}", absolute(folder)?, SHOPS[0]),
        key: key.public()?,
        poll: Duration::from_secs(30),
        catalogue: catalogue.clone(),
        model: stamp.clone(),
    })?;
    let mut publish = |database: &mut Database| -> Result<PublishTimes> {
        let start = Instant::now();
        let publication = ReleaseFolder::open(folder)?.begin(SHOPS[0])?;
        shop_catalogue::write(database, SHOPS[0], stamp, &publication.catalogue())?;
        let read_seconds = start.elapsed().as_secs_f64();
        let published = publication.finish(&key, 0)?;
        let publish_seconds = start.elapsed().as_secs_f64();
        let bytes = published.delta_bytes.first().copied().unwrap_or(published.snapshot_bytes);
        let start = Instant::now();
        follower.poll()?;
        Ok(PublishTimes { read_seconds, publish_seconds, bytes, applied_seconds: start.elapsed().as_secs_f64() })
    };
    report.publish = Some(publish(database)?);
    observe(report)?;
    database.run(async |client| {
        // Another price at each measurement.
        let query = "update offer set price = (1 + random() * 90)::numeric(8, 2) || ' EUR'
                     where shop = $1 and position % 100 = 0";
        client.execute(query, &[&SHOPS[0]]).await.map(drop)
    })?;
    report.delta = Some(publish(database)?);
    observe(report)?;
    Catalogue::delete(&catalogue)?;
    for rest in ["bench.key", "mirror.db.sync", "objects", SHOPS[0]] {
        let path = folder.join(rest);
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
    Ok(())
}

fn absolute(folder: &Path) -> Result<String> {
    let path = folder.canonicalize().map_err(|error| Fault::io(Kind::Usage, "open the folder", folder, error))?;
    Ok(path.display().to_string())
}

/// All products, by a few connections at once.
fn fill_all(settings: &BenchSettings, database: &mut Database, manifest: &Manifest) -> Result<()> {
    database.run(async |client| {
        client.execute("insert into shop (name) select unnest($1::text[])", &[&SHOPS.as_slice()]).await.map(drop)
    })?;
    let next = Mutex::new((0..settings.products).step_by(AT_ONCE));
    let take = || next.lock().ok().and_then(|mut next| next.next());
    let one = |number: usize| -> Result<()> {
        let mut own = Database::open(&settings.database)?;
        let mut random = MadeUpValues(0x9e37_79b9_7f4a_7c15 + number as u64);
        while let Some(first) = take() {
            let range = first..(first + AT_ONCE).min(settings.products);
            fill(&mut own, manifest, &mut random, settings.shop_products, range)?;
        }
        Ok(())
    };
    let one = &one;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..FILLERS).map(|number| scope.spawn(move || one(number))).collect();
        let lost = |_| Err(Fault::new(Kind::Internal, "a thread that fills the tables ended before its work was done"));
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(lost))
    })?;
    database.run(async |client| client.batch_execute("analyze").await)
}

/// Products `range` with a picture each, and its descriptors by both heads.
fn fill(
    database: &mut Database,
    manifest: &Manifest,
    random: &mut MadeUpValues,
    shop_products: usize,
    range: std::ops::Range<usize>,
) -> Result<()> {
    let weights = [manifest.match_score().weight, manifest.aggregation_score().weight];
    let hash = manifest.descriptor_hash.clone();
    let ids: Vec<String> = range.clone().map(|number| format!("P{number:08}")).collect();
    let positions: Vec<i64> = range.clone().map(|number| number as i64).collect();
    let shas: Vec<Vec<u8>> = ids.iter().map(|id| Sha256::digest(id.as_bytes()).to_vec()).collect();
    let shops: Vec<&str> = range.clone().map(|number| SHOPS[usize::from(number >= shop_products)]).collect();
    let bodies: Vec<&str> = range.map(|number| Region::ALL[number % 3].name()).collect();
    let length = manifest.matching.embedding;
    let mut descriptors =
        |weight: &[f32]| -> Vec<Vector> { ids.iter().map(|_| with_bias(&random.descriptor(length), weight)).collect() };
    let vectors = [descriptors(&weights[0]), descriptors(&weights[1])];
    // As large as a small thumbnail, and as hard to compress.
    let thumbnails: Vec<Vec<u8>> = shas.iter().map(|sha| sha.repeat(32)).collect();
    database.run(async |client| {
        let transaction = client.transaction().await?;
        let query = "insert into product (id, title, image_link, region)
                     select id, 'A product of the benchmark ' || id, id || '.jpg', body
                     from unnest($1::text[], $2::text[]) as one (id, body)";
        transaction.execute(query, &[&ids, &bodies]).await?;
        let query = "insert into offer (shop, product_id, position, price)
                     select shop, id, position, '19.90 EUR'
                     from unnest($1::text[], $2::text[], $3::bigint[]) as one (shop, id, position)";
        transaction.execute(query, &[&shops, &ids, &positions]).await?;
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

/// Times of the hub's search, and of pgvector asked directly for the same rows; who is asked first changes from turn to turn.
fn searches(
    database: &mut Database,
    manifest: &Manifest,
    random: &mut MadeUpValues,
    workers: u32,
) -> Result<SearchTimes> {
    let search = HubSearch::new(manifest);
    let set = format!("set max_parallel_workers_per_gather = {workers}");
    database.run(async |client| client.batch_execute(&set).await)?;
    // pgvector alone: the same tables, no product, no shop.
    let tables =
        database.run(async |client| view_tables(client, &manifest.descriptor_hash, &BODIES, HEADS[1]).await)?;
    let direct = format!("{} order by distance limit $2", nearest(&tables, HEADS[1], EXACT));
    let mut times: [Vec<f64>; 2] = Default::default();
    let start = Instant::now();
    for round in 0..SEARCHES + 3 {
        // The first ones fill the caches.
        if round > 3 && start.elapsed() > SEARCH_TIME {
            break;
        }
        let embedding = random.descriptor(manifest.matching.embedding);
        let (asked, _) = question(&manifest.aggregation_score(), &embedding);
        let query = HubQuery { model: None, embedding, head: QueryHead::Aggregation, region: None, most: 10 };
        for turn in [round % 2, 1 - round % 2] {
            let seconds = database.run(async |client| {
                let start = Instant::now();
                if turn == 0 {
                    search.ask(client, &query).await?;
                } else {
                    client.query(&direct, &[&asked, &NEAR]).await?;
                }
                Ok(start.elapsed().as_secs_f64())
            })?;
            if round >= 3 {
                times[turn].push(seconds);
            }
        }
    }
    let [own, direct] = &times;
    Ok(SearchTimes {
        workers,
        searches: own.len(),
        p50: quantile(own, 0.5),
        p95: quantile(own, 0.95),
        pgvector_p50: quantile(direct, 0.5),
        pgvector_p95: quantile(direct, 0.95),
    })
}

/// Makes the indexes, and asks the same questions by them and exactly, turn and turn about.
fn approximate_searches(
    database: &mut Database,
    manifest: &Manifest,
    random: &mut MadeUpValues,
) -> Result<ApproximateTimes> {
    let start = Instant::now();
    make_indexes(database, manifest)?;
    let index_seconds = start.elapsed().as_secs_f64();
    let size = "select coalesce(sum(pg_relation_size(oid)), 0)::bigint from pg_class where relname like 'view%hnsw'";
    let index_bytes = database.run(async |client| client.query_one(size, &[]).await.map(|row| row.get(0)))?;
    let exact = HubSearch::new(manifest);
    let approximate = exact.clone().approximately(manifest)?;
    let (mut times, mut shared, mut best): ([Vec<f64>; 2], usize, usize) = Default::default();
    for round in 0..SEARCHES {
        let embedding = random.descriptor(manifest.matching.embedding);
        let query = HubQuery { model: None, embedding, head: QueryHead::Aggregation, region: None, most: 10 };
        let mut found: [Vec<String>; 2] = Default::default();
        for turn in [round % 2, 1 - round % 2] {
            let search = [&approximate, &exact][turn];
            let start = Instant::now();
            let hits = database.run(async |client| search.ask(client, &query).await)?;
            times[turn].push(start.elapsed().as_secs_f64());
            found[turn] = hits.into_iter().map(|hit| hit.id).collect();
        }
        shared += found[1].iter().filter(|id| found[0].contains(id)).count();
        best += usize::from(found[0].first() == found[1].first());
    }
    Ok(ApproximateTimes {
        index_seconds,
        index_bytes,
        searches: SEARCHES,
        p50: quantile(&times[0], 0.5),
        p95: quantile(&times[0], 0.95),
        exact_p50: quantile(&times[1], 0.5),
        recall: shared as f64 / (10 * SEARCHES) as f64,
        best_found: best as f64 / SEARCHES as f64,
    })
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

    /// Descriptors of pictures vary in few directions: so many, the same ones at each run.
    fn descriptor(&mut self, length: usize) -> Vec<f32> {
        let mut all = vec![0.0; length];
        for direction in 0..DIRECTIONS {
            let (share, mut fixed) = (self.next(), MadeUpValues((direction + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            all.iter_mut().for_each(|value| *value += share * fixed.next());
        }
        all
    }
}
