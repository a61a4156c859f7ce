//! From a [`scene::Scene`] to pixels on a panel. Nothing here sees a tensor or a database.

pub mod scene;
