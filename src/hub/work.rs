//! Workers: take pictures from the queue, embed them, and put the descriptors into the tables. Any number of them on any number of
//! machines.
//!
//! A worker takes a few pictures in a transaction that skips what others have locked, and writes their descriptors in the same one.
//! One that dies or loses its connection leaves them as they were, and free.

use super::database::{Database, HEADS, SqlResult};
use crate::catalogue::{ModelStamp, ShopPicture};
use crate::fault::{Fault, Kind, Result};
use crate::network::RunsOn;
use crate::pipeline::import::shop_picture::shop_picture;
use crate::pipeline::matcher::stamp;
use crate::pipeline::recognizer::Recognizer;
use crate::pipeline::workers::frame_workers;
use crate::seam::Region;
use pgvector::Vector;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use tokio_postgres::{Client, Row, Transaction};

/// Pictures that a thread takes at once: their transaction lasts a second or two.
const TAKEN_BY_EACH: usize = 4;

/// A picture from the queue.
struct QueuedPicture {
    sha256: Vec<u8>,
    wanted: String,
    name: String,
    bytes: Vec<u8>,
}

/// A model that embeds, and what of it goes into the tables.
pub struct EmbeddingWorker {
    stamp: ModelStamp,
    regions: Vec<Option<Region>>,
    /// Weights of the score, by head.
    weights: [Vec<f32>; 2],
    recognizers: Vec<Recognizer>,
}

/// What a worker has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct WorkReport {
    pub embedded: usize,
    /// Pictures without a garment, and files that are no pictures.
    pub refused: usize,
}

impl EmbeddingWorker {
    /// Embeds by `recognizer`, on whatever runs it, one thread for each core, at most four.
    pub fn new(recognizer: Recognizer) -> Self {
        let manifest = recognizer.manifest();
        EmbeddingWorker {
            stamp: stamp(manifest),
            regions: manifest.class_regions(),
            weights: [manifest.match_score().weight, manifest.aggregation_score().weight],
            recognizers: frame_workers(recognizer),
        }
    }

    /// What runs the network.
    pub fn runs_on(&self) -> &RunsOn {
        self.recognizers[0].runs_on()
    }

    /// Embeds until the queue is empty. `observe` gets the progress; the worker ends when it returns false.
    ///
    /// # Errors
    /// [`Kind::Usage`] where the hub publishes another model.
    pub fn work(&mut self, database: &mut Database, mut observe: impl FnMut(WorkReport) -> bool) -> Result<WorkReport> {
        let wanted = database.require_model()?;
        self.require_same(&wanted.name, &wanted.descriptor_hash)?;
        let mut report = WorkReport::default();
        loop {
            let Some(done) = self.batch(database)? else { return Ok(report) };
            report.embedded += done.embedded;
            report.refused += done.refused;
            if !observe(report) {
                return Ok(report);
            }
        }
    }

    fn require_same(&self, name: &str, hash: &str) -> Result<()> {
        if hash == self.stamp.descriptor_hash {
            return Ok(());
        }
        let text = format!("the hub's model is {name}, and this worker's is {} of another hash", self.stamp.name);
        Err(Fault::new(Kind::Usage, text).cure("give --model the hub's model folder"))
    }

    /// One transaction; `None` where nothing is left to take.
    fn batch(&mut self, database: &mut Database) -> Result<Option<WorkReport>> {
        let most = (TAKEN_BY_EACH * self.recognizers.len()) as i64;
        let mut fault = None;
        let done = database.run(async |client: &mut Client| {
            let transaction = client.transaction().await?;
            let jobs = take(&transaction, most).await?;
            if jobs.is_empty() {
                return Ok(None);
            }
            // They may be queued for a model that the hub has been given since; that it has another one waits until these are written.
            let row = transaction.query_one("select name, hash from model where is_current for share", &[]).await?;
            if let Err(other) = self.require_same(row.get(0), row.get(1)) {
                fault = Some(other);
                return Ok(None);
            }
            let mut report = WorkReport::default();
            for (job, result) in jobs.iter().zip(embed_all(&mut self.recognizers, &jobs)) {
                match result {
                    Ok(picture) => {
                        self.write(&transaction, job, &picture).await?;
                        report.embedded += 1;
                    }
                    Err(refused) if refused.kind() == Kind::Input => {
                        refuse(&transaction, &self.stamp.descriptor_hash, job, &refused.to_string()).await?;
                        report.refused += 1;
                    }
                    Err(other) => {
                        fault = Some(other);
                        return Ok(None);
                    }
                }
            }
            let (shas, wanted) = keys(&jobs);
            let query = "delete from job where (sha256, wanted) in (select * from unnest($1::bytea[], $2::text[]))";
            transaction.execute(query, &[&shas, &wanted]).await?;
            transaction.commit().await?;
            Ok(Some(report))
        })?;
        fault.map_or(Ok(done), Err)
    }

