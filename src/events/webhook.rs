//! Posts each event to one HTTP address. A receiver that is away is tried again; meanwhile the newest events wait, and older ones are
//! lost and counted.

use super::{PATIENCE, template};
use crate::clock::UtcTime;
use crate::fault::{Fault, Kind, Result};
use crate::live::Links;
use crate::live::events::{EventKind, EventReader, ShopperEvent};
use crate::live::supervise::backoff::Backoff;
use crate::shutdown::Token;
use std::fmt;
use std::time::Duration;

/// Events that wait while the receiver is away.
pub(super) const ROOM: usize = 256;
/// One try takes no longer, from looking up the name to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// An event that is older is not news any more, seconds.
const TOO_OLD: i64 = 3600;

/// Where events are posted.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// `http://` or `https://`.
    pub url: String,
    /// The body; see [`template`]. `None`: the event as JSON.
    pub template: Option<String>,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<String>,
    pub events: Vec<EventKind>,
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The token and what an address may hold of secrets are never printed.
        f.debug_struct("WebhookSettings").field("events", &self.events).finish_non_exhaustive()
    }
}

/// How a try ended.
enum DeliveryOutcome {
    Taken,
    /// The receiver does not want this event: it is not sent again.
    Refused(u16),
    /// It may go another time.
    Failed(String),
}

/// Runs until it is cancelled.
pub(super) fn run(settings: &WebhookSettings, reader: &EventReader, links: &Links, token: &Token) {
    let sender = WebhookSender::new(settings);
    while !token.is_cancelled() {
        let event = reader.take(PATIENCE);
        if let Some(event) = event.filter(|event| settings.events.contains(&event.what.kind())) {
            sender.deliver(&event, links, token);
        }
    }
}

struct WebhookSender<'a> {
    settings: &'a WebhookSettings,
    agent: ureq::Agent,
}

impl<'a> WebhookSender<'a> {
    fn new(settings: &'a WebhookSettings) -> Self {
        // Straight to the address that is configured: no proxy of the environment, no other address that the receiver names.
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .user_agent(concat!("vetrina/", env!("CARGO_PKG_VERSION")))
            .build();
        WebhookSender { settings, agent: config.new_agent() }
    }

    /// Tries until the receiver has taken the event or refused it, it is too old, or the program ends.
    fn deliver(&self, event: &ShopperEvent, links: &Links, token: &Token) {
        let status = &links.status;
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut failed = false;
        while UtcTime::now().second() - event.time.second() <= TOO_OLD {
            match self.attempt(event) {
                DeliveryOutcome::Taken => {
                    status.webhook_deliveries.count();
                    if failed {
                        log::info!("the webhook takes events again");
                    }
                    return;
                }
                DeliveryOutcome::Refused(code) => {
                    status.webhook_failures.count();
                    let kind = event.what.kind().name();
                    log::warn!("the webhook refuses an event {kind} with status {code}: check webhook.url and token");
                    return;
                }
                DeliveryOutcome::Failed(why) => {
                    status.webhook_failures.count();
                    if !failed {
                        log::warn!("the webhook cannot be reached and is tried again: {why}");
                    }
                    failed = true;
                }
            }
            if token.wait(backoff.wait()) {
                return;
            }
        }
        log::warn!("an event is given up that the webhook did not take within an hour");
    }

    fn attempt(&self, event: &ShopperEvent) -> DeliveryOutcome {
        let body = self.settings.template.as_ref().map(|template| template::fill(template, event));
        let is_json = self.settings.template.as_deref().is_none_or(template::is_json);
        let mut request = self.agent.post(&self.settings.url).content_type(if is_json {
            "application/json"
        } else {
            "text/plain; charset=utf-8"
        });
        if let Some(token) = &self.settings.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        match request.send(body.unwrap_or_else(|| event.to_json())) {
            Ok(answer) => match answer.status().as_u16() {
                200..=299 => DeliveryOutcome::Taken,
                // Busy, or about to be there again.
                code @ (408 | 425 | 429 | 500..=599) => {
                    DeliveryOutcome::Failed(format!("it answers with status {code}"))
                }
                code => DeliveryOutcome::Refused(code),
            },
            Err(error) => DeliveryOutcome::Failed(error.to_string()),
        }
    }
}

/// Checks an address before it is used.
///
/// # Errors
/// [`Kind::Usage`]: it is no HTTP address.
pub fn check_url(url: &str) -> Result<()> {
    let fault = || {
        Fault::new(Kind::Usage, format!("{url:?} is no address such as \"https://example.org/hook\""))
            .cure("begin with http:// or https://")
    };
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).ok_or_else(fault)?;
    let host = host.split(['/', '?', '#']).next().unwrap_or("");
    let parses = ureq::http::Uri::try_from(url).is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    if host.is_empty() || !parses { Err(fault()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_checked_before_it_is_used() {
        for good in ["http://127.0.0.1:8123/api/webhook/x", "https://example.org", "https://u:p@example.org/a?b=c"] {
            assert!(check_url(good).is_ok(), "{good}");
        }
        for bad in ["", "example.org", "ftp://example.org", "http://", "https:///path", "http://a b/"] {
            assert_eq!(check_url(bad).unwrap_err().kind(), Kind::Usage, "{bad}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let settings = WebhookSettings {
            url: "https://example.org/secret".into(),
            template: None,
            token: Some("battery staple".into()),
            events: vec![EventKind::StaffCalled],
        };
        let text = format!("{settings:?}");
        assert!(!text.contains("secret") && !text.contains("battery"), "{text}");
    }
}
