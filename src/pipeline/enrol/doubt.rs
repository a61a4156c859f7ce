//! Whether an enrolment shows its product: a wrong one spoils the search for it, and for the product that was worn.

use crate::catalogue::WornProduct;
use crate::pipeline::matcher::{Matcher, Verdict};
use std::collections::BTreeMap;

/// A view shows its product if that is among so many of the nearest, as far as the mirror would show them.
const NEAREST: usize = 5;

/// What the shop's pictures say against each of these products, for people: most of its views look like others. Empty where nothing does.
/// It is a doubt, not a proof: a product may look unlike its pictures, which is why it is enrolled.
pub fn doubts(matcher: &Matcher, products: &[WornProduct]) -> Vec<String> {
    products.iter().filter_map(|product| doubt(matcher, product)).collect()
}

fn doubt(matcher: &Matcher, product: &WornProduct) -> Option<String> {
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for view in &product.views {
        let found = matcher.search_for(&view.aggregation_embedding, view.class, NEAREST);
        let mut like = found.iter().filter(|found| found.verdict != Verdict::None);
        if !like.any(|found| found.variants.iter().any(|variant| variant.product.id == product.id)) {
            let nearest = found.first().map(|found| found.product.id.clone());
            *others.entry(nearest.unwrap_or_default()).or_default() += 1;
        }
    }
    let unlike: usize = others.values().sum();
    let nearest = others.into_iter().max_by_key(|(_, views)| *views).map(|(id, _)| id).filter(|id| !id.is_empty());
    (2 * unlike > product.views.len()).then(|| {
        let nearest = nearest.map_or(String::new(), |id| format!(", most often {id}"));
        format!(
            "{unlike} of {} views look more like other products than like {}{nearest}; if {} was not worn, undo the enrolment",
            product.views.len(),
            product.id,
            product.id
        )
    })
}
