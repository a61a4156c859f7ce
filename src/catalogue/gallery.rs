//! Exact search over descriptors: pure arithmetic, no database.
//!
//! docs/seam.md §6: the logit of a street embedding `a` and a shop embedding `b` is
//! `v.(a-b)^2 + d = (v.a^2 + d) + w.b + v.b^2` with `w = -2 v * a`: per row one inner product and a stored bias.
//!
//! Reading all rows as f32 is a matter of memory bandwidth, so a copy in 8 bits a value, a quarter of the bytes, is read
//! first. For each row the copy gives the logit within a proven bound; rows that could be among the best k by that bound are
//! computed anew in f32. The answer is therefore the very one of the plain f32 scan, for any data; only the time depends on
//! how well the copy separates the rows.
//!
//! **The bound.** With `c = sqrt(|v|)` and the gallery's mean `m`, a row is `z = c * (b - m)`, stored as `s * q` (`q` in
//! -127..=127); the query is `g = w / c`, rounded to `t * p` (`p` in 16 bits). Then `w.b = w.m + g.z` and
//! `g.z - (t p).(s q) = g.(z - s q) + (g - t p).(s q)`, which Cauchy and Schwarz hold below
//! `|g| |z - s q| + |g - t p| |s q|`. The residual `|z - s q|` is stored for each row. To this comes the rounding of the f32
//! computation itself: at most `(n + 8) 2^-23 (|w| |b| + |v.b^2| + |v.a^2 + d|)` for n values a row.
//!
//! Memory: 4n + n + 12 + 4 bytes a row: 1296 for n = 256.

use super::kernel::{dots_f32, dots_i8};
use super::shortlist::Shortlist;
use std::cmp::Ordering;
use std::ops::Range;

/// Rows of a block: its products stay in the first-level cache.
const BLOCK: usize = 512;

/// Below this a second thread costs more than it brings.
const ROWS_FOR_THREADS: usize = 50_000;

/// Beyond this, sums of f32 may overflow, which the bound does not cover: the plain scan answers.
const LARGEST: f64 = 1e30;

/// One product found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// The product's ordinal: its place in the index.
    pub product: usize,
    /// The row of its best picture.
    pub row: usize,
    /// Higher is better; rank on this, not on the score, which saturates.
    pub logit: f32,
}

impl Hit {
    /// The published match score, 0 to 1: the sigmoid of the logit.
    pub fn score(&self) -> f32 {
        1.0 / (1.0 + (-self.logit).exp())
    }

    /// Best first: by logit, then by ordinal.
    fn rank(&self, other: &Hit) -> Ordering {
        other.logit.total_cmp(&self.logit).then(self.product.cmp(&other.product)).then(self.row.cmp(&other.row))
    }
}

/// Descriptors of one head, packed for search.
#[derive(Clone, Debug)]
pub struct Gallery {
    weight: Vec<f32>,
    bias: f32,
    /// rows x n.
    matrix: Vec<f32>,
    /// The product of each row, never decreasing.
    products: Vec<u32>,
    /// v.b^2 of each row, and its offset.
    row_bias: Vec<f32>,
    /// rows x n: `q`.
    codes: Vec<i8>,
    /// `s` of each row.
    scales: Vec<f32>,
    /// `|z - s q|` of each row, rounded up.
    residuals: Vec<f32>,
    /// `m` and `c`.
    mean: Vec<f64>,
    stretch: Vec<f64>,
    /// The largest `|b|`, `|s q|` and `|v.b^2|` of all rows.
    longest: f64,
    longest_code: f64,
    largest_bias: f64,
    threads: usize,
}

/// A query made ready for the scan of codes.
struct Query {
    /// `w`
    weights: Vec<f32>,
    /// `v.a^2 + d`, added last.
    constant: f32,
    /// `p`
    codes: Vec<i16>,
    /// `t`
    step: f64,
    /// `constant + w.m`
    base: f64,
    /// `|g|`
    length: f64,
    /// The part of the bound that is the same for all rows.
    slack: f64,
    /// The largest value that the f32 computation may meet.
    size: f64,
}

