//! The stages joined: a frame in, a scene out.
//!
//! Reading order: [`recognizer`] (a picture to its garments) with [`second_pass`] (a closer look) and [`features`] (its maps, and
//! the heads on them), [`workers`] (many frames, several threads, in order), [`tracking`] (detections to followed garments and
//! questions), [`matcher`] (an embedding to products), [`dedup_products`] (no product twice), [`sequential`] (all of it on one
//! thread: frame in, scene out), [`clip_tracks`] (what a whole clip came to), [`import`] (a shop's pictures to descriptors),
//! [`graph_inputs`] (what the graphs are fed with, to judge engines by).

pub mod clip_tracks;
pub mod dedup_products;
pub mod features;
pub mod graph_inputs;
pub mod import;
pub mod matcher;
pub mod recognizer;
pub mod second_pass;
pub mod sequential;
pub mod tracking;
pub mod workers;
