//! SEAM and the published baselines: from a track to the rank of its product (docs/seam.md §9).

use super::metrics::Rank;
use super::record::FrameDetection;
use super::reference_gallery::ReferenceGallery;
use crate::fault::Result;
use crate::seam::{Embedding, EmbeddingHead, Region};

/// How the frames of a garment are used for the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One embedding of all frames, from the aggregator.
    Seam,
    /// Each frame separately; the query counts with their mean.
    SingleFrame,
    /// The frame that ranks best: an upper bound, since it is unknown which frame that is.
    BestFrame,
    /// The mean of the frames' embeddings.
    AverageDescriptor,
    /// The mean of the frames' scores per product.
    AverageScore,
    /// The maximum of the frames' scores per product.
    MaximumScore,
    /// The frame with the highest detection score.
    MostConfident,
}

impl Method {
    /// All methods, in the order of a report.
    pub const ALL: [Method; 7] = [
        Method::Seam,
        Method::SingleFrame,
        Method::BestFrame,
        Method::AverageDescriptor,
        Method::AverageScore,
        Method::MaximumScore,
        Method::MostConfident,
    ];

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Method::Seam => "SEAM",
            Method::SingleFrame => "single frame",
            Method::BestFrame => "best frame (bound)",
            Method::AverageDescriptor => "average descriptor",
            Method::AverageScore => "average score",
            Method::MaximumScore => "maximum score",
            Method::MostConfident => "most confident frame",
        }
    }
}

/// Fuses a window of aggregation embeddings into one.
pub type Aggregate<'a> = dyn FnMut(&[Embedding]) -> Result<Embedding> + 'a;

/// Ranks of the product `own`: one per frame for [`Method::SingleFrame`], otherwise one; none for an empty track.
pub type Ranks = [Vec<Rank>; Method::ALL.len()];

/// Ranks of the product `own` by every method, among the products that match `region`.
pub fn ranks(
    track: &[FrameDetection],
    own: usize,
    gallery: &ReferenceGallery,
    region: Option<Region>,
    aggregate: &mut Aggregate,
) -> Result<Ranks> {
    if track.is_empty() {
        return Ok(Default::default());
    }
    let frames: Vec<Vec<f32>> =
        track.iter().map(|seen| gallery.logits(EmbeddingHead::Match, &seen.detection.match_embedding)).collect();
    let single: Vec<Rank> = frames.iter().map(|logits| gallery.rank(logits, own, region)).collect();
    let best = single.iter().copied().flatten().min();
    let confident =
        (0..track.len()).max_by(|&a, &b| track[a].detection.score.total_cmp(&track[b].detection.score).then(b.cmp(&a)));
    let average = gallery.logits(EmbeddingHead::Match, &mean(track));
    let scores: Vec<f64> =
        (0..gallery.len()).map(|item| mean_score(frames.iter().map(|logits| logits[item]))).collect();
    let maximum: Vec<f32> = (0..gallery.len())
        .map(|item| frames.iter().map(|logits| logits[item]).fold(f32::NEG_INFINITY, f32::max))
        .collect();
    let seam = seam_rank(track, own, gallery, region, aggregate)?;
    Ok(Method::ALL.map(|method| match method {
        Method::Seam => vec![seam],
        Method::SingleFrame => single.clone(),
        Method::BestFrame => vec![best],
        Method::AverageDescriptor => vec![gallery.rank(&average, own, region)],
        Method::AverageScore => vec![gallery.rank(&scores, own, region)],
        Method::MaximumScore => vec![gallery.rank(&maximum, own, region)],
        Method::MostConfident => vec![confident.and_then(|frame| single[frame])],
    }))
}

/// Rank by the aggregated embedding only.
pub fn seam_rank(
    track: &[FrameDetection],
    own: usize,
    gallery: &ReferenceGallery,
    region: Option<Region>,
    aggregate: &mut Aggregate,
) -> Result<Rank> {
    Ok(gallery.rank(&seam_logits(track, gallery, aggregate)?, own, region))
}

/// Logit of each product by the aggregated embedding.
pub fn seam_logits(
    track: &[FrameDetection],
    gallery: &ReferenceGallery,
    aggregate: &mut Aggregate,
) -> Result<Vec<f32>> {
    let window: Vec<Embedding> = track.iter().map(|seen| seen.detection.aggregation_embedding.clone()).collect();
    let query = aggregate(&window)?;
    Ok(gallery.logits(EmbeddingHead::Aggregation, &query))
}

