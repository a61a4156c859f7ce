//! Generations: what the catalogue was after each of its last changes, and the way back.
//!
//! A row of `product_version` is part of the generations from `since` until before `until`. An import writes only the rows that
//! it changes; pictures and descriptors are shared by all generations. An undo writes no row of a product: it names the generation
//! that it restores, and the next change writes the rows.

use super::records::{PRODUCT_COLUMNS, drop_unused_contents, no_product};
use super::store::Catalogue;
use crate::fault::{Fault, Kind, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::Serialize;

/// Generations that are kept, the one that is searched among them.
pub const KEPT: i64 = 5;

/// What the catalogue was at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Generation {
    /// Counted from 1, never used twice.
    pub number: i64,
    /// UTC, RFC 3339.
    pub made: String,
    /// What made it, for people.
    pub source: String,
    pub products: usize,
    #[serde(flatten)]
    pub counts: Counts,
}

/// Products that differ from the generation before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub added: usize,
    pub updated: usize,
    pub removed: usize,
}

impl Catalogue {
    /// The kept generations, newest first. The newest is the one that is searched.
    pub fn history(&self) -> Result<Vec<Generation>> {
        generations(&self.connection).map_err(|error| self.fault("read", error))
    }

    /// The number of the generation that is searched; `None` before the first import.
    pub fn generation(&self) -> Result<Option<i64>> {
        let query = "select max(number) from generation";
        self.connection.query_row(query, [], |row| row.get(0)).map_err(|error| self.fault("read", error))
    }

    /// Number and time of the generation that is searched: another mirror's catalogue, put in this one's place, may have the same number.
    pub(super) fn generation_mark(&self) -> Result<Option<(i64, String)>> {
        let query = "select number, made from generation order by number desc limit 1";
        let mark = self.connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).optional();
        mark.map_err(|error| self.fault("read", error))
    }

    /// Takes the product `id` out; [`Catalogue::undo`] brings it back.
    ///
    /// # Errors
    /// [`Kind::Usage`] where there is no such product.
    pub fn remove(&mut self, id: &str) -> Result<()> {
        self.change(|transaction, fail| {
            let generation = begin(transaction, &format!("removal of {id}")).map_err(fail)?;
            if !end_version(transaction, id, generation).map_err(fail)? {
                return Err(no_product(transaction, id));
            }
            complete(transaction, generation, Counts { removed: 1, ..Counts::default() }).map_err(fail)
        })
    }

    /// Makes the catalogue what it was in generation `to`, by default the one before the newest. This is a generation of its
    /// own, and can be undone as well.
    ///
    /// # Errors
    /// [`Kind::Usage`] where there is no such generation.
    pub fn undo(&mut self, to: Option<i64>) -> Result<Generation> {
        self.change(|transaction, fail| {
            let kept = generations(transaction).map_err(fail)?;
            let target = match to {
                None => kept.get(1),
                Some(number) => kept.iter().skip(1).find(|generation| generation.number == number),
            };
            let target = target.ok_or_else(|| no_generation(to, &kept))?;
            restore(transaction, target).map_err(fail)?;
            Ok(generations(transaction).map_err(fail)?.swap_remove(0))
        })
    }
}

fn no_generation(to: Option<i64>, kept: &[Generation]) -> Fault {
    let earlier: Vec<String> = kept.iter().skip(1).map(|generation| generation.number.to_string()).collect();
    let text = match to {
        None => "there is no earlier generation of the catalogue".to_owned(),
        Some(number) => format!("there is no earlier generation {number} of the catalogue"),
    };
    let cure = match earlier.is_empty() {
        true => "the first import cannot be undone".to_owned(),
        false => format!("choose one of {}; see `vetrina catalogue history`", earlier.join(", ")),
    };
    Fault::new(Kind::Usage, text).cure(cure)
}

/// Begins a generation; [`complete`] must follow in the same transaction.
pub(super) fn begin(transaction: &Transaction, source: &str) -> rusqlite::Result<i64> {
    write_restored(transaction)?;
    insert(transaction, source)
}

fn insert(transaction: &Transaction, source: &str) -> rusqlite::Result<i64> {
    let source: String = source.chars().take(200).collect();
    transaction.execute(
        "insert into generation (made, source, products, added, updated, removed)
         values (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?, 0, 0, 0, 0)",
        [source],
    )?;
    Ok(transaction.last_insert_rowid())
}

/// Ends the product's row; false where there is none.
pub(super) fn end_version(transaction: &Transaction, id: &str, generation: i64) -> rusqlite::Result<bool> {
    let query = "update product_version set until = ? where id = ? and until is null";
    Ok(transaction.prepare_cached(query)?.execute(params![generation, id])? > 0)
}

