//! How many kills a test makes, and the seed of their moments: its own numbers, or those of the environment.

/// `VETRINA_KILLS`, else `kills`; `VETRINA_SEED`, else `seed`.
pub fn and_seed(kills: u64, seed: u64) -> (u64, u64) {
    let number = |variable: &str, own| std::env::var(variable).map_or(own, |text| text.parse().unwrap());
    (number("VETRINA_KILLS", kills), number("VETRINA_SEED", seed))
}
