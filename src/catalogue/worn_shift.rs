//! What a product looks like once it was worn: pure arithmetic on descriptors, the same for the index and for its measurement.
//!
//! A picture's descriptor is moved half of the way to the mean of the product's worn views, which takes the picture's place in the
//! search; the mean itself is one more row, for a product whose pictures are of no use. Rows of single worn views were measured and
//! are worse: eight of them win by their number, right or wrong (docs/experiments/enrol.md).

/// How much of a moved picture is its worn views: the share of the way, 0 to 1.
pub const MOVED: f32 = 0.5;

/// The mean of some descriptors of one length; `None` of none.
pub fn mean<'v>(views: impl IntoIterator<Item = &'v [f32]>) -> Option<Vec<f32>> {
    let mut views = views.into_iter();
    let mut sum = views.next()?.to_vec();
    let mut count = 1.0;
    for view in views {
        sum.iter_mut().zip(view).for_each(|(sum, value)| *sum += value);
        count += 1.0;
    }
    sum.iter_mut().for_each(|sum| *sum /= count);
    Some(sum)
}

/// Moves a picture's descriptor towards the mean of worn views.
pub fn move_towards(picture: &mut [f32], mean: &[f32]) {
    picture.iter_mut().zip(mean).for_each(|(value, mean)| *value += MOVED * (mean - *value));
}
