//! How well the mirror finds what people wear, measured as the field measures it: protocols and figures, pure.
//!
//! Reading order: [`annotations`] (a video data set in MovingFashion's layout) and [`pairs`] (still pictures with boxes),
//! [`random`] (chance that is the same on every run), [`noise`] (the published test noise), [`record`] (what was seen of one
//! query) and [`cache`] (kept between runs), [`query_track`] (which of several garments is the query), [`reference_gallery`] (logits and
//! ranks), [`protocol`] (SEAM and the published baselines), [`metrics`] (shares and their intervals), [`open_set`] (what is not in
//! the gallery).
//!
//! It runs no network and prints nothing: [`crate::cli`] brings what was seen and shows what came of it.

pub mod annotations;
pub mod cache;
pub mod metrics;
pub mod noise;
pub mod open_set;
pub mod pairs;
pub mod protocol;
pub mod query_track;
pub mod random;
pub mod record;
pub mod reference_gallery;

pub use annotations::Annotated;
pub use cache::Cache;
pub use metrics::{Share, Tally};
pub use open_set::OpenSet;
pub use protocol::Method;
pub use random::Dice;
pub use record::{Record, Seen};
pub use reference_gallery::{Head, Shop};
