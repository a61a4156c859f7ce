//! Work that the running mirror gives to a child process: its memory and its crashes are its own.

pub mod engine_build;
