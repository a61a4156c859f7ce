//! From the file of an unfinished import into the catalogue.
//!
//! Pictures are put there before the products that show them, a few at a time: so the last transaction is short, and the write-ahead
//! log does not hold them all. Where the import is interrupted in between, the next change takes out what nothing shows, and they are
//! in the file still.

use super::unfinished::UnfinishedImport;
use super::{Content, ContentKey, PlannedFeed, PlannedProduct};
use crate::catalogue::rows::insert_content;
use crate::catalogue::store::{read_stamp, same_model, sql_fault, write_stamp};
use crate::fault::Result;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::HashSet;
use std::path::Path;

/// Pictures of one transaction.
const TOGETHER: usize = 200;
/// SQLite's cache while it takes pictures in, kB: their hashes stand in no order, and each is looked up.
const CACHE: i64 = 32_768;

impl PlannedFeed {
    /// Takes in what can be taken in before the end: nothing where the catalogue is another model's, and is searched so until then.
    pub(super) fn take_in_beforehand(
        &mut self,
        connection: &mut Connection,
        unfinished: &UnfinishedImport,
        path: &Path,
    ) -> Result<()> {
        let fail = |error| sql_fault(path, "change", error);
        connection.pragma_update(None, "cache_size", -CACHE).map_err(fail)?;
        for keys in self.embedded().chunks(TOGETHER) {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
            match read_stamp(&transaction).map_err(fail)? {
                Some(found) if !same_model(&found, &self.stamp) => return Ok(()),
                Some(_) => {}
                None => write_stamp(&transaction, &self.stamp).map_err(fail)?,
            }
            self.take_in(&transaction, keys, unfinished, path)?;
            transaction.commit().map_err(fail)?;
        }
        Ok(())
    }

    /// Takes in what is not there: of another model's catalogue, or taken out in between.
    pub(super) fn take_in_rest(
        &mut self,
        transaction: &Transaction,
        unfinished: &UnfinishedImport,
        path: &Path,
    ) -> Result<()> {
        self.take_in(transaction, &self.embedded(), unfinished, path)
    }

    /// The pictures that are embedded and not in the catalogue, in the feed's order.
    fn embedded(&self) -> Vec<ContentKey> {
        let of = |planned: &PlannedProduct| {
            let region = planned.region;
            planned.pictures.iter().map(move |(_, _, sha)| (*sha, region)).collect::<Vec<_>>()
        };
        let is_embedded = |key: &ContentKey| matches!(self.contents.get(key), Some(Content::Embedded));
        let mut listed = HashSet::new();
        self.products.iter().flat_map(of).filter(is_embedded).filter(|key| listed.insert(*key)).collect()
    }

    fn take_in(
        &mut self,
        transaction: &Transaction,
        keys: &[ContentKey],
        unfinished: &UnfinishedImport,
        path: &Path,
    ) -> Result<()> {
        for (sha, region) in keys {
            let Some(picture) = unfinished.picture(sha, *region)? else { continue };
            let id = insert_content(transaction, sha, *region, &picture)
                .map_err(|error| sql_fault(path, "change", error))?;
            self.contents.insert((*sha, *region), Content::Known(id));
        }
        Ok(())
    }
}
