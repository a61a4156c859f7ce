//! Parts of a camera's picture that are blacked out before anything else sees it: a till, a window, a fitting room's door.

use super::{Source, Step};
use crate::fault::Result;
use crate::frame::{Frame, Picture};
use crate::geometry::Size;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Steps of a share: fine enough for one pixel of the largest picture.
const STEPS: f64 = 1e5;

/// A part of the picture: left, top, width and height, each a share of the picture's side, 0 to 1. The picture is the upright one,
/// as the page shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "[f64; 4]", into = "[f64; 4]")]
pub struct MaskRegion([u32; 4]);

impl TryFrom<[f64; 4]> for MaskRegion {
    type Error = String;

    fn try_from(shares: [f64; 4]) -> std::result::Result<Self, String> {
        if shares.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err("left, top, width and height of a masked region lie from 0 to 1".into());
        }
        let [left, top, width, height] = shares;
        if width == 0.0 || height == 0.0 || left + width > 1.0 + 1e-9 || top + height > 1.0 + 1e-9 {
            return Err("a masked region [left, top, width, height] is empty or leaves the picture".into());
        }
        Ok(MaskRegion(shares.map(|share| (share * STEPS).round() as u32)))
    }
}

impl From<MaskRegion> for [f64; 4] {
    fn from(region: MaskRegion) -> [f64; 4] {
        region.0.map(|share| f64::from(share) / STEPS)
    }
}

impl MaskRegion {
    /// The pixels that it covers, those that it touches included: columns and rows, the ends exclusive.
    fn pixels(self, size: Size) -> ([usize; 2], [usize; 2]) {
        let [left, top, width, height] = self.0.map(|share| f64::from(share) / STEPS);
        let span = |start: f64, length: f64, side: usize| {
            // A rounded share must not take in the next pixel.
            let first = (start * side as f64 + 1e-3).floor() as usize;
            let end = ((start + length) * side as f64 - 1e-3).ceil() as usize;
            [first.min(side), end.min(side)]
        };
        (span(left, width, size.width), span(top, height, size.height))
    }
}

/// The picture with these regions black.
pub fn masked(picture: Arc<Picture>, regions: &[MaskRegion]) -> Arc<Picture> {
    let size = picture.size();
    // Most sources hand over the only copy: nothing is copied then.
    let mut rgb = Arc::unwrap_or_clone(picture).into_rgb();
    for region in regions {
        let ([left, right], [top, bottom]) = region.pixels(size);
        for y in top..bottom {
            rgb[3 * (y * size.width + left)..3 * (y * size.width + right)].fill(0);
        }
    }
    Arc::new(Picture::new(size, rgb))
}

/// Another source's frames, masked.
pub struct Masked {
    source: Box<dyn Source>,
    regions: Vec<MaskRegion>,
    masking: Duration,
}

impl Masked {
    /// Covers `regions` in each frame of `source`.
    pub fn new(source: Box<dyn Source>, regions: Vec<MaskRegion>) -> Self {
        Masked { source, regions, masking: Duration::ZERO }
    }

    fn mask(&mut self, frame: Frame) -> Frame {
        let start = Instant::now();
        let picture = masked(frame.picture, &self.regions);
        self.masking = start.elapsed();
        Frame { meta: frame.meta, picture }
    }
}

impl Source for Masked {
    fn next(&mut self) -> Result<Option<Frame>> {
        let frame = self.source.next()?;
        Ok(frame.map(|frame| self.mask(frame)))
    }

    fn step(&mut self) -> Result<Step> {
        Ok(match self.source.step()? {
            Step::Frame(frame) => Step::Frame(self.mask(frame)),
            other => other,
        })
    }

    fn spent(&self) -> Duration {
        self.source.spent() + self.masking
    }

    fn corrupt(&self) -> u64 {
        self.source.corrupt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_black_to_the_pixel_and_nothing_else_is() {
        let region = |shares: [f64; 4]| MaskRegion::try_from(shares).unwrap();
        let picture = Arc::new(Picture::filled(Size::new(10, 4), [200, 100, 50]));
        let masked = masked(picture, &[region([0.2, 0.5, 0.3, 0.5]), region([0.95, 0.0, 0.05, 0.1])]);
        let black = |x: usize, y: usize| masked.row(y)[3 * x..3 * x + 3] == [0, 0, 0];
        for y in 0..4 {
            for x in 0..10 {
                let inside = (2..5).contains(&x) && y >= 2 || x == 9 && y == 0;
                assert_eq!(black(x, y), inside, "{x},{y}");
            }
        }
    }

    #[test]
    fn a_region_outside_the_picture_is_refused() {
        for wrong in [[0.5, 0.0, 0.6, 1.0], [-0.1, 0.0, 0.5, 0.5], [0.0, 0.0, 0.0, 1.0], [f64::NAN, 0.0, 0.5, 0.5]] {
            assert!(MaskRegion::try_from(wrong).is_err(), "{wrong:?}");
        }
        let whole: [f64; 4] = MaskRegion::try_from([0.1, 0.0, 0.9, 1.0]).unwrap().into();
        assert_eq!(whole, [0.1, 0.0, 0.9, 1.0], "as it was written");
    }
}
