//! How many products an import may remove: flags of `catalogue import` and `hub import`.

use clap::Args;

#[derive(Args, Clone, Copy, Debug)]
pub struct RemovalArgs {
    /// The largest part of the shop's products that the import may remove, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    max_removals: u8,
    /// Remove all products that the feed does not have, however many they are
    #[arg(long, conflicts_with = "max_removals")]
    allow_removals: bool,
}

impl RemovalArgs {
    /// From 0 to 1.
    pub fn largest_share(self) -> f64 {
        if self.allow_removals { 1.0 } else { f64::from(self.max_removals) / 100.0 }
    }
}
