//! Work that the running mirror delegates to child processes, so that their memory and crashes do not affect it.
//! [`child`] runs one and reads its [`event`]s from stdout; [`engine_build`] and [`import`] are the jobs.

pub mod child;
pub mod engine_build;
pub mod event;
pub mod import;
