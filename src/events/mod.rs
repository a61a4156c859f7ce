//! Where the events of shoppers go: counts by hour on this device ([`counts`], [`recorder`]), and, only where the configuration
//! names a receiver, a [`webhook`] and an [`mqtt`] broker. Each has a thread of its own, at a low priority, and reads the events of
//! [`crate::live::events`]: none of them can hold up the mirror.

pub mod counts;
pub mod mqtt;
pub mod recorder;
pub mod template;
pub mod webhook;

use self::counts::CountSettings;
use self::mqtt::MqttSettings;
use self::webhook::WebhookSettings;
use crate::fault::{Fault, Kind, Result};
use crate::live::Links;
use crate::live::events::EventReader;
use crate::machine;
use crate::shutdown::Token;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// How long the readers may take to end.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long a reader waits before it checks whether it is to end.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where events go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSettings {
    /// `None`: nothing is counted.
    pub counts: Option<CountSettings>,
    pub webhook: Option<WebhookSettings>,
    pub mqtt: Option<MqttSettings>,
}

/// The running readers. They end when this is dropped; what is counted is written before.
pub struct EventSinks {
    token: Token,
    threads: Vec<JoinHandle<()>>,
}

impl EventSinks {
    /// Starts a thread for each receiver that is configured. A receiver that cannot be reached is no fault here: it is logged, and
    /// tried again.
    pub fn start(settings: &EventSettings, links: &Arc<Links>) -> Result<Self> {
        let mut sinks = EventSinks { token: Token::new(), threads: Vec::new() };
        if let Some(settings) = settings.counts.clone() {
            sinks.add("counts", links, 4096, move |reader, _, token| recorder::run(&settings, reader, token))?;
        }
        if let Some(settings) = settings.webhook.clone() {
            sinks.add("webhook", links, webhook::ROOM, move |reader, links, token| {
                webhook::run(&settings, reader, links, token);
            })?;
        }
        if let Some(settings) = settings.mqtt.clone() {
            sinks.add("mqtt", links, mqtt::ROOM, move |reader, links, token| {
                mqtt::run(&settings, reader, links, token);
            })?;
        }
        Ok(sinks)
    }

    fn add(
        &mut self,
        name: &str,
        links: &Arc<Links>,
        room: usize,
        body: impl FnOnce(&EventReader, &Links, &Token) + Send + 'static,
    ) -> Result<()> {
        let (links, token, reader) = (links.clone(), self.token.clone(), links.events.subscribe(room));
        let run = move || {
            machine::step_back();
            body(&reader, &links, &token);
        };
        let fail = |error| Fault::new(Kind::Unavailable, "cannot start a thread").cause(error);
        self.threads.push(Builder::new().name(name.into()).spawn(run).map_err(fail)?);
        Ok(())
    }
}

impl Drop for EventSinks {
    fn drop(&mut self) {
        self.token.cancel();
        let deadline = Instant::now() + FAREWELL;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}
