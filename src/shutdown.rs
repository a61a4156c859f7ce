//! Orderly shutdown: a cancellation token, and the signals of a service manager.
//!
//! Uses `signal-hook`: no extra thread and no runtime. Its handlers only set flags and write a byte, so that the main
//! thread can sleep until something happens.

use crate::fault::{Fault, Kind, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level::pipe};
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A cancellation token. All copies are cancelled together, permanently.
#[derive(Clone, Debug, Default)]
pub struct Token {
    state: Arc<(Mutex<bool>, Condvar)>,
}

impl Token {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels, and wakes all waiters.
    pub fn cancel(&self) {
        let (said, changed) = &*self.state;
        *said.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Whether the work is to end.
    pub fn is_cancelled(&self) -> bool {
        *self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `duration` or until cancelled. Returns whether it is cancelled.
    pub fn wait(&self, duration: Duration) -> bool {
        let (said, changed) = &*self.state;
        let said = said.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(said, duration, |said| !*said);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// A request from the service manager or the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM or SIGINT. The same signal a second time ends the process immediately.
    Stop,
    /// SIGHUP.
    Reload,
    /// The work ends to begin anew in this process. No signal asks for it.
    Restart,
}

/// The signals of this process, handled by one thread.
#[derive(Debug)]
pub struct Signals {
    woken: UnixStream,
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// Handles SIGTERM, SIGINT and SIGHUP from now on.
    pub fn take_over() -> Result<Self> {
        let fail = |error| Fault::new(Kind::Internal, "cannot install the signal handlers").cause(error);
        let (woken, wake) = UnixStream::pair().map_err(fail)?;
        wake.set_nonblocking(true).map_err(fail)?;
        let (stop, reload) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        for (signal, asked) in [(SIGTERM, &stop), (SIGINT, &stop), (SIGHUP, &reload)] {
            if signal != SIGHUP {
                // The order matters: on the first signal, the shutdown flag is not set yet; the second finds it set.
                flag::register_conditional_shutdown(signal, 128 + signal, asked.clone()).map_err(fail)?;
            }
            flag::register(signal, asked.clone()).map_err(fail)?;
            pipe::register(signal, wake.try_clone().map_err(fail)?).map_err(fail)?;
        }
        Ok(Signals { woken, stop, reload })
    }

    /// Waits at most `patience` for a signal.
    pub fn wait(&mut self, patience: Duration) -> Option<Request> {
        let deadline = Instant::now() + patience;
        loop {
            if self.stop.load(Ordering::SeqCst) {
                return Some(Request::Stop);
            }
            if self.reload.swap(false, Ordering::SeqCst) {
                return Some(Request::Reload);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.sleep(left) {
                return None;
            }
        }
    }

    /// Sleeps until a handler has written. Returns false if waiting is not possible.
    fn sleep(&mut self, patience: Duration) -> bool {
        let mut bytes = [0; 16];
        if self.woken.set_read_timeout(Some(patience)).is_err() {
            return false;
        }
        match self.woken.read(&mut bytes) {
            Ok(count) => count > 0,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelling_wakes_waiters() {
        let token = Token::new();
        assert!(!token.wait(Duration::ZERO));
        let waiting = token.clone();
        let thread = std::thread::spawn(move || waiting.wait(Duration::from_secs(60)));
        token.cancel();
        assert!(thread.join().unwrap());
        assert!(token.is_cancelled() && token.wait(Duration::from_secs(60)));
    }

    #[test]
    fn a_hangup_requests_one_reload() {
        let mut signals = Signals::take_over().unwrap();
        assert_eq!(signals.wait(Duration::ZERO), None);
        signal_hook::low_level::raise(SIGHUP).unwrap();
        assert_eq!(signals.wait(Duration::from_secs(60)), Some(Request::Reload));
        assert_eq!(signals.wait(Duration::ZERO), None);
    }
}
