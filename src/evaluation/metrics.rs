//! Shares of queries with 95 % intervals, and tallies of ranks.

use serde::Serialize;

/// The values of k for all top-k figures.
pub const CUTS: [usize; 4] = [1, 5, 10, 20];

/// 97.5th percentile of the normal distribution: two-sided 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// A share with its Wilson interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// 0 to 1; 0 if there are no queries.
    pub share: f64,
    /// Lower bound of the 95 % interval.
    pub low: f64,
    pub high: f64,
    /// The number of queries.
    pub of: usize,
}

impl Share {
    /// `hits` may be fractional: a query searched frame by frame counts with the share of its frames that hit.
    pub fn new(hits: f64, of: usize) -> Self {
        if of == 0 {
            return Share { share: 0.0, low: 0.0, high: 1.0, of };
        }
        let n = of as f64;
        let share = hits / n;
        let centre = share + Z * Z / (2.0 * n);
        let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).max(0.0).sqrt();
        let scale = 1.0 + Z * Z / n;
        let (low, high) = ((centre - spread) / scale, (centre + spread) / scale);
        Share { share, low: low.clamp(0.0, share), high: high.clamp(share, 1.0), of }
    }
}

/// Rank of the correct product: 1 is first; `None`: not found.
pub type Rank = Option<usize>;

/// Ranks of many queries for one method.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    queries: Vec<Vec<Rank>>,
}

impl Tally {
    /// Adds a query with one rank, or with one rank per frame: then it counts with the mean over its frames. An empty
    /// one is a miss.
    pub fn add(&mut self, ranks: &[Rank]) {
        self.queries.push(if ranks.is_empty() { vec![None] } else { ranks.to_vec() });
    }

    pub fn queries(&self) -> usize {
        self.queries.len()
    }

    /// Share of queries whose product is among the first k.
    pub fn top(&self, k: usize) -> Share {
        Share::new(self.queries.iter().map(|ranks| within(ranks, k)).sum(), self.queries.len())
    }

    /// Difference of the top-k share from `other`'s on the same queries, with its 95 % interval: low, difference, high.
    /// Both methods fail on the same queries, so the paired interval is narrower than two separate ones.
    ///
    /// # Panics
    /// If `other` has another number of queries.
    pub fn lead(&self, other: &Tally, k: usize) -> [f64; 3] {
        assert_eq!(self.queries(), other.queries(), "two methods on the same queries");
        let apart: Vec<f64> =
            self.queries.iter().zip(&other.queries).map(|(a, b)| within(a, k) - within(b, k)).collect();
        let n = apart.len().max(1) as f64;
        let mean = apart.iter().sum::<f64>() / n;
        let variance = apart.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        let spread = Z * (variance / n).sqrt();
        [mean - spread, mean, mean + spread]
    }

    /// Shares for [`CUTS`].
    pub fn cuts(&self) -> [Share; 4] {
        CUTS.map(|k| self.top(k))
    }

    /// Median rank; `None` if half of the queries do not find their product.
    pub fn median(&self) -> Option<usize> {
        let mut ranks: Vec<usize> = self.queries.iter().flatten().map(|rank| rank.unwrap_or(usize::MAX)).collect();
        ranks.sort_unstable();
        ranks.get(ranks.len().saturating_sub(1) / 2).copied().filter(|rank| *rank != usize::MAX)
    }
}

/// Share of a query's ranks that are among the first k.
fn within(ranks: &[Rank], k: usize) -> f64 {
    ranks.iter().filter(|rank| rank.is_some_and(|rank| rank <= k)).count() as f64 / ranks.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn intervals_are_wilson_intervals() {
        // Computed by hand: 9 of 30, and 0 of 10.
        let some = Share::new(9.0, 30);
        assert!((some.low - 0.1666).abs() < 1e-3 && (some.high - 0.4788).abs() < 1e-3, "{some:?}");
        let none = Share::new(0.0, 10);
        assert!(none.low == 0.0 && (none.high - 0.2775).abs() < 1e-3, "{none:?}");
    }

    #[test]
    fn shares_and_medians_of_a_few_ranks() {
        let mut tally = Tally::default();
        for ranks in [&[Some(1)][..], &[Some(6)], &[None], &[Some(1), Some(30)], &[]] {
            tally.add(ranks);
        }
        assert_eq!(tally.queries(), 5);
        let shares = tally.cuts().map(|share| share.share);
        assert_eq!(shares, [0.3, 0.3, 0.5, 0.5]);
        assert_eq!(tally.median(), Some(6));
        assert_eq!(Tally::default().median(), None);
    }

    #[test]
    fn a_lead_counts_query_by_query() {
        let (mut a, mut b) = (Tally::default(), Tally::default());
        for (first, second) in [(1, 2), (1, 1), (3, 3), (1, 9)] {
            a.add(&[Some(first)]);
            b.add(&[Some(second)]);
        }
        let [low, lead, high] = a.lead(&b, 1);
        // Differences 1, 0, 0, 1: mean .5, variance 1/3, standard error .2887.
        assert!((lead - 0.5).abs() < 1e-9 && (low + 0.0658).abs() < 1e-3 && (high - 1.0658).abs() < 1e-3);
        assert_eq!(a.lead(&a, 1), [0.0; 3]);
    }

    proptest! {
        #[test]
        fn a_share_lies_in_its_interval(hits in 0usize..500, more in 0usize..500) {
            let share = Share::new(hits as f64, hits + more);
            prop_assert!(0.0 <= share.low && share.low <= share.share && share.share <= share.high && share.high <= 1.0);
        }
    }
}
