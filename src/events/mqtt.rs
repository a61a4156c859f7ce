//! Publishes events to an MQTT broker, with the messages by which Home Assistant finds the mirror (`discovery`). While the broker
//! is away the newest events wait; it says by itself that the mirror is gone (the last will).

mod discovery;

use super::PATIENCE;
use crate::fault::{Fault, Kind, Result};
use crate::live::Links;
use crate::live::events::{EventReader, Happening, ShopperEvent};
use crate::live::supervise::backoff::Backoff;
use crate::shutdown::Token;
use rumqttc::{Client, Connection, Event, Incoming, LastWill, MqttOptions, QoS, Transport};
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::Builder;
use std::time::Duration;

/// Events that wait while the broker is away.
pub(super) const ROOM: usize = 256;
/// Messages that wait for the connection.
const REQUESTS: usize = 64;
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const ONLINE: &str = "online";
const OFFLINE: &str = "offline";

/// The broker, and what the mirror is called there.
#[derive(Clone, PartialEq, Eq)]
pub struct MqttSettings {
    pub broker: Broker,
    /// Letters, digits, `-` and `_`; no other mirror at the broker has it.
    pub id: String,
    /// The shop's name, for people.
    pub name: String,
    pub user: Option<String>,
    pub password: Option<String>,
    /// Certificates that a broker with TLS is checked by.
    pub ca: PathBuf,
    /// Whether the mirror announces itself to Home Assistant.
    pub discovery: bool,
}

impl fmt::Debug for MqttSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttSettings").field("broker", &self.broker).field("id", &self.id).finish_non_exhaustive()
    }
}

/// A broker's address: `mqtt://host:1883`, or with TLS `mqtts://host:8883`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub host: String,
    pub port: u16,
    pub tls: bool,
}

