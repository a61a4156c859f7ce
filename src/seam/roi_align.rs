//! Multi-level RoIAlign (docs/seam.md §4): the features of each box on a grid of fixed size.
//!
//! Maps are read in the trunk's layout, blocked or channels last: in both, the channels of a place are contiguous. The
//! samples of a bin are merged into one weight per place.

use super::settings::{FeatureSettings, RoiSettings};
use crate::geometry::{Network, Rect, Size};
use crate::tensor::Tensor;
use std::borrow::Cow;
use vetrina_kernels::{Buffer, LANES, Level, Map, RowPlaces, Rows, blocked_to_last};

/// Memory layout of a feature map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapLayout {
    /// height x width x channels
    Last,
    /// Blocks of 16 channels x height x width x 16, the last block padded.
    Blocked,
}

/// One level of a feature pyramid.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureMap {
    channels: usize,
    height: usize,
    width: usize,
    layout: MapLayout,
    data: Vec<f32>,
}

impl FeatureMap {
    /// # Panics
    /// If the length of `data` does not match: an error of the caller.
    pub fn new([channels, height, width]: [usize; 3], layout: MapLayout, data: Vec<f32>) -> Self {
        let stored = if layout == MapLayout::Blocked { channels.next_multiple_of(LANES) } else { channels };
        assert_eq!(data.len(), stored * height * width, "a map's data fills {channels} x {height} x {width}");
        FeatureMap { channels, height, width, layout, data }
    }

    /// 1 x channels x height x width.
    pub fn shape(&self) -> [usize; 4] {
        [1, self.channels, self.height, self.width]
    }

    /// The map with other channels: each place times the matrix of `mix`.
    fn mixed(&self, mix: &Rows) -> Self {
        let (places, [_, channels]) = (self.height * self.width, mix.shape());
        let mut last = Cow::from(&self.data);
        if self.layout == MapLayout::Blocked {
            let mut turned = vec![0.0; places * self.channels];
            blocked_to_last(self.channels, places, self.data.as_chunks().0, self.channels, 0, &mut turned);
            last = turned.into();
        }
        let mut data = vec![0.0; places * channels];
        mix.run(&last, RowPlaces::DENSE, places, false, &mut Buffer::default(), &mut data);
        FeatureMap { channels, layout: MapLayout::Last, data, ..*self }
    }

    fn map(&self) -> Map<'_> {
        let blocked = self.layout == MapLayout::Blocked;
        Map { data: &self.data, channels: self.channels, places: self.height * self.width, blocked }
    }
}

/// From 1 x channels x height x width.
impl From<&Tensor> for FeatureMap {
    fn from(tensor: &Tensor) -> Self {
        let size = [1, 2, 3].map(|axis| tensor.shape()[axis]);
        FeatureMap::new(size, MapLayout::Last, channels_last(tensor))
    }
}

/// Sizes of a feature pyramid's levels: select the level of a box and its position there.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels {
    first: i32,
    sizes: Vec<LevelSize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct LevelSize {
    height: usize,
    width: usize,
    /// Ratio of feature pixels to input pixels: a power of two.
    scale: f32,
}

/// The bins of a RoI: everything needed to read its features.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoiGrid {
    /// Index of the pyramid level.
    pub level: usize,
    /// Upper left corner and size of one bin, in pixels of that level.
    pub x: f32,
    pub y: f32,
    pub bin_width: f32,
    pub bin_height: f32,
}

impl Levels {
    /// `grids`: height and width of each level in the manifest; `input`: size of the network input.
    pub fn new(grids: impl IntoIterator<Item = [usize; 2]>, settings: &FeatureSettings, input: Size) -> Self {
        let size = |[height, width]: [usize; 2]| {
            let scale = (height as f32 / input.height as f32).log2().round().exp2();
            LevelSize { height, width, scale }
        };
        Levels { first: settings.levels[0], sizes: grids.into_iter().map(size).collect() }
    }

    /// The `side` x `side` bins of a box.
    pub fn grid(&self, bounds: &Rect<Network>, side: usize, settings: &RoiSettings) -> RoiGrid {
        let level = self.level_of(bounds, settings);
        let scale = self.sizes[level].scale;
        let bin = |start: f32, end: f32| (end * scale - start * scale).max(1.0) / side as f32;
        RoiGrid {
            level,
            x: bounds.x1 * scale,
            y: bounds.y1 * scale,
            bin_width: bin(bounds.x1, bounds.x2),
            bin_height: bin(bounds.y1, bounds.y2),
        }
    }

    /// Index of the level from which a box is read.
    fn level_of(&self, bounds: &Rect<Network>, settings: &RoiSettings) -> usize {
        let size = (bounds.width() * bounds.height()).sqrt() / settings.canonical_size;
        let level = (settings.canonical_level as f32 + size.log2() + 1e-6).floor();
        let last = self.first + self.sizes.len() as i32 - 1;
        (level.clamp(self.first as f32, last as f32) as i32 - self.first) as usize
    }
}

