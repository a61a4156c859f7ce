//! What an import says it did.

use super::feed::Problem;
use serde::Serialize;

/// A picture that was left out of a product that stays.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SkippedPicture {
    pub line: u64,
    pub id: String,
    pub link: String,
    pub reason: String,
}

/// Changes that a report lists; all are counted.
pub const MOST_CHANGES: usize = 1000;

/// What an import does to one product.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum Change {
    Added {
        id: String,
        title: String,
    },
    Updated {
        id: String,
        /// Columns whose values differ, and `pictures`.
        fields: Vec<&'static str>,
    },
    Removed {
        id: String,
        title: String,
    },
}

/// What an import did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ImportReport {
    /// Products in the catalogue now.
    pub products: usize,
    pub added: usize,
    /// Text or pictures changed, or embedded by another model than before.
    pub updated: usize,
    pub unchanged: usize,
    /// Products that the feed no longer has.
    pub removed: usize,
    pub skipped_rows: Vec<Problem>,
    pub skipped_pictures: Vec<SkippedPicture>,
    /// Unknown columns, pictures found by their names alone, and the like.
    pub warnings: Vec<String>,
    /// Different pictures that went through the network.
    pub pictures_embedded: usize,
    /// Different pictures whose descriptors were there already.
    pub pictures_reused: usize,
    /// Different pictures that the network has yet to see: of a preview.
    pub pictures_pending: usize,
    /// Why the import would be refused, as it is: of a preview, where it would remove too many products.
    pub refusal: Option<String>,
    /// At most [`MOST_CHANGES`].
    pub changes: Vec<Change>,
    /// The letters of what a card shows, each once: the screen needs a font for them.
    #[serde(skip)]
    pub letters: String,
}
