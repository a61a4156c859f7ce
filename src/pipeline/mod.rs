//! The steps joined: a frame in, a scene out.
//!
//! In the order of a frame: [`recognizer`] (a picture to its detections) with [`second_pass`] (small people, larger) and
//! [`features`] (the trunk's maps, and the heads on them); [`tracking`] (detections to tracked garments and queries) with
//! [`close_ups`] (views from crops of their own) and [`aggregator`]; [`matcher`] (an embedding to products); [`track_matches`] (the matches of each track); [`presenter`] (the scene)
//! with [`dedup_products`] (no product twice); [`shown_products`] (what the screen shows of them). [`same_person`] is the rule that the second pass and the presenter share. [`sequential`] runs the steps after the recognizer on one thread,
//! [`crate::live`] all of them on several; [`workers`] recognizes many frames side by side.
//!
//! Beside that: [`clip_tracks`] (the garments of a whole clip) with [`garment_answers`] (their products), [`import`] (a shop's feed into its
//! catalogue), [`enrol`] (worn products into it), [`graph_inputs`]
//! (what the graphs are fed with, to judge engines by), [`settings`].

pub mod aggregator;
pub mod clip_tracks;
pub mod close_ups;
pub mod dedup_products;
pub mod enrol;
pub mod features;
pub mod garment_answers;
pub mod graph_inputs;
pub mod import;
pub mod matcher;
pub mod presenter;
mod product_card;
pub mod recognizer;
pub mod same_person;
pub mod second_pass;
pub mod sequential;
pub mod settings;
pub mod shop_plan;
pub mod shown_products;
pub mod track_matches;
pub mod tracking;
pub mod workers;
