//! What a mirror says to its hub, if it has joined one: that it is there and well, which release it shows, the worn views that
//! staff enrolled, and what staff said of the mirror's answers. Figures, embeddings and a few words; no picture, and nothing of shoppers.

use super::source::{agent, unreachable};
use crate::catalogue::Catalogue;
use crate::fault::{Fault, Kind, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use ureq::Agent;

/// An answer of a hub is no longer, bytes.
const MOST_ANSWER: u64 = 1 << 20;
/// Enrolments or judgements in one question: the answer may name them all.
const MOST_ASKED: usize = 1000;
/// Judgements of one message: with ids of the greatest length they have less than the hub takes, 256 kB.
const MOST_SENT: usize = 100;

/// How a mirror is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct Heartbeat {
    /// Of the program.
    pub version: String,
    /// Of the catalogue.
    pub release: Option<u64>,
    /// What is wrong; empty where all is well.
    pub reasons: Vec<String>,
    pub uptime_seconds: f64,
    pub frames_per_second: Option<f32>,
    pub temperature_celsius: Option<f64>,
    /// Garments that the catalogue has answered for, since the start.
    pub answers: u64,
}

/// A mirror's place in a hub's fleet, as `vetrina sync join` got it.
#[derive(Clone, Deserialize, Serialize)]
pub struct FleetMembership {
    /// Address of the hub.
    pub hub: String,
    pub mirror: String,
    /// This mirror's own key. It is sent to the hub and nowhere else.
    pub token: String,
}

/// The way to the hub.
pub struct FleetLink {
    membership: FleetMembership,
    agent: Agent,
    /// The last report came through, or none was sent yet.
    reached: bool,
    /// Enrolments that the hub has.
    shared: BTreeSet<String>,
    /// The last judgement of staff up to which it has them: its row and uid; before the first, 0.
    corrections: (i64, String),
}

/// Which enrolments or judgements a mirror has.
#[derive(Deserialize, Serialize)]
pub struct OwnUids {
    pub uids: Vec<String>,
}

/// Which of them the hub has not.
#[derive(Deserialize, Serialize)]
pub struct MissingUids {
    pub missing: Vec<String>,
}

/// What is sent to join.
#[derive(Deserialize, Serialize)]
pub struct JoinRequest {
    pub code: String,
}

impl FleetLink {
    /// Where the mirror of this catalogue belongs to; `None` where it has joined no hub.
    pub fn load(catalogue: &Path) -> Result<Option<Self>> {
        let path = membership_file(catalogue);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::io(Kind::Usage, "read this mirror's key", &path, error)),
        };
        let membership = serde_json::from_slice(&text).map_err(|error| {
            Fault::new(Kind::Usage, format!("{} holds no key of a mirror", path.display()))
                .cause(error)
                .cure("delete it and join again with `vetrina sync join`")
        })?;
        Ok(Some(FleetLink {
            membership,
            agent: agent(),
            reached: true,
            shared: BTreeSet::new(),
            corrections: (0, String::new()),
        }))
    }

    pub(super) fn membership(&self) -> &FleetMembership {
        &self.membership
    }

    pub fn token(&self) -> &str {
        &self.membership.token
    }

    /// Tells the hub. That it cannot be reached is logged once, and nothing else depends on it.
    pub fn report(&mut self, heartbeat: &Heartbeat) {
        let address = format!("{}/api/heartbeat", self.membership.hub);
        let sent = post(&self.agent, &address, Some(&self.membership.token), heartbeat).map(drop);
        if let Err(fault) = &sent
            && self.reached
        {
            log::warn!("the hub does not hear of this mirror: {fault}");
        }
        self.reached = sent.is_ok();
    }
}

impl FleetLink {
    /// Sends the worn views and the judgements that the hub does not have: they stay in the catalogue, and are sent until the hub says that
    /// it has them. Each has an id of its own, so that twice is once.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where the hub cannot be reached.
    pub fn share(&mut self, catalogue: &Path) -> Result<()> {
        let catalogue = Catalogue::open(catalogue)?;
        self.share_worn(&catalogue)?;
        self.share_corrections(&catalogue)
    }

    fn share_worn(&mut self, catalogue: &Catalogue) -> Result<()> {
        let mine: BTreeSet<String> = catalogue.enrolments()?.into_iter().map(|enrolment| enrolment.uid).collect();
        if mine.is_subset(&self.shared) {
            return Ok(());
        }
        let missing = self.missing("worn", mine.iter().cloned().collect())?;
        let address = format!("{}/api/worn", self.membership.hub);
        let send = |line: &str| send(&self.agent, &address, Some(&self.membership.token), line.as_bytes()).map(drop);
        catalogue.each_worn_line(|uid| missing.contains(uid), send)?;
        self.shared = mine;
        Ok(())
    }

