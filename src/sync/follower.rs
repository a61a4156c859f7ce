//! Polls the source, and takes each new release over once all of it is here and checked.
//!
//! The running mirror searches on meanwhile. Whatever goes wrong, the catalogue stays as it was, and the next poll tries again: with
//! what changed since the release that is here, or, at any doubt, with the whole catalogue.

use super::fleet::{FleetLink, Heartbeat, work_folder};
use super::manifest::{ReleaseManifest, ReleaseObject, public_key};
use super::model_folder;
use super::source::{ReleaseSource, unpack};
use crate::catalogue::{Catalogue, ModelStamp, ReleaseFile, ReleaseMark};
use crate::fault::{Fault, Kind, Result};
use crate::shutdown::Token;
use minisign_verify::PublicKey;
use serde::Serialize;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a mirror follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncSettings {
    /// Address of the shop's folder of releases.
    pub source: String,
    /// The hub's public key.
    pub key: String,
    /// The mean time between two polls.
    pub poll: Duration,
    /// Catalogue file; made where there is none.
    pub catalogue: PathBuf,
    /// The model that this mirror runs.
    pub model: ModelStamp,
}

/// What a poll has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome")]
pub enum PollOutcome {
    /// The catalogue is the newest release.
    Current { release: u64 },
    /// It has become the newest release.
    Updated {
        release: u64,
        added: usize,
        updated: usize,
        removed: usize,
        /// The whole catalogue was fetched, not only what has changed.
        whole: bool,
        /// That were fetched for it, all together.
        bytes: u64,
    },
}

/// What is said of it on the page and to monitoring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncStatus {
    pub source: String,
    /// The release that is searched.
    pub release: Option<ReleaseMark>,
    /// When the source last answered with a manifest that could be used.
    pub contact: Option<Instant>,
    /// Why the last poll failed.
    pub fault: Option<String>,
    /// Somebody has to do something: waiting does not cure the fault.
    pub is_refused: bool,
}

impl SyncStatus {
    /// How old the release is by this machine's clock, seconds; 0 where that is behind the hub's.
    pub fn age_seconds(&self) -> Option<u64> {
        let made: jiff::Timestamp = self.release.as_ref()?.made.parse().ok()?;
        Some(u64::try_from(jiff::Timestamp::now().duration_since(made).as_secs()).unwrap_or(0))
    }
}

/// Follows the releases of one shop.
pub struct Follower {
    settings: SyncSettings,
    source: ReleaseSource,
    key: PublicKey,
    fleet: Option<FleetLink>,
    /// Of the manifest that the catalogue is.
    etag: Option<String>,
    status: SyncStatus,
}

impl Follower {
    /// # Errors
    /// [`Kind::Usage`] where the source or the key cannot be one.
    pub fn new(settings: SyncSettings) -> Result<Self> {
        let fleet = FleetLink::load(&settings.catalogue)?;
        let token = fleet.as_ref().map(|fleet| fleet.token().to_owned());
        let source = ReleaseSource::parse(&settings.source)?.with_token(token);
        let key = public_key(&settings.key)?;
        let status = SyncStatus { source: settings.source.clone(), ..SyncStatus::default() };
        Ok(Follower { settings, source, key, fleet, etag: None, status })
    }

    /// How the last poll went.
    pub fn status(&self) -> &SyncStatus {
        &self.status
    }

    /// Polls until `token` is cancelled. `observe` hears after each poll how it stands; `health` says how the mirror is.
    pub fn run(mut self, token: &Token, health: impl Fn() -> Heartbeat, mut observe: impl FnMut(&SyncStatus)) {
        loop {
            let before = self.status.fault.clone();
            match self.poll() {
                Ok(PollOutcome::Updated { release, .. }) => log::info!("the catalogue is release {release} now"),
                Ok(PollOutcome::Current { .. }) if before.is_some() => log::info!("the hub answers again"),
                Ok(PollOutcome::Current { .. }) => {}
                // Said once, not at each poll.
                Err(_) if self.status.fault == before => {}
                Err(fault) => log::warn!("the catalogue stays as it is: {fault}"),
            }
            observe(&self.status);
            if let Some(fleet) = &mut self.fleet {
                if let Err(fault) = fleet.share(&self.settings.catalogue) {
                    log::debug!("worn views and judgements stay here for now: {fault}");
                }
                fleet.report(&Heartbeat { release: self.status.release.as_ref().map(|mark| mark.number), ..health() });
            }
            if token.wait(spread(self.settings.poll)) {
                return;
            }
        }
    }