impl Gallery {
    /// Packs `matrix`: row-major, `weight.len()` finite values a row; `products` names each row's product and never decreases.
    /// `weight` is `v = W[1] - W[0]` and `bias` is `d = c[1] - c[0]` of the head's last layer.
    ///
    /// # Panics
    /// When the lengths do not fit or `products` decreases: the caller made them.
    pub fn new(weight: &[f32], bias: f32, matrix: Vec<f32>, products: Vec<u32>) -> Self {
        let n = weight.len();
        assert!(n > 0 && matrix.len() == n * products.len(), "a gallery has {n} values a row");
        assert!(products.is_sorted(), "the rows of a product stand together");
        let rows = products.len();
        let mean = mean_of(&matrix, n);
        let mut gallery = Gallery {
            weight: weight.to_vec(),
            bias,
            matrix,
            products,
            row_bias: Vec::with_capacity(rows),
            codes: Vec::with_capacity(rows * n),
            scales: Vec::with_capacity(rows),
            residuals: Vec::with_capacity(rows),
            mean,
            stretch: weight.iter().map(|&v| f64::from(v).abs().sqrt()).collect(),
            longest: 0.0,
            longest_code: 0.0,
            largest_bias: 0.0,
            threads: 1,
        };
        gallery.encode();
        if rows > ROWS_FOR_THREADS {
            gallery.threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
        }
        gallery
    }

    /// Searches on `threads` threads, whatever the size. By default one, and several from 50,000 rows on.
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Adds `offsets`, one a row, to the rows' logits.
    ///
    /// # Panics
    /// When there is not one a row: the caller made them.
    pub fn with_row_offsets(mut self, offsets: &[f32]) -> Self {
        assert_eq!(offsets.len(), self.rows(), "a row has one offset");
        for (bias, offset) in self.row_bias.iter_mut().zip(offsets) {
            *bias += offset;
            self.largest_bias = self.largest_bias.max(f64::from(bias.abs()) * 1.000_001);
        }
        self
    }

    /// Values a row.
    pub fn embedding(&self) -> usize {
        self.weight.len()
    }

    /// Pictures, and worn views that are rows of their own.
    pub fn rows(&self) -> usize {
        self.products.len()
    }

    /// The product of a row.
    pub fn product(&self, row: usize) -> usize {
        self.products[row] as usize
    }

    /// All rows, `embedding()` values each.
    pub fn matrix(&self) -> &[f32] {
        &self.matrix
    }

    /// The k products with the highest logit by their best picture, best first, equal ones by ordinal: the same as
    /// [`Gallery::search_exhaustive`], sooner. A street embedding that is not finite finds nothing.
    ///
    /// # Panics
    /// When `street` has not `embedding()` values: it comes from another model, which the caller has checked.
    pub fn search(&self, street: &[f32], k: usize) -> Vec<Hit> {
        self.search_among(street, k, ALL)
    }

    /// As [`Gallery::search`], among the products alone whose place in `among` is true; an empty `among` means all.
    ///
    /// # Panics
    /// When `among` is not empty and shorter than the last product's number: the caller made both.
    pub fn search_among(&self, street: &[f32], k: usize, among: &[bool]) -> Vec<Hit> {
        if k == 0 || self.rows() == 0 || !street.iter().all(|a| a.is_finite()) {
            return Vec::new();
        }
        let query = self.query(street);
        let covered = query.size < LARGEST; // false for a value that is no number
        if !covered {
            return self.search_exhaustive_among(street, k, among);
        }
        let rows = self.shortlist(&query, k, among);
        let mut hits = Vec::with_capacity(rows.len());
        for row in rows {
            self.add_hits(&query, row..row + 1, &mut hits);
        }
        best(hits, k)
    }

    /// How many rows [`Gallery::search`] computes in f32 for this query; for benchmarks.
    pub fn shortlist_len(&self, street: &[f32], k: usize) -> usize {
        self.shortlist(&self.query(street), k, ALL).len()
    }

    /// The same answer from a scan of all rows in f32: the reference.
    pub fn search_exhaustive(&self, street: &[f32], k: usize) -> Vec<Hit> {
        self.search_exhaustive_among(street, k, ALL)
    }

    /// The same answer as [`Gallery::search_among`] from a scan of all rows in f32: the reference.
    pub fn search_exhaustive_among(&self, street: &[f32], k: usize, among: &[bool]) -> Vec<Hit> {
        if k == 0 || !street.iter().all(|a| a.is_finite()) {
            return Vec::new();
        }
        let query = self.query(street);
        let mut hits = Vec::with_capacity(self.rows());
        for start in (0..self.rows()).step_by(BLOCK) {
            self.add_hits(&query, start..(start + BLOCK).min(self.rows()), &mut hits);
        }
        hits.retain(|hit| is_among(among, hit.product));
        best(hits, k)
    }

