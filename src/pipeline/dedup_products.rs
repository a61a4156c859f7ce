//! A person sees a product once. Two tracks may follow one garment: trousers and the part of them beside a pillar. Where both
//! match the same product, the surer one keeps it, and the other is no garment of its own. Two people who wear the same product
//! both see it. A garment that is out of view at this moment is one that is in view elsewhere, if it is the same product: it moved.

use super::same_person::same_person;
use crate::geometry::{Camera, Rect};

/// A garment and the products that it may be shown with.
#[derive(Clone, Debug)]
pub struct RankedProducts<'a> {
    pub bounds: Rect<Camera>,
    /// Whether it was found in the newest frame.
    pub is_seen: bool,
    /// Identifier and logit, best first.
    pub products: Vec<(&'a str, f32)>,
}

/// Which products of each garment are shown, as indices. `None`: the garment is another one seen twice.
pub fn dedup_products(found: &[RankedProducts]) -> Vec<Option<Vec<usize>>> {
    let best = |index: &usize| found[*index].products.first().map_or(f32::NEG_INFINITY, |product| product.1);
    let mut kept: Vec<Option<Vec<usize>>> =
        (0..found.len()).map(|garment| (!has_moved(found, garment)).then(Vec::new)).collect();
    let mut order: Vec<usize> = (0..found.len()).filter(|garment| kept[*garment].is_some()).collect();
    order.sort_by(|a, b| best(b).total_cmp(&best(a)));
    let mut shown: Vec<(usize, &str)> = Vec::new();
    let is_shown = |shown: &[(usize, &str)], garment: usize, product: &str| {
        shown.iter().any(|(other, id)| *id == product && same_person(&found[garment].bounds, &found[*other].bounds))
    };
    // The best of all first: what one garment most likely is must not go to another that is only like it.
    for &garment in &order {
        let Some((product, _)) = found[garment].products.first() else { continue };
        if is_shown(&shown, garment, product) {
            kept[garment] = None;
        } else {
            shown.push((garment, product));
            kept[garment] = Some(vec![0]);
        }
    }
    for &garment in &order {
        let Some(indices) = &mut kept[garment] else { continue };
        for (index, (product, _)) in found[garment].products.iter().enumerate().skip(1) {
            if !is_shown(&shown, garment, product) {
                shown.push((garment, product));
                indices.push(index);
            }
        }
    }
    kept
}

/// Whether a garment that is not seen now is seen elsewhere, to judge by its product.
fn has_moved(found: &[RankedProducts], garment: usize) -> bool {
    let gone = &found[garment];
    let Some((product, _)) = gone.products.first().filter(|_| !gone.is_seen) else { return false };
    let is_it = |other: &RankedProducts| {
        let same_product = other.products.first().is_some_and(|first| first.0 == *product);
        other.is_seen && same_product && !same_person(&gone.bounds, &other.bounds)
    };
    found.iter().any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TROUSERS: Rect<Camera> = Rect::new(100.0, 200.0, 160.0, 400.0);
    /// What a pillar leaves of them.
    const PART: Rect<Camera> = Rect::new(130.0, 210.0, 160.0, 400.0);
    const SHIRT: Rect<Camera> = Rect::new(95.0, 90.0, 165.0, 205.0);
    /// Of somebody close beside.
    const OTHERS: Rect<Camera> = Rect::new(165.0, 200.0, 225.0, 400.0);

    fn found<'a>(bounds: Rect<Camera>, products: &[(&'a str, f32)]) -> RankedProducts<'a> {
        RankedProducts { bounds, is_seen: true, products: products.to_vec() }
    }

    #[test]
    fn a_garment_out_of_view_that_is_seen_elsewhere_has_moved() {
        let jeans = [("jeans", 3.0), ("shorts", 1.0)];
        let left = RankedProducts { is_seen: false, ..found(TROUSERS, &[("jeans", 5.0)]) };
        assert_eq!(dedup_products(&[left.clone(), found(OTHERS, &jeans)]), [None, Some(vec![0, 1])]);
        let of_another = found(OTHERS, &[("shorts", 3.0)]);
        assert_eq!(dedup_products(&[left.clone(), of_another]), [Some(vec![0]), Some(vec![0])]);
        let both = [left.clone(), left];
        assert_eq!(dedup_products(&both), [Some(vec![0]), None], "neither is seen: one of them stays");
    }

    #[test]
    fn the_surer_of_two_tracks_of_one_garment_keeps_the_product() {
        let part = found(PART, &[("jeans", 3.0), ("skirt", 1.0)]);
        let whole = found(TROUSERS, &[("jeans", 4.0), ("shorts", 0.0)]);
        assert_eq!(dedup_products(&[part.clone(), whole.clone()]), [None, Some(vec![0, 1])]);
        assert_eq!(dedup_products(&[whole, part]), [Some(vec![0, 1]), None]);
    }

    #[test]
    fn of_equals_the_more_prominent_keeps_it() {
        let jeans = [("jeans", 3.0)];
        assert_eq!(dedup_products(&[found(PART, &jeans), found(TROUSERS, &jeans)]), [Some(vec![0]), None]);
    }

    #[test]
    fn two_people_both_see_it() {
        let jeans = [("jeans", 3.0)];
        let all = dedup_products(&[found(TROUSERS, &jeans), found(OTHERS, &jeans)]);
        assert_eq!(all, [Some(vec![0]), Some(vec![0])]);
    }

    #[test]
    fn what_a_garment_most_likely_is_goes_to_no_other() {
        let dress = found(SHIRT, &[("dress", 5.0), ("top", 4.0), ("vest", 1.0)]);
        let top = found(TROUSERS, &[("top", 2.0), ("vest", 1.5), ("skirt", 1.0)]);
        assert_eq!(dedup_products(&[dress, top]), [Some(vec![0, 2]), Some(vec![0, 2])]);
    }

    #[test]
    fn a_garment_without_matches_stays() {
        assert_eq!(dedup_products(&[found(SHIRT, &[]), found(PART, &[])]), [Some(vec![]), Some(vec![])]);
        assert!(dedup_products(&[]).is_empty());
    }
}
