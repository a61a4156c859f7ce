//! How a feed is imported.

use crate::catalogue::feed::ColumnMap;
use crate::catalogue::price::Currency;
use std::path::PathBuf;

/// A larger share of the products is not removed unless that is allowed.
pub const MAX_REMOVALS: f64 = 0.1;

/// How to import.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// Refuse the feed where any row, picture or column of it cannot be used.
    pub strict: bool,
    /// The largest share of the catalogue's products that the import may remove, 0 to 1: a feed that was cut short removes more.
    pub max_removals: f64,
    /// What made the new generation, for people: "import of feed.csv".
    pub source: String,
    /// The column map to keep for the next import; `None` keeps what was kept.
    pub column_map: Option<ColumnMap>,
    /// The currency of prices that have none, to keep for the next import; `None` keeps what was kept, an empty one is forgotten.
    pub currency: Option<Currency>,
    /// Further picture folders.
    pub more_images: Vec<PathBuf>,
    /// Fetch pictures from their web addresses; `None`: nothing is fetched.
    pub fetch: Option<FetchFrom>,
}

/// Where pictures may be fetched from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFrom {
    /// By https, from addresses of the public network.
    Public,
    /// By http as well, and from the local network.
    Anywhere,
}

impl Default for ImportOptions {
    fn default() -> Self {
        ImportOptions {
            strict: false,
            max_removals: MAX_REMOVALS,
            source: "import".into(),
            column_map: None,
            currency: None,
            more_images: Vec::new(),
            fetch: None,
        }
    }
}
