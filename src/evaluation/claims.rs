//! Measures what a mirror would call likely: how often this is correct for garments that the shop has, and how often
//! garments that it does not have are called likely. The configuration limits the latter (docs/evaluation.md).

use super::metrics::Share;
use super::reference_gallery::ReferenceGallery;
use crate::catalogue::{Calibration, Hit, margin};
use crate::seam::{EmbeddingHead, Region};

/// The rule that calls a match likely, equal to `pipeline::matcher`.
#[derive(Clone, Debug)]
pub struct Claims<'g> {
    gallery: &'g ReferenceGallery,
    calibration: Calibration,
    /// The model's own threshold: below this logit nothing is shown.
    threshold: f32,
}

/// Counts over several garments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClaimCounts {
    /// Garments that the shop has.
    pub known: usize,
    /// Number of these called likely, and how many of those correctly.
    pub likely: usize,
    pub right: usize,
    /// Garments that the shop does not have: foreign ones, and its own ones searched without their product.
    pub strangers: usize,
    /// Number of these called likely.
    pub wrong: usize,
}

impl ClaimCounts {
    /// Share of correct ones among those called likely.
    pub fn rightly(&self) -> Share {
        Share::new(self.right as f64, self.likely)
    }

    /// Share of the shop's garments that are called likely.
    pub fn claimed(&self) -> Share {
        Share::new(self.likely as f64, self.known)
    }

    /// Share of foreign garments that are called likely.
    pub fn of_strangers(&self) -> Share {
        Share::new(self.wrong as f64, self.strangers)
    }
}

impl<'g> Claims<'g> {
    /// Calibrated on the gallery's own pictures; `threshold` is the manifest's, if any.
    pub fn new(gallery: &'g ReferenceGallery, threshold: Option<f32>) -> Self {
        let mut margins: [Vec<f32>; Region::ALL.len()] = Default::default();
        for product in 0..gallery.len() {
            let Some(region) = gallery.region(product) else { continue };
            for view in gallery.views(product) {
                let logits = gallery.logits(EmbeddingHead::Aggregation, &view.aggregation);
                let others = first_two(gallery, &logits, Some(region), Some(product));
                margins[region as usize].extend(margin(others.iter().map(|hit| hit.logit)));
            }
        }
        let calibration = Calibration::from_margins(margins);
        Claims { gallery, calibration, threshold: threshold.unwrap_or(f32::NEG_INFINITY) }
    }

    /// Counts a garment of `region` by its aggregation embedding. `own`: its product; `None`: the shop does not have
    /// it.
    pub fn count(
        &self,
        counts: &mut ClaimCounts,
        street: &[f32],
        region: Option<Region>,
        own: Option<usize>,
        false_accept: f32,
    ) {
        let logits = self.gallery.logits(EmbeddingHead::Aggregation, street);
        let likely = |without| {
            let found = first_two(self.gallery, &logits, region, without);
            let stands_out = margin(found.iter().map(|hit| hit.logit))
                .is_some_and(|wide| self.calibration.is_likely(region, wide, false_accept));
            found.first().filter(|best| stands_out && best.logit >= self.threshold).map(|best| best.product)
        };
        counts.strangers += 1;
        counts.wrong += usize::from(likely(own).is_some());
        if own.is_some() {
            let said = likely(None);
            counts.known += 1;
            counts.likely += usize::from(said.is_some());
            counts.right += usize::from(said.is_some() && said == own);
        }
    }
}

/// The two best products for a garment of `region`, best first, except `without`.
fn first_two(gallery: &ReferenceGallery, logits: &[f32], region: Option<Region>, without: Option<usize>) -> Vec<Hit> {
    let mut best: Vec<Hit> = gallery
        .searched(region)
        .filter(|product| Some(*product) != without)
        .map(|product| Hit { product, row: 0, logit: logits[product] })
        .collect();
    best.sort_by(|a, b| b.logit.total_cmp(&a.logit));
    best.truncate(2);
    best
}

#[cfg(test)]
mod tests {
    use super::super::reference_gallery::ReferenceView;
    use super::*;
    use crate::seam::ScoreHead;

    #[test]
    fn what_stands_out_is_claimed_and_strangers_are_counted_without_their_product() {
        let head = ScoreHead { weight: vec![-1.0], bias: 0.0 };
        let mut shop = ReferenceGallery::new(head.clone(), head);
        let view = |at: f32| ReferenceView { matching: [at].into(), aggregation: [at].into() };
        // A row of trousers at distance one, and one pair far away.
        (0..40).for_each(|at| {
            shop.add(Some(Region::Lower), vec![view(at as f32)]);
        });
        let far = shop.add(Some(Region::Lower), vec![view(100.0)]);
        let claims = Claims::new(&shop, Some(-50.0));
        let count = |at: f32, own| {
            let mut counts = ClaimCounts::default();
            claims.count(&mut counts, &[at], Some(Region::Lower), own, 0.05);
            counts
        };
        let (known, strange) = (count(97.0, Some(far)), count(97.0, None));
        assert_eq!((known.likely, known.right, known.strangers, known.wrong), (1, 1, 1, 0), "{known:?}");
        assert_eq!((strange.known, strange.wrong), (0, 1), "it is not the one that it stands nearest to");
        assert_eq!(count(10.2, Some(10)).likely, 0, "it lies between two");
        assert_eq!(count(85.0, Some(far)).likely, 0, "below the threshold nothing is shown");
        assert_eq!(known.rightly().share, 1.0);
    }
}
