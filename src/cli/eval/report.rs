//! Figures as text and as JSON.

use crate::cli::table::Table;
use crate::evaluation::metrics::CUTS;
use crate::evaluation::{Share, Tally};
use serde_json::{Value, json};

/// A share with its interval: ".49 (.46 - .52)".
pub fn share(share: &Share) -> String {
    format!("{} ({} - {})", short(share.share), short(share.low), short(share.high))
}

/// Two digits without a zero before the point.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.strip_prefix('0').map_or(text.clone(), str::to_owned)
}

/// A table of top-k shares, a row a name, under `columns`.
pub fn top_k(columns: &[&str], rows: &[(Vec<String>, &Tally)]) -> String {
    let mut header = columns.to_vec();
    header.extend([">top-1", ">top-5", ">top-10", ">top-20", ">median rank"]);
    let mut table = Table::new(&header);
    for (names, tally) in rows {
        let mut cells = names.clone();
        cells.extend(tally.cuts().iter().map(share));
        cells.push(tally.median().map_or("-".into(), |rank| rank.to_string()));
        table.row(cells);
    }
    table.render()
}

/// The same as JSON.
pub fn tally_json(tally: &Tally) -> Value {
    let top: serde_json::Map<String, Value> =
        CUTS.iter().zip(tally.cuts()).map(|(k, share)| (k.to_string(), share_json(&share))).collect();
    json!({ "queries": tally.queries(), "top": top, "median_rank": tally.median() })
}

/// A share as JSON, with its interval.
pub fn share_json(share: &Share) -> Value {
    json!({ "share": share.share, "low": share.low, "high": share.high, "of": share.of })
}