    async fn write(&self, transaction: &Transaction<'_>, job: &QueuedPicture, picture: &ShopPicture) -> SqlResult<()> {
        let detection = &picture.detection;
        let body = self.regions.get(detection.class).copied().flatten().map_or("", Region::name);
        let query = "insert into content values ($1, $2) on conflict (sha256) do nothing";
        transaction.execute(query, &[&job.sha256, &picture.thumbnail_jpeg]).await?;
        let embeddings = [&detection.match_embedding, &detection.aggregation_embedding];
        for ((head, weight), embedding) in HEADS.into_iter().zip(&self.weights).zip(embeddings) {
            let [x1, y1, x2, y2] = detection.bounds.corners();
            let query = "insert into view values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                         on conflict do nothing";
            let row = with_bias(embedding, weight);
            let class = detection.class as i32;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 13] = [
                &self.stamp.descriptor_hash,
                &body,
                &job.sha256,
                &job.wanted,
                &head,
                &class,
                &detection.score,
                &x1,
                &y1,
                &x2,
                &y2,
                &picture.detail,
                &row,
            ];
            transaction.execute(query, &values).await?;
        }
        Ok(())
    }
}

/// An embedding as it stands in the tables: `weight . embedding^2` is its last element.
pub fn with_bias(embedding: &[f32], weight: &[f32]) -> Vector {
    let bias: f64 = embedding.iter().zip(weight).map(|(b, v)| f64::from(*v) * f64::from(*b) * f64::from(*b)).sum();
    embedding.iter().copied().chain([bias as f32]).collect::<Vec<f32>>().into()
}

/// Locks pictures that no other worker has. They are in the order of their hashes: workers that write the same rows, of pictures that show
/// two products, wait for one another in that order.
async fn take(transaction: &Transaction<'_>, most: i64) -> SqlResult<Vec<QueuedPicture>> {
    let query = "select sha256, wanted, name, bytes from job order by queued limit $1 for update skip locked";
    let rows = transaction.query(query, &[&most]).await?;
    let job = |row: &Row| QueuedPicture { sha256: row.get(0), wanted: row.get(1), name: row.get(2), bytes: row.get(3) };
    let mut jobs: Vec<QueuedPicture> = rows.iter().map(job).collect();
    jobs.sort_by(|a, b| (&a.sha256, &a.wanted).cmp(&(&b.sha256, &b.wanted)));
    Ok(jobs)
}

fn keys(jobs: &[QueuedPicture]) -> (Vec<&[u8]>, Vec<&str>) {
    jobs.iter().map(|job| (&job.sha256[..], job.wanted.as_str())).unzip()
}

async fn refuse(transaction: &Transaction<'_>, model: &str, job: &QueuedPicture, reason: &str) -> SqlResult<()> {
    let query = "insert into refusal values ($1, $2, $3, $4) on conflict do nothing";
    transaction.execute(query, &[&model, &job.sha256, &job.wanted, &reason]).await.map(drop)
}

/// Embeds the pictures on one thread for each recognizer; the results in the order of the jobs.
fn embed_all(recognizers: &mut [Recognizer], jobs: &[QueuedPicture]) -> Vec<Result<ShopPicture>> {
    let next = Mutex::new(0..jobs.len());
    let take = || next.lock().ok().and_then(|mut next| next.next());
    let mut results: Vec<(usize, Result<ShopPicture>)> = thread::scope(|scope| {
        let work = |recognizer: &mut Recognizer| {
            let mut done = Vec::new();
            while let Some(index) = take() {
                let job = &jobs[index];
                let path = PathBuf::from(&job.name);
                done.push((index, shop_picture(recognizer, &job.bytes, &path, Region::named(&job.wanted))));
            }
            done
        };
        let threads: Vec<_> = recognizers.iter_mut().map(|recognizer| scope.spawn(move || work(recognizer))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    results.sort_by_key(|(index, _)| *index);
    let mut results = results.into_iter().peekable();
    // Pictures of a thread that panicked are free again.
    let lost = || Err(Fault::new(Kind::Internal, "a thread that embeds pictures ended before its work was done"));
    (0..jobs.len())
        .map(|index| results.next_if(|(found, _)| *found == index).map_or_else(lost, |(_, result)| result))
        .collect()
}
