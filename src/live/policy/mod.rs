//! Decisions of the running mirror as pure functions: [`blank`] (when the screen is dark), [`throttle`] (how much to recognize
//! when the board is hot or short of power).

pub mod blank;
pub mod throttle;
