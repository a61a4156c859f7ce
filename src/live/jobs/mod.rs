//! Work that the running mirror gives to a child process: its memory and its crashes are its own. [`child`] runs one and reads
//! the [`event`]s on its standard output; [`engine_build`] and [`import`] are the jobs.

pub mod child;
pub mod engine_build;
pub mod event;
pub mod import;
