//! How clearly a product must stand out before the mirror may say "likely": calibrated on the shop's own products.
//!
//! How high a worn garment's logit is depends on light, pose and camera more than on whether the product is the right one: on street
//! photographs the logits of right and wrong first products are alike. What tells them apart is the *margin*: the logit
//! of the first product less that of the next one, to which light and pose do the same.
//!
//! A product's picture is searched for among all the *other* products. The right product is certainly not there, so this is the margin
//! of a garment that the shop does not sell, in this very assortment. The share of such strangers that stand out at least as
//! clearly as a garment does is its split conformal p-value: (strangers with a margin at least as wide + 1) / (strangers + 1). A
//! garment that is in no catalogue then is called likely with a probability of at most the chosen one, as far as worn
//! garments stand out as pictures do: measured in docs/evaluation.md.
//!
//! Where staff confirmed that an answer was wrong, its margin is one more stranger's, of a real garment before this mirror. Staff
//! tells of what strikes it, so these may be wider than most: then less is called likely, never more.

use super::index::Index;
use crate::seam::Region;

/// The most pictures of a region that are searched for: the quantile of .05 is then known to within .01.
const MOST_STRANGERS: usize = 500;

/// Margins of strangers, by the region that was searched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calibration {
    /// Of the shop's pictures, one list a region.
    pictures: [Vec<f32>; Region::ALL.len()],
    /// These and what staff confirmed, ascending.
    strangers: [Vec<f32>; Region::ALL.len()],
    /// Of all regions, ascending: for a garment whose region is not known, or too rare in this shop.
    all: Vec<f32>,
}

impl Calibration {
    /// Searches for at most 500 pictures of each region, evenly spread over the catalogue, without their own product.
    pub fn of(index: &Index) -> Self {
        let mut strangers: [Vec<f32>; Region::ALL.len()] = Default::default();
        for region in Region::ALL {
            let of_region = |&row: &usize| {
                // Worn views of one product are nearly alike: they would count as many strangers.
                !index.is_worn(row) && index.region(index.gallery().product(row)) == Some(region)
            };
            let rows: Vec<usize> = (0..index.gallery().rows()).filter(of_region).collect();
            let margins = spread(&rows, MOST_STRANGERS).filter_map(|row| margin_of_others(index, row, region));
            strangers[region as usize].extend(margins);
        }
        Calibration::from_margins(strangers)
    }

    /// The same with the margins of wrong answers that staff confirmed, in place of those that were taken in before. They are few beside
    /// the pictures, but are of people.
    pub fn with_confirmed(self, confirmed: &[Vec<f32>; Region::ALL.len()]) -> Self {
        let mut strangers = self.pictures.clone();
        for (strangers, confirmed) in strangers.iter_mut().zip(confirmed) {
            strangers.extend(confirmed);
            strangers.sort_by(f32::total_cmp);
        }
        let mut all = strangers.concat();
        all.sort_by(f32::total_cmp);
        Calibration { strangers, all, ..self }
    }

    /// How many strangers of a region there are.
    pub fn strangers(&self, region: Region) -> usize {
        self.strangers[region as usize].len()
    }

    /// Whether a garment whose first product stands out by `margin` may be called likely, where at most `false_accept` of the
    /// strangers may be.
    /// Never, where the shop has too few products to tell: fewer than 1 / `false_accept`.
    pub fn is_likely(&self, region: Option<Region>, margin: f32, false_accept: f32) -> bool {
        self.p_value(region, margin, false_accept).is_some_and(|p| p <= false_accept)
    }

    /// The share of strangers that stand out at least as clearly, itself counted in; `None` without strangers. Those of the region
    /// where there are enough of them for `false_accept`.
    pub fn p_value(&self, region: Option<Region>, margin: f32, false_accept: f32) -> Option<f32> {
        let strangers = self.of_region(region, false_accept);
        let below = strangers.partition_point(|stranger| *stranger < margin);
        let p = (strangers.len() - below + 1) as f32 / (strangers.len() + 1) as f32;
        (!strangers.is_empty()).then_some(p)
    }

    /// The margins of the pictures of each region, to be kept.
    pub(super) fn margins(&self) -> &[Vec<f32>; Region::ALL.len()] {
        &self.pictures
    }

    /// From margins of the shop's pictures by region, in any order.
    pub fn from_margins(pictures: [Vec<f32>; Region::ALL.len()]) -> Self {
        Calibration { pictures, ..Calibration::default() }.with_confirmed(&Default::default())
    }

    fn of_region(&self, region: Option<Region>, false_accept: f32) -> &[f32] {
        let of_region = region.map_or(&[][..], |region| &self.strangers[region as usize]);
        // The least p-value that so many strangers can show.
        if 1.0 / (of_region.len() + 1) as f32 <= false_accept { of_region } else { &self.all }
    }
}

/// The first product's logit less that of the next one; `logits`: of products, best first. `None`: there is no other to stand out from.
pub fn margin(logits: impl IntoIterator<Item = f32>) -> Option<f32> {
    let mut logits = logits.into_iter();
    Some(logits.next()? - logits.next()?)
}

