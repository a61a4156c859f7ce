//! The sections on counts, outgoing events and privacy: `[stats]`, `[webhook]`, `[mqtt]`, `[privacy]`.

use super::{Config, Count, Secret};
use crate::audit::AuditLog;
use crate::capture::camera::MaskRegion;
use crate::events::counts::CountSettings;
use crate::events::mqtt::{Broker, MqttSettings, is_id};
use crate::events::webhook::{WebhookSettings, check_url};
use crate::events::{EventSettings, template};
use crate::live::events::EventKind;
use crate::web::LiveView;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The counts by hour.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatsSection {
    /// `None`: `counts.db` beside the catalogue.
    pub file: Option<PathBuf>,
    /// Days for which counts are kept; 0: nothing is counted.
    pub days: Count<0, 3660>,
}

/// An HTTP receiver of events.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSection {
    /// `None`: nothing is sent. An address may contain a secret of its receiver, so it is hidden like a password.
    pub url: Option<Secret<1>>,
    /// The body of a request, with fields in double braces; `None`: the event as JSON.
    pub template: Option<String>,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<Secret<1>>,
    pub events: Vec<EventKind>,
}

/// An MQTT broker that receives events.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MqttSection {
    /// `mqtt://host:1883` or, with TLS, `mqtts://host:8883`; `None`: nothing is sent.
    pub broker: Option<String>,
    /// Name of this mirror on the broker.
    pub id: String,
    pub user: Option<String>,
    pub password: Option<Secret<1>>,
    /// PEM file of the certificates that authenticate a broker with TLS.
    pub ca: PathBuf,
    /// Whether to publish Home Assistant discovery messages.
    pub discovery: bool,
}

/// Privacy settings.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacySection {
    /// Regions blacked out before any processing: left, top, width and height as shares of the picture.
    pub mask: Vec<MaskRegion>,
    /// How the page shows the camera picture; `None`: blurred if only this machine can reach the page, otherwise off.
    pub live_view: Option<LiveView>,
    /// Whether the page for staff shows what the camera saw of the last garments.
    pub staff_crops: bool,
    /// Name and address of the person responsible, for the sign.
    pub contact: Option<String>,
    /// URL of the full privacy notice, for the sign's QR code.
    pub notice: Option<String>,
    /// `None`: `audit.jsonl` beside the catalogue.
    pub audit: Option<PathBuf>,
}

impl Default for StatsSection {
    fn default() -> Self {
        StatsSection { file: None, days: Count(90) }
    }
}

impl Default for WebhookSection {
    fn default() -> Self {
        WebhookSection { url: None, template: None, token: None, events: EventKind::ALL.to_vec() }
    }
}

impl Default for MqttSection {
    fn default() -> Self {
        MqttSection {
            broker: None,
            id: "mirror".into(),
            user: None,
            password: None,
            ca: "/etc/ssl/certs/ca-certificates.crt".into(),
            discovery: true,
        }
    }
}

impl Config {
    /// Settings of the event receivers.
    pub fn events(&self) -> EventSettings {
        EventSettings { counts: self.counts(), webhook: self.webhook(), mqtt: self.mqtt_settings() }
    }

    /// File of the counts; `None` if nothing is counted.
    pub fn counts(&self) -> Option<CountSettings> {
        let file = self.stats.file.clone().unwrap_or_else(|| self.beside_catalogue("counts.db"));
        Some(CountSettings { file, days: self.stats.days.0 }).filter(|settings| settings.days > 0)
    }

    /// Path of the audit log.
    pub fn audit_log(&self) -> AuditLog {
        AuditLog::new(self.privacy.audit.clone().unwrap_or_else(|| self.beside_catalogue("audit.jsonl")))
    }

    /// How the page shows the camera's picture.
    pub fn live_view(&self) -> LiveView {
        let usual = if self.web.listen.ip().is_loopback() { LiveView::Blurred } else { LiveView::Off };
        self.privacy.live_view.unwrap_or(usual)
    }

    fn webhook(&self) -> Option<WebhookSettings> {
        let section = &self.webhook;
        Some(WebhookSettings {
            url: section.url.as_ref()?.reveal().to_owned(),
            template: section.template.clone(),
            token: section.token.as_ref().map(|token| token.reveal().to_owned()),
            events: section.events.clone(),
        })
    }

    fn mqtt_settings(&self) -> Option<MqttSettings> {
        let section = &self.mqtt;
        Some(MqttSettings {
            broker: Broker::parse(section.broker.as_deref()?).ok()?,
            id: section.id.clone(),
            name: self.shop.name.clone(),
            user: section.user.clone(),
            password: section.password.as_ref().map(|password| password.reveal().to_owned()),
            ca: section.ca.clone(),
            discovery: section.discovery,
        })
    }

    fn beside_catalogue(&self, name: &str) -> PathBuf {
        self.catalogue.file.parent().unwrap_or(Path::new("")).join(name)
    }

    /// Makes relative paths of these sections relative to `folder`.
    pub(super) fn anchor_outlets(&mut self, folder: &Path) {
        for path in self.stats.file.iter_mut().chain(&mut self.privacy.audit).chain([&mut self.mqtt.ca]) {
            *path = folder.join(&*path);
        }
    }

