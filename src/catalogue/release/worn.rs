//! Worn views in releases: what one mirror has learned, for all that sell the product. They are added and never taken away: what a
//! mirror has of its own stays.

use super::{columns_of, seal};
use crate::catalogue::records::hex;
use crate::catalogue::store::Catalogue;
use crate::fault::{Kind, Result};
use rusqlite::Transaction;
use sha2::{Digest, Sha256};
use std::path::Path;

impl Catalogue {
    /// Changes whenever an enrolment comes or goes; the same for the same enrolments. Empty where there is none.
    pub fn worn_state(&self) -> Result<String> {
        let mut uids: Vec<String> = self.enrolments()?.into_iter().map(|enrolment| enrolment.uid).collect();
        uids.sort();
        Ok(if uids.is_empty() { String::new() } else { hex(&Sha256::digest(uids.join(" "))) })
    }
}

/// Adds enrolments to a release's catalogue, each a line as [`Catalogue::export_worn`] writes it. One that cannot be used is left out.
pub fn add_worn<'a>(path: &Path, lines: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut catalogue = Catalogue::open(path)?;
    for line in lines {
        match catalogue.import_worn(line.as_bytes()) {
            Err(fault) if matches!(fault.kind(), Kind::Input | Kind::Catalogue) => log::warn!("{fault}"),
            result => drop(result?),
        }
    }
    seal(catalogue)
}

/// Copies the enrolments of the schema `from` that are for `which`, and are not here yet.
pub(super) fn copy_worn(transaction: &Transaction, from: &str, which: &str) -> rusqlite::Result<()> {
    let origin = columns_of(transaction, "enrolment", &["number"])?.join(", ");
    let view = columns_of(transaction, "worn_view", &["enrolment"])?;
    let theirs: Vec<String> = view.iter().map(|column| format!("view.{column}")).collect();
    transaction.execute_batch(&format!(
        "insert into main.enrolment ({origin}) select {origin} from {from}.enrolment
           where {which} and uid not in (select uid from main.enrolment) order by number;
         insert into main.worn_view (enrolment, {})
           select mine.number, {} from main.enrolment as mine join {from}.enrolment as other on other.uid = mine.uid
           join {from}.worn_view as view on view.enrolment = other.number
           where not exists (select 1 from main.worn_view as known where known.enrolment = mine.number);",
        view.join(", "),
        theirs.join(", ")
    ))
}
