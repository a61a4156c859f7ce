//! How many worn views a catalogue has, used and not used.

use rusqlite::Connection;
use serde::Serialize;

/// What the catalogue has of worn views.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WornCounts {
    /// Views that a search uses.
    pub used: usize,
    /// Products that they show.
    pub products: usize,
    /// Views of products that the feed does not have now.
    pub without_product: usize,
    /// Views by another model than the catalogue's.
    pub other_model: usize,
}

/// Counts them.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<WornCounts> {
    let query = "select
                   count(*) filter (where by_model and present),
                   count(distinct product_id) filter (where by_model and present),
                   count(*) filter (where by_model and not present),
                   count(*) filter (where not by_model)
                 from (select product_id,
                   exists (select 1 from model where model.descriptor_hash = enrolment.descriptor_hash
                           and model.embedding = enrolment.embedding) as by_model,
                   exists (select 1 from product where id = product_id) as present
                   from worn_view join enrolment on number = worn_view.enrolment)";
    connection.query_row(query, [], |row| {
        let number = |column: usize| row.get::<_, i64>(column).map(|count| usize::try_from(count).unwrap_or(0));
        Ok(WornCounts { used: number(0)?, products: number(1)?, without_product: number(2)?, other_model: number(3)? })
    })
}
