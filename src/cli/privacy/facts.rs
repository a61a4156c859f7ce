//! What a mirror with this configuration keeps and sends. Everything that is said of a mirror's privacy is made from this.

use crate::capture::camera::{is_network, shown};
use crate::config::{Config, PanelName};
use crate::live::events::EventKind;
use crate::web::LiveView;
use serde::Serialize;

/// One kind of data that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptData {
    pub what: String,
    pub place: String,
    pub how_long: String,
}

/// One kind of data that leaves the program, or can be seen from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SentData {
    pub what: String,
    pub to: String,
    /// The key of the configuration.
    pub because: String,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrivacyFacts {
    pub shop: String,
    /// Who is responsible, where that is configured.
    pub contact: Option<String>,
    /// The address of the whole notice.
    pub notice: Option<String>,
    /// Days for which counts are kept; 0: there are none.
    pub count_days: u32,
    /// Hosts that are told of events.
    pub receivers: Vec<String>,
    pub live_view: LiveView,
    /// Staff may see crops of the last garments.
    pub staff_crops: bool,
    /// Black parts of the picture.
    pub masks: usize,
    pub kept: Vec<KeptData>,
    pub sent: Vec<SentData>,
    /// What is computed nowhere.
    pub never: &'static str,
}

const NEVER: &str = "Nobody is identified. No face, sex, age, emotion or skin is evaluated: the network knows kinds of garments alone \
                     (tests/privacy.rs holds that to the models). No picture of the camera is written to a disk, \
                     except by `vetrina record`, which somebody starts by hand, and where screen.panel is \"png\", which is for tests.";

impl PrivacyFacts {
    pub fn of(config: &Config) -> Self {
        let events = config.events();
        let webhook = events.webhook.as_ref().map(|webhook| host_of(&webhook.url));
        let mqtt = events.mqtt.as_ref().map(|mqtt| mqtt.broker.host.clone());
        PrivacyFacts {
            shop: config.shop.name.clone(),
            contact: config.privacy.contact.clone(),
            notice: config.privacy.notice.clone(),
            count_days: config.counts().map_or(0, |counts| counts.days),
            receivers: webhook.into_iter().chain(mqtt).collect(),
            live_view: config.live_view(),
            staff_crops: config.privacy.staff_crops,
            masks: config.privacy.mask.len(),
            kept: kept(config),
            sent: sent(config),
            never: NEVER,
        }
    }

    /// To whom something goes because of this key of the configuration.
    pub fn goes_to(&self, key: &str) -> Option<&str> {
        self.sent.iter().find(|sent| sent.because == key).map(|sent| sent.to.as_str())
    }
}

fn kept(config: &Config) -> Vec<KeptData> {
    let item = |what: &str, place: String, how_long: &str| KeptData {
        what: what.to_owned(),
        place,
        how_long: how_long.to_owned(),
    };
    let memory = || "memory".to_owned();
    let mut kept =
        vec![item("camera pictures", memory(), "until the next ones, a few at a time; never on a disk by themselves")];
    if config.screen.panel == PanelName::Png {
        let place = config.screen.folder.join("screen.png").display().to_string();
        kept.push(item("the screen with the camera picture in it, as a file", place, "until the next one"));
    }
    kept.extend([
        item("place, kind and numbers of each garment", memory(), "until it is out of view for 2.5 s"),
        item("matched products of each garment", memory(), "at most 30 s after the last answer"),
        item("products of the shop, no people", config.catalogue.file.display().to_string(), "until the next import"),
        item("the program's log: faults, counts, states", "the system's journal".into(), "as the journal is set up"),
    ]);
    let catalogue = || config.catalogue.file.display().to_string();
    let worn = "worn views of products that staff enrolled: numbers, no picture";
    kept.push(item(worn, catalogue(), "until staff takes them back"));
    let said = "what staff said of answers: both products, scores, the hour";
    kept.push(item(said, catalogue(), "as long as this file"));
    kept.push(item("the last twenty answers, as numbers, for staff", memory(), "10 minutes"));
    if config.privacy.staff_crops {
        let what = "small pictures of the garments of these answers, for staff";
        kept.push(item(what, memory(), "until the answer is judged, replaced or 10 minutes old; never on a disk"));
    }
    if let Some(counts) = config.counts() {
        let how_long = format!("{} days", counts.days);
        kept.push(item("counts by hour, by product", counts.file.display().to_string(), &how_long));
    }
    let audit = config.audit_log().path().display().to_string();
    let what = "audit log: who looked or changed something, from which address";
    kept.push(item(what, audit, "until the owner deletes it"));
    kept
}

