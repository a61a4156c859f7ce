//! "Not in our catalogue": the error rates of a threshold on the best match's logit.
//!
//! Each query is searched twice: with its product in the gallery, where a best match below the threshold is a wrong
//! rejection; and without it, where a best match above the threshold is a wrong acceptance.

use super::metrics::Share;

/// Wrong rejection rates at which the curve is sampled; a threshold is chosen among them.
pub const REJECTIONS: [f64; 7] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5];

/// Logits of the best match, a pair per query.
#[derive(Clone, Debug, Default)]
pub struct OpenSet {
    /// With the product in the gallery.
    known: Vec<f32>,
    /// Without it.
    strange: Vec<f32>,
}

/// Error rates of a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    pub logit: f32,
    /// Share of garments in the gallery that are reported as not in it.
    pub wrong_rejections: Share,
    /// Share of garments not in the gallery that are matched with another product.
    pub wrong_acceptances: Share,
}

impl OpenSet {
    /// Adds a query: `logits` per product, and the number of its `own` product. A query whose product is the only one
    /// is left out.
    pub fn add(&mut self, logits: &[f32], own: usize) {
        let best = |with: bool| {
            let counted = logits.iter().enumerate().filter(|(product, _)| with || *product != own);
            counted.map(|(_, logit)| *logit).fold(f32::NEG_INFINITY, f32::max)
        };
        if logits.len() > 1 {
            self.known.push(best(true));
            self.strange.push(best(false));
        }
    }

    pub fn queries(&self) -> usize {
        self.known.len()
    }

    /// Error rates at the threshold `logit`. A match at or above it is accepted.
    pub fn at(&self, logit: f32) -> Rates {
        let share = |values: &[f32], hit: fn(f32, f32) -> bool| {
            Share::new(values.iter().filter(|value| hit(**value, logit)).count() as f64, values.len())
        };
        Rates {
            logit,
            wrong_rejections: share(&self.known, |value, logit| value < logit),
            wrong_acceptances: share(&self.strange, |value, logit| value >= logit),
        }
    }

    /// The highest threshold with at most this share of wrong rejections.
    pub fn threshold(&self, rejections: f64) -> f32 {
        let mut known = self.known.clone();
        known.sort_by(f32::total_cmp);
        let place = (rejections * known.len() as f64) as usize;
        known.get(place.min(known.len().saturating_sub(1))).copied().unwrap_or(0.0)
    }

    /// Error rates at [`REJECTIONS`].
    pub fn curve(&self) -> Vec<Rates> {
        REJECTIONS.iter().map(|rejections| self.at(self.threshold(*rejections))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_equal_those_counted_by_hand() {
        let mut set = OpenSet::default();
        set.add(&[5.0, 1.0, 2.0], 0);
        set.add(&[0.0, 3.0, 1.0], 0);
        set.add(&[-2.0, -1.0, -4.0], 1);
        set.add(&[9.0], 0);
        assert_eq!(set.queries(), 3);
        let rates = set.at(0.5);
        assert_eq!(rates.wrong_rejections, Share::new(1.0, 3));
        assert_eq!(rates.wrong_acceptances, Share::new(2.0, 3));
        assert_eq!(set.at(3.0).wrong_acceptances, Share::new(1.0, 3), "a match at the threshold is accepted");
        assert_eq!((set.threshold(0.0), set.threshold(0.4), set.threshold(1.0)), (-1.0, 3.0, 5.0));
        assert_eq!(OpenSet::default().threshold(0.1), 0.0);
    }

    proptest! {
        #[test]
        fn a_threshold_rejects_at_most_its_share(values in proptest::collection::vec(-9f32..9.0, 2..40), share in 0f64..1.0) {
            let mut set = OpenSet::default();
            values.iter().for_each(|value| set.add(&[*value, f32::NEG_INFINITY], 0));
            prop_assert!(set.at(set.threshold(share)).wrong_rejections.share <= share + 1e-9);
            let curve = set.curve();
            prop_assert!(curve.windows(2).all(|pair| pair[0].logit <= pair[1].logit));
            prop_assert!(curve.windows(2).all(|pair| pair[0].wrong_acceptances.share >= pair[1].wrong_acceptances.share));
        }
    }
}
