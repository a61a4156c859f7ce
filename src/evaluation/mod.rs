//! Measures how well the mirror finds what people wear: data sets, protocols and figures of the field.
//!
//! Three runs: [`clips`] (a video data set in MovingFashion's layout, read by [`annotations`]), [`worn`] (the gain from
//! worn views, on such a set) and [`stills`] (pictures with boxes, read by [`pairs`]). All recognize through
//! [`cached_recognizer`], which keeps each [`record`] in the [`cache`] and adds the published test [`noise`], and rank
//! against a [`reference_gallery`].
//!
//! Pure functions: [`random`] (reproducible random numbers), [`query_track`] (which track of a clip is the query),
//! [`protocol`] (SEAM and the published baselines), [`metrics`] (shares and intervals), [`open_set`] (garments not in
//! the gallery), [`claims`] (matches called likely). Nothing here prints: arguments and reports are in [`crate::cli`].

pub mod annotations;
pub mod cache;
pub mod cached_recognizer;
pub mod claims;
pub mod clips;
pub mod metrics;
pub mod noise;
pub mod open_set;
pub mod pairs;
pub mod protocol;
pub mod query_track;
pub mod random;
pub mod record;
pub mod reference_gallery;
pub mod stills;
pub mod tracks;
pub mod worn;

pub use annotations::Annotated;
pub use cache::Cache;
pub use metrics::{Share, Tally};
pub use open_set::OpenSet;
pub use protocol::Method;