    /// Sends worn views and judgements to the hub, where this mirror has joined one.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where it cannot be reached; they are sent at the next time.
    pub fn share(&mut self) -> Result<()> {
        self.fleet.as_mut().map_or(Ok(()), |fleet| fleet.share(&self.settings.catalogue))
    }

    /// Asks for a new release once, and takes it over.
    ///
    /// # Errors
    /// [`Kind::Unavailable`]: no network, no server; [`Kind::Catalogue`]: what came must not be used; [`Kind::Storage`],
    /// [`Kind::Busy`]. The catalogue is what it was.
    pub fn poll(&mut self) -> Result<PollOutcome> {
        let polled = self.poll_once();
        self.status.fault = polled.as_ref().err().map(ToString::to_string);
        self.status.is_refused =
            polled.as_ref().is_err_and(|fault| !matches!(fault.kind(), Kind::Unavailable | Kind::Busy));
        polled
    }

    fn poll_once(&mut self) -> Result<PollOutcome> {
        let catalogue = self.open()?;
        let mark = catalogue.release()?;
        // A running mirror keeps its own connection; this one would only keep the log from being emptied.
        drop(catalogue);
        self.status.release = mark.clone();
        let etag = self.etag.as_deref().filter(|_| mark.is_some());
        let fetched = self.source.manifest(etag)?;
        let (Some(fetched), mark) = (fetched, mark.as_ref()) else {
            self.status.contact = Some(Instant::now());
            return Ok(PollOutcome::Current { release: mark.map_or(0, |mark| mark.number) });
        };
        let manifest = ReleaseManifest::verified(&fetched.bytes, &self.key, self.source.shop())?;
        self.status.contact = Some(Instant::now());
        let is_new = self.is_new(&manifest, mark)?;
        // The model is complete before the catalogue names it: both change in one transaction.
        let place = &self.settings.catalogue;
        let fetched_model = model_folder::fetch(&self.source, &manifest, place).inspect_err(|fault| {
            if fault.kind() == Kind::Storage {
                model_folder::keep_only(place, mark.and_then(|mark| mark.model_folder.as_deref()));
            }
        })?;
        let outcome = match is_new {
            false => PollOutcome::Current { release: manifest.mark.number },
            true => self.take_over(&manifest, mark, fetched_model)?,
        };
        model_folder::keep_only(place, manifest.mark.model_folder.as_deref());
        self.etag = fetched.etag;
        self.status.release = Some(manifest.mark);
        Ok(outcome)
    }