/// Counts the generation's products, forgets the generations that are too old and deletes what none shows any more.
pub(super) fn complete(transaction: &Transaction, number: i64, counts: Counts) -> rusqlite::Result<()> {
    let products = transaction.query_row("select count(*) from product", [], |row| row.get(0))?;
    count(transaction, number, products, counts)?;
    forget_oldest(transaction)?;
    let first_row = "select min(coalesce(restores, number)) from generation";
    transaction.execute(&format!("delete from product_version where until <= ({first_row})"), [])?;
    drop_unused_contents(transaction)
}

fn count(transaction: &Transaction, number: i64, products: i64, counts: Counts) -> rusqlite::Result<()> {
    let query = "update generation set products = ?, added = ?, updated = ?, removed = ? where number = ?";
    let [added, updated, removed] = [counts.added, counts.updated, counts.removed].map(|count| count as i64);
    transaction.execute(query, params![products, added, updated, removed, number]).map(drop)
}

fn forget_oldest(transaction: &Transaction) -> rusqlite::Result<()> {
    let query =
        "delete from generation where number not in (select number from generation order by number desc limit ?)";
    transaction.execute(query, [KEPT]).map(drop)
}

/// Forgets all generations but the rows that are searched: another model made what they show.
pub(super) fn forget(transaction: &Transaction) -> rusqlite::Result<()> {
    write_restored(transaction)?;
    transaction.execute_batch("delete from product_version where until is not null; delete from generation;")
}

/// Begins and completes a generation that has the rows of `target`. It reads the products and writes none, so that it is quick however
/// many differ; rows of forgotten generations are left for the next change to delete.
fn restore(transaction: &Transaction, target: &Generation) -> rusqlite::Result<()> {
    let rows = |query: &str| transaction.query_row(query, [], |row| row.get::<_, i64>(0));
    let now = rows("select coalesce(restores, number) from generation order by number desc limit 1")?;
    let then = rows(&format!("select coalesce(restores, number) from generation where number = {}", target.number))?;
    let counts = differences(transaction, now, then)?;
    let number = insert(transaction, &format!("undo: as of generation {}", target.number))?;
    transaction.execute("update generation set restores = ? where number = ?", [then, number])?;
    count(transaction, number, target.products as i64, counts)?;
    forget_oldest(transaction)
}

/// How the rows of generation `then` differ from those of `now`.
fn differences(transaction: &Transaction, now: i64, then: i64) -> rusqlite::Result<Counts> {
    // A row of both is the same in both, and does not count.
    let query = "select coalesce(sum(is_then and not is_now), 0), coalesce(sum(is_then and is_now), 0),
                   coalesce(sum(is_now and not is_then), 0)
                 from (select max(of_now) as is_now, max(of_then) as is_then
                   from (select id, since <= ?1 and (until is null or until > ?1) as of_now,
                     since <= ?2 and (until is null or until > ?2) as of_then from product_version)
                   where of_now <> of_then group by id)";
    transaction.query_row(query, [now, then], |row| {
        let count = |column: usize| row.get::<_, i64>(column).map(|count| count as usize);
        Ok(Counts { added: count(0)?, updated: count(1)?, removed: count(2)? })
    })
}

/// Where the newest generation is an undo, writes the rows that it restores as its own: a change builds on the rows that have no `until`.
fn write_restored(transaction: &Transaction) -> rusqlite::Result<()> {
    let query = "select number, restores from generation order by number desc limit 1";
    let newest: Option<(i64, Option<i64>)> =
        transaction.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((number, Some(target))) = newest else { return Ok(()) };
    let numbers = params![target, number];
    let query = "update product_version set until = ?2 where until is null and since > ?1";
    transaction.execute(query, numbers)?;
    let query = format!(
        "insert into product_version ({PRODUCT_COLUMNS}, position, region, since)
         select {PRODUCT_COLUMNS}, position, region, ?2 from product_version where since <= ?1 and until > ?1"
    );
    transaction.execute(&query, numbers)?;
    transaction.execute(
        "insert into picture_version (product_id, since, position, source, content_id)
         select product_id, ?2, picture_version.position, source, content_id
         from product_version join picture_version on product_id = id and picture_version.since = product_version.since
         where product_version.since <= ?1 and until > ?1",
        numbers,
    )?;
    transaction.execute("update generation set restores = null where number = ?", [number]).map(drop)
}

fn generations(connection: &Connection) -> rusqlite::Result<Vec<Generation>> {
    let query = "select number, made, source, products, added, updated, removed from generation order by number desc";
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| {
        let count = |column: usize| row.get::<_, i64>(column).map(|count| usize::try_from(count).unwrap_or(0));
        Ok(Generation {
            number: row.get(0)?,
            made: row.get(1)?,
            source: row.get(2)?,
            products: count(3)?,
            counts: Counts { added: count(4)?, updated: count(5)?, removed: count(6)? },
        })
    })?;
    rows.collect()
}
