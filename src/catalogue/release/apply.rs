//! Taking a release over: all of it in one transaction, as a generation of its own, or nothing.

use super::worn::copy_worn;
use super::write::attach;
use super::{RELEASE, ReleaseMark, descriptor_columns, state};
use crate::catalogue::history::{self, Counts};
use crate::catalogue::records::PRODUCT_COLUMNS;
use crate::catalogue::settings::write_setting;
use crate::catalogue::store::{Catalogue, read_stamp, same_model, sql_fault};
use crate::fault::{Fault, Kind, Result};
use rusqlite::{Connection, Transaction, params};
use std::path::Path;

/// What a release's file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseFile {
    /// All products: what is not in it is removed.
    Snapshot,
    /// What differs from the release that the catalogue is.
    Delta,
}

impl Catalogue {
    /// Makes the catalogue what `file` says, as the release `mark`. Whatever goes wrong, it stays as it was.
    ///
    /// # Errors
    /// [`Kind::Catalogue`] where the file does not lead to the state that the mark says, or is of a newer schema;
    /// [`Kind::Storage`] where the disk is full; [`Kind::Busy`] where another process writes.
    pub fn apply_release(&mut self, file: &Path, kind: ReleaseFile, mark: &ReleaseMark) -> Result<Counts> {
        // Brings the file to this vetrina's schema, and refuses what is no catalogue.
        drop(Catalogue::open(file)?);
        attach(&self.connection, file, "incoming").map_err(|error| sql_fault(file, "open", error))?;
        let applied = self.apply_attached(kind, mark);
        // Nothing depends on it: the connection is about to be closed.
        let _ = self.connection.execute_batch("drop table if exists temp.changed; detach database incoming");
        applied
    }

    fn apply_attached(&mut self, kind: ReleaseFile, mark: &ReleaseMark) -> Result<Counts> {
        self.change(|transaction, fail| {
            require_same_model(transaction, kind).map_err(fail)??;
            let generation =
                history::begin(transaction, &format!("release {} of {}", mark.number, mark.shop)).map_err(fail)?;
            take_contents(transaction).map_err(fail)?;
            if missing_contents(transaction).map_err(fail)? > 0 {
                return Err(Fault::new(Kind::Catalogue, "the release builds on pictures that are not here"));
            }
            let counts = take_products(transaction, kind, generation).map_err(fail)?;
            copy_worn(transaction, "incoming", "true").map_err(fail)?;
            history::complete(transaction, generation, counts).map_err(fail)?;
            if state(transaction).map_err(fail)? != mark.state {
                let text = format!("release {} of {} is not what its manifest says", mark.number, mark.shop);
                return Err(Fault::new(Kind::Catalogue, text));
            }
            let text = serde_json::to_string(mark)
                .map_err(|error| Fault::new(Kind::Internal, "cannot write a release's mark").cause(error))?;
            write_setting(transaction, RELEASE, &text).map_err(fail)?;
            Ok(counts)
        })
    }
}

/// A snapshot by another model replaces all that the catalogue's own has embedded; a delta cannot.
fn require_same_model(transaction: &Transaction, kind: ReleaseFile) -> rusqlite::Result<Result<()>> {
    let incoming = transaction.query_row("select name, descriptor_hash, embedding from incoming.model", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    })?;
    let found = read_stamp(transaction)?;
    let same = found.as_ref().is_some_and(|found| {
        same_model(
            found,
            &crate::catalogue::ModelStamp {
                name: incoming.0.clone(),
                descriptor_hash: incoming.1.clone(),
                embedding: usize::try_from(incoming.2).unwrap_or(0),
            },
        )
    });
    if !same && kind == ReleaseFile::Delta {
        return Ok(Err(Fault::new(Kind::Catalogue, "another model embedded the release that this one builds on")));
    }
    if !same {
        history::forget(transaction)?;
        let query =
            "delete from picture_version; delete from product_version; delete from content; delete from refusal;";
        transaction.execute_batch(query)?;
    }
    transaction.execute(
        "insert into model values (1, ?1, ?2, ?3) on conflict (id) do update
         set name = ?1, descriptor_hash = ?2, embedding = ?3",
        params![incoming.0, incoming.1, incoming.2],
    )?;
    Ok(Ok(()))
}

/// Adds the contents and descriptors that the file brings.
fn take_contents(transaction: &Transaction) -> rusqlite::Result<()> {
    let columns = descriptor_columns(transaction)?.join(", ");
    transaction.execute_batch(&format!(
        "insert into main.content (sha256, thumbnail)
           select sha256, thumbnail from incoming.content where length(thumbnail) > 0
           on conflict (sha256) do nothing;
         insert or replace into main.descriptor (content_id, region, {columns})
           select mine.id, descriptor.region, {columns}
           from incoming.descriptor as descriptor join incoming.content as content on content.id = descriptor.content_id
           join main.content as mine on mine.sha256 = content.sha256;"
    ))
}

fn missing_contents(connection: &Connection) -> rusqlite::Result<i64> {
    let query = "select count(*) from incoming.content as content
                 where not exists (select 1 from main.content as mine where mine.sha256 = content.sha256)";
    connection.query_row(query, [], |row| row.get(0))
}

/// Replaces the products that differ, and ends those that are gone.
fn take_products(transaction: &Transaction, kind: ReleaseFile, generation: i64) -> rusqlite::Result<Counts> {
    let columns = format!("{PRODUCT_COLUMNS}, position, region");
    let shown = |schema: &str| {
        format!(
            "select shown.product_id, shown.position, shown.source, content.sha256
             from {schema}.picture as shown join {schema}.content as content on content.id = shown.content_id"
        )
    };
    let (mine, incoming) = (shown("main"), shown("incoming"));
    transaction.execute_batch(&format!(
        "create temp table changed (id text primary key not null) without rowid;
         insert or ignore into changed
           select id from (select {columns} from incoming.product except select {columns} from main.product);
         insert or ignore into changed select product_id from ({incoming} except {mine});
         insert or ignore into changed
           select product_id from ({mine} except {incoming}) where product_id in (select id from incoming.product);"
    ))?;
    let count = |query: &str| transaction.query_row(query, [], |row| row.get::<_, i64>(0)).map(|count| count as usize);
    let all = count("select count(*) from changed")?;
    let updated = count("select count(*) from main.product where id in (select id from changed)")?;
    let gone = match kind {
        ReleaseFile::Snapshot => "id not in (select id from incoming.product)",
        ReleaseFile::Delta => "id in (select id from incoming.removed)",
    };
    let end = |which: &str| {
        let query = format!("update main.product_version set until = ? where until is null and {which}");
        transaction.execute(&query, [generation])
    };
    end("id in (select id from changed)")?;
    let removed = end(gone)?;
    transaction.execute_batch(&format!(
        "insert into main.product_version ({columns}, since)
           select {columns}, {generation} from incoming.product where id in (select id from changed);
         insert into main.picture_version
           select shown.product_id, {generation}, shown.position, shown.source, mine.id
           from incoming.picture as shown join incoming.content as content on content.id = shown.content_id
           join main.content as mine on mine.sha256 = content.sha256
           where shown.product_id in (select id from changed);"
    ))?;
    Ok(Counts { added: all - updated, updated, removed })
}