    /// Appends the f32 logits of `rows` to `hits`, at most a block at once.
    fn add_hits(&self, query: &Query, rows: Range<usize>, hits: &mut Vec<Hit>) {
        let n = self.embedding();
        let mut dots = [0.0f32; BLOCK];
        let dots = &mut dots[..rows.len()];
        dots_f32(&self.matrix[rows.start * n..rows.end * n], &query.weights, dots);
        for (row, dot) in rows.zip(dots) {
            let logit = self.row_bias[row] + *dot + query.constant;
            // NaN only after an overflow; such a row comes last.
            let logit = if logit.is_nan() { f32::NEG_INFINITY } else { logit };
            hits.push(Hit { product: self.products[row] as usize, row, logit });
        }
    }

    fn query(&self, street: &[f32]) -> Query {
        assert_eq!(street.len(), self.embedding(), "a street embedding is as long as the gallery's");
        let n = street.len();
        let weights: Vec<f32> = self.weight.iter().zip(street).map(|(&v, &a)| -2.0 * v * a).collect();
        let squares = self.weight.iter().zip(street).map(|(&v, &a)| f64::from(v) * f64::from(a).powi(2));
        let constant = (squares.sum::<f64>() + f64::from(self.bias)) as f32;
        let stretched: Vec<f64> =
            weights.iter().zip(&self.stretch).map(|(&w, &c)| if c > 0.0 { f64::from(w) / c } else { 0.0 }).collect();
        // A sum of n products must fit 32 bits.
        let limit = (f64::from(i32::MAX) / (127.0 * n as f64)).floor().min(32767.0);
        let step = largest(&stretched) / limit;
        let codes: Vec<i16> =
            stretched.iter().map(|&g| if step > 0.0 { (g / step).round() as i16 } else { 0 }).collect();
        let rounding = norm(stretched.iter().zip(&codes).map(|(&g, &p)| g - step * f64::from(p)));
        let length = norm(stretched.iter().copied());
        let size =
            norm(weights.iter().map(|&w| f64::from(w))) * self.longest + self.largest_bias + f64::from(constant).abs();
        let slack = rounding * self.longest_code * 1.000_001 + (n as f64 + 8.0) * 2f64.powi(-23) * size + 1e-30;
        let centre: f64 = weights.iter().zip(&self.mean).map(|(&w, &m)| f64::from(w) * m).sum();
        Query { weights, constant, codes, step, base: f64::from(constant) + centre, length, slack, size }
    }

