//! The products that queries are ranked against, in plain f32: there are few queries, and every product's rank is
//! needed.

use super::metrics::Rank;
use crate::seam::region::may_be;
use crate::seam::{Detection, Embedding, EmbeddingHead, Region, ScoreHead};

/// One picture of a product.
#[derive(Clone, Debug)]
pub struct ReferenceView {
    pub matching: Embedding,
    pub aggregation: Embedding,
}

impl ReferenceView {
    pub fn of(detection: &Detection) -> Self {
        ReferenceView {
            matching: detection.match_embedding.clone(),
            aggregation: detection.aggregation_embedding.clone(),
        }
    }
}

/// All products. Each counts with its best view.
#[derive(Clone, Debug)]
pub struct ReferenceGallery {
    matching: ScoreHead,
    aggregation: ScoreHead,
    products: Vec<(Option<Region>, Vec<ReferenceView>)>,
}

impl ReferenceGallery {
    /// An empty gallery. The heads compare the embeddings.
    pub fn new(matching: ScoreHead, aggregation: ScoreHead) -> Self {
        ReferenceGallery { matching, aggregation, products: Vec::new() }
    }

    /// Adds a product and returns its number. A product without views is never found.
    pub fn add(&mut self, region: Option<Region>, views: Vec<ReferenceView>) -> usize {
        self.products.push((region, views));
        self.products.len() - 1
    }

    pub fn len(&self) -> usize {
        self.products.len()
    }

    pub fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    pub fn region(&self, product: usize) -> Option<Region> {
        self.products[product].0
    }

    pub fn views(&self, product: usize) -> &[ReferenceView] {
        &self.products[product].1
    }

    /// The products that a garment of `region` may be and that have a view.
    pub fn searched(&self, region: Option<Region>) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).filter(move |&product| !self.views(product).is_empty() && may_be(region, self.region(product)))
    }

    /// Logit of each product, by its best view.
    pub fn logits(&self, head: EmbeddingHead, street: &[f32]) -> Vec<f32> {
        let of_view = |view: &ReferenceView| match head {
            EmbeddingHead::Match => self.matching.logit(street, &view.matching),
            EmbeddingHead::Aggregation => self.aggregation.logit(street, &view.aggregation),
        };
        let best = |views: &Vec<ReferenceView>| views.iter().map(of_view).fold(f32::NEG_INFINITY, f32::max);
        self.products.iter().map(|(_, views)| best(views)).collect()
    }

    /// Rank of the product `own` by `values` (higher is better), among the products that match `region`. Ties count
    /// against it: a method that gives all products the same value finds nothing.
    pub fn rank<Value: PartialOrd + Copy>(&self, values: &[Value], own: usize, region: Option<Region>) -> Rank {
        if self.products[own].1.is_empty() || !may_be(region, self.region(own)) {
            return None;
        }
        let before = |product: &usize| *product != own && values[*product] >= values[own];
        Some(1 + self.searched(region).filter(before).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(at: f32) -> ReferenceView {
        ReferenceView { matching: [at].into(), aggregation: [-at].into() }
    }

    #[test]
    fn a_product_counts_by_its_best_view_within_its_region() {
        let head = ScoreHead { weight: vec![-1.0], bias: 0.5 };
        let mut shop = ReferenceGallery::new(head.clone(), head);
        shop.add(Some(Region::Upper), vec![view(9.0), view(1.0)]);
        shop.add(Some(Region::Lower), vec![view(0.5)]);
        shop.add(None, vec![view(2.0)]);
        shop.add(Some(Region::Upper), vec![]);
        shop.add(Some(Region::Upper), vec![view(2.0)]);
        let logits = shop.logits(EmbeddingHead::Match, &[0.0]);
        assert_eq!(logits, [-0.5, 0.25, -3.5, f32::NEG_INFINITY, -3.5]);
        let rank = |own, region| shop.rank(&logits, own, region);
        assert_eq!((rank(1, None), rank(0, None), rank(3, None)), (Some(1), Some(2), None));
        assert_eq!((rank(2, None), rank(4, None)), (Some(4), Some(4)));
        assert_eq!((rank(0, Some(Region::Dress)), rank(1, Some(Region::Dress))), (Some(1), None));
        assert_eq!(shop.logits(EmbeddingHead::Aggregation, &[-2.0])[2], 0.5);
    }
}
