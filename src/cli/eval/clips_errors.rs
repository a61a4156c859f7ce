//! The clips whose product SEAM did not find first, drawn: what is worn, the right product, and those before all others.

use super::sheet::{Cell, SheetRow, best, cut};
use crate::capture::read_picture;
use crate::evaluation::annotations::Annotated;
use crate::evaluation::cached_recognizer::frame;
use crate::evaluation::clips::RankedQuery;
use crate::fault::Result;
use crate::pipeline::tracking::class_label;
use std::path::Path;

/// Rows of a sheet; of more errors than these, some of every rank.
const ROWS: usize = 40;

/// Rows for [`super::sheet::draw`], worst first.
pub(super) fn rows(
    queries: &[RankedQuery],
    products: &[Annotated],
    root: &Path,
    classes: &[String],
) -> Result<Vec<SheetRow>> {
    let mut wrong: Vec<&RankedQuery> = queries.iter().filter(|query| query.rank > 1).collect();
    wrong.sort_by_key(|query| std::cmp::Reverse(query.rank));
    let shown = wrong.len().min(ROWS);
    (0..shown).map(|row| draw(wrong[row * wrong.len() / shown], products, root, classes)).collect()
}

fn draw(query: &RankedQuery, products: &[Annotated], root: &Path, classes: &[String]) -> Result<SheetRow> {
    let seen = &query.surest;
    let product = |number: usize, place: usize| {
        let product = &products[number];
        let words = format!("{place}: {}", product.id);
        Ok(Cell { picture: read_picture(&root.join(&product.picture))?, words, right: number == query.own })
    };
    let picture = cut(&frame(&query.video, seen.frame)?, seen.detection.bounds);
    let words = format!("{:.2}: {}", seen.detection.score, class_label(classes, seen.detection.class));
    let mut row = vec![Cell { picture, words, right: false }, product(query.own, query.rank)?];
    for (place, number) in best(&query.logits).enumerate() {
        row.push(product(number, place + 1)?);
    }
    Ok(row)
}
