//! The stages of the running mirror, one per thread: [`stage`] is what they have in common (name, heartbeat, end), then in the
//! way of a frame [`capture`], [`recognize`], [`matching`] and [`render`].

pub mod capture;
pub mod enrolment;
pub mod matching;
pub mod recognize;
pub mod render;
pub mod stage;
