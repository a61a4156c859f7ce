//! The search over everything: which products of all shops a descriptor is like. Exact unless the
//! hub is told otherwise: PostgreSQL reads every descriptor of the region.

use super::approximate::{HeadScale, scales};
use super::database::{HEADS, SqlResult, ViewTable, database_fault, view_tables};
use crate::catalogue::ModelStamp;
use crate::fault::{Fault, Kind, Result};
use crate::network::Manifest;
use crate::pipeline::matcher::stamp;
use crate::seam::{Detection, Region, ScoreHead};
use pgvector::Vector;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

/// The most products of one answer.
pub const MOST: usize = 50;
/// Descriptors that are read for each product of the answer: a product has several. Where these are of too few products that are sold, since
/// others are nearer that no shop sells any more, it is asked once more for many.
const ROWS_FOR_EACH: [usize; 2] = [8, 128];

/// A question.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HubQuery {
    /// Hash of the model that the embedding is by; absent: the hub's.
    #[serde(default)]
    pub model: Option<String>,
    /// By the head that `head` names: the model's embedding of a picture, or of a window of ten.
    pub embedding: Vec<f32>,
    #[serde(default)]
    pub head: QueryHead,
    /// The region of the body that the garment covers; absent: it is not known.
    pub region: Option<Region>,
    /// Products of the answer.
    #[serde(default = "ten")]
    pub most: usize,
}

/// Which of the model's two embeddings is asked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QueryHead {
    Match,
    #[default]
    Aggregation,
}

/// Products of an answer, where the question does not say it.
pub fn ten() -> usize {
    10
}

/// One product of the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HubHit {
    pub id: String,
    pub title: String,
    pub logit: f64,
    /// The published match score, 0 to 1.
    pub score: f64,
    /// The shops that sell it.
    pub shops: Vec<String>,
}

/// What turns an embedding into a question to the tables.
#[derive(Clone, Debug)]
pub struct HubSearch {
    model: ModelStamp,
    /// Of each class of the model.
    regions: Vec<Option<Region>>,
    heads: [ScoreHead; 2],
    /// `None`: the search is exact.
    scales: Option<[HeadScale; 2]>,
    tables: KnownTables,
}

/// The tables of a head and a region, once a question has looked for them: they stay as they are.
type KnownTables = Arc<Mutex<HashMap<(&'static str, Option<Region>), Vec<ViewTable>>>>;

impl HubSearch {
    pub fn new(manifest: &Manifest) -> Self {
        HubSearch {
            model: stamp(manifest),
            regions: manifest.class_regions(),
            heads: [manifest.match_score(), manifest.aggregation_score()],
            scales: None,
            tables: KnownTables::default(),
        }
    }

    /// Searches by the indexes of [`super::approximate`] from now on.
    pub fn approximately(mut self, manifest: &Manifest) -> Result<Self> {
        self.scales = Some(scales(manifest)?);
        Ok(self)
    }

    /// # Errors
    /// [`Kind::Usage`] where the hub has never had this model: every search would find nothing.
    pub async fn require_known(&self, client: &Client) -> Result<()> {
        let query = "select exists (select from model where hash = $1)";
        let row = client.query_one(query, &[&self.model.descriptor_hash]).await.map_err(database_fault)?;
        if row.get(0) {
            return Ok(());
        }
        let text = format!("the hub has no pictures by {} of this hash: a search would find nothing", self.model.name);
        Err(Fault::new(Kind::Usage, text).cure("give --model the hub's model folder"))
    }

    /// The question that a garment asks which was found in a picture; `region` where that is known.
    pub fn about(&self, garment: &Detection, region: Option<Region>, most: usize) -> HubQuery {
        HubQuery {
            model: Some(self.model.descriptor_hash.clone()),
            embedding: garment.aggregation_embedding.to_vec(),
            head: QueryHead::Aggregation,
            region: region.or_else(|| self.regions.get(garment.class).copied().flatten()),
            most,
        }
    }

    /// Why the question cannot be asked; `None` where it can.
    pub fn wrong(&self, query: &HubQuery) -> Option<String> {
        if query.model.as_ref().is_some_and(|model| *model != self.model.descriptor_hash) {
            return Some(format!("the embedding is by another model than {} of the hub", self.model.name));
        }
        if query.embedding.len() != self.model.embedding {
            return Some(format!("an embedding of {} has {} values", self.model.name, self.model.embedding));
        }
        if !query.embedding.iter().all(|value| value.is_finite()) || !(1..=MOST).contains(&query.most) {
            return Some(format!("values must be finite, and most from 1 to {MOST}"));
        }
        None
    }

    /// The tables that are read for a region. They are looked for once: that costs two more messages to the database.
    async fn tables(&self, client: &Client, head: &'static str, region: Option<Region>) -> SqlResult<Vec<ViewTable>> {
        if let Some(known) = self.tables.lock().unwrap_or_else(PoisonError::into_inner).get(&(head, region)) {
            return Ok(known.clone());
        }
        let tables = view_tables(client, &self.model.descriptor_hash, &seen_bodies(region), head).await?;
        if !tables.is_empty() {
            self.tables.lock().unwrap_or_else(PoisonError::into_inner).insert((head, region), tables.clone());
        }
        Ok(tables)
    }

    /// The best products, the best first.
    pub async fn ask(&self, client: &Client, query: &HubQuery) -> SqlResult<Vec<HubHit>> {
        let [few, many] = ROWS_FOR_EACH.map(|rows| query.most * rows);
        let scale = self.scales.as_ref().map(|scales| &scales[query.head as usize]);
        let (hits, read) = self.ask_among(client, query, few, scale).await?;
        // An index gives no more rows however many are asked for.
        if hits.len() == query.most || (scale.is_none() && read < few) {
            return Ok(hits);
        }
        Ok(self.ask_among(client, query, many, None).await?.0)
    }

    /// The best products among so many of the nearest descriptors, and how many there were; where none is of a product that is sold, as
    /// many as were asked for. With a scale by its index.
    async fn ask_among(
        &self,
        client: &Client,
        query: &HubQuery,
        limit: usize,
        scale: Option<&HeadScale>,
    ) -> SqlResult<(Vec<HubHit>, usize)> {
        let (asked, own) = question(&self.heads[query.head as usize], &query.embedding);
        let name = HEADS[query.head as usize];
        let tables = self.tables(client, name, query.region).await?;
        if tables.is_empty() {
            return Ok((Vec::new(), 0));
        }
        // `offset 0`: rows are looked up one by one; as joins, all pictures and offers would be read for some eighty.
        let (rows, most) = (limit as i64, query.most as i64);
        let scaled = scale.map(|scale| scale.question(&query.embedding));
        let order = scale.map_or(EXACT.to_owned(), |scale| format!("{} <-> $4", scale.row()));
        let sql = format!(
            "with near as materialized ({} order by distance limit $2)
             select product.id, product.title, min(distance), shops, (select count(*) from near)
             from near
             cross join lateral (select product_id from picture where sha256 = near.sha256 offset 0) as shown
             cross join lateral (
               select id, title from product where id = shown.product_id and region = near.wanted offset 0
             ) as product
             cross join lateral (select array_agg(shop) as shops from offer where product_id = product.id) as sold
             where shops is not null
             group by product.id, product.title, shops order by min(distance), product.id limit $3",
            nearest(&tables, name, &order)
        );
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&asked, &rows, &most];
        values.extend(scaled.as_ref().map(|scaled| scaled as &(dyn ToSql + Sync)));
        let rows = match scaled {
            Some(_) => query_by_indexes(client, &sql, &values).await?,
            None => client.query(&sql, &values).await?,
        };
        let read = rows.first().map_or(limit, |row| row.get::<_, i64>(4) as usize);
        let hits = rows
            .iter()
            .map(|row| {
                // pgvector's <#> is the inner product with its sign turned.
                let logit = own - row.get::<_, f64>(2);
                let shops: BTreeSet<String> = row.get::<_, Vec<String>>(3).into_iter().collect();
                HubHit {
                    id: row.get(0),
                    title: row.get(1),
                    logit,
                    score: 1.0 / (1.0 + (-logit).exp()),
                    shops: shops.into_iter().collect(),
                }
            })
            .collect();
        Ok((hits, read))
    }
}

