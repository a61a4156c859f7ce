//! Exact search: one query over 14,000 descriptors on one core, and over 1,000,000 on all cores, next to the time for
//! reading the f32 index once on the same cores in the same run.
//!
//! `cargo bench --bench search` (needs 1.4 GB of memory; `VETRINA_BENCH_ROWS` replaces the million).

#![allow(clippy::unwrap_used)]

use criterion::Criterion;
use std::hint::black_box;
use std::time::{Duration, Instant};
use vetrina::catalogue::Gallery;

const LENGTH: usize = 256;
const ROUNDS: usize = 15;

/// splitmix64
struct Dice(u64);

impl Dice {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Approximately normal, standard deviation 1.
    fn normal(&mut self) -> f32 {
        ((0..4).map(|_| self.uniform()).sum::<f32>() - 2.0) * 1.732
    }
}

/// Rows similar to trained embeddings: clusters of similar garments, values up to about 4, some dimensions much wider
/// than others; one product per row.
fn gallery(rows: usize) -> (Gallery, Vec<Vec<f32>>) {
    let mut dice = Dice(11);
    let wide: Vec<f32> = (0..LENGTH).map(|_| 0.2 + dice.uniform()).collect();
    let centres: Vec<Vec<f32>> = (0..200).map(|_| wide.iter().map(|w| 0.3 + w * dice.normal()).collect()).collect();
    let mut matrix = Vec::with_capacity(rows * LENGTH);
    for _ in 0..rows {
        let centre = &centres[(dice.uniform() * 200.0) as usize % 200];
        matrix.extend(centre.iter().zip(&wide).map(|(c, w)| c + 0.5 * w * dice.normal()));
    }
    let queries = (0..8)
        .map(|_| {
            let row = (dice.uniform() * (rows - 1) as f32) as usize;
            matrix[row * LENGTH..][..LENGTH].iter().zip(&wide).map(|(b, w)| b + 0.4 * w * dice.normal()).collect()
        })
        .collect();
    // Most distances count against a match.
    let weight: Vec<f32> = (0..LENGTH).map(|_| -0.12 + 0.06 * dice.normal()).collect();
    (Gallery::new(&weight, 4.0, matrix, (0..rows as u32).collect()), queries)
}

/// Reads every value once.
fn read_all(values: &[f32], threads: usize) -> u32 {
    let sum = |part: &[f32]| {
        let mut sums = [0u32; 64];
        for chunk in part.as_chunks::<64>().0 {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum ^= value.to_bits();
            }
        }
        sums.iter().fold(0, |a, b| a ^ b)
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            values.chunks(values.len().div_ceil(threads)).map(|part| scope.spawn(move || sum(part))).collect();
        parts.into_iter().map(|part| part.join().unwrap()).fold(0, |a, b| a ^ b)
    })
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Alternates reading and searching, so that both run under the same conditions.
fn compare(gallery: &Gallery, queries: &[Vec<f32>], threads: usize) {
    let gallery = gallery.clone().with_threads(threads);
    let (mut read, mut search, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let query = &queries[round % queries.len()];
        read.push(time(|| {
            black_box(read_all(gallery.matrix(), threads));
        }));
        search.push(time(|| {
            black_box(gallery.search(query, 20));
        }));
        if round < 3 {
            plain.push(time(|| {
                black_box(gallery.search_exhaustive(query, 20));
            }));
            assert_eq!(gallery.search(query, 20), gallery.search_exhaustive(query, 20));
        }
    }
    let kept: usize = queries.iter().map(|query| gallery.shortlist_len(query, 20)).sum::<usize>() / queries.len();
    let bytes = size_of_val(gallery.matrix()) as f64;
    let (read, search, plain) = (median(&mut read), median(&mut search), median(&mut plain));
    println!("{} rows x {LENGTH}, {threads} threads, medians of {ROUNDS}:", gallery.rows());
    println!("  read the f32 index once    {read:8.2} ms  ({:.1} GB/s)", bytes / read / 1e6);
    println!("  exact top 20               {search:8.2} ms  ({:.2} of reading once)", search / read);
    println!("  plain f32 scan, one thread {plain:8.2} ms");
    println!("  rows computed in f32       {kept:8}");
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let (small, queries) = gallery(14_000);
    criterion.bench_function("search 14,000 x 256, one core", |bencher| {
        let mut turn = queries.iter().cycle();
        bencher.iter(|| small.search(turn.next().unwrap(), 20));
    });
    criterion.bench_function("plain f32 scan 14,000 x 256, one core", |bencher| {
        let mut turn = queries.iter().cycle();
        bencher.iter(|| small.search_exhaustive(turn.next().unwrap(), 20));
    });
    compare(&small, &queries, 1);
    let rows = std::env::var("VETRINA_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let (large, queries) = gallery(rows);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    compare(&large, &queries, 1);
    if cores > 1 {
        compare(&large, &queries, cores);
    }
}
