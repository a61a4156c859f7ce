//! How well the mirror finds what people wear, measured as the field measures it: protocols and figures, pure.
//!
//! Reading order: [`annotations`] (a video data set in MovingFashion's layout) and [`pairs`] (still pictures with boxes),
//! [`dice`] (chance that is the same on every run), [`noise`] (the published test noise), [`record`] (what was seen of one
//! query) and [`cache`] (kept between runs), [`choice`] (which of several garments is the query), [`shop`] (logits and
//! ranks), [`protocol`] (SEAM and the published baselines), [`metrics`] (shares and their intervals), [`open_set`] (what is not in
//! the gallery).
//!
//! It runs no network and prints nothing: [`crate::cli`] brings what was seen and shows what came of it.

pub mod annotations;
pub mod cache;
pub mod choice;
pub mod dice;
pub mod metrics;
pub mod noise;
pub mod open_set;
pub mod pairs;
pub mod protocol;
pub mod record;
pub mod shop;

pub use annotations::Annotated;
pub use cache::Cache;
pub use dice::Dice;
pub use metrics::{Share, Tally};
pub use open_set::OpenSet;
pub use protocol::Method;
pub use record::{Record, Seen};
pub use shop::{Head, Shop};
