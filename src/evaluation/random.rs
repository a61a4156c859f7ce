//! Reproducible random numbers. A generator is seeded by a number and a name, so that a query's random numbers do not
//! depend on the queries before it.

use sha2::{Digest, Sha256};

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct SeededRng(u64);

impl SeededRng {
    /// Seeds a generator with a number and a name.
    pub fn new(seed: u64, name: &str) -> Self {
        let hash = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name).finalize();
        SeededRng(u64::from_le_bytes(std::array::from_fn(|place| hash[place])))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Uniform in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [0, `end`). `end` must not be 0.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// Two independent standard normal values.
    pub fn gaussians(&mut self) -> [f32; 2] {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.unit()).sin_cos();
        [(radius * cos) as f32, (radius * sin) as f32]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// Reservoir sampling: keeps at most `capacity` of the offered items, each with equal probability.
#[derive(Clone, Debug)]
pub struct Reservoir<T> {
    capacity: usize,
    offered: u64,
    kept: Vec<(u64, T)>,
}

impl<T> Reservoir<T> {
    pub fn new(capacity: usize) -> Self {
        Reservoir { capacity, offered: 0, kept: Vec::with_capacity(capacity) }
    }

    pub fn offer(&mut self, item: T, rng: &mut SeededRng) {
        let number = self.offered;
        self.offered += 1;
        if self.kept.len() < self.capacity {
            self.kept.push((number, item));
        } else {
            let place = rng.below(self.offered) as usize;
            if let Some(slot) = self.kept.get_mut(place) {
                *slot = (number, item);
            }
        }
    }

    /// The kept items, in the order in which they were offered.
    pub fn into_sorted(mut self) -> Vec<T> {
        self.kept.sort_by_key(|(number, _)| *number);
        self.kept.into_iter().map(|(_, item)| item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_seed_determine_the_numbers() {
        let draw = |seed, name: &str| SeededRng::new(seed, name).bits();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }

    #[test]
    fn gaussians_have_mean_0_and_deviation_1() {
        let mut rng = SeededRng::new(3, "");
        let values: Vec<f32> = (0..20_000).flat_map(|_| rng.gaussians()).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let square = values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.02 && (square - 1.0).abs() < 0.03, "{mean} {square}");
    }

    #[test]
    fn every_item_is_kept_with_equal_probability() {
        let mut times = [0; 30];
        for round in 0..3000 {
            let mut rng = SeededRng::new(round, "");
            let mut reservoir = Reservoir::new(10);
            (0..30).for_each(|item| reservoir.offer(item, &mut rng));
            let kept = reservoir.into_sorted();
            assert!(kept.len() == 10 && kept.is_sorted());
            kept.iter().for_each(|&item: &usize| times[item] += 1);
        }
        assert!(times.iter().all(|&times| (880..1120).contains(&times)), "{times:?}");
    }
}
