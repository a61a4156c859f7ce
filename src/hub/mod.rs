//! The hub of a chain (feature `hub`): all shops' products, pictures and descriptors in PostgreSQL with pgvector, and from them for
//! each shop a signed catalogue that its mirrors follow ([`crate::sync`]).
//!
//! Reading order: `schema.sql` and [`database`]; [`feed_import`] (a feed to products, its new pictures to a queue), [`work`] (the
//! queue to descriptors, on any number of machines), [`shop_catalogue`] (a shop's products out of the tables), [`publish`] with
//! [`sign`] (releases in a folder), [`store`] with [`aws_signature`] (their copy elsewhere), [`mirrors`] (enrolment, heartbeats, roll-out), [`serve`] (all of it over HTTP), [`search`] (in
//! all shops; [`approximate`]), [`status`], [`tokens`] of operators.
//!
//! A mirror needs none of this to work.

pub mod approximate;
pub mod aws_signature;
pub mod bench;
pub mod database;
pub mod feed_import;
pub mod mirrors;
pub mod publish;
pub mod search;
pub mod serve;
pub mod shop_catalogue;
pub mod sign;
pub mod status;
pub mod store;
pub mod tokens;
pub mod work;

pub use database::Database;
