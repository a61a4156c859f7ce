//! The clips whose product SEAM did not find first, drawn: what is worn, the right product, and those before all others.

use super::look;
use super::sheet::{Cell, Row, best, cut};
use crate::capture::read_picture;
use crate::evaluation::Seen;
use crate::evaluation::annotations::Annotated;
use crate::fault::Result;
use crate::pipeline::sequential::label;
use std::path::{Path, PathBuf};

/// Rows of a sheet; of more errors than these, some of every rank.
const ROWS: usize = 40;

/// The garment on the ground truth of one clip, and what SEAM makes of it.
pub(super) struct Answer {
    /// The product's number.
    pub(super) own: usize,
    /// By product; what the garment cannot be is infinitely unlike it.
    pub(super) logits: Vec<f32>,
    /// Of the product by these.
    pub(super) rank: usize,
    /// Its surest sighting, in `video`.
    pub(super) surest: Seen,
    pub(super) video: PathBuf,
}

/// Rows for [`super::sheet::draw`], worst first.
pub(super) fn rows(answers: &[&Answer], products: &[Annotated], root: &Path, classes: &[String]) -> Result<Vec<Row>> {
    let mut wrong: Vec<&Answer> = answers.iter().copied().filter(|answer| answer.rank > 1).collect();
    wrong.sort_by_key(|answer| std::cmp::Reverse(answer.rank));
    let shown = wrong.len().min(ROWS);
    (0..shown).map(|row| draw(wrong[row * wrong.len() / shown], products, root, classes)).collect()
}

fn draw(answer: &Answer, products: &[Annotated], root: &Path, classes: &[String]) -> Result<Row> {
    let seen = &answer.surest;
    let product = |number: usize, place: usize| {
        let product = &products[number];
        let words = format!("{place}: {}", product.id);
        Ok(Cell { picture: read_picture(&root.join(&product.picture))?, words, right: number == answer.own })
    };
    let picture = cut(&look::frame(&answer.video, seen.frame)?, seen.detection.bounds);
    let words = format!("{:.2}: {}", seen.detection.score, label(classes, seen.detection.class));
    let mut row = vec![Cell { picture, words, right: false }, product(answer.own, answer.rank)?];
    for (place, number) in best(&answer.logits).enumerate() {
        row.push(product(number, place + 1)?);
    }
    Ok(row)
}
