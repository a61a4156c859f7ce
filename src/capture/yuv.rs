//! YUV to RGB by BT.601 with studio range: the format of USB cameras and GStreamer's default.

use crate::frame::Picture;
use crate::geometry::Size;

/// YUYV: two pixels in four bytes, luma and chroma alternating. `stride`: bytes per row. `None` if the buffer is too
/// short for `size`, or the width is odd.
pub fn yuyv(bytes: &[u8], size: Size, stride: usize) -> Option<Picture> {
    let row = 2 * size.width;
    if !fits(bytes, size.height, row, stride) || !size.width.is_multiple_of(2) {
        return None;
    }
    let mut rgb = vec![0; 3 * size.width * size.height];
    for (out, row) in rgb.chunks_exact_mut(3 * size.width).zip(bytes.chunks(stride).map(|line| &line[..row])) {
        for (out, pair) in out.chunks_exact_mut(6).zip(row.chunks_exact(4)) {
            let chroma = Chroma::of(pair[1], pair[3]);
            out[..3].copy_from_slice(&chroma.with(pair[0]));
            out[3..].copy_from_slice(&chroma.with(pair[2]));
        }
    }
    Some(Picture::new(size, rgb))
}

/// NV12: a luma plane, then a chroma plane at half the resolution. `None` if the buffer is too short for `size`, or a
/// side is odd.
pub fn nv12(bytes: &[u8], size: Size, stride: usize) -> Option<Picture> {
    let (luma_length, even) = (stride.checked_mul(size.height)?, size.width.is_multiple_of(2));
    let (luma, chroma) = (bytes.get(..luma_length)?, bytes.get(luma_length..)?);
    if !fits(luma, size.height, size.width, stride)
        || !fits(chroma, size.height / 2, size.width, stride)
        || !even
        || !size.height.is_multiple_of(2)
    {
        return None;
    }
    let mut rgb = vec![0; 3 * size.width * size.height];
    for (y, out) in rgb.chunks_exact_mut(3 * size.width).enumerate() {
        let (luma, chroma) = (&luma[y * stride..][..size.width], &chroma[y / 2 * stride..][..size.width]);
        for ((out, luma), chroma) in out.chunks_exact_mut(6).zip(luma.chunks_exact(2)).zip(chroma.chunks_exact(2)) {
            let chroma = Chroma::of(chroma[0], chroma[1]);
            out[..3].copy_from_slice(&chroma.with(luma[0]));
            out[3..].copy_from_slice(&chroma.with(luma[1]));
        }
    }
    Some(Picture::new(size, rgb))
}

/// Whether `bytes` holds `rows` rows of `row` bytes at `stride`. The last row need not be padded.
fn fits(bytes: &[u8], rows: usize, row: usize, stride: usize) -> bool {
    let needed =
        rows.checked_sub(1).and_then(|rows| rows.checked_mul(stride)).and_then(|length| length.checked_add(row));
    row > 0 && stride >= row && needed.is_some_and(|needed| bytes.len() >= needed)
}

/// Contribution of the chroma of a pixel pair to red, green and blue, in 256ths.
#[derive(Clone, Copy)]
struct Chroma([i32; 3]);

impl Chroma {
    fn of(u: u8, v: u8) -> Self {
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        Chroma([409 * v + 128, 128 - 100 * u - 208 * v, 516 * u + 128])
    }

    fn with(self, luma: u8) -> [u8; 3] {
        let luma = 298 * (i32::from(luma) - 16);
        self.0.map(|chroma| ((luma + chroma) >> 8).clamp(0, 255) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Luma, u, v and the corresponding colour, from BT.601.
    const COLOURS: [([u8; 3], [u8; 3]); 6] = [
        ([16, 128, 128], [0, 0, 0]),
        ([235, 128, 128], [255, 255, 255]),
        ([81, 90, 240], [255, 0, 0]),
        ([145, 54, 34], [0, 255, 0]),
        ([41, 240, 110], [0, 0, 255]),
        ([126, 128, 128], [128, 128, 128]),
    ];

    fn near(a: &[u8], b: &[u8]) -> bool {
        a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= 2)
    }

    #[test]
    fn colours_are_bt_601() {
        for ([y, u, v], colour) in COLOURS {
            let picture = yuyv(&[y, u, y, v].repeat(4), Size::new(4, 2), 8).unwrap();
            assert!(picture.rgb().chunks(3).all(|pixel| near(pixel, &colour)), "{colour:?}: {:?}", &picture.rgb()[..3]);
            let planes = [vec![y; 16], [u, v].repeat(4)].concat();
            let picture = nv12(&planes, Size::new(4, 4), 4).unwrap();
            assert!(picture.rgb().chunks(3).all(|pixel| near(pixel, &colour)), "{colour:?}");
        }
    }

    #[test]
    fn padded_rows_are_read_by_their_stride_and_short_buffers_are_refused() {
        let row = |luma: u8| [[luma, 128, luma, 128], [9; 4]].concat();
        let bytes = [row(16), row(235)].concat();
        let picture = yuyv(&bytes, Size::new(2, 2), 8).unwrap();
        assert_eq!(picture.rgb(), [0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255]);
        assert!(yuyv(&bytes[..12], Size::new(2, 2), 8).is_some(), "the last row's padding may be missing");
        for cut in 0..12 {
            assert!(yuyv(&bytes[..cut], Size::new(2, 2), 8).is_none());
        }
        let planes = [16, 16, 0, 235, 235, 0, 128, 128, 0];
        assert_eq!(nv12(&planes, Size::new(2, 2), 3).unwrap().rgb()[6..], [255; 6]);
        for cut in 0..8 {
            assert!(nv12(&planes[..cut], Size::new(2, 2), 3).is_none());
        }
        assert!(yuyv(&bytes, Size::new(3, 1), 8).is_none() && yuyv(&bytes, Size::new(0, 0), 0).is_none());
    }
}
