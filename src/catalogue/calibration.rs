//! How well a product must match before the mirror may say "likely": calibrated on the shop's own products.
//!
//! A product's picture that is searched for among all the *other* products is certainly not there: its best logit is what a
//! garment gets that the shop does not sell, here, in this assortment. The share of such strangers that match at least as well
//! as a garment does is its split conformal p-value: (strangers with a logit at least as high + 1) / (strangers + 1). A garment
//! that is in no catalogue then is called likely with a probability of at most the chosen one, as far as worn garments match no
//! better than the shop's own pictures do. Those are taken in one studio and are alike in light and ground, so that they err on the
//! careful side (docs/evaluation.md).

use super::index::Index;
use crate::seam::Region;

/// Pictures that are searched for at most, of a region: the quantile of .05 is then known to within .01.
const MOST_STRANGERS: usize = 500;

/// Best logits of strangers, by the region that was searched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// One list a region, ascending.
    strangers: [Vec<f32>; Region::ALL.len()],
    /// Of all regions, ascending: for a garment whose region is not known, or too rare in this shop.
    all: Vec<f32>,
}

impl Calibration {
    /// Searches for at most 500 pictures of each region, evenly spread over the catalogue, without their own product.
    pub fn of(index: &Index) -> Self {
        let mut calibration = Calibration::default();
        for region in Region::ALL {
            let of_region = |&row: &usize| index.region(index.gallery().product(row)) == Some(region);
            let rows: Vec<usize> = (0..index.gallery().rows()).filter(of_region).collect();
            let strangers = &mut calibration.strangers[region as usize];
            strangers.extend(spread(&rows, MOST_STRANGERS).filter_map(|row| best_other(index, row, region)));
            strangers.sort_by(f32::total_cmp);
            calibration.all.extend_from_slice(strangers);
        }
        calibration.all.sort_by(f32::total_cmp);
        calibration
    }

    /// How many strangers of a region there are.
    pub fn strangers(&self, region: Region) -> usize {
        self.strangers[region as usize].len()
    }

    /// Whether a garment that matches with `logit` may be called likely, where at most `false_accept` of the strangers may be.
    /// Never, where the shop has too few products to tell: fewer than 1 / `false_accept`.
    pub fn is_likely(&self, region: Option<Region>, logit: f32, false_accept: f32) -> bool {
        self.p_value(region, logit, false_accept).is_some_and(|p| p <= false_accept)
    }

    /// The share of strangers that match at least as well, itself counted in; `None` without strangers. Those of the region
    /// where there are enough of them for `false_accept`.
    pub fn p_value(&self, region: Option<Region>, logit: f32, false_accept: f32) -> Option<f32> {
        let strangers = self.of_region(region, false_accept);
        let below = strangers.partition_point(|stranger| *stranger < logit);
        let p = (strangers.len() - below + 1) as f32 / (strangers.len() + 1) as f32;
        (!strangers.is_empty()).then_some(p)
    }

    fn of_region(&self, region: Option<Region>, false_accept: f32) -> &[f32] {
        let of_region = region.map_or(&[][..], |region| &self.strangers[region as usize]);
        // The least p-value that so many strangers can show.
        if 1.0 / (of_region.len() + 1) as f32 <= false_accept { of_region } else { &self.all }
    }
}

/// The best logit of another product for the picture of a row.
fn best_other(index: &Index, row: usize, region: Region) -> Option<f32> {
    let (gallery, length) = (index.gallery(), index.gallery().embedding());
    let picture = &gallery.matrix()[row * length..(row + 1) * length];
    let own = gallery.product(row);
    let best = index.search_in(picture, Some(region), 2).into_iter().find(|hit| hit.product != own);
    best.map(|hit| hit.logit)
}

/// At most `most` of the items, evenly spread.
fn spread(items: &[usize], most: usize) -> impl Iterator<Item = usize> + '_ {
    let count = items.len().min(most);
    (0..count).map(move |place| items[place * items.len() / count])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn calibration(upper: &[f32], lower: &[f32]) -> Calibration {
        let sorted = |values: &[f32]| {
            let mut sorted = values.to_vec();
            sorted.sort_by(f32::total_cmp);
            sorted
        };
        let all = sorted(&[upper, lower].concat());
        Calibration { strangers: [sorted(upper), sorted(lower), Vec::new()], all }
    }

    #[test]
    fn a_p_value_is_the_share_of_strangers_that_match_as_well() {
        let strangers: Vec<f32> = (0..99).map(|value| value as f32).collect();
        let calibration = calibration(&strangers, &[1000.0]);
        let p = |logit| calibration.p_value(Some(Region::Upper), logit, 0.05).unwrap();
        assert_eq!((p(-1.0), p(0.0), p(94.0), p(95.0), p(98.5)), (1.0, 1.0, 0.06, 0.05, 0.01));
        assert!(calibration.is_likely(Some(Region::Upper), 95.0, 0.05));
        assert!(!calibration.is_likely(Some(Region::Upper), 94.0, 0.05));
    }

    #[test]
    fn a_rare_region_is_judged_by_all_and_a_small_shop_never_claims() {
        let strangers: Vec<f32> = (0..99).map(|value| value as f32).collect();
        let of_two = calibration(&strangers, &[1000.0; 7]);
        assert_eq!(of_two.strangers(Region::Lower), 7);
        assert!(!of_two.is_likely(Some(Region::Lower), 500.0, 0.05), "seven of 106 strangers match better");
        assert!(!of_two.is_likely(None, 500.0, 0.05));
        let small = calibration(&[0.0; 18], &[]);
        assert!(!small.is_likely(Some(Region::Upper), 1e6, 0.05), "18 strangers cannot show .05");
        assert!(calibration(&[0.0; 19], &[]).is_likely(Some(Region::Upper), 1e6, 0.05));
        assert!(!Calibration::default().is_likely(None, 1e6, 0.05));
    }

    #[test]
    fn pictures_are_spread_over_the_catalogue() {
        let items: Vec<usize> = (0..10).collect();
        assert_eq!(spread(&items, 4).collect::<Vec<_>>(), [0, 2, 5, 7]);
        assert_eq!(spread(&items[..3], 4).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(&[], 4).count(), 0);
    }

    proptest! {
        // The promise of split conformal prediction: of exchangeable logits at most the chosen share is called likely.
        #[test]
        fn of_exchangeable_strangers_no_more_than_the_chosen_share_is_likely(
            values in prop::collection::vec(-10f32..10.0, 40..120), false_accept in 0.03f32..0.5,
        ) {
            let likely = (0..values.len()).filter(|&left_out| {
                let mut others = values.clone();
                let logit = others.swap_remove(left_out);
                calibration(&others, &[]).is_likely(Some(Region::Upper), logit, false_accept)
            });
            prop_assert!(likely.count() as f32 <= false_accept * values.len() as f32 + 1e-3);
        }
    }
}