fn sent(config: &Config) -> Vec<SentData> {
    let item = |what: String, to: String, because: &str| SentData { what, to, because: because.to_owned() };
    let mut sent = Vec::new();
    if is_network(&config.camera.source) {
        sent.push(item("camera pictures come in".into(), shown(&config.camera.source), "camera.source"));
    }
    if config.web.enabled {
        let listen = config.web.listen;
        let readers = match (&config.web.password, listen.ip().is_loopback()) {
            (None, _) => "users of this machine".to_owned(),
            (Some(_), true) => "users of this machine who have a password".to_owned(),
            (Some(_), false) => format!("whoever reaches {listen} and has a password"),
        };
        match config.live_view() {
            LiveView::Off => {}
            LiveView::Blurred => {
                sent.push(item("the live picture, blurred".into(), readers.clone(), "privacy.live_view"));
            }
            LiveView::Full => sent.push(item("the live picture".into(), readers.clone(), "privacy.live_view")),
        }
        if config.privacy.staff_crops {
            let blurred = if config.live_view() == LiveView::Full { "" } else { ", blurred" };
            let what = format!("small pictures of the last twenty garments{blurred}");
            sent.push(item(what, readers.clone(), "privacy.staff_crops"));
        }
        sent.push(item("what is recognized now, figures, counts".into(), readers, "web.listen"));
        if config.web.token.is_some() {
            let to = "programs that bring the token".to_owned();
            sent.push(item("events of shoppers, counts; pictures that they send are matched".into(), to, "web.token"));
        }
    }
    let events = config.events();
    if let Some(webhook) = &events.webhook {
        sent.push(item(event_words(&webhook.events), host_of(&webhook.url), "webhook.url"));
    }
    if let Some(mqtt) = &events.mqtt {
        sent.push(item(event_words(&EventKind::ALL), mqtt.broker.host.clone(), "mqtt.broker"));
    }
    if let Some(source) = config.sync.source.as_ref().filter(|source| !source.starts_with("file:")) {
        let what = "questions for new catalogues; of a mirror that has joined the hub its release, faults and figures, \
                    numbers of products that staff wore, and what staff said of answers; no picture";
        sent.push(item(what.to_owned(), host_of(source), "sync.source"));
    }
    if config.sync.other_shops {
        let what = "what a shopper's garment looks like, as numbers (one embedding, the part of the body), each time that staff \
                    ask for other shops; no picture";
        sent.push(item(what.to_owned(), "the hub that this mirror has joined".to_owned(), "sync.other_shops"));
    }
    sent
}

fn event_words(kinds: &[EventKind]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    format!("events without pictures: {}", names.join(", "))
}

/// The host of an address: what else stands there may be secret.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    host.rsplit('@').next().unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> PrivacyFacts {
        PrivacyFacts::of(&Config::parse(text).unwrap())
    }

    #[test]
    fn what_is_said_is_what_is_configured() {
        let alone = facts("[web]\nenabled = false\n[stats]\ndays = 0\n");
        assert_eq!((alone.sent.as_slice(), alone.count_days), (&[][..], 0));
        assert!(alone.kept.iter().all(|kept| !kept.what.contains("counts by hour")));
        let text = "[webhook]\nurl = \"https://me:pw@hooks.example:8443/services/s3cret\"\nevents = [\"staff_called\"]\n\
                    [mqtt]\nbroker = \"mqtt://ha.local\"\n[camera]\nsource = \"rtsp://u:p4ss@cam.local/1\"\n\
                    [privacy]\nlive_view = \"full\"\nmask = [[0, 0, 0.5, 0.5]]\n";
        let open = facts(text);
        assert_eq!(open.receivers, ["hooks.example:8443", "ha.local"]);
        assert_eq!((open.masks, open.count_days), (1, 90));
        let all = format!("{open:?}");
        assert!(!all.contains("s3cret") && !all.contains("p4ss") && !all.contains("me:pw"), "{all}");
        let because: Vec<&str> = open.sent.iter().map(|sent| sent.because.as_str()).collect();
        assert_eq!(because, ["camera.source", "privacy.live_view", "web.listen", "webhook.url", "mqtt.broker"]);
        assert!(open.sent[3].what.ends_with("staff_called"), "{:?}", open.sent[3]);
        // The hub is asked for other shops only where that is set.
        let hub = "[sync]\nsource = \"https://hub.example/releases/berlin\"\n\
                   key = \"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"\n";
        let asks = |text: &str| facts(text).sent.iter().any(|sent| sent.because == "sync.other_shops");
        assert_eq!([asks(hub), asks(&format!("{hub}other_shops = true\n"))], [false, true]);
        // Crops are off unless they are asked for, and blurred unless the live picture is not.
        let crops = |text: &str| {
            let facts = facts(text);
            let kept = facts.kept.iter().any(|kept| kept.what.contains("small pictures"));
            (kept, facts.sent.into_iter().find(|sent| sent.because == "privacy.staff_crops").map(|sent| sent.what))
        };
        let what = "small pictures of the last twenty garments";
        assert_eq!(crops(text), (false, None));
        assert_eq!(crops("[privacy]\nstaff_crops = true\n"), (true, Some(format!("{what}, blurred"))));
        let full = "[privacy]\nstaff_crops = true\nlive_view = \"full\"\n";
        assert_eq!(crops(full), (true, Some(what.to_owned())));
    }
}
