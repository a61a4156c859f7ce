//! Anchor boxes of the region proposal network (docs/seam.md §3).

use super::settings::AnchorSettings;

/// Anchors of all levels. Within a level they are ordered by y, then x, then ratio.
#[derive(Clone, Debug)]
pub struct Anchors {
    levels: Vec<LevelAnchors>,
}

/// Anchors of one level, computed on demand.
#[derive(Clone, Debug)]
pub struct LevelAnchors {
    /// Corners around the origin, one box per ratio, in whole pixels.
    base: Vec<[f32; 4]>,
    /// (y, x)
    stride: [usize; 2],
}

impl Anchors {
    pub fn new(settings: &AnchorSettings) -> Self {
        let level = |(size, stride): (&f32, &[usize; 2])| LevelAnchors {
            base: settings.ratios.iter().map(|ratio| base(*size, *ratio)).collect(),
            stride: *stride,
        };
        Anchors { levels: settings.sizes.iter().zip(&settings.strides).map(level).collect() }
    }

    pub fn level(&self, level: usize) -> &LevelAnchors {
        &self.levels[level]
    }

    pub fn len(&self) -> usize {
        self.levels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }
}

impl LevelAnchors {
    /// Number of anchors per grid position.
    pub fn ratios(&self) -> usize {
        self.base.len()
    }

    /// Corners of the anchor with ratio index `ratio` at grid position (x, y), in input pixels.
    pub fn at(&self, x: usize, y: usize, ratio: usize) -> [f32; 4] {
        let (dx, dy) = ((x * self.stride[1]) as f32, (y * self.stride[0]) as f32);
        let base = self.base[ratio];
        [base[0] + dx, base[1] + dy, base[2] + dx, base[3] + dy]
    }
}

fn base(size: f32, ratio: f32) -> [f32; 4] {
    let tall = ratio.sqrt();
    let (width, height) = (size * (1.0 / tall), size * tall);
    [-width, -height, width, height].map(|corner| (corner / 2.0).round_ties_even())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_anchors_are_whole_pixels() {
        assert_eq!(base(32.0, 0.5), [-23.0, -11.0, 23.0, 11.0]);
        assert_eq!(base(32.0, 1.0), [-16.0, -16.0, 16.0, 16.0]);
        assert_eq!(base(32.0, 2.0), [-11.0, -23.0, 11.0, 23.0]);
    }
}