    /// The rows whose logit may be among the k best products', in ascending order.
    fn shortlist(&self, query: &Query, k: usize, among: &[bool]) -> Vec<usize> {
        let pieces = self.pieces();
        let lists: Vec<Shortlist> = if let [piece] = pieces.as_slice() {
            vec![self.scan_codes(query, piece.clone(), k, among)]
        } else {
            std::thread::scope(|scope| {
                let scan = |piece| scope.spawn(move || self.scan_codes(query, piece, k, among));
                let threads: Vec<_> = pieces.into_iter().map(scan).collect();
                let join = |thread: std::thread::ScopedJoinHandle<'_, Shortlist>| match thread.join() {
                    Ok(list) => list,
                    Err(panic) => std::panic::resume_unwind(panic),
                };
                threads.into_iter().map(join).collect()
            })
        };
        let floor = Shortlist::common_floor(&lists, k);
        lists
            .iter()
            .flat_map(|list| &list.candidates)
            .filter(|(_, upper)| *upper >= floor)
            .map(|(row, _)| *row)
            .collect()
    }

    /// One piece a thread; a product's rows stay in one piece, for its lower bound must count once.
    fn pieces(&self) -> Vec<Range<usize>> {
        let rows = self.rows();
        let mut pieces = Vec::with_capacity(self.threads);
        let mut start = 0;
        for thread in 1..=self.threads {
            let mut end = (rows * thread / self.threads).max(start);
            while end > 0 && end < rows && self.products[end] == self.products[end - 1] {
                end += 1;
            }
            if end > start {
                pieces.push(start..end);
            }
            start = end;
        }
        pieces
    }

    /// Bounds the logit of each searched row of `piece`, and keeps the rows that may be among the k best.
    fn scan_codes(&self, query: &Query, piece: Range<usize>, k: usize, among: &[bool]) -> Shortlist {
        let n = self.embedding();
        let mut list = Shortlist::default();
        let mut dots = [0i32; BLOCK];
        let mut uppers = [0f64; BLOCK];
        // The product whose rows are being read, and its best lower bound so far.
        let mut current: Option<(u32, f64)> = None;
        for start in piece.clone().step_by(BLOCK) {
            let rows = start..(start + BLOCK).min(piece.end);
            let dots = &mut dots[..rows.len()];
            dots_i8(&self.codes[rows.start * n..rows.end * n], &query.codes, dots);
            self.upper_bounds(query, rows.clone(), dots, &mut uppers[..rows.len()]);
            for (row, &upper) in rows.zip(&uppers) {
                // A row below the floor can neither be an answer nor raise the floor.
                if upper < list.floor(k) || !is_among(among, self.products[row] as usize) {
                    continue;
                }
                list.candidates.push((row, upper));
                let lower = upper - 2.0 * (query.length * f64::from(self.residuals[row]) + query.slack);
                current = match current {
                    Some((product, best)) if product == self.products[row] => Some((product, lower.max(best))),
                    finished => {
                        list.raise(finished, k);
                        Some((self.products[row], lower))
                    }
                };
            }
        }
        list.raise(current, k);
        list
    }

    fn upper_bounds(&self, query: &Query, rows: Range<usize>, dots: &[i32], uppers: &mut [f64]) {
        let per_row = self.scales[rows.clone()].iter().zip(&self.residuals[rows.clone()]).zip(&self.row_bias[rows]);
        for ((upper, &dot), ((&scale, &residual), &bias)) in uppers.iter_mut().zip(dots).zip(per_row) {
            let approximate = query.base + f64::from(bias) + f64::from(scale) * query.step * f64::from(dot);
            *upper = approximate + query.length * f64::from(residual) + query.slack;
        }
    }

    /// Fills codes, scales, residuals, biases and the largest lengths.
    fn encode(&mut self) {
        let n = self.embedding();
        let mut stretched = vec![0.0f64; n];
        for row in self.matrix.chunks_exact(n) {
            let parts = row.iter().zip(&self.mean).zip(&self.stretch);
            for (z, ((&b, &m), &c)) in stretched.iter_mut().zip(parts) {
                *z = c * (f64::from(b) - m);
            }
            let scale = (largest(&stretched) / 127.0) as f32;
            let step = f64::from(scale);
            let first = self.codes.len();
            self.codes.extend(
                stretched.iter().map(|&z| if step > 0.0 { (z / step).round().clamp(-127.0, 127.0) as i8 } else { 0 }),
            );
            let codes = &self.codes[first..];
            let residual = norm(stretched.iter().zip(codes).map(|(&z, &q)| z - step * f64::from(q)));
            let bias: f64 = row.iter().zip(&self.weight).map(|(&b, &v)| f64::from(v) * f64::from(b).powi(2)).sum();
            self.longest_code = self.longest_code.max(norm(codes.iter().map(|&q| step * f64::from(q))));
            self.longest = self.longest.max(norm(row.iter().map(|&b| f64::from(b))) * 1.000_001);
            self.largest_bias = self.largest_bias.max(bias.abs() * 1.000_001);
            self.scales.push(scale);
            self.residuals.push(((residual * 1.000_001) as f32).next_up());
            self.row_bias.push(bias as f32);
        }
    }
}

/// No filter: every product is searched.
const ALL: &[bool] = &[];

fn is_among(among: &[bool], product: usize) -> bool {
    among.is_empty() || among[product]
}

/// Each product by its best row, the k best of them.
fn best(mut hits: Vec<Hit>, k: usize) -> Vec<Hit> {
    // Rows of one product stand together; equal logits go to the first row.
    hits.dedup_by(|next, kept| {
        let same = next.product == kept.product;
        if same && next.logit > kept.logit {
            *kept = *next;
        }
        same
    });
    if k < hits.len() {
        hits.select_nth_unstable_by(k - 1, Hit::rank);
        hits.truncate(k);
    }
    hits.sort_unstable_by(Hit::rank);
    hits
}

fn mean_of(matrix: &[f32], n: usize) -> Vec<f64> {
    let mut mean = vec![0.0; n];
    for row in matrix.chunks_exact(n) {
        for (sum, &value) in mean.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    let rows = (matrix.len() / n).max(1) as f64;
    mean.iter_mut().for_each(|sum| *sum /= rows);
    mean
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

#[cfg(test)]
#[path = "gallery_tests.rs"]
mod tests;
