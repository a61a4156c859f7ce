//! What keeps the mirror running for weeks: [`supervisor`] starts and restarts the stages, [`stall`] decides which one is
//! stuck, [`notify`] tells the service manager, [`backoff`] spaces out retries.

pub mod backoff;
pub mod notify;
pub mod stall;
pub mod supervisor;
