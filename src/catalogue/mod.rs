//! The shop's products: the store, the import of a feed, and the search over their descriptors.
//!
//! Reading order: [`product`] (plain values), `schema*.sql` and [`store`] (the SQLite file), [`records`] (list, show, remove,
//! export), [`check`], [`feed`] (bytes to rows, pure), [`region`] (what
//! a product's texts say that it covers), [`images`] (a feed's link to a file), [`import`] with `rows` and
//! [`report`] (all or nothing), [`gallery`] with `shortlist` and [`kernel`] (exact search, pure arithmetic), [`index`] (a
//! gallery loaded from a store), [`calibration`] (how well a match must be to be called likely).
//!
//! The only module that names rusqlite. It knows neither network nor camera: whoever imports brings the descriptors.

pub mod calibration;
pub mod check;
pub mod feed;
pub mod gallery;
pub mod images;
pub mod import;
pub mod index;
pub mod kernel;
pub mod product;
pub mod records;
pub mod region;
pub mod report;
mod rows;
mod shortlist;
pub mod store;

pub use calibration::Calibration;
pub use check::CheckReport;
pub use feed::{Feed, parse as parse_feed};
pub use gallery::{Gallery, Hit};
pub use images::{Found, ImageFolder};
pub use import::{ImportOptions, PendingPicture, Plan};
pub use index::Index;
pub use product::{ContentId, ModelStamp, PictureDetail, Product, ProductDetail, ProductSummary, ShopPicture};
pub use report::{ImportReport, SkippedPicture};
pub use store::Catalogue;
