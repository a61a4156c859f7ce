//! vetrina: the program inside an in-store smart mirror.
//!
//! The way of a frame, one direction, no way back:
//!
//! ```text
//! camera -> Frame -> Detections -> Tracks -> Look (10-frame window -> embedding) -> Matches -> Scene -> panel
//! ```
//!
//! Modules in reading order: the foundation ([`fault`], [`geometry`], [`frame`], [`tensor`], [`metrics`], [`clock`], [`drop_oldest`],
//! [`shutdown`], [`machine`], [`tail`], [`language`]), which knows no stage; the stages ([`capture`], [`network`], [`seam`], [`catalogue`], [`display`]), which hand
//! each other plain values and otherwise do not know one another; [`evaluation`], which judges what they found; the [`pipeline`], which joins them; [`live`], which runs it for weeks on several threads; [`config`], which reads
//! the appliance's settings; [`web`], which serves what the live pipeline says of itself; and [`cli`], the only place that prints.
//! ARCHITECTURE.md says why.

pub mod capture;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod config;
pub mod display;
pub mod drop_oldest;
pub mod evaluation;
pub mod fault;
pub mod frame;
pub mod geometry;
pub mod language;
pub mod live;
pub mod machine;
pub mod metrics;
pub mod network;
pub mod pipeline;
pub mod seam;
pub mod shutdown;
pub mod tail;
pub mod tensor;
pub mod web;
