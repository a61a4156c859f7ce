//! Pictures in memory, and frames: pictures with number and capture time.

use crate::geometry::Size;
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use std::sync::Arc;
use std::time::Duration;

/// An RGB picture, 8 bits per channel, rows top to bottom without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    size: Size,
    rgb: Vec<u8>,
}

impl Picture {
    /// Wraps `rgb`, which must hold `3 * width * height` bytes.
    ///
    /// # Panics
    /// If it does not: a defect of the caller.
    pub fn new(size: Size, rgb: Vec<u8>) -> Self {
        assert_eq!(rgb.len(), 3 * size.width * size.height, "an RGB buffer holds 3 bytes a pixel");
        Picture { size, rgb }
    }

    /// A picture of one colour.
    pub fn filled(size: Size, colour: [u8; 3]) -> Self {
        Picture { size, rgb: colour.repeat(size.width * size.height) }
    }

    /// Width and height, pixels.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Red, green, blue of each pixel, row by row from the top left: 3 x width x height bytes.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The pixels only.
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }

    /// The bytes of row `y`: 3 x width.
    pub fn row(&self, y: usize) -> &[u8] {
        let stride = 3 * self.size.width;
        &self.rgb[y * stride..(y + 1) * stride]
    }

    /// A copy of the part of `size` whose top left is (x, y).
    ///
    /// # Panics
    /// If it exceeds the picture: a defect of the caller.
    pub fn part(&self, x: usize, y: usize, size: Size) -> Picture {
        let rows = (y..y + size.height).map(|y| &self.row(y)[3 * x..3 * (x + size.width)]);
        Picture { size, rgb: rows.collect::<Vec<_>>().concat() }
    }
}

/// A clockwise rotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    #[default]
    None,
    Quarter,
    Half,
    ThreeQuarters,
}

impl Turn {
    /// The size of a picture of `size` after the rotation, and vice versa.
    pub fn size(self, size: Size) -> Size {
        match self {
            Turn::None | Turn::Half => size,
            Turn::Quarter | Turn::ThreeQuarters => Size::new(size.height, size.width),
        }
    }
}

impl Picture {
    /// The picture as JPEG, `quality` from 1 to 100; `None` if it is empty or too large for the format.
    pub fn jpeg(&self, quality: u8) -> Option<Vec<u8>> {
        let (width, height) = (u16::try_from(self.size.width).ok()?, u16::try_from(self.size.height).ok()?);
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
        let encoded = { encoder }.encode(&self.rgb, width.into(), height.into(), ExtendedColorType::Rgb8);
        encoded.ok().filter(|()| self.size.width * self.size.height > 0)?;
        Some(bytes)
    }

    /// The picture, first mirrored left to right if asked for, then rotated.
    pub fn turned(&self, turn: Turn, mirrored: bool) -> Picture {
        let Size { width, height } = self.size;
        let size = turn.size(self.size);
        let mut rgb = Vec::with_capacity(self.rgb.len());
        for y in 0..size.height {
            for x in 0..size.width {
                let (x, y) = match turn {
                    Turn::None => (x, y),
                    Turn::Quarter => (y, height - 1 - x),
                    Turn::Half => (width - 1 - x, height - 1 - y),
                    Turn::ThreeQuarters => (width - 1 - y, x),
                };
                let at = 3 * (y * width + if mirrored { width - 1 - x } else { x });
                rgb.extend_from_slice(&self.rgb[at..at + 3]);
            }
        }
        Picture::new(size, rgb)
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.size.width, self.size.height)
    }
}

/// A frame's number and capture time. Everything computed from a frame carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameMeta {
    /// Index of the source: increases when another camera is opened, or the same with other settings. 0 if there is
    /// only one.
    pub source: u32,
    /// Counted from 0 within a source. Gaps are skipped frames.
    pub sequence: u64,
    /// Time of capture since the source started.
    pub captured: Duration,
}

/// One picture of a source. Cloning shares the pixels.
#[derive(Clone, Debug)]
pub struct Frame {
    pub meta: FrameMeta,
    pub picture: Arc<Picture>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red channel, row by row.
    fn reds(picture: &Picture) -> Vec<u8> {
        picture.rgb().iter().step_by(3).copied().collect()
    }

    #[test]
    fn pictures_turn_clockwise() {
        let picture = Picture::new(Size::new(3, 2), (0..6).flat_map(|red| [red, 0, 0]).collect());
        let turned = |turn, mirrored| {
            let turned = picture.turned(turn, mirrored);
            (turned.size().width, reds(&turned))
        };
        assert_eq!(turned(Turn::None, false), (3, vec![0, 1, 2, 3, 4, 5]));
        assert_eq!(turned(Turn::None, true), (3, vec![2, 1, 0, 5, 4, 3]));
        assert_eq!(turned(Turn::Quarter, false), (2, vec![3, 0, 4, 1, 5, 2]));
        assert_eq!(turned(Turn::Half, false), (3, vec![5, 4, 3, 2, 1, 0]));
        assert_eq!(turned(Turn::ThreeQuarters, false), (2, vec![2, 5, 1, 4, 0, 3]));
        assert_eq!(turned(Turn::Quarter, true), (2, vec![5, 2, 4, 1, 3, 0]));
    }
}
