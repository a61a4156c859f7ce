//! Converts a picture into the network's input tensor (docs/seam.md §1).

use super::settings::{InputSettings, Prefilter};
use crate::frame::Picture;
use crate::geometry::{Letterbox, Size};
use crate::tensor::Tensor;
use std::borrow::Cow;
use vetrina_kernels::{ColumnTap, Level, add_neighbours, add_row, blend_rows, resample_row};

/// Source of one output column or row: two neighbours and the weight of the second.
struct Tap {
    first: usize,
    second: usize,
    weight: f32,
}

/// The normalised input, 1 x 3 x height x width, and the position of the picture in it.
pub fn letterbox(picture: &Picture, settings: &InputSettings) -> (Tensor, Letterbox) {
    let fit = Letterbox::fit(picture.size(), Size::new(settings.width, settings.height));
    let picture = match settings.prefilter {
        Prefilter::None => Cow::Borrowed(picture),
        Prefilter::Box => box_reduce(picture, reduction(&fit)),
    };
    let mut input = Tensor::zeros([1, 3, settings.height, settings.width]);
    resize(&picture, fit.scaled, settings, input.data_mut());
    (input, fit)
}

/// Reduction factor in whole pixels, along the tighter axis; 1 if the picture is at most twice the input's size.
fn reduction(fit: &Letterbox) -> usize {
    let by_height = fit.input.height * fit.source.width <= fit.input.width * fit.source.height;
    let (side, target) =
        if by_height { (fit.source.height, fit.input.height) } else { (fit.source.width, fit.input.width) };
    if side > 2 * target { side / target } else { 1 }
}

/// Means over k x k blocks, rounded to nearest. The last block of an axis is completed by repeating the edge.
fn box_reduce(picture: &Picture, k: usize) -> Cow<'_, Picture> {
    if k <= 1 {
        return Cow::Borrowed(picture);
    }
    let (size, level) = (picture.size(), Level::new());
    let small = Size::new(size.width.div_ceil(k), size.height.div_ceil(k));
    let mut columns = vec![0u32; 3 * small.width * k];
    let mut blocks = vec![0u32; columns.len()];
    let mut rgb = Vec::with_capacity(3 * small.width * small.height);
    let area = (k * k) as u64;
    // Multiply and shift instead of dividing: exact below 256 * area, if 256 * area^2 < 2^48.
    let reciprocal = (1u64 << 48) / area + 1;
    for y in 0..small.height {
        columns.fill(0);
        for row in y * k..(y + 1) * k {
            add_row(level, picture.row(row.min(size.height - 1)), &mut columns[..3 * size.width]);
        }
        for beyond in 3 * size.width..columns.len() {
            columns[beyond] = columns[beyond - 3];
        }
        add_neighbours(level, &columns, k, &mut blocks);
        for pixel in blocks.chunks_exact(3 * k) {
            rgb.extend(pixel[..3].iter().map(|total| (((u64::from(*total) + area / 2) * reciprocal) >> 48) as u8));
        }
    }
    Cow::Owned(Picture::new(small, rgb))
}

/// Bilinear resize with half-pixel centres, no antialiasing (torch's `align_corners=False`), into the top left of
/// `input`.
fn resize(picture: &Picture, target: Size, settings: &InputSettings, input: &mut [f32]) {
    let (size, level) = (picture.size(), Level::new());
    let columns: Vec<ColumnTap> =
        taps(size.width, target.width).iter().map(|tap| ColumnTap { first: tap.first, weight: tap.weight }).collect();
    let scale: [f32; 3] = std::array::from_fn(|channel| 1.0 / (255.0 * settings.std[channel]));
    let shift: [f32; 3] = std::array::from_fn(|channel| -settings.mean[channel] / settings.std[channel]);
    let (red, rest) = input.split_at_mut(settings.width * settings.height);
    let (green, blue) = rest.split_at_mut(settings.width * settings.height);
    // The last pixel once more, as its own neighbour.
    let mut blended = vec![0f32; 3 * size.width + 3];
    let rows = taps(size.height, target.height);
    let places = rows.iter().zip((0..).step_by(settings.width));
    for (tap, start) in places {
        let (above, below) = (picture.row(tap.first), picture.row(tap.second));
        blend_rows(level, above, below, tap.weight, &mut blended[..3 * size.width]);
        blended.copy_within(3 * size.width - 3..3 * size.width, 3 * size.width);
        let planes = [&mut *red, &mut *green, &mut *blue].map(|plane| &mut plane[start..start + target.width]);
        resample_row(level, &blended, &columns, [scale, shift], planes);
    }
}

fn taps(source: usize, target: usize) -> Vec<Tap> {
    let ratio = source as f32 / target as f32;
    (0..target)
        .map(|place| {
            let at = ((place as f32 + 0.5) * ratio - 0.5).max(0.0);
            let first = (at as usize).min(source - 1);
            Tap { first, second: (first + 1).min(source - 1), weight: at - first as f32 }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(height: usize, width: usize, prefilter: Prefilter) -> InputSettings {
        InputSettings { height, width, mean: [0.0; 3], std: [1.0; 3], prefilter }
    }

    #[test]
    fn a_picture_that_fits_is_only_normalised() {
        let picture = Picture::new(Size::new(2, 1), vec![0, 51, 102, 153, 204, 255]);
        let (input, fit) = letterbox(&picture, &settings(1, 2, Prefilter::Box));
        assert_eq!(fit.scaled, Size::new(2, 1));
        let expected = [0.0, 0.6, 0.2, 0.8, 0.4, 1.0];
        assert!(input.data().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", input.data());
    }

    #[test]
    fn blocks_are_means_with_the_edge_repeated() {
        let rgb = (0..5 * 3).flat_map(|value| [value as u8; 3]).collect();
        let picture = Picture::new(Size::new(5, 3), rgb);
        let small = box_reduce(&picture, 2);
        assert_eq!(small.size(), Size::new(3, 2));
        // Rows 0 and 1, columns 0 and 1: 0, 1, 5, 6, mean 3; the last column and row are repeated.
        let first: Vec<u8> = small.rgb().iter().step_by(3).copied().collect();
        assert_eq!(first, [3, 5, 7, 11, 13, 14]);
    }

    #[test]
    fn means_are_exact_at_every_size() {
        for k in (1..1000u64).step_by(7) {
            let (area, reciprocal) = (k * k, (1u64 << 48) / (k * k) + 1);
            for mean in 0..256 {
                for total in [mean * area, (mean * area).saturating_sub(1)] {
                    assert_eq!((total * reciprocal) >> 48, total / area);
                }
            }
        }
    }

    #[test]
    fn outside_the_picture_is_zero() {
        let picture = Picture::filled(Size::new(10, 20), [255; 3]);
        let (input, fit) = letterbox(&picture, &settings(32, 32, Prefilter::None));
        assert_eq!(fit.scaled, Size::new(16, 32));
        assert_eq!(input.data()[15], 1.0);
        assert_eq!(input.data()[16], 0.0);
    }
}
