//! vetrina: the program inside an in-store smart mirror.
//!
//! The way of a frame, one direction, no way back:
//!
//! ```text
//! camera -> Frame -> Detections -> Tracks -> Look (10-frame window -> embedding) -> Matches -> Scene -> panel
//! ```
//!
//! Modules in reading order: the foundation ([`fault`], [`geometry`], [`frame`], [`tensor`], [`metrics`], [`clock`], [`drop_oldest`],
//! [`shutdown`], [`machine`], [`tail`], [`audit`], [`language`]), which knows no stage; the stages ([`capture`], [`network`], [`seam`], [`catalogue`], [`display`]), which hand
//! each other plain values and otherwise do not know one another; [`evaluation`], which judges what they found; the [`pipeline`], which joins them; [`live`], which runs it for weeks on several threads; [`events`], which counts what happens there and tells whom the configuration names; [`config`], which reads
//! the appliance's settings; [`sync`], which follows a hub's catalogues, and [`hub`](crate), which makes them (feature `hub`); [`web`], which serves what the live pipeline says of itself; and [`cli`], the only place that prints.
//! ARCHITECTURE.md says why.

pub mod audit;
pub mod capture;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod config;
pub mod display;
pub mod drop_oldest;
pub mod evaluation;
pub mod events;
pub mod fault;
pub mod frame;
pub mod geometry;
#[cfg(feature = "hub")]
pub mod hub;
pub mod language;
pub mod live;
pub mod machine;
pub mod metrics;
pub mod network;
pub mod pipeline;
pub mod seam;
pub mod shutdown;
pub mod sync;
pub mod tail;
pub mod tensor;
pub mod web;
