//! Block buffers aligned to a block's size, so that no vector load crosses a cache line.

use crate::{Block, LANES};
use std::ops::{Deref, DerefMut};

/// A resizable buffer of blocks, aligned to the size of a block.
#[derive(Debug, Default)]
pub struct Buffer {
    values: Vec<f32>,
    /// Index of the first aligned block in the allocation.
    start: usize,
    count: usize,
}

impl Buffer {
    /// Allocates `count` zeroed blocks.
    pub fn zeros(count: usize) -> Self {
        let mut buffer = Buffer::default();
        buffer.resize(count);
        buffer
    }

    /// Resizes to `count` blocks. Their values are unspecified.
    pub fn resize(&mut self, count: usize) {
        if count * LANES + LANES > self.values.len() {
            self.values = vec![0.0; count * LANES + LANES];
            let beyond = self.values.as_ptr() as usize % size_of::<Block>();
            self.start = (size_of::<Block>() - beyond) % size_of::<Block>() / size_of::<f32>();
        }
        self.count = count;
    }

    /// All values, block by block.
    pub fn values(&self) -> &[f32] {
        &self.values[self.start..self.start + self.count * LANES]
    }

    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.start..self.start + self.count * LANES]
    }
}

impl Deref for Buffer {
    type Target = [Block];

    fn deref(&self) -> &[Block] {
        self.values().as_chunks().0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [Block] {
        self.values_mut().as_chunks_mut().0
    }
}

/// Copies into a new aligned allocation.
impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Buffer::zeros(self.count);
        copy.copy_from_slice(self);
        copy
    }
}