/// A query whose statement must not read whole tables: PostgreSQL takes the scaling of a row for cheap, and would. The client must be of
/// searches alone, one at a time: until the transaction ends, every statement is planned so.
async fn query_by_indexes(client: &Client, sql: &str, values: &[&(dyn ToSql + Sync)]) -> SqlResult<Vec<Row>> {
    client.batch_execute("begin read only; set local enable_seqscan = off").await?;
    let rows = client.query(sql, values).await;
    client.batch_execute("rollback").await?;
    rows
}

/// The bodies whose descriptors may be of a garment of this region.
fn seen_bodies(region: Option<Region>) -> Vec<&'static str> {
    let is_seen = |other: &Region| region.is_none_or(|region| region.sees(*other));
    Region::ALL.into_iter().filter(is_seen).map(Region::name).chain([""]).collect()
}

/// The order of an exact search.
pub const EXACT: &str = "embedding <#> $1";

/// The statement's part that reads descriptors: of each table the first `$2` in `order`, with their distance from `$1`.
pub fn nearest(tables: &[ViewTable], head: &str, order: &str) -> String {
    let one = |table: &ViewTable| {
        let only = if table.has_both_heads { format!(" where head = '{head}'") } else { String::new() };
        format!(
            "(select sha256, wanted, embedding <#> $1 as distance from {}{only} order by {order} limit $2)",
            table.name
        )
    };
    tables.iter().map(one).collect::<Vec<_>>().join(" union all ")
}

/// docs/seam.md §6: the logit is `own + asked . row`, where a row is an embedding and its bias.
pub fn question(head: &ScoreHead, embedding: &[f32]) -> (Vector, f64) {
    let terms = || embedding.iter().zip(&head.weight);
    let own: f64 = terms().map(|(a, v)| f64::from(*v) * f64::from(*a) * f64::from(*a)).sum();
    let asked: Vec<f32> = terms().map(|(a, v)| -2.0 * v * a).chain([1.0]).collect();
    (asked.into(), own + f64::from(head.bias))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::work::with_bias;

    #[test]
    fn the_inner_product_is_the_logit() {
        let head = ScoreHead { weight: vec![-0.5, 0.25, 0.1, -1.0], bias: 0.75 };
        let (street, shop) = ([0.3f32, -1.2, 2.0, 0.01], [1.0f32, 0.5, -0.25, 0.125]);
        let (asked, own) = question(&head, &street);
        let row = with_bias(&shop, &head.weight);
        let dot: f64 = asked.as_slice().iter().zip(row.as_slice()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        assert!((own + dot - f64::from(head.logit(&street, &shop))).abs() < 1e-5);
    }
}