impl Broker {
    /// Reads the address; the port may be left out.
    ///
    /// # Errors
    /// [`Kind::Usage`]: it is not an address of a broker.
    pub fn parse(url: &str) -> Result<Self> {
        let fault = || {
            Fault::new(Kind::Usage, format!("{url:?} is no broker such as \"mqtt://192.168.1.5:1883\""))
                .cure("begin with mqtt:// or mqtts://; user and password have keys of their own")
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(fault)?;
        let (tls, usual) = match scheme {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(fault()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            // An IPv6 address has colons of its own, in brackets.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| fault())?),
            _ => (rest, usual),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let strange = |c: char| c.is_whitespace() || matches!(c, '/' | '@' | '?' | '#' | '[' | ']');
        if host.is_empty() || host.contains(strange) {
            return Err(fault());
        }
        Ok(Broker { host: host.into(), port, tls })
    }
}

/// Whether `id` can stand in a topic.
pub fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Runs until it is cancelled.
pub(super) fn run(settings: &MqttSettings, reader: &EventReader, links: &Links, token: &Token) {
    let options = match options(settings) {
        Ok(options) => options,
        Err(fault) => return log::error!("no events go to the MQTT broker: {fault}"),
    };
    let (client, connection) = Client::new(options, REQUESTS);
    let connections = Arc::new(Connected::default());
    let (counted, ended, broker) = (connections.clone(), token.clone(), settings.broker.host.clone());
    let keep = move || keep_connected(connection, &counted, &ended, &broker);
    let thread = match Builder::new().name("mqtt-io".into()).spawn(keep) {
        Ok(thread) => thread,
        Err(error) => return log::error!("no events go to the MQTT broker: cannot start a thread: {error}"),
    };
    Publisher { settings, client: &client, connections: &connections, links, token, present: BTreeSet::new(), last: 0 }
        .run(reader);
    // Said by the mirror itself: the broker says it where the mirror cannot.
    let _ = client.try_publish(topic(settings, "availability"), QoS::AtLeastOnce, true, OFFLINE);
    let _ = client.try_disconnect();
    for _ in 0..30 {
        if thread.is_finished() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn options(settings: &MqttSettings) -> Result<MqttOptions> {
    let Broker { host, port, tls } = &settings.broker;
    let mut options = MqttOptions::new(format!("vetrina-{}", settings.id), host, *port);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_last_will(LastWill::new(topic(settings, "availability"), OFFLINE, QoS::AtLeastOnce, true));
    if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
        options.set_credentials(user, password);
    }
    if *tls {
        let ca = std::fs::read(&settings.ca).map_err(|error| {
            Fault::io(Kind::Usage, "read the certificates", &settings.ca, error).cure("set mqtt.ca")
        })?;
        options.set_transport(Transport::tls(ca, None, None));
    }
    Ok(options)
}

fn topic(settings: &MqttSettings, name: &str) -> String {
    format!("vetrina/{}/{name}", settings.id)
}

/// Counts connections made and lost: odd while connected, even while not.
#[derive(Debug, Default)]
struct Connected(AtomicU32);

impl Connected {
    fn now(&self) -> Option<u32> {
        Some(self.0.load(Ordering::SeqCst)).filter(|count| count % 2 == 1)
    }

    fn set(&self, connected: bool) {
        let count = self.0.load(Ordering::SeqCst);
        if (count % 2 == 1) != connected {
            self.0.store(count + 1, Ordering::SeqCst);
        }
    }
}

/// Makes the connection and makes it again, until the program ends.
fn keep_connected(mut connection: Connection, connections: &Connected, token: &Token, broker: &str) {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let mut said = None;
    for event in connection.iter() {
        match event {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                log::info!("the MQTT broker {broker} is there");
                (said, backoff) = (None, Backoff::new(FIRST_WAIT, LONGEST_WAIT));
                connections.set(true);
            }
            Ok(_) => {}
            Err(error) => {
                connections.set(false);
                if token.is_cancelled() {
                    return;
                }
                let why = error.to_string();
                if said.as_ref() != Some(&why) {
                    log::warn!("the MQTT broker {broker} is away and is tried again: {why}");
                }
                said = Some(why);
                if token.wait(backoff.wait()) {
                    return;
                }
            }
        }
    }
}

/// Turns events into messages.
struct Publisher<'a> {
    settings: &'a MqttSettings,
    client: &'a Client,
    connections: &'a Connected,
    links: &'a Links,
    token: &'a Token,
    /// Who is before the mirror.
    present: BTreeSet<u64>,
    /// The newest event's number.
    last: u64,
}

impl Publisher<'_> {
    fn run(&mut self, reader: &EventReader) {
        let mut known = None;
        while !self.token.is_cancelled() {
            let connected = self.connections.now();
            if connected.is_none() {
                // Events wait in the reader's queue.
                self.token.wait(PATIENCE);
                continue;
            }
            if connected != known {
                known = connected;
                self.introduce();
            }
            if let Some(event) = reader.take(PATIENCE) {
                self.tell(&event);
            }
        }
    }

    /// After each connection: what stands, for a broker that may have forgotten it.
    fn introduce(&mut self) {
        if self.settings.discovery {
            for (topic, payload) in discovery::messages(self.settings) {
                self.publish(topic, true, payload);
            }
        }
        self.publish(topic(self.settings, "availability"), true, ONLINE.into());
        self.tell_presence();
    }

    fn tell(&mut self, event: &ShopperEvent) {
        let missed = self.last > 0 && event.number != self.last + 1;
        self.last = event.number;
        let before = self.present.is_empty();
        if missed {
            // Somebody may have left meanwhile, unheard.
            self.present.clear();
        }
        match &event.what {
            Happening::PersonCame { person } => drop(self.present.insert(*person)),
            Happening::PersonLeft { person, .. } => drop(self.present.remove(person)),
            Happening::GarmentMatched { product, .. } => {
                self.publish(topic(self.settings, "product"), false, product.chars().take(255).collect());
            }
            Happening::StaffCalled => {
                self.publish(topic(self.settings, "call"), false, r#"{"event_type":"staff_called"}"#.into());
            }
            Happening::GarmentRefused { .. } | Happening::ProductShown { .. } => {}
        }
        if before != self.present.is_empty() {
            self.tell_presence();
        }
        self.publish(topic(self.settings, "events"), false, event.to_json());
    }

    fn tell_presence(&self) {
        let word = if self.present.is_empty() { "OFF" } else { "ON" };
        self.publish(topic(self.settings, "person"), true, word.into());
    }

    /// Hands a message to the connection; where that is busy, waits for it as long as it stands.
    fn publish(&self, topic: String, retain: bool, payload: String) {
        while self.client.try_publish(&topic, QoS::AtLeastOnce, retain, payload.as_bytes()).is_err() {
            if self.connections.now().is_none() || self.token.wait(Duration::from_millis(20)) {
                return;
            }
        }
        self.links.status.mqtt_messages.count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_read_from_its_address() {
        let broker = |host: &str, port, tls| Broker { host: host.into(), port, tls };
        for (url, expected) in [
            ("mqtt://192.168.1.5", broker("192.168.1.5", 1883, false)),
            ("mqtt://ha.local:1884/", broker("ha.local", 1884, false)),
            ("mqtts://example.org", broker("example.org", 8883, true)),
            ("mqtt://[::1]:1885", broker("::1", 1885, false)),
            ("mqtt://[fe80::1]", broker("fe80::1", 1883, false)),
        ] {
            assert_eq!(Broker::parse(url).unwrap(), expected, "{url}");
        }
        for bad in ["", "host", "http://host", "mqtt://", "mqtt://host:port", "mqtt://u:p@host", "mqtt://host:99999"] {
            assert_eq!(Broker::parse(bad).unwrap_err().kind(), Kind::Usage, "{bad}");
        }
    }

    #[test]
    fn an_id_stands_in_a_topic() {
        assert!(is_id("mirror-2_left"));
        assert!(["", "a/b", "a+", "#", "a b", "é"].iter().all(|id| !is_id(id)));
    }

    #[test]
    fn connections_are_counted() {
        let connected = Connected::default();
        assert_eq!(connected.now(), None);
        connected.set(true);
        connected.set(true);
        assert_eq!(connected.now(), Some(1));
        connected.set(false);
        assert_eq!(connected.now(), None);
        connected.set(true);
        assert_eq!(connected.now(), Some(3), "another one");
    }
}
