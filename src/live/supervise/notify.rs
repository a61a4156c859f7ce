//! Notifications to the service manager (systemd protocol): datagrams to the socket named in the environment.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Connection to the service manager, if there is one.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// The watchdog expects a message at least this often.
    watchdog: Option<Duration>,
    said: String,
}

impl Notifier {
    /// From the environment: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    pub fn from_environment() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let ours = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = text("WATCHDOG_USEC").and_then(|usec| usec.parse().ok()).map(Duration::from_micros);
        let socket = text("NOTIFY_SOCKET").and_then(|name| connect(&name));
        Notifier { socket, watchdog: watchdog.filter(|time| ours && !time.is_zero()), said: String::new() }
    }

    /// Half of the watchdog's interval; `None` without a watchdog.
    pub fn interval(&self) -> Option<Duration> {
        self.watchdog.map(|time| time / 2)
    }

    /// Tells that the mirror runs.
    pub fn ready(&mut self) {
        self.send("READY=1");
    }

    /// Tells that the mirror is about to end.
    pub fn stopping(&mut self) {
        self.send("STOPPING=1");
    }

    /// Feeds the watchdog.
    pub fn alive(&mut self) {
        self.send("WATCHDOG=1");
    }

    /// Sends one line for `systemctl status`, if it has changed.
    pub fn status(&mut self, text: &str) {
        if self.said != text {
            self.said = text.to_owned();
            self.send(&format!("STATUS={}", text.replace('\n', " ")));
        }
    }

    /// Errors are ignored: a manager that does not listen must not affect the mirror.
    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

/// A name starting with `@` is in the abstract namespace.
fn connect(name: &str) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound().ok()?;
    // A full queue must not block the mirror.
    socket.set_nonblocking(true).ok()?;
    Some((socket, address.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_and_are_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut notifier = Notifier { socket: connect(path.to_str().unwrap()), ..Notifier::default() };
        notifier.ready();
        notifier.status("12 frames/s");
        notifier.status("12 frames/s");
        notifier.alive();
        let mut bytes = [0; 64];
        for expected in ["READY=1", "STATUS=12 frames/s", "WATCHDOG=1"] {
            let length = manager.recv(&mut bytes).unwrap();
            assert_eq!(std::str::from_utf8(&bytes[..length]).unwrap(), expected);
        }
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let mut notifier = Notifier::default();
        notifier.ready();
        assert_eq!(notifier.interval(), None);
        assert!(connect("/nowhere/at/all").is_some(), "a missing socket shows only when sending");
    }
}