    fn share_corrections(&mut self, catalogue: &Catalogue) -> Result<()> {
        let (row, uid) = &self.corrections;
        if catalogue.corrections_after(row - 1, 1)?.first().is_none_or(|last| last.uid != *uid) {
            // Another catalogue is in its place, or the judgement was taken back: its row may be the next one's.
            self.corrections = Default::default();
        }
        loop {
            let mut records = catalogue.corrections_after(self.corrections.0, MOST_ASKED)?;
            let Some(last) = records.last().map(|record| (record.row, record.uid.clone())) else { return Ok(()) };
            let missing = self.missing("corrections", records.iter().map(|record| record.uid.clone()).collect())?;
            records.retain(|record| missing.contains(&record.uid));
            for records in records.chunks(MOST_SENT) {
                let address = format!("{}/api/corrections", self.membership.hub);
                post(&self.agent, &address, Some(&self.membership.token), &records)?;
            }
            self.corrections = last;
        }
    }

    /// Which of these enrolments or judgements (`what`) the hub does not have.
    fn missing(&self, what: &str, uids: Vec<String>) -> Result<BTreeSet<String>> {
        let (hub, token) = (&self.membership.hub, Some(self.membership.token.as_str()));
        let mut missing = BTreeSet::new();
        for uids in uids.chunks(MOST_ASKED) {
            let address = format!("{hub}/api/{what}/missing");
            let answer = post(&self.agent, &address, token, &OwnUids { uids: uids.to_vec() })?;
            let found: MissingUids = serde_json::from_slice(&answer)
                .map_err(|error| Fault::new(Kind::Unavailable, format!("{hub} is no hub")).cause(error))?;
            missing.extend(found.missing);
        }
        Ok(missing)
    }
}

/// Joins the fleet of `hub` with a one-time code, and keeps the key that the hub gives beside the catalogue.
///
/// # Errors
/// [`Kind::Unavailable`] where the hub cannot be reached or refuses the code.
pub fn join(hub: &str, code: &str, catalogue: &Path) -> Result<FleetMembership> {
    let hub = hub.trim_end_matches('/');
    let answer = post(&agent(), &format!("{hub}/api/join"), None, &JoinRequest { code: code.to_owned() })?;
    let given: serde_json::Value = serde_json::from_slice(&answer)
        .map_err(|error| Fault::new(Kind::Unavailable, format!("{hub} is no hub")).cause(error))?;
    let text = |name: &str| given[name].as_str().map(str::to_owned);
    let (Some(mirror), Some(token)) = (text("mirror"), text("token")) else {
        return Err(Fault::new(Kind::Unavailable, format!("{hub} is no hub: it gave no key")));
    };
    let membership = FleetMembership { hub: hub.to_owned(), mirror, token };
    keep(&membership, &membership_file(catalogue))?;
    Ok(membership)
}

fn keep(membership: &FleetMembership, path: &Path) -> Result<()> {
    let fail = |error| Fault::io(Kind::Storage, "write", path, error);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(fail)?;
    }
    let text = serde_json::to_string_pretty(membership)
        .map_err(|error| Fault::new(Kind::Internal, "cannot write this mirror's key").cause(error))?;
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(fail)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
    fs::rename(&new, path).map_err(fail)
}

/// `shop.db.sync`: downloads, and this mirror's own key for a hub.
pub fn work_folder(catalogue: &Path) -> PathBuf {
    let mut name = catalogue.as_os_str().to_owned();
    name.push(".sync");
    name.into()
}

fn membership_file(catalogue: &Path) -> PathBuf {
    work_folder(catalogue).join("mirror.json")
}

/// Posts `value` as JSON; the body of the answer.
pub(super) fn post(agent: &Agent, address: &str, token: Option<&str>, value: &impl Serialize) -> Result<Vec<u8>> {
    let body = serde_json::to_vec(value)
        .map_err(|error| Fault::new(Kind::Internal, "cannot write a message to the hub").cause(error))?;
    send(agent, address, token, &body)
}

/// Posts JSON; the body of the answer.
fn send(agent: &Agent, address: &str, token: Option<&str>, body: &[u8]) -> Result<Vec<u8>> {
    let mut request = agent.post(address).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let mut response = request.send(body).map_err(|error| unreachable(address, error))?;
    let status = response.status();
    let answer = response.body_mut().with_config().limit(MOST_ANSWER).read_to_vec();
    let answer = answer.map_err(|error| unreachable(address, error))?;
    if status.is_success() {
        return Ok(answer);
    }
    let said: Option<String> = serde_json::from_slice::<serde_json::Value>(&answer)
        .ok()
        .and_then(|answer| answer["error"].as_str().map(str::to_owned));
    let said = said.unwrap_or_else(|| status.to_string());
    Err(Fault::new(Kind::Unavailable, format!("{address} refuses: {said}")))
}
