//! A picture so coarse that nobody can be recognized in it: where people stand and what colours they wear remains.

use crate::frame::Picture;

/// Blocks on the longer side: also a face that leans to the mirror and fills half of the picture has eight of them across at most. With
/// twice as many such a face had eyes and a mouth.
const BLOCKS: usize = 16;

/// The picture in blocks of one colour each.
pub fn blurred(picture: &Picture) -> Picture {
    let size = picture.size();
    let side = size.width.max(size.height).div_ceil(BLOCKS).max(1);
    let columns = size.width.div_ceil(side);
    let mut rgb = Vec::with_capacity(picture.rgb().len());
    for top in (0..size.height).step_by(side) {
        let rows = top..(top + side).min(size.height);
        let mut sums = vec![[0u64; 3]; columns];
        for y in rows.clone() {
            for (x, pixel) in picture.row(y).chunks_exact(3).enumerate() {
                let sum = &mut sums[x / side];
                (0..3).for_each(|channel| sum[channel] += u64::from(pixel[channel]));
            }
        }
        let mut row = Vec::with_capacity(3 * size.width);
        for (column, sum) in sums.iter().enumerate() {
            let width = side.min(size.width - column * side);
            let pixels = (width * rows.len()) as u64;
            row.extend(sum.map(|sum| (sum / pixels) as u8).repeat(width));
        }
        rows.for_each(|_| rgb.extend_from_slice(&row));
    }
    Picture::new(size, rgb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    #[test]
    fn only_blocks_remain() {
        for size in [Size::new(640, 480), Size::new(101, 333), Size::new(7, 5), Size::new(1, 1)] {
            let noise = (0..3 * size.width * size.height).map(|i| (i * 7919 % 251) as u8).collect();
            let picture = Picture::new(size, noise);
            let coarse = blurred(&picture);
            let colours: std::collections::BTreeSet<&[u8]> = coarse.rgb().chunks_exact(3).collect();
            assert!(coarse.size() == size && colours.len() <= 16 * 16, "{size:?}: {}", colours.len());
        }
        let plain = Picture::filled(Size::new(100, 60), [9, 8, 7]);
        assert_eq!(blurred(&plain), plain);
    }

    /// Eyes and a mouth on a face of any size and place: in the coarse picture nothing is as dark or as narrow.
    #[test]
    fn a_face_loses_its_features_at_every_size() {
        let size = Size::new(640, 480);
        for (height, left, top) in [(40, 300, 20), (90, 101, 33), (150, 333, 77), (240, 190, 120), (320, 200, 90)] {
            let width = height * 3 / 4;
            let dark = |x: usize, y: usize| {
                let [x, y] = [(x, left, width), (y, top, height)]
                    .map(|(at, from, side)| (at as f32 - from as f32) / side as f32);
                let eye = |at: f32| (x - at).abs() < 0.07 && (y - 0.4).abs() < 0.035;
                eye(0.3) || eye(0.7) || (x - 0.5).abs() < 0.2 && (y - 0.75).abs() < 0.03
            };
            let level = |at: usize| if dark(at % size.width, at / size.width) { [30u8; 3] } else { [190; 3] };
            let face = Picture::new(size, (0..size.width * size.height).flat_map(level).collect());
            let darkest = blurred(&face).rgb().iter().copied().min();
            assert!(darkest.is_some_and(|level| level > 90), "a face {height} pixels high: {darkest:?}");
        }
    }
}
