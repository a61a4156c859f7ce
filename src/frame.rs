//! Pictures in memory, and the frame: a picture that knows when it was taken.

use crate::geometry::Size;
use std::sync::Arc;
use std::time::Duration;

/// An RGB picture, 8 bits a channel, rows top to bottom without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    size: Size,
    rgb: Vec<u8>,
}

impl Picture {
    /// Wraps `rgb`, which must hold `3 * width * height` bytes.
    ///
    /// # Panics
    /// When it does not: the caller made the buffer.
    pub fn new(size: Size, rgb: Vec<u8>) -> Self {
        assert_eq!(rgb.len(), 3 * size.width * size.height, "an RGB buffer holds 3 bytes a pixel");
        Picture { size, rgb }
    }

    /// A picture of one colour.
    pub fn filled(size: Size, colour: [u8; 3]) -> Self {
        Picture { size, rgb: colour.repeat(size.width * size.height) }
    }

    pub fn size(&self) -> Size {
        self.size
    }

    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The bytes of row `y`: 3 x width.
    pub fn row(&self, y: usize) -> &[u8] {
        let stride = 3 * self.size.width;
        &self.rgb[y * stride..(y + 1) * stride]
    }

    /// A copy of the part of `size` whose top left is (x, y).
    ///
    /// # Panics
    /// When it reaches outside: the caller chose it.
    pub fn part(&self, x: usize, y: usize, size: Size) -> Picture {
        let rows = (y..y + size.height).map(|y| &self.row(y)[3 * x..3 * (x + size.width)]);
        Picture { size, rgb: rows.collect::<Vec<_>>().concat() }
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.size.width, self.size.height)
    }
}

/// Which frame of its source, and when it was captured. Everything computed from a frame carries it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameMeta {
    /// Counts from 0 within a source; gaps are frames that were skipped.
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