/// The margin of the picture of a row among the products that it does not show.
fn margin_of_others(index: &Index, row: usize, region: Region) -> Option<f32> {
    let (gallery, length) = (index.gallery(), index.gallery().embedding());
    let picture = &gallery.matrix()[row * length..(row + 1) * length];
    let own = gallery.product(row);
    let others = index.search_in(picture, Some(region), 3).into_iter().filter(|hit| hit.product != own);
    margin(others.map(|hit| hit.logit))
}

/// At most `most` of the items, evenly spread.
fn spread(items: &[usize], most: usize) -> impl Iterator<Item = usize> + '_ {
    let count = items.len().min(most);
    (0..count).map(move |place| items[place * items.len() / count])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::gallery::Gallery;
    use proptest::prelude::*;

    fn calibration(upper: &[f32], lower: &[f32]) -> Calibration {
        Calibration::from_margins([upper.to_vec(), lower.to_vec(), Vec::new()])
    }

    #[test]
    fn a_product_stands_out_from_the_next_one() {
        assert_eq!(margin([1.5, -0.5, -9.0]), Some(2.0));
        assert_eq!((margin([1.5]), margin([])), (None, None), "alone it stands out from nothing");
    }

    #[test]
    fn pictures_are_strangers_to_all_other_products() {
        // Three products on a line at 0, 1 and 5, the last with a second picture at 5.5.
        let gallery = Gallery::new(&[-1.0], 0.0, vec![0.0, 1.0, 5.0, 5.5], vec![0, 1, 2, 2]);
        let index = Index::of_gallery(gallery, Region::Lower);
        let calibration = Calibration::of(&index);
        // 0: others at 1 and 25; 1: at 1 and 16; 5: at 16 and 25; 5.5: at 20.25 and 30.25.
        assert_eq!(calibration.strangers, [vec![], vec![9.0, 10.0, 15.0, 24.0], vec![]]);
        assert_eq!(calibration.all, calibration.strangers[1]);
    }

    #[test]
    fn a_p_value_is_the_share_of_strangers_that_match_as_well() {
        let strangers: Vec<f32> = (0..99).map(|value| value as f32).collect();
        let calibration = calibration(&strangers, &[1000.0]);
        let p = |margin| calibration.p_value(Some(Region::Upper), margin, 0.05).unwrap();
        assert_eq!((p(-1.0), p(0.0), p(94.0), p(95.0), p(98.5)), (1.0, 1.0, 0.06, 0.05, 0.01));
        assert!(calibration.is_likely(Some(Region::Upper), 95.0, 0.05));
        assert!(!calibration.is_likely(Some(Region::Upper), 94.0, 0.05));
    }

    #[test]
    fn a_rare_region_is_judged_by_all_and_a_small_shop_never_claims() {
        let strangers: Vec<f32> = (0..99).map(|value| value as f32).collect();
        let of_two = calibration(&strangers, &[1000.0; 7]);
        assert_eq!(of_two.strangers(Region::Lower), 7);
        assert!(!of_two.is_likely(Some(Region::Lower), 500.0, 0.05), "seven of 106 strangers stand out better");
        assert!(!of_two.is_likely(None, 500.0, 0.05));
        let small = calibration(&[0.0; 18], &[]);
        assert!(!small.is_likely(Some(Region::Upper), 1e6, 0.05), "18 strangers cannot show .05");
        assert!(calibration(&[0.0; 19], &[]).is_likely(Some(Region::Upper), 1e6, 0.05));
        assert!(!Calibration::default().is_likely(None, 1e6, 0.05));
    }

    #[test]
    fn wrong_answers_that_staff_confirmed_are_strangers_too() {
        let pictures: Vec<f32> = (0..99).map(|value| value as f32).collect();
        let before = calibration(&pictures, &[]);
        assert!(before.is_likely(Some(Region::Upper), 95.0, 0.05));
        let after = before.clone().with_confirmed(&[vec![200.0, 150.0], vec![], vec![]]);
        // (4 + 2 + 1) / (101 + 1), and of all as many.
        assert_eq!(after.p_value(Some(Region::Upper), 95.0, 0.05), Some(7.0 / 102.0));
        assert_eq!(after.p_value(None, 95.0, 0.05), Some(7.0 / 102.0));
        assert!(!after.is_likely(Some(Region::Upper), 95.0, 0.05));
        assert_eq!(after.margins(), before.margins(), "what is kept is of the pictures");
        assert_eq!(after.with_confirmed(&Default::default()), before, "they are counted once");
    }

    #[test]
    fn pictures_are_spread_over_the_catalogue() {
        let items: Vec<usize> = (0..10).collect();
        assert_eq!(spread(&items, 4).collect::<Vec<_>>(), [0, 2, 5, 7]);
        assert_eq!(spread(&items[..3], 4).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(&[], 4).count(), 0);
    }

    proptest! {
        // The promise of split conformal prediction: of exchangeable margins at most the chosen share is called likely.
        #[test]
        fn of_exchangeable_strangers_no_more_than_the_chosen_share_is_likely(
            values in prop::collection::vec(-10f32..10.0, 40..120), false_accept in 0.03f32..0.5,
        ) {
            let likely = (0..values.len()).filter(|&left_out| {
                let mut others = values.clone();
                let margin = others.swap_remove(left_out);
                calibration(&others, &[]).is_likely(Some(Region::Upper), margin, false_accept)
            });
            prop_assert!(likely.count() as f32 <= false_accept * values.len() as f32 + 1e-3);
        }
    }
}