/// Rank by the mean of the match embeddings only.
pub fn average_rank(track: &[FrameDetection], own: usize, gallery: &ReferenceGallery, region: Option<Region>) -> Rank {
    gallery.rank(&gallery.logits(EmbeddingHead::Match, &mean(track)), own, region)
}

/// Mean of the match embeddings.
fn mean(track: &[FrameDetection]) -> Vec<f32> {
    let mut sum = vec![0f32; track.first().map_or(0, |seen| seen.detection.match_embedding.len())];
    for seen in track {
        sum.iter_mut().zip(seen.detection.match_embedding.iter()).for_each(|(sum, value)| *sum += value);
    }
    sum.iter_mut().for_each(|sum| *sum /= track.len() as f32);
    sum
}

/// Mean of the published scores, in f64: in f32 they saturate and products become equal.
fn mean_score(logits: impl ExactSizeIterator<Item = f32>) -> f64 {
    let count = logits.len() as f64;
    logits.map(|logit| 1.0 / (1.0 + (-f64::from(logit)).exp())).sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::reference_gallery::ReferenceView;
    use crate::geometry::Rect;
    use crate::seam::{Detection, ScoreHead};

    /// Products at positions 0, 10, 20, ...; the nearest is the best.
    fn gallery(products: usize) -> ReferenceGallery {
        let head = ScoreHead { weight: vec![-0.01], bias: 1.0 };
        let mut gallery = ReferenceGallery::new(head.clone(), head);
        for product in 0..products {
            let at: Embedding = [10.0 * product as f32].into();
            gallery.add(None, vec![ReferenceView { matching: at.clone(), aggregation: at }]);
        }
        gallery
    }

    fn track(places: &[(f32, f32)]) -> Vec<FrameDetection> {
        let seen = |(frame, (at, score)): (usize, &(f32, f32))| FrameDetection {
            frame: frame as u64,
            detection: Detection {
                bounds: Rect::new(0.0, 0.0, 1.0, 1.0),
                class: 0,
                score: *score,
                match_embedding: [*at].into(),
                aggregation_embedding: [*at].into(),
            },
            substitute: false,
        };
        places.iter().enumerate().map(seen).collect()
    }

    fn first(window: &[Embedding]) -> Result<Embedding> {
        Ok(window[0].clone())
    }

    #[test]
    fn every_method_gives_the_rank_computed_by_hand() {
        // The product is at 20. Frames at 21 (rank 1), 4 (rank 3: 0 and 10 are nearer) and 26 (rank 2: 30 is nearer).
        let track = track(&[(21.0, 0.5), (4.0, 0.9), (26.0, 0.6)]);
        let ranks = ranks(&track, 2, &gallery(6), None, &mut first).unwrap();
        let expected: [&[Rank]; 7] = [
            &[Some(1)],
            &[Some(1), Some(3), Some(2)],
            &[Some(1)],
            // The mean is at 17.
            &[Some(1)],
            &[Some(1)],
            // Highest logits: product 2 by the first frame, distance 1; none is nearer.
            &[Some(1)],
            &[Some(3)],
        ];
        for ((method, ranks), expected) in Method::ALL.iter().zip(&ranks).zip(expected) {
            assert_eq!(ranks, expected, "{}", method.name());
        }
    }

    #[test]
    fn mean_and_maximum_of_scores_are_not_the_mean_of_descriptors() {
        // Two frames near 0 and 40, one near 10: the mean is at 16.7, next to 20; the best single score is for the
        // product at 40.
        let track = track(&[(1.0, 0.1), (40.0, 0.2), (9.0, 0.3)]);
        let rank = |own: usize, method: Method| {
            let all = ranks(&track, own, &gallery(6), None, &mut first).unwrap();
            all[Method::ALL.iter().position(|other| *other == method).unwrap()][0]
        };
        assert_eq!(rank(2, Method::AverageDescriptor), Some(1));
        assert_eq!(rank(4, Method::MaximumScore), Some(1));
        assert_eq!(rank(1, Method::MostConfident), Some(1));
        assert_eq!(average_rank(&track, 2, &gallery(6), None), Some(1));
        assert!(ranks(&[], 2, &gallery(6), None, &mut first).unwrap().iter().all(Vec::is_empty));
    }
}
