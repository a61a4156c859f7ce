//! A picture so coarse that nobody can be recognized in it: where people stand and what colours they wear remains.

use crate::frame::Picture;

/// Blocks on the longer side. A face that fills a quarter of it has eight of them across at most.
const BLOCKS: usize = 32;

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
            assert!(coarse.size() == size && colours.len() <= BLOCKS * BLOCKS, "{size:?}: {}", colours.len());
        }
        let plain = Picture::filled(Size::new(100, 60), [9, 8, 7]);
        assert_eq!(blurred(&plain), plain);
    }
}