    /// The catalogue, made where there is none, with its folder: a new mirror has nobody to make it.
    fn open(&self) -> Result<Catalogue> {
        let folder = self.settings.catalogue.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(|error| Fault::io(Kind::Storage, "make the folder", folder, error))?;
        }
        Catalogue::create_or_open(&self.settings.catalogue)
    }

    /// Whether the manifest's release is to be taken over.
    fn is_new(&self, manifest: &ReleaseManifest, mark: Option<&ReleaseMark>) -> Result<bool> {
        let (found, wanted) = (&manifest.model, &self.settings.model);
        let is_other = found.descriptor_hash != wanted.descriptor_hash || found.embedding != wanted.embedding;
        if is_other && manifest.model_files.is_empty() {
            let text = format!(
                "release {} was embedded by the model {}, and this mirror runs {} of another hash",
                manifest.mark.number, found.name, wanted.name
            );
            return Err(Fault::new(Kind::Catalogue, text)
                .cure("publish with --model, or give the mirror and the hub the same model folder"));
        }
        let Some(mark) = mark.filter(|mark| mark.shop == manifest.mark.shop) else { return Ok(true) };
        let (old, new) = (mark.number, manifest.mark.number);
        if new < old {
            let text =
                format!("the hub offers release {new}, and release {old} is here already: it is not gone back to");
            return Err(Fault::new(Kind::Catalogue, text)
                .cure("to go back, publish the old catalogue as a new release; a hub that lost its releases goes on with --after"));
        }
        if new == old && mark.state != manifest.mark.state {
            let text = format!("the hub offers another release {new} than the one that is here");
            return Err(Fault::new(Kind::Catalogue, text).cure("publish once more: a release number is used once"));
        }
        Ok(new > old)
    }

    fn take_over(
        &self,
        manifest: &ReleaseManifest,
        mark: Option<&ReleaseMark>,
        mut fetched: u64,
    ) -> Result<PollOutcome> {
        let folder = work_folder(&self.settings.catalogue);
        fs::create_dir_all(&folder).map_err(|error| Fault::io(Kind::Storage, "make the folder", &folder, error))?;
        if let Some(delta) = mark.and_then(|mark| manifest.delta_from(mark)) {
            fetched += delta.object.bytes;
            match self.fetch_and_apply(&delta.object, ReleaseFile::Delta, manifest, &folder) {
                Err(fault) if fault.kind() == Kind::Catalogue => {
                    log::warn!("{fault}; the whole release {} is fetched", manifest.mark.number);
                }
                result => return result.map(|outcome| with_bytes(outcome, fetched)),
            }
        }
        fetched += manifest.snapshot.bytes;
        self.fetch_and_apply(&manifest.snapshot, ReleaseFile::Snapshot, manifest, &folder)
            .map(|outcome| with_bytes(outcome, fetched))
    }

    fn fetch_and_apply(
        &self,
        object: &ReleaseObject,
        kind: ReleaseFile,
        manifest: &ReleaseManifest,
        folder: &Path,
    ) -> Result<PollOutcome> {
        let part = folder.join(format!("{}.part", object.sha256));
        keep_only(folder, &part);
        let unpacked = folder.join("release.db");
        let result = self.source.download(object, &part).and_then(|()| {
            Catalogue::delete(&unpacked)?;
            unpack(&part, &unpacked, object.unpacked_bytes)?;
            self.open()?.apply_release(&unpacked, kind, &manifest.mark)
        });
        // Beside the catalogue nothing is left but a download that was cut off.
        let _ = Catalogue::delete(&unpacked);
        if !result.as_ref().is_err_and(|fault| matches!(fault.kind(), Kind::Unavailable | Kind::Busy)) {
            let _ = fs::remove_file(&part);
        }
        let counts = result?;
        Ok(PollOutcome::Updated {
            release: manifest.mark.number,
            added: counts.added,
            updated: counts.updated,
            removed: counts.removed,
            whole: kind == ReleaseFile::Snapshot,
            bytes: 0,
        })
    }
}

fn with_bytes(outcome: PollOutcome, fetched: u64) -> PollOutcome {
    match outcome {
        PollOutcome::Updated { release, added, updated, removed, whole, .. } => {
            PollOutcome::Updated { release, added, updated, removed, whole, bytes: fetched }
        }
        current => current,
    }
}

/// Removes what earlier releases left behind.
fn keep_only(folder: &Path, part: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path != part && path.extension().is_some_and(|ending| ending == "part") {
            let _ = fs::remove_file(path);
        }
    }
}

/// From half of `mean` to one and a half of it: many mirrors that were switched on together do not ask together.
fn spread(mean: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    mean.mul_f64(0.5 + random as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_are_spread_about_their_mean() {
        let mean = Duration::from_secs(30);
        let all: Vec<Duration> = (0..200).map(|_| spread(mean)).collect();
        assert!(all.iter().all(|time| (mean / 2..=mean * 3 / 2).contains(time)));
        let average = all.iter().sum::<Duration>() / 200;
        assert!((mean * 8 / 10..mean * 12 / 10).contains(&average), "{average:?}");
    }
}
