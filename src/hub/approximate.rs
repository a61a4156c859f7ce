//! Approximate search, by choice: an HNSW index of pgvector on each table of descriptors.
//!
//! A row ends with its bias, which outweighs the rest where rows are compared with rows: an index on their inner product finds nothing.
//! Where all weights `v` of a head are negative, a logit falls with the distance of two embeddings that are scaled by `sqrt(-v)`. The
//! index is on those; no column is added.

use super::database::{BODIES, Database, HEADS, ViewTable, view_tables};
use crate::fault::{Fault, Kind, Result};
use crate::network::Manifest;
use crate::seam::ScoreHead;
use pgvector::Vector;
use tokio_postgres::Client;

/// What scales the embeddings of one head.
#[derive(Clone, Debug)]
pub struct HeadScale(Vec<f32>);

impl HeadScale {
    /// # Errors
    /// [`Kind::Model`] where a weight is not negative: more distant embeddings may then be a better match.
    pub fn of(head: &ScoreHead) -> Result<Self> {
        if head.weight.iter().all(|weight| *weight < 0.0) {
            return Ok(HeadScale(head.weight.iter().map(|weight| (-weight).sqrt()).collect()));
        }
        Err(Fault::new(Kind::Model, "a weight of the model's score is not negative: there is no approximate search")
            .cure("search exactly, without --hnsw"))
    }

    /// The question as the index compares it.
    pub fn question(&self, embedding: &[f32]) -> Vector {
        self.0.iter().zip(embedding).map(|(scale, value)| scale * value).collect::<Vec<f32>>().into()
    }

    /// A row as the index has it. A statement that says the same expression uses the index.
    pub fn row(&self) -> String {
        let values: Vec<String> = self.0.iter().map(f32::to_string).collect();
        let length = self.0.len();
        format!("(subvector(embedding, 1, {length}) * '[{}]'::vector)::vector({length})", values.join(","))
    }
}

/// The scales of a model's heads, in the order of [`HEADS`].
pub fn scales(manifest: &Manifest) -> Result<[HeadScale; 2]> {
    Ok([HeadScale::of(&manifest.match_score())?, HeadScale::of(&manifest.aggregation_score())?])
}

/// Makes the indexes that are missing. Takes minutes where there are many descriptors; searches and imports go on meanwhile, workers wait.
pub fn make_indexes(database: &mut Database, manifest: &Manifest) -> Result<()> {
    for (head, scale) in HEADS.into_iter().zip(scales(manifest)?) {
        let tables =
            database.run(async |client| view_tables(client, &manifest.descriptor_hash, &BODIES, head).await)?;
        for table in tables {
            let only = if table.has_both_heads { format!(" where head = '{head}'") } else { String::new() };
            let query = format!(
                "create index if not exists {} on {} using hnsw (({}) vector_l2_ops){only}",
                index_name(&table, head),
                table.name,
                scale.row()
            );
            database.run(async |client| client.batch_execute(&query).await)?;
        }
    }
    Ok(())
}

/// Whether all of a model's tables have their index.
///
/// # Errors
/// [`Kind::Usage`] where one has none.
pub async fn require_indexes(client: &Client, manifest: &Manifest) -> Result<()> {
    for head in HEADS {
        let fail = super::database::database_fault;
        let tables = view_tables(client, &manifest.descriptor_hash, &BODIES, head).await.map_err(fail)?;
        let names: Vec<String> = tables.iter().map(|table| index_name(table, head)).collect();
        let query = "select count(*) from unnest($1::text[]) as wanted (name) where to_regclass(name) is null";
        let missing: i64 = client.query_one(query, &[&names]).await.map_err(fail)?.get(0);
        if missing > 0 || tables.is_empty() {
            return Err(Fault::new(Kind::Usage, "the hub has no indexes for an approximate search")
                .cure("make them with `vetrina hub init --hnsw`"));
        }
    }
    Ok(())
}

fn index_name(table: &ViewTable, head: &str) -> String {
    if table.has_both_heads { format!("{}_{head}_hnsw", table.name) } else { format!("{}_hnsw", table.name) }
}
