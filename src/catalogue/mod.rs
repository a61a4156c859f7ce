//! The shop's products: the store, the import of a feed, and the search over their descriptors.
//!
//! Reading order: [`product`] (plain values), `schema*.sql` and [`store`] (the SQLite file) with [`mod@file_version`], [`records`] (list, show, remove,
//! export), [`check`], [`feed`] (any format's bytes to products, pure), [`region`] (what
//! a product's texts say that it covers), [`images`] (a feed's link to a file) with `picture_names`, [`import`] with `rows` and
//! [`report`] (all or nothing), [`history`] (generations and the way back), [`settings`] (options that are kept between imports), [`gallery`]
//! with `shortlist` and [`kernel`] (exact search, pure arithmetic), [`index`] (a gallery loaded from a store), [`calibration`]
//! (how clearly a product must stand out to be called likely) with `kept_calibration`, [`price`] and [`stock`] (of a product now), [`update`] (prices
//! and stock between two imports), `valid` (which values are accepted), [`worn`] with `worn_rows` and [`worn_file`] (views of products on people),
//! [`correction`] (judgements of answers by staff), [`confusion`] (products that the search confuses), [`release`] (a hub's catalogue for
//! this shop, whole or what has changed).
//!
//! The only module that names rusqlite, except the counts of [`crate::events`]. It knows neither network nor camera: the caller of an
//! import brings the descriptors.

pub mod calibration;
pub mod check;
pub mod confusion;
pub mod correction;
pub mod feed;
pub mod file_version;
pub mod gallery;
pub mod history;
pub mod images;
pub mod import;
pub mod index;
mod index_rows;
mod kept_calibration;
pub mod kernel;
mod picture_names;
pub mod price;
pub mod product;
pub mod records;
pub mod region;
pub mod release;
pub mod report;
mod rows;
pub mod settings;
mod shortlist;
pub mod stock;
pub mod store;
pub mod update;
mod valid;
pub mod worn;
pub mod worn_counts;
pub mod worn_file;
mod worn_rows;
pub mod worn_shift;

pub use calibration::{Calibration, margin};
pub use check::CheckReport;
pub use feed::{ColumnMap, Feed, parse as parse_feed};
pub use file_version::FileVersion;
pub use gallery::{Gallery, Hit};
pub use history::Generation;
pub use images::{Found, ImageFolder};
pub use import::{FetchFrom, ImportOptions, PendingPicture, Plan, UnfinishedImport};
pub use index::Index;
pub use index_rows::{Grouping, Variant};
pub use price::{Currency, PriceLocale};
pub use product::{ContentId, ModelStamp, PictureDetail, Product, ProductDetail, ProductSummary, ShopPicture};
pub use release::ReleaseMark;
pub use release::apply::ReleaseFile;
pub use release::worn::add_worn;
pub use release::write::{ReleasePicture, ReleaseProduct, write_difference, write_snapshot};
pub use report::{Change, ImportReport, SkippedPicture};
pub use stock::{OutOfStock, SizeStock, Stock};
pub use store::Catalogue;
pub use update::{Addressed, ProductUpdate, Quantity};
pub use valid::require_price;
pub use worn::{Enrolment, MOST_VIEWS, WornProduct, WornView};
pub use worn_counts::WornCounts;
