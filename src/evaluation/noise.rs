//! The noise that the published test adds to a query's frames (docs/seam.md §9).

use super::random::SeededRng;
use crate::frame::Picture;
use crate::geometry::Size;

/// Noise added to a query's frames before recognition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noise {
    Off,
    /// The noise of the published test.
    Published,
}

impl Noise {
    /// Name in reports and cache keys.
    pub fn name(self) -> &'static str {
        match self {
            Noise::Off => "off",
            Noise::Published => "published",
        }
    }
}

/// Standard deviations, as a share of the full range.
const WEAK: f32 = 0.05;
const STRONG: f32 = 0.25;
/// Share of frames with strong noise.
const STRONG_SHARE: f64 = 0.25;

/// Adds Gaussian noise to every value, strong in a quarter of the frames, and halves the resolution.
pub fn published(picture: &Picture, rng: &mut SeededRng) -> Picture {
    let deviation = 255.0 * if rng.unit() < STRONG_SHARE { STRONG } else { WEAK };
    let mut noisy = picture.rgb().to_vec();
    for pair in noisy.chunks_mut(2) {
        for (value, noise) in pair.iter_mut().zip(rng.gaussians()) {
            *value = (f32::from(*value) + deviation * noise).round().clamp(0.0, 255.0) as u8;
        }
    }
    halved(&Picture::new(picture.size(), noisy))
}

/// Means of 2x2 pixels, equal to a bilinear resize to one half. A last odd row or column is dropped.
fn halved(picture: &Picture) -> Picture {
    let size = picture.size();
    let half = Size::new((size.width / 2).max(1), (size.height / 2).max(1));
    let mut rgb = Vec::with_capacity(3 * half.width * half.height);
    for y in 0..half.height {
        let (above, below) = (picture.row(2 * y), picture.row((2 * y + 1).min(size.height - 1)));
        for x in 0..half.width {
            let (left, right) = (6 * x, 3 * (2 * x + 1).min(size.width - 1));
            for channel in 0..3 {
                let sum: u16 =
                    [above[left + channel], above[right + channel], below[left + channel], below[right + channel]]
                        .map(u16::from)
                        .iter()
                        .sum();
                rgb.push(((sum + 2) / 4) as u8);
            }
        }
    }
    Picture::new(half, rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_means() {
        let rgb = [0u8, 10, 20, 30, 40, 50].iter().flat_map(|value| [*value; 3]).collect();
        let half = halved(&Picture::new(Size::new(3, 2), rgb));
        assert_eq!((half.size(), half.rgb()), (Size::new(1, 1), &[20u8; 3][..]));
        assert_eq!(halved(&Picture::filled(Size::new(1, 1), [9; 3])).rgb(), [9; 3]);
    }

    #[test]
    fn noise_has_the_published_strength_and_is_reproducible() {
        let picture = Picture::filled(Size::new(64, 64), [128; 3]);
        let deviations: Vec<f32> = (0..40)
            .map(|frame| {
                let noisy = published(&picture, &mut SeededRng::new(frame, ""));
                assert_eq!(noisy.rgb(), published(&picture, &mut SeededRng::new(frame, "")).rgb());
                let squares = noisy.rgb().iter().map(|value| (f32::from(*value) - 128.0).powi(2));
                // The mean of four values has half their standard deviation.
                2.0 * (squares.sum::<f32>() / noisy.rgb().len() as f32).sqrt() / 255.0
            })
            .collect();
        let strong = deviations.iter().filter(|deviation| **deviation > 0.15).count();
        assert!((4..18).contains(&strong), "{strong} of 40 frames");
        let weak = deviations.iter().copied().filter(|deviation| *deviation < 0.15);
        assert!(weak.clone().all(|deviation| (deviation - 0.05).abs() < 0.006), "{deviations:?}");
    }
}
