//! Small operators on row-major tensors of any shape: broadcasting, sums, permuted axes, matrix products.

use vetrina_kernels::{Binary, Buffer, Level, dots};

/// Iterates over the rows of an output in row-major order, with separate strides for each input.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Walk {
    /// Length of each axis.
    shape: Vec<usize>,
}

/// Row-major strides of a shape.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

impl Walk {
    /// Calls `each` with the offset in each of `N` inputs, for every row along the last axis.
    fn rows<const N: usize>(&self, strides: [&[usize]; N], mut each: impl FnMut([usize; N])) {
        let Some((_, outer)) = self.shape.split_last() else { return each([0; N]) };
        let mut index = vec![0; outer.len()];
        for _ in 0..outer.iter().product::<usize>() {
            each(strides.map(|strides| index.iter().zip(strides).map(|(at, stride)| at * stride).sum()));
            for axis in (0..outer.len()).rev() {
                index[axis] += 1;
                if index[axis] < outer[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
    }

    fn row(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
}

/// Elementwise operator on two tensors of equal rank; each axis has the output's length or is broadcast.
#[derive(Clone, Debug)]
pub struct Broadcast {
    kind: Binary,
    walk: Walk,
    strides: [Vec<usize>; 2],
    /// A constant in place of one input: which one, and its values.
    constant: Option<(usize, Vec<f32>)>,
}

impl Broadcast {
    /// `None` if the shapes cannot be broadcast.
    pub fn new(kind: Binary, shapes: [&[usize]; 2], constant: Option<(usize, Vec<f32>)>) -> Option<(Self, Vec<usize>)> {
        let [a, b] = shapes;
        let fits = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || *a == 1 || *b == 1);
        let output: Vec<usize> = a.iter().zip(b).map(|(a, b)| *a.max(b)).collect();
        let repeated = |shape: &[usize]| {
            strides(shape)
                .into_iter()
                .zip(shape)
                .map(|(stride, length)| if *length == 1 { 0 } else { stride })
                .collect()
        };
        let broadcast =
            Broadcast { kind, walk: Walk { shape: output.clone() }, strides: shapes.map(repeated), constant };
        fits.then_some((broadcast, output))
    }

    pub fn run(&self, first: &[f32], second: &[f32], output: &mut [f32]) {
        let (a, b) = match &self.constant {
            Some((0, values)) => (&values[..], first),
            Some((_, values)) => (first, &values[..]),
            None => (first, second),
        };
        let [of_a, of_b] = [0, 1].map(|input| self.strides[input].last().copied().unwrap_or(0));
        let mut rows = output.chunks_exact_mut(self.walk.row());
        self.walk.rows([&self.strides[0], &self.strides[1]], |[start_a, start_b]| {
            let Some(row) = rows.next() else { return };
            for (at, slot) in row.iter_mut().enumerate() {
                *slot = self.kind.of(a[start_a + at * of_a], b[start_b + at * of_b]);
            }
        });
    }
}

/// Copies a strided view into a dense tensor, summing along one axis if `sum` is set.
#[derive(Clone, Debug)]
pub struct Strided {
    walk: Walk,
    strides: Vec<usize>,
    start: usize,
    /// Number of values summed per place, and their stride.
    sum: Option<(usize, usize)>,
}

impl Strided {
    /// Permutes the axes of `shape` by `order`.
    pub fn permuted(shape: &[usize], order: &[usize]) -> Self {
        let all = strides(shape);
        let walk = Walk { shape: order.iter().map(|axis| shape[*axis]).collect() };
        Strided { walk, strides: order.iter().map(|axis| all[*axis]).collect(), start: 0, sum: None }
    }

    /// Takes `count` entries from `begin` on along one axis.
    pub fn slice(shape: &[usize], axis: usize, begin: usize, count: usize) -> Self {
        let all = strides(shape);
        let mut output = shape.to_vec();
        output[axis] = count;
        Strided { walk: Walk { shape: output }, start: begin * all[axis], strides: all, sum: None }
    }

    /// Rows in groups: `jump` is the stride of the first axis.
    pub fn rows(start: usize, shape: [usize; 3], jump: usize) -> Self {
        let [_, _, row] = shape;
        Strided { walk: Walk { shape: shape.to_vec() }, strides: vec![jump, row, 1], start, sum: None }
    }

    /// Sums along one axis, which keeps the length 1.
    pub fn sum(shape: &[usize], axis: usize) -> Self {
        let all = strides(shape);
        let mut output = shape.to_vec();
        output[axis] = 1;
        Strided { walk: Walk { shape: output }, start: 0, sum: Some((shape[axis], all[axis])), strides: all }
    }

    pub fn shape(&self) -> &[usize] {
        &self.walk.shape
    }

    pub fn run(&self, input: &[f32], output: &mut [f32]) {
        let stride = self.strides.last().copied().unwrap_or(0);
        let mut rows = output.chunks_exact_mut(self.walk.row());
        self.walk.rows([&self.strides], |[start]| {
            let Some(row) = rows.next() else { return };
            for (at, slot) in row.iter_mut().enumerate() {
                let place = self.start + start + at * stride;
                *slot = match self.sum {
                    Some((count, step)) => (0..count).map(|term| input[place + term * step]).sum(),
                    None => input[place],
                };
            }
        });
    }
}

/// Product of two computed matrices: m x k times k x n.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dots {
    pub m: usize,
    pub k: usize,
    pub n: usize,
}

impl Dots {
    pub fn products(&self) -> usize {
        self.m * self.k * self.n
    }

    pub fn run(&self, level: Level, a: &[f32], b: &[f32], scratch: &mut Buffer, output: &mut [f32]) {
        // Transpose the second matrix, so that both are read along rows.
        scratch.resize((self.k * self.n).div_ceil(16));
        let columns = &mut scratch.values_mut()[..self.k * self.n];
        for (at, value) in b.iter().enumerate() {
            columns[at % self.n * self.k + at / self.n] = *value;
        }
        dots(level, self.k, a, columns, output);
    }
}
