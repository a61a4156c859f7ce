//! The search against brute force.

use super::*;
use proptest::prelude::*;

/// Deterministic values without a random-number crate (splitmix64), uniform in -1..1.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn many(&mut self, count: usize, size: f32) -> Vec<f32> {
        (0..count).map(|_| size * self.next()).collect()
    }
}

/// Clusters around a few centres, as embeddings of similar garments are; products of one to three rows.
fn gallery(dice: &mut Dice, rows: usize, n: usize, spread: f32) -> Gallery {
    let centres: Vec<Vec<f32>> = (0..7).map(|_| dice.many(n, 4.0)).collect();
    let mut matrix = Vec::with_capacity(rows * n);
    let mut products = Vec::with_capacity(rows);
    let mut product = 0u32;
    for row in 0..rows {
        let centre = &centres[row % 7];
        matrix.extend(centre.iter().map(|c| c + spread * dice.next()));
        products.push(product);
        product += u32::from(dice.next() > -0.3);
    }
    let weight: Vec<f32> = (0..n).map(|_| 0.1 * dice.next() - 0.05).collect();
    Gallery::new(&weight, 1.5, matrix, products)
}

/// The published formula in f64, by product.
fn logits_f64(gallery: &Gallery, street: &[f32]) -> Vec<f64> {
    let mut best = vec![f64::NEG_INFINITY; gallery.products.last().map_or(0, |last| *last as usize + 1)];
    for (row, &product) in gallery.matrix.chunks_exact(gallery.embedding()).zip(&gallery.products) {
        let terms = gallery.weight.iter().zip(street.iter().zip(row));
        let sum: f64 = terms.map(|(&v, (&a, &b))| f64::from(v) * (f64::from(a) - f64::from(b)).powi(2)).sum();
        let logit = sum + f64::from(gallery.bias);
        best[product as usize] = best[product as usize].max(logit);
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Nor do offsets of rows: the bound knows them.
    #[test]
    fn search_with_offsets_is_the_plain_scan(
        seed in any::<u64>(), rows in 1usize..500, n in 1usize..40, k in 1usize..20, size in prop::sample::select(vec![0.01f32, 1.0, 1e4]),
    ) {
        let mut dice = Dice(seed);
        let plain = gallery(&mut dice, rows, n, 1.0);
        let offsets = dice.many(rows, size);
        let street = dice.many(n, 4.0);
        let before: Vec<Hit> = plain.search_exhaustive(&street, rows);
        let gallery = plain.with_row_offsets(&offsets);
        prop_assert_eq!(gallery.search(&street, k), gallery.search_exhaustive(&street, k));
        for hit in gallery.search_exhaustive(&street, rows) {
            let best = before.iter().find(|other| other.product == hit.product).unwrap();
            let most = offsets.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            prop_assert!(hit.logit <= best.logit + most + 1e-3 * (1.0 + hit.logit.abs() + size));
        }
    }

    /// The shortlist never changes the answer, whatever the data, the number of threads and k.
    #[test]
    fn search_is_the_plain_scan(
        seed in any::<u64>(), rows in 1usize..700, n in 1usize..70, k in 1usize..40, threads in 1usize..5,
        spread in prop::sample::select(vec![0.0f32, 1e-6, 0.01, 1.0, 100.0]),
    ) {
        let mut dice = Dice(seed);
        let gallery = gallery(&mut dice, rows, n, spread).with_threads(threads);
        let street = dice.many(n, 4.0);
        prop_assert_eq!(gallery.search(&street, k), gallery.search_exhaustive(&street, k));
    }

    /// A filter over products is the plain scan of the products that it leaves.
    #[test]
    fn a_filtered_search_is_the_filtered_scan(
        seed in any::<u64>(), rows in 1usize..700, n in 1usize..40, k in 1usize..40, threads in 1usize..5,
        share in prop::sample::select(vec![0.0f32, 0.05, 0.5, 1.0]),
    ) {
        let mut dice = Dice(seed);
        let gallery = gallery(&mut dice, rows, n, 0.5).with_threads(threads);
        let products = gallery.products.last().map_or(0, |last| *last as usize + 1);
        let among: Vec<bool> = (0..products).map(|_| (dice.next() + 1.0) / 2.0 < share).collect();
        let street = dice.many(n, 4.0);
        let hits = gallery.search_among(&street, k, &among);
        let mut all = gallery.search_exhaustive(&street, rows);
        all.retain(|hit| among[hit.product]);
        all.truncate(k);
        prop_assert_eq!(&hits, &all);
        prop_assert_eq!(&gallery.search_exhaustive_among(&street, k, &among), &all);
    }

    /// The f32 answer is the f64 formula's, but for products that f32 cannot tell apart.
    #[test]
    fn ranks_are_those_of_f64(seed in any::<u64>(), rows in 1usize..400, k in 1usize..30) {
        let mut dice = Dice(seed);
        let n = 64;
        let gallery = gallery(&mut dice, rows, n, 1.0);
        let street = dice.many(n, 4.0);
        let exact = logits_f64(&gallery, &street);
        let mut sorted = exact.clone();
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        let hits = gallery.search(&street, k);
        prop_assert_eq!(hits.len(), k.min(exact.len()));
        for (rank, hit) in hits.iter().enumerate() {
            prop_assert!((f64::from(hit.logit) - exact[hit.product]).abs() < 1e-3);
            prop_assert!((exact[hit.product] - sorted[rank]).abs() < 2e-3);
        }
    }

    /// Each row's f32 logit lies within the bound that its code gives.
    #[test]
    fn the_bound_holds(seed in any::<u64>(), rows in 1usize..200, n in 1usize..300) {
        let mut dice = Dice(seed);
        let gallery = gallery(&mut dice, rows, n, 0.5);
        let street = dice.many(n, 4.0);
        let query = gallery.query(&street);
        let mut dots = vec![0; rows];
        dots_i8(&gallery.codes, &query.codes, &mut dots);
        let mut uppers = vec![0.0; rows];
        gallery.upper_bounds(&query, 0..rows, &dots, &mut uppers);
        let mut hits = Vec::new();
        for row in 0..rows {
            gallery.add_hits(&query, row..row + 1, &mut hits);
            let logit = f64::from(hits[row].logit);
            let lower = uppers[row] - 2.0 * (query.length * f64::from(gallery.residuals[row]) + query.slack);
            prop_assert!(lower <= logit && logit <= uppers[row], "{lower} {logit} {}", uppers[row]);
        }
    }
}

#[test]
fn a_product_counts_by_its_best_picture() {
    // v = -1: the nearest row wins. Product 0 has one far and one near picture, product 1 two middling ones.
    let matrix = vec![9.0, 0.1, 2.0, 2.0, 5.0];
    let gallery = Gallery::new(&[-1.0], 0.0, matrix, vec![0, 0, 1, 1, 2]);
    let hits = gallery.search(&[0.0], 3);
    assert_eq!(hits.iter().map(|hit| (hit.product, hit.row)).collect::<Vec<_>>(), [(0, 1), (1, 2), (2, 4)]);
    assert!((hits[0].logit + 0.01).abs() < 1e-6);
    assert!(hits[0].score() < 0.5);
}

#[test]
fn equal_products_go_by_ordinal_and_all_are_found() {
    let gallery = Gallery::new(&[-0.5; 8], 0.0, vec![1.0; 8 * 2000], (0..2000).collect()).with_threads(3);
    let hits = gallery.search(&[0.5; 8], 5);
    assert_eq!(hits.iter().map(|hit| hit.product).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn degenerate_galleries_and_queries() {
    let empty = Gallery::new(&[1.0], 0.0, Vec::new(), Vec::new());
    assert!(empty.search(&[1.0], 5).is_empty() && empty.search_exhaustive(&[1.0], 5).is_empty());
    let one = Gallery::new(&[0.0, -1.0], 2.0, vec![3.0, 3.0], vec![0]);
    assert!(one.search(&[f32::NAN, 0.0], 5).is_empty());
    assert!(one.search(&[1.0, 1.0], 0).is_empty());
    assert_eq!(one.search(&[1.0, 1.0], 5).len(), 1);
    let huge = Gallery::new(&[-1.0; 2], 0.0, vec![1e19, 1.0, 1e30, -1e30, 1.0, 2.0], vec![0, 1, 2]);
    assert_eq!(huge.search(&[1e19, 1.0], 3), huge.search_exhaustive(&[1e19, 1.0], 3));
}

#[test]
fn the_shortlist_is_short() {
    let mut dice = Dice(5);
    let gallery = gallery(&mut dice, 20_000, 64, 1.0);
    let street = gallery.matrix()[..64].to_vec();
    let kept = gallery.shortlist_len(&street, 20);
    assert!(kept < 1000, "{kept} of 20,000 rows were computed twice");
}
