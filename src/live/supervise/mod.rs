//! Keeps the mirror running for weeks: [`supervisor`] starts and restarts the stages, [`stall`] detects stuck stages,
//! [`notify`] talks to the service manager, [`backoff`] spaces retries.

pub mod backoff;
pub mod notify;
pub mod stall;
pub mod supervisor;