/// The feature pyramid of one picture.
pub struct Pyramid {
    channels: usize,
    levels: Levels,
    maps: Vec<FeatureMap>,
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
    /// `maps`: one per level in the manifest; `input`: size of the network input.
    pub fn new(maps: Vec<FeatureMap>, settings: &FeatureSettings, input: Size) -> Self {
        let levels = Levels::new(maps.iter().map(|map| [map.height, map.width]), settings, input);
        Pyramid { channels: settings.channels, levels, maps }
    }

    /// Places of all levels.
    pub fn places(&self) -> usize {
        self.maps.iter().map(|map| map.height * map.width).sum()
    }

    /// The pyramid with other channels: each place times the matrix of `mix`, which takes as many as there are. RoIAlign of it
    /// gives what the product of RoIAlign with the matrix would, up to rounding.
    pub fn mixed(&self, mix: &Rows) -> Self {
        let maps = self.maps.iter().map(|map| map.mixed(mix)).collect();
        Pyramid { channels: mix.shape()[1], levels: self.levels.clone(), maps }
    }

    /// Features of `boxes`: boxes x side x side x channels.
    pub fn roi_align(&self, boxes: &[Rect<Network>], side: usize, settings: &RoiSettings) -> Tensor {
        let length = side * side * self.channels;
        let mut rois = Tensor::zeros([boxes.len(), side, side, self.channels]);
        for (bounds, roi) in boxes.iter().zip(rois.data_mut().chunks_exact_mut(length)) {
            self.align(&self.levels.grid(bounds, side, settings), side, settings.sampling_ratio, roi);
        }
        rois
    }

    fn align(&self, grid: &RoiGrid, side: usize, samples: usize, roi: &mut [f32]) {
        let (LevelSize { height, width, .. }, map) = (self.levels.sizes[grid.level], self.maps[grid.level].map());
        let columns = axis_taps(grid.x, grid.bin_width, side, samples, width);
        let rows = axis_taps(grid.y, grid.bin_height, side, samples, height);
        let level = Level::new();
        let mut taps = [(0, 0.0); MOST_TAPS * MOST_TAPS];
        for (bin, out) in roi.chunks_exact_mut(self.channels).enumerate() {
            let (rows, columns) = (&rows[bin / side], &columns[bin % side]);
            let mut count = 0;
            for &(y, y_weight) in &rows.places[..rows.count] {
                for &(x, x_weight) in &columns.places[..columns.count] {
                    taps[count] = (y * width + x, y_weight * x_weight);
                    count += 1;
                }
            }
            map.weighted_sum(level, &taps[..count], out);
        }
    }
}

/// 1 x channels x h x w to h x w x channels.
fn channels_last(feature: &Tensor) -> Vec<f32> {
    let [channels, height, width] = [1, 2, 3].map(|axis| feature.shape()[axis]);
    let plane = height * width;
    let mut data = vec![0f32; channels * plane];
    // In blocks of places, so that source and destination stay in the cache.
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
    data
}

/// Merged taps of `side` bins along one axis: bins of `bin` feature pixels from `start` on, in a map of `length`
/// places.
fn axis_taps(start: f32, bin: f32, side: usize, samples: usize, length: usize) -> Vec<Taps> {
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
    /// Adds a linear sample at `at`; zero if more than one place outside the map.
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
    fn a_linear_ramp_is_sampled_at_the_bin_centres() {
        // Feature value = x + 100 y at stride 8: bilinear sampling is exact inside.
        let (height, width) = (20, 30);
        let data = (0..height * width).map(|at| (at % width) as f32 + 100.0 * (at / width) as f32).collect();
        let feature = Tensor::new([1, 1, height, width], data);
        let features = FeatureSettings { channels: 1, levels: vec![3] };
        let pyramid = Pyramid::new(vec![FeatureMap::from(&feature)], &features, Size::new(240, 160));
        let settings = RoiSettings { canonical_size: 224.0, canonical_level: 4, sampling_ratio: 2 };
        let rois = pyramid.roi_align(&[Rect::new(16.0, 24.0, 128.0, 136.0)], 7, &settings);
        assert_eq!(rois.shape(), [1, 7, 7, 1]);
        for bin in 0..49 {
            let (x, y) = (2.0 + 2.0 * ((bin % 7) as f32 + 0.5), 3.0 + 2.0 * ((bin / 7) as f32 + 0.5));
            assert!((rois.data()[bin] - (x + 100.0 * y)).abs() < 1e-3, "bin {bin}: {}", rois.data()[bin]);
        }
    }
}
