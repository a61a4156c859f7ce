//! Rotates the canvas into the memory of a screen that is mounted sideways.

use super::canvas::Canvas;
use crate::frame::Turn;
use crate::geometry::Size;

/// Rows that are processed together. A row of a screen on its side is a column of the canvas; 16 pixels are a cache line.
const BAND: usize = 16;
/// Bytes a pixel.
const PIXEL: usize = 4;

/// Copies the canvas, turned clockwise, into a screen of `size` whose rows are `pitch` bytes apart: XRGB8888, little-endian.
/// `out` is written sequentially and never read: other access to a card's memory is slow.
pub fn copy_turned(canvas: &Canvas, turn: Turn, size: Size, pitch: usize, out: &mut [u8]) {
    let pixels = canvas.pixels();
    let Size { width, height } = canvas.size();
    let mut band = vec![0; BAND * size.width];
    for (index, rows) in out.chunks_mut(BAND * pitch).enumerate() {
        let first = index * BAND;
        let count = BAND.min(size.height.saturating_sub(first));
        for (y, row) in (first..first + count).zip(rows.chunks_mut(pitch)) {
            let row = &mut row[..PIXEL * size.width];
            match turn {
                Turn::None => write(row, &pixels[y * width..(y + 1) * width]),
                Turn::Half => {
                    let band = &mut band[..width];
                    band.copy_from_slice(&pixels[(height - 1 - y) * width..(height - y) * width]);
                    band.reverse();
                    write(row, band);
                }
                Turn::Quarter | Turn::ThreeQuarters => {
                    if y == first {
                        gather(&mut band, pixels, canvas.size(), turn, first, count);
                    }
                    write(row, &band[(y - first) * size.width..(y - first + 1) * size.width]);
                }
            }
        }
    }
}

/// `count` rows of the turned picture from row `first`: as many columns of the canvas.
fn gather(band: &mut [u32], pixels: &[u32], canvas: Size, turn: Turn, first: usize, count: usize) {
    let Size { width, height } = canvas;
    for (y, row) in pixels.chunks_exact(width).enumerate() {
        if turn == Turn::Quarter {
            for (i, pixel) in row[first..first + count].iter().enumerate() {
                band[i * height + height - 1 - y] = *pixel;
            }
        } else {
            for (i, pixel) in row[width - first - count..width - first].iter().rev().enumerate() {
                band[i * height + y] = *pixel;
            }
        }
    }
}

fn write(row: &mut [u8], pixels: &[u32]) {
    for (out, pixel) in row.chunks_exact_mut(PIXEL).zip(pixels) {
        out.copy_from_slice(&pixel.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::mirror::Mirror;
    use crate::frame::Picture;
    use crate::geometry::Rect;

    /// A canvas of pixels that differ: what a mirror shows of numbered ones.
    fn numbered(size: Size) -> Canvas {
        let mut canvas = Canvas::new(size);
        let rgb = (0..size.width * size.height).flat_map(|i| [(i >> 8) as u8, i as u8, 7]).collect();
        let place = Rect::new(0.0, 0.0, size.width as f32, size.height as f32);
        let mirror = Mirror::cover(size, place).unwrap();
        canvas.mirror_picture(&Picture::new(size, rgb), &mirror, 256);
        canvas
    }

    #[test]
    fn the_canvas_is_turned_as_pictures_are() {
        // More than one band, and not a whole number of them.
        let size = Size::new(37, 21);
        let canvas = numbered(size);
        for turn in [Turn::None, Turn::Quarter, Turn::Half, Turn::ThreeQuarters] {
            let screen = turn.size(size);
            let pitch = PIXEL * screen.width + 8;
            // A card's memory may be longer than its rows.
            let mut out = vec![0xee; pitch * screen.height + 100];
            copy_turned(&canvas, turn, screen, pitch, &mut out);
            let expected = canvas.to_picture().turned(turn, false);
            for y in 0..screen.height {
                let row = &out[y * pitch..(y + 1) * pitch];
                let seen = row.chunks(PIXEL).take(screen.width).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]);
                assert_eq!(seen.collect::<Vec<u8>>(), expected.row(y), "{turn:?}, row {y}");
                assert_eq!(row[PIXEL * screen.width..], [0xee; 8], "the end of a row is not ours");
            }
            assert_eq!(out[pitch * screen.height..], [0xee; 100]);
        }
    }
}
