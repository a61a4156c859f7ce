//! Notifying the service manager: systemd's protocol, a datagram to the socket that the environment names.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The way to the service manager, where there is one.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// Within this time the watchdog expects a message.
    watchdog: Option<Duration>,
    said: String,
}

impl Notifier {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    pub fn from_environment() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let ours = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = text("WATCHDOG_USEC").and_then(|usec| usec.parse().ok()).map(Duration::from_micros);
        let socket = text("NOTIFY_SOCKET").and_then(|name| connect(&name));
        Notifier { socket, watchdog: watchdog.filter(|time| ours && !time.is_zero()), said: String::new() }
    }

    /// Half of the time within which the watchdog must hear something; `None` without a watchdog.
    pub fn interval(&self) -> Option<Duration> {
        self.watchdog.map(|time| time / 2)
    }

    pub fn ready(&mut self) {
        self.send("READY=1");
    }

    pub fn stopping(&mut self) {
        self.send("STOPPING=1");
    }

    pub fn alive(&mut self) {
        self.send("WATCHDOG=1");
    }

    /// One line for `systemctl status`; sent only when it is another than before.
    pub fn status(&mut self, text: &str) {
        if self.said != text {
            self.said = text.to_owned();
            self.send(&format!("STATUS={}", text.replace('\n', " ")));
        }
    }

    /// A manager that does not listen is ignored.
    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.socket {
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

/// A name that begins with `@` is an abstract one.
fn connect(name: &str) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    };
    let socket = UnixDatagram::unbound().ok()?;
    // A full queue must not hold up the mirror.
    socket.set_nonblocking(true).ok()?;
    Some((socket, address.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_and_nothing_is_said_twice() {
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
        assert!(connect("/nowhere/at/all").is_some(), "found out when something is said");
    }
}
