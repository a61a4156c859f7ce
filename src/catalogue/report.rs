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

/// What an import did.
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
    /// Unknown columns.
    pub warnings: Vec<String>,
    /// Different pictures that went through the network.
    pub pictures_embedded: usize,
    /// Different pictures whose descriptors were there already.
    pub pictures_reused: usize,
}
