//! An inverted residual (pointwise expand, depthwise, pointwise project) as one operator. The wide maps between the
//! three convolutions exist only a few rows at a time and stay in the cache.

use crate::conv::Conv;
use crate::depthwise::Depthwise;
use crate::{Block, Buffer, blocks};

/// A planned inverted residual.
#[derive(Clone, Debug)]
pub struct Residual {
    expand: Option<Conv>,
    depthwise: Depthwise,
    project: Conv,
    /// Output rows computed together.
    rows: usize,
}

/// Maximum bytes of the intermediate rows.
const STRIP: usize = 256 << 10;

impl Residual {
    /// `None` if the sizes of the three do not match, or if strips would not help.
    pub fn new(expand: Option<Conv>, depthwise: Depthwise, project: Conv) -> Option<Self> {
        let (middle, last) = (*depthwise.shape(), *project.shape());
        let flat = |shape: &crate::ConvShape| shape.is_flat();
        let first = expand.as_ref().map(|conv| *conv.shape());
        let fits = first.is_none_or(|first| first.outputs == middle.channels && flat(&first))
            && first.is_none_or(|first| first.output == middle.input)
            && flat(&last)
            && last.inputs == middle.channels
            && last.input == middle.output
            && middle.side > middle.stride;
        let row = middle.input[1] * middle.stride + middle.output[1];
        let rows = (STRIP / (size_of::<Block>() * blocks(middle.channels) * row)).clamp(1, 12);
        (fits && rows < middle.output[0]).then_some(Residual { expand, depthwise, project, rows })
    }

    /// Height and width of the output.
    pub fn output(&self) -> [usize; 2] {
        self.depthwise.shape().output
    }

    /// Multiply-adds of one run.
    pub fn products(&self) -> usize {
        let first = self.expand.as_ref().map_or(0, |conv| conv.shape().products());
        first + self.depthwise.shape().products() + self.project.shape().products()
    }

    /// Computes the whole map. `residual` has the layout of `output`.
    pub fn run(&self, input: &[Block], residual: Option<&[Block]>, scratch: &mut Buffer, output: &mut [Block]) {
        let shape = *self.depthwise.shape();
        let ([height, width], [deep, wide]) = (shape.input, shape.output);
        let planes = blocks(shape.channels);
        // Input rows that a strip reads, and how many of them the next strip reads again.
        let fresh = self.rows * shape.stride;
        let kept = shape.side - shape.stride;
        let (pitch, strip) = ((fresh + kept) * width, self.rows * wide);
        scratch.resize(planes * (pitch + strip));
        let (expanded, filtered) = scratch.split_at_mut(planes * pitch);
        let mut done = 0;
        for first in (0..deep).step_by(self.rows) {
            let count = self.rows.min(deep - first);
            // Input row at the start of `expanded`.
            let top = (first * shape.stride) as isize - shape.before[0] as isize;
            if let Some(expand) = &self.expand {
                if first > 0 {
                    for plane in expanded.chunks_exact_mut(pitch) {
                        plane.copy_within(fresh * width..pitch, 0);
                    }
                }
                let until = usize::try_from(top + (fresh + kept) as isize).unwrap_or(0).min(height);
                let place = (done as isize - top) as usize * width;
                expand.run_places(input, height * width, done * width..until * width, None, expanded, pitch, place);
                done = until;
            }
            for (block, output) in filtered.chunks_exact_mut(strip).enumerate() {
                let row = |row: isize| -> Option<&[Block]> {
                    let row = usize::try_from(row).ok().filter(|row| *row < height)?;
                    Some(match self.expand {
                        Some(_) => &expanded[block * pitch + (row as isize - top) as usize * width..],
                        None => &input[(block * height + row) * width..],
                    })
                };
                self.depthwise.run_rows(block, first..first + count, output, row);
            }
            self.project.run_places(filtered, strip, 0..count * wide, residual, output, deep * wide, first * wide);
        }
    }
}
