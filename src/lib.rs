//! vetrina: the program inside an in-store smart mirror.
//!
//! The path of a frame:
//!
//! ```text
//! camera -> Frame -> Detections -> Tracks -> window of 10 frames -> embedding -> Matches -> Scene -> panel
//! ```
//!
//! Modules in reading order. The foundation knows no stage: [`fault`], [`geometry`], [`frame`], [`tensor`],
//! [`metrics`], [`clock`], [`drop_oldest`], [`shutdown`], [`machine`], [`tail`], [`audit`], [`language`]. The stages
//! exchange plain values and do not know one another: [`capture`], [`network`], [`seam`], [`catalogue`], [`display`].
//! [`pipeline`] joins them, [`evaluation`] measures them, [`live`] runs them for weeks on several threads. [`events`]
//! counts shopper events and sends them to configured receivers. [`config`] reads the settings; [`sync`] follows a
//! hub's catalogues, and [`hub`](crate) publishes them (feature `hub`). [`web`] serves the status over HTTP, and
//! [`cli`] is the only module that prints. ARCHITECTURE.md has the reasons.

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