    /// The first error in these sections that involves more than one value: key and reason.
    pub(super) fn wrong_outlets(&self) -> Option<(&'static str, String)> {
        let (webhook, mqtt) = (&self.webhook, &self.mqtt);
        if let Some(fault) = webhook.url.as_ref().and_then(|url| check_url(url.reveal()).err()) {
            return Some(("webhook.url", fault.to_string()));
        }
        if webhook.url.is_none() && (webhook.template.is_some() || webhook.token.is_some()) {
            return Some((
                "webhook.url",
                "it is not set, so that nothing is sent: set it, or leave webhook out".into(),
            ));
        }
        if let Some(why) = webhook.template.as_ref().and_then(|text| template::wrong(text, &webhook.events)) {
            return Some(("webhook.template", why));
        }
        if let Some(fault) = mqtt.broker.as_ref().and_then(|broker| Broker::parse(broker).err()) {
            return Some(("mqtt.broker", fault.to_string()));
        }
        if !is_id(&mqtt.id) {
            return Some(("mqtt.id", "it has 1 to 64 letters without accents, digits, - and _".into()));
        }
        if mqtt.user.is_some() != mqtt.password.is_some() {
            return Some(("mqtt.user", "set mqtt.user and mqtt.password, or neither".into()));
        }
        if self.web.staff_password.is_some() && self.web.password.is_none() {
            return Some(("web.staff_password", "set web.password too, the owner's".into()));
        }
        let web = &self.web;
        let is_same = |one: &Option<Secret>, other: &Option<Secret>| {
            one.as_ref().zip(other.as_ref()).is_some_and(|(one, other)| one.reveal() == other.reveal())
        };
        if is_same(&web.staff_password, &web.password) {
            let why = "it is web.password too, so staff could do all that the owner may: give each its own";
            return Some(("web.staff_password", why.into()));
        }
        if is_same(&web.token, &web.password) || is_same(&web.token, &web.staff_password) {
            return Some(("web.token", "it is a person's password too: give programs a text of their own".into()));
        }
        let notice = self.privacy.notice.as_deref();
        if notice.is_some_and(|notice| check_url(notice).is_err()) {
            return Some(("privacy.notice", "it is not an address such as \"https://example.org/privacy\"".into()));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_unless_it_is_said_where_to() {
        let config = Config::parse("").unwrap();
        let events = config.events();
        assert_eq!((events.webhook, events.mqtt), (None, None));
        assert_eq!(events.counts.unwrap().file, Path::new("/var/lib/vetrina/counts.db"));
        assert_eq!(Config::parse("[stats]\ndays = 0\n").unwrap().counts(), None);
    }

    #[test]
    fn what_cannot_work_is_said_at_its_key() {
        for (text, place, why) in [
            ("[webhook]\nurl = \"example.org/hook\"\n", "line 2, webhook.url", "http://"),
            ("[webhook]\nurl = \"http://a.example/\"\ntemplate = \"{{who}}\"\n", "line 3, webhook.template", "{{who}}"),
            ("[webhook]\ntoken = \"battery staple\"\n", "webhook", "not set"),
            ("[webhook]\nevents = [\"lunch\"]\n", "line 2, webhook.events", "person_came"),
            ("[mqtt]\nbroker = \"host\"\n", "line 2, mqtt.broker", "mqtt://"),
            ("[mqtt]\nid = \"a/b\"\n", "line 2, mqtt.id", "digits"),
            ("[mqtt]\nuser = \"a\"\n", "line 2, mqtt.user", "mqtt.password"),
            ("[web]\nstaff_password = \"battery staple\"\n", "line 2, web.staff_password", "owner"),
            (
                "[web]\npassword = \"correct horse\"\nstaff_password = \"correct horse\"\n",
                "line 3, web.staff_password",
                "give each its own",
            ),
            ("[web]\npassword = \"correct horse\"\ntoken = \"correct horse\"\n", "line 3, web.token", "of their own"),
            ("[privacy]\nmask = [[0, 0, 1.5, 1]]\n", "line 2, privacy.mask", "from 0 to 1"),
            ("[privacy]\nlive_view = \"sharp\"\n", "line 2, privacy.live_view", "blurred"),
            ("[privacy]\nnotice = \"our site\"\n", "line 2, privacy.notice", "https://"),
        ] {
            let fault = Config::parse(text).unwrap_err().to_string();
            assert!(fault.contains(place) && fault.contains(why), "{text:?}: {fault}");
        }
    }

    #[test]
    fn secrets_are_hidden_and_the_picture_is_not_shown_abroad() {
        let text = "[web]\nlisten = \"0.0.0.0:80\"\npassword = \"correct horse\"\n[webhook]\nurl = \"https://h.example/s3cret\"\n";
        let config = Config::parse(text).unwrap();
        assert!(!config.to_toml().unwrap().contains("s3cret"));
        assert_eq!(config.live_view(), LiveView::Off);
        assert_eq!(Config::parse("").unwrap().live_view(), LiveView::Blurred);
        let full = Config::parse("[privacy]\nlive_view = \"full\"\nmask = [[0, 0.5, 0.25, 0.5]]\n").unwrap();
        assert_eq!(full.live_view(), LiveView::Full);
        assert_eq!(full.camera().mask.len(), 1);
    }
}
