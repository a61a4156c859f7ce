//! Whether an enrolment shows its product: a wrong one spoils the search for it, and for the product that was worn.

use crate::catalogue::WornProduct;
use crate::pipeline::matcher::Matcher;
use std::collections::BTreeMap;

/// A view shows its product if that is among so many of the nearest.
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
        let is_own = |id: &str| id == product.id;
        if !found.iter().any(|found| found.variants.iter().any(|variant| is_own(&variant.product.id))) {
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
