//! The stages of the running mirror, one thread each. [`stage`] is their common part (name, heartbeat, end). In the
//! order of a frame's path: [`capture`], [`recognize`], [`matching`], [`render`].

pub mod capture;
pub mod enrolment;
pub mod matching;
pub mod recognize;
pub mod render;
pub mod stage;
