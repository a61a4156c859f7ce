//! Input and output of a network graph: f32 values with a shape.

/// A dense row-major tensor of f32 in main memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Vec<f32>,
}

impl Tensor {
    /// Wraps `data`, whose length must be the product of `shape`.
    ///
    /// # Panics
    /// If it is not: an error of the caller.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        let shape = shape.into();
        assert_eq!(shape.iter().product::<usize>(), data.len(), "a tensor's data fills its shape {shape:?}");
        Tensor { shape, data }
    }

    /// All values 0.
    pub fn zeros(shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        let length = shape.iter().product();
        Tensor { shape, data: vec![0.0; length] }
    }

    /// Lengths of the axes, the outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// All values, the last axis fastest.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// As [`Tensor::data`].
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// As [`Tensor::data`].
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }
}
