//! Products that the search confuses with one another: those that gain most from an enrolment.

use super::index::Index;
use crate::seam::Region;
use serde::Serialize;

/// The most rows that are searched for: a few seconds of work.
const MOST_ROWS: usize = 4000;

/// A product, and the other product that it is most like.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confusion {
    /// The first variant's id and title.
    pub id: String,
    pub title: String,
    pub other_id: String,
    pub other_title: String,
    /// How well the one matches the other's rows, as the mirror would rank it.
    pub logit: f32,
    /// Whether it was enrolled.
    pub worn: bool,
}

/// The `most` products to be worn next: of those that were not worn yet the ones that are most like another product, then of the others.
/// `index`: of the aggregator's head.
pub fn confusions(index: &Index, most: usize) -> Vec<Confusion> {
    let (gallery, length) = (index.gallery(), index.gallery().embedding());
    let mut found: Vec<Option<Confusion>> = vec![None; index.len()];
    let mut worn = vec![false; index.len()];
    (0..gallery.rows()).filter(|&row| index.is_worn(row)).for_each(|row| worn[gallery.product(row)] = true);
    let rows = gallery.rows();
    let step = rows.div_ceil(MOST_ROWS).max(1);
    for row in (0..rows).step_by(step).filter(|&row| !index.is_worn(row)) {
        let own = gallery.product(row);
        let region: Option<Region> = index.region(own);
        let picture = &gallery.matrix()[row * length..(row + 1) * length];
        let Some(hit) = index.search_in(picture, region, 2).into_iter().find(|hit| hit.product != own) else {
            continue;
        };
        if found[own].as_ref().is_none_or(|known| hit.logit > known.logit) {
            let (product, other) = (index.product(own), index.shown(hit.row));
            found[own] = Some(Confusion {
                id: product.id.clone(),
                title: product.title.clone(),
                other_id: other.id.clone(),
                other_title: other.title.clone(),
                logit: hit.logit,
                worn: worn[own],
            });
        }
    }
    let mut found: Vec<Confusion> = found.into_iter().flatten().collect();
    found.sort_by(|a, b| a.worn.cmp(&b.worn).then(b.logit.total_cmp(&a.logit)));
    found.truncate(most);
    found
}
