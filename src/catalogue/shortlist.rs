//! The rows that a search must look at twice, and what a row must reach to be one of them.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A lower bound of a product's logit, ordered so that a heap's top is the smallest.
#[derive(PartialEq)]
struct Floor(f64);

impl Eq for Floor {}
impl PartialOrd for Floor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Floor {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.total_cmp(&self.0)
    }
}

/// Rows that may be among the best, and the k best lower bounds, one a product.
#[derive(Default)]
pub(super) struct Shortlist {
    /// Row and upper bound.
    pub candidates: Vec<(usize, f64)>,
    floors: BinaryHeap<Floor>,
}

impl Shortlist {
    /// What a row must reach to matter: the k-th best lower bound of a product, once there are k.
    pub fn floor(&self, k: usize) -> f64 {
        if self.floors.len() < k { f64::NEG_INFINITY } else { self.floors.peek().map_or(f64::NEG_INFINITY, |f| f.0) }
    }

    /// Takes in the lower bound of a product, `None` for none.
    pub fn raise(&mut self, finished: Option<(u32, f64)>, k: usize) {
        if let Some((_, lower)) = finished {
            self.floors.push(Floor(lower));
            if self.floors.len() > k {
                self.floors.pop();
            }
        }
    }

    /// The floor over several lists of different products.
    pub fn common_floor(lists: &[Shortlist], k: usize) -> f64 {
        let mut floors: Vec<f64> = lists.iter().flat_map(|list| list.floors.iter().map(|floor| floor.0)).collect();
        floors.sort_unstable_by(|a, b| b.total_cmp(a));
        floors.get(k - 1).copied().unwrap_or(f64::NEG_INFINITY)
    }
}
