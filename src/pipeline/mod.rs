//! The stages joined: a frame in, a scene out.
//!
//! Reading order: [`recognizer`] (a picture to its garments) with [`focus`] (a closer look) and [`features`] (its maps, and the
//! heads on them), [`workers`] (many frames, several threads, in order),
//! [`follow`] (detections to followed garments and questions), [`matcher`] (an embedding to products), [`once`] (no product twice), [`core`] (one pure step,
//! frame in, scene out), [`live`] (the same on several threads, from camera to screen), [`record`] (what a whole clip came to),
//! [`shop`] (a shop's pictures to descriptors, for the import), [`samples`] (what the graphs are fed with, to judge engines by).

pub mod core;
pub mod features;
pub mod focus;
pub mod follow;
pub mod live;
pub mod matcher;
pub mod once;
pub mod recognizer;
pub mod record;
pub mod samples;
pub mod shop;
pub mod workers;
