//! Multi-level RoIAlign (seam-spec section 4): each box's features on a grid of fixed size, whatever the box's.
//!
//! The pyramid is turned channels-last once, so that all channels of a place are one run of memory; the samples of a bin
//! are merged into one weight for each place that they touch.

use super::settings::{FeatureSettings, RoiSettings};
use crate::geometry::{Network, Rect, Size};
use crate::tensor::Tensor;

/// The feature pyramid of one picture, channels last.
pub struct Pyramid {
    channels: usize,
    first: i32,
    levels: Vec<Level>,
}

struct Level {
    height: usize,
    width: usize,
    /// Feature pixels to one input pixel: a power of two.
    scale: f32,
    data: Vec<f32>,
}

/// The places that one bin reads along one axis, with their weights.
#[derive(Clone, Copy, Default)]
struct Taps {
    places: [(usize, f32); MOST_TAPS],
    count: usize,
}

/// Two neighbours for each of at most four samples.
const MOST_TAPS: usize = 8;

impl Pyramid {
    /// `features`: 1 x channels x h x w, one a level of the manifest's; `input`: the network input's size.
    pub fn new(features: &[Tensor], settings: &FeatureSettings, input: Size) -> Self {
        let levels = features.iter().map(|feature| Level::new(feature, input)).collect();
        Pyramid { channels: settings.channels, first: settings.levels[0], levels }
    }

    /// Which of the pyramid's levels a box is read from.
    pub fn level_of(&self, bounds: &Rect<Network>, settings: &RoiSettings) -> usize {
        let size = (bounds.width() * bounds.height()).sqrt() / settings.canonical_size;
        let level = (settings.canonical_level as f32 + size.log2() + 1e-6).floor();
        let last = self.first + self.levels.len() as i32 - 1;
        (level.clamp(self.first as f32, last as f32) as i32 - self.first) as usize
    }

    /// The features of `boxes`, `count` x side x side x channels; beyond the last box zeros.
    pub fn roi_align(&self, boxes: &[Rect<Network>], side: usize, count: usize, settings: &RoiSettings) -> Tensor {
        let length = side * side * self.channels;
        let mut rois = Tensor::zeros([count, side, side, self.channels]);
        for (bounds, roi) in boxes.iter().zip(rois.data_mut().chunks_exact_mut(length)) {
            self.levels[self.level_of(bounds, settings)].align(bounds, side, self.channels, settings, roi);
        }
        rois
    }
}

impl Level {
    fn new(feature: &Tensor, input: Size) -> Self {
        let [channels, height, width] = [1, 2, 3].map(|axis| feature.shape()[axis]);
        let plane = height * width;
        let mut data = vec![0f32; channels * plane];
        // In blocks of places, so that both sides stay in the cache.
        const BLOCK: usize = 64;
        for start in (0..plane).step_by(BLOCK) {
            let end = (start + BLOCK).min(plane);
            for channel in 0..channels {
                let source = &feature.data()[channel * plane + start..channel * plane + end];
                for (offset, value) in source.iter().enumerate() {
                    data[(start + offset) * channels + channel] = *value;
                }
            }
        }
        let scale = (height as f32 / input.height as f32).log2().round().exp2();
        Level { height, width, scale, data }
    }

    fn align(&self, bounds: &Rect<Network>, side: usize, channels: usize, settings: &RoiSettings, roi: &mut [f32]) {
        let samples = settings.sampling_ratio;
        let columns = axis_taps(bounds.x1 * self.scale, bounds.x2 * self.scale, side, samples, self.width);
        let rows = axis_taps(bounds.y1 * self.scale, bounds.y2 * self.scale, side, samples, self.height);
        for (bin, out) in roi.chunks_exact_mut(channels).enumerate() {
            let (row_taps, column_taps) = (&rows[bin / side], &columns[bin % side]);
            for &(y, y_weight) in &row_taps.places[..row_taps.count] {
                for &(x, x_weight) in &column_taps.places[..column_taps.count] {
                    let weight = y_weight * x_weight;
                    let start = (y * self.width + x) * channels;
                    for (sum, value) in out.iter_mut().zip(&self.data[start..start + channels]) {
                        *sum += weight * value;
                    }
                }
            }
        }
    }
}

/// Merged taps of every bin along one axis: `side` bins from `start` to `end` (feature pixels) of `length` places.
fn axis_taps(start: f32, end: f32, side: usize, samples: usize, length: usize) -> Vec<Taps> {
    let bin = (end - start).max(1.0) / side as f32;
    let share = 1.0 / samples as f32;
    (0..side)
        .map(|place| {
            let mut taps = Taps::default();
            for sample in 0..samples {
                let at = start + place as f32 * bin + (sample as f32 + 0.5) * bin / samples as f32;
                taps.sample(at, share, length);
            }
            taps
        })
        .collect()
}

impl Taps {
    /// Adds a linear sample at `at`; one that lies a whole place outside counts as zero.
    fn sample(&mut self, at: f32, share: f32, length: usize) {
        if at < -1.0 || at > length as f32 {
            return;
        }
        let at = at.max(0.0);
        let low = at as usize;
        if low + 1 >= length {
            self.add(length - 1, share);
        } else {
            let fraction = at - low as f32;
            self.add(low, (1.0 - fraction) * share);
            self.add(low + 1, fraction * share);
        }
    }

    fn add(&mut self, place: usize, weight: f32) {
        for known in &mut self.places[..self.count] {
            if known.0 == place {
                known.1 += weight;
                return;
            }
        }
        self.places[self.count] = (place, weight);
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_of_slopes_is_read_at_the_bins_centres() {
        // Feature value = x + 100 y at stride 8: inside the plane, linear sampling is exact.
        let (height, width) = (20, 30);
        let data = (0..height * width).map(|at| (at % width) as f32 + 100.0 * (at / width) as f32).collect();
        let feature = Tensor::new([1, 1, height, width], data);
        let features = FeatureSettings { channels: 1, levels: vec![3] };
        let pyramid = Pyramid::new(&[feature], &features, Size::new(240, 160));
        let settings = RoiSettings { canonical_size: 224.0, canonical_level: 4, sampling_ratio: 2 };
        let rois = pyramid.roi_align(&[Rect::new(16.0, 24.0, 128.0, 136.0)], 7, 2, &settings);
        for bin in 0..49 {
            let (x, y) = (2.0 + 2.0 * ((bin % 7) as f32 + 0.5), 3.0 + 2.0 * ((bin / 7) as f32 + 0.5));
            assert!((rois.data()[bin] - (x + 100.0 * y)).abs() < 1e-3, "bin {bin}: {}", rois.data()[bin]);
        }
        assert!(rois.data()[49..].iter().all(|value| *value == 0.0));
    }
}
