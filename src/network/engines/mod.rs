//! The engine cache: TensorRT engines built from a model's graphs on this machine, kept between starts.
//!
//! An engine is used only if its [`Key`] matches: everything that it was built from and for. It is stored only after
//! its outputs agreed with the CPU's ([`compare`]).

pub mod build;
pub mod compare;
pub mod file;
pub mod open;

use super::backend::Precision;
use super::manifest::GraphName;
use crate::fault::{Fault, Kind, Result};
use compare::Figure;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

const ENDING: &str = "engine";
const LOCK: &str = ".lock";

/// The machine that an engine is built for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Host {
    /// TensorRT version.
    pub tensorrt: String,
    pub gpu: String,
    pub driver: String,
}

/// Everything that an engine depends on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Key {
    /// For example "trunk".
    pub graph: String,
    /// Hash of the graph's file.
    pub sha256: String,
    pub precision: Precision,
    /// Sizes allowed for the dynamic dimension.
    pub shapes: String,
    #[serde(flatten)]
    pub host: Host,
}

impl Key {
    pub fn new(graph: GraphName, sha256: &str, precision: Precision, shapes: &str, host: &Host) -> Self {
        let (graph, sha256, shapes) = (graph.name().to_owned(), sha256.to_lowercase(), shapes.to_owned());
        Key { graph, sha256, precision, shapes, host: host.clone() }
    }

    /// Readable, and different for different keys: `trunk-fp16-0123456789abcdef.engine`.
    pub fn file_name(&self) -> String {
        let Key { graph, sha256, precision, shapes, host } = self;
        let mut hasher = Sha256::new();
        for part in [graph, sha256, precision.name(), shapes, &host.tensorrt, &host.gpu, &host.driver] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest: String = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{graph}-{precision}-{digest}.{ENDING}")
    }
}

/// The description stored in an engine file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Record {
    pub key: Key,
    /// Names of the graph's outputs, in the graph's order.
    pub outputs: Vec<String>,
    /// Differences from the CPU.
    pub figures: Vec<Figure>,
    pub build_seconds: f64,
}

/// The folder of engine files.
#[derive(Clone, Debug)]
pub struct EngineCache {
    folder: PathBuf,
}

/// Lock: one process builds at a time. Released on drop.
#[derive(Debug)]
pub struct BuildLock {
    _file: File,
}

/// A file in the cache.
#[derive(Debug)]
pub struct Entry {
    pub path: PathBuf,
    /// Size in bytes.
    pub size: u64,
    /// Its record, or why the file cannot be used.
    pub record: Result<Record>,
}

impl Entry {
    /// Whether it was built for this machine. If `host` is `None` (machine unknown), any valid engine counts.
    pub fn is_for(&self, host: Option<&Host>) -> bool {
        self.record.as_ref().is_ok_and(|record| host.is_none_or(|host| record.key.host == *host))
    }
}

impl EngineCache {
    pub fn new(folder: &Path) -> Self {
        EngineCache { folder: folder.into() }
    }

    /// Finds the engine of `key`: its record and its bytes. `None`: there is none, or it is damaged (which is logged),
    /// and it must be built.
    pub fn find(&self, key: &Key) -> Option<(Record, Vec<u8>)> {
        let path = self.path(key);
        if !path.exists() {
            return None;
        }
        match file::read(&path) {
            Ok((record, engine)) if record.key == *key => Some((record, engine)),
            Ok(_) => {
                log::warn!("the engine {} has a record that does not match its file name", path.display());
                None
            }
            Err(fault) => {
                log::warn!("{fault}");
                None
            }
        }
    }

    pub fn store(&self, record: &Record, engine: &[u8]) -> Result<PathBuf> {
        self.make_folder()?;
        let path = self.path(&record.key);
        file::write(&path, engine, record)?;
        Ok(path)
    }

    /// Takes the build lock.
    ///
    /// # Errors
    /// [`Kind::Busy`]: another process is building.
    pub fn lock(&self) -> Result<BuildLock> {
        self.make_folder()?;
        let path = self.folder.join(LOCK);
        let failed = |error| Fault::io(Kind::Storage, "write", &path, error);
        let file = File::create(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(BuildLock { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let text = format!("another process is building engines in {}", self.folder.display());
                Err(Fault::new(Kind::Busy, text).cure("wait until it has finished"))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Lists all engine files by name. Empty if the folder does not exist.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for (path, size) in self.files()? {
            if path.extension().is_some_and(|ending| ending == ENDING) && !is_unfinished(&path) {
                let record = file::read(&path).map(|(record, _)| record);
                entries.push(Entry { path, size, record });
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// Removes entries for which `wanted` is false and unfinished files. Returns the removed files.
    pub fn prune(&self, wanted: impl Fn(&Entry) -> bool) -> Result<Vec<PathBuf>> {
        let _lock = self.lock()?;
        let unwanted = self.entries()?.into_iter().filter(|entry| !wanted(entry)).map(|entry| entry.path);
        let unfinished = self.files()?.into_iter().map(|(path, _)| path).filter(|path| is_unfinished(path));
        let gone: Vec<PathBuf> = unwanted.chain(unfinished).collect();
        for path in &gone {
            fs::remove_file(path).map_err(|error| Fault::io(Kind::Storage, "remove", path, error))?;
        }
        Ok(gone)
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(key.file_name())
    }

    fn make_folder(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)
            .map_err(|error| Fault::io(Kind::Storage, "create the folder for engines", &self.folder, error))
    }

    fn files(&self) -> Result<Vec<(PathBuf, u64)>> {
        let failed = |error| Fault::io(Kind::Storage, "read the folder of engines", &self.folder, error);
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            files.push((entry.path(), entry.metadata().map_err(failed)?.len()));
        }
        Ok(files)
    }
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(file::UNFINISHED))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn host() -> Host {
        let gpu = "Orin, compute capability 8.7, 8 multiprocessors".into();
        Host { tensorrt: "10.3.0".into(), gpu, driver: "12.6".into() }
    }

    fn key() -> Key {
        Key::new(GraphName::Trunk, "AB12", Precision::Fp16, "2 10 100", &host())
    }

    pub fn record() -> Record {
        let figures = vec![Figure { output: "p3".into(), worst: 1e-3, typical: 1e-4 }];
        Record { key: key(), outputs: vec!["p3".into(), "p4".into()], figures, build_seconds: 61.5 }
    }

    #[test]
    fn every_field_of_a_key_changes_the_file_name() {
        let changes: [fn(&mut Key); 7] = [
            |key| key.graph = "box_head".into(),
            |key| key.sha256 = "ab13".into(),
            |key| key.precision = Precision::Int8,
            |key| key.shapes = "2 10 10".into(),
            |key| key.host.tensorrt = "10.16.1".into(),
            |key| key.host.gpu = "Orin, compute capability 8.7, 16 multiprocessors".into(),
            |key| key.host.driver = "12.8".into(),
        ];
        let mut names = vec![key().file_name()];
        for change in changes {
            let mut other = key();
            change(&mut other);
            names.push(other.file_name());
        }
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        assert!(names[0].starts_with("trunk-fp16-"), "{names:?}");
    }

    #[test]
    fn an_engine_is_found_only_by_its_own_key() {
        let folder = tempfile::tempdir().unwrap();
        let cache = EngineCache::new(&folder.path().join("engines"));
        assert!(cache.find(&key()).is_none() && cache.entries().unwrap().is_empty());
        let path = cache.store(&record(), b"plan").unwrap();
        assert_eq!(cache.find(&key()), Some((record(), b"plan".to_vec())));
        let mut after_an_update = key();
        after_an_update.host.tensorrt = "10.16.1".into();
        assert!(cache.find(&after_an_update).is_none());
        // The old file is renamed to the new key's name.
        fs::copy(&path, path.with_file_name(after_an_update.file_name())).unwrap();
        assert!(cache.find(&after_an_update).is_none());
    }

    #[test]
    fn a_truncated_engine_is_not_found_and_is_pruned() {
        let folder = tempfile::tempdir().unwrap();
        let cache = EngineCache::new(folder.path());
        let path = cache.store(&record(), &[7; 500]).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..300]).unwrap();
        assert!(cache.find(&key()).is_none());
        fs::write(folder.path().join(format!("{}9-x.engine", file::UNFINISHED)), b"half").unwrap();
        assert_eq!(cache.entries().unwrap().len(), 1);
        assert_eq!(cache.prune(|entry| entry.is_for(Some(&host()))).unwrap().len(), 2);
        assert!(cache.entries().unwrap().is_empty());
    }

    #[test]
    fn prune_keeps_engines_for_this_machine() {
        let folder = tempfile::tempdir().unwrap();
        let cache = EngineCache::new(folder.path());
        let kept = cache.store(&record(), b"plan").unwrap();
        let mut stale = record();
        stale.key.host.driver = "11.4".into();
        let stale = cache.store(&stale, b"plan").unwrap();
        assert_eq!(cache.prune(|entry| entry.is_for(Some(&host()))).unwrap(), [stale]);
        // If the machine is unknown, all valid engines are kept.
        assert_eq!(cache.prune(|entry| entry.is_for(None)).unwrap(), [] as [PathBuf; 0]);
        assert_eq!(cache.entries().unwrap()[0].path, kept);
    }

    #[test]
    fn one_process_builds_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let cache = EngineCache::new(folder.path());
        let lock = cache.lock().unwrap();
        assert_eq!(cache.lock().unwrap_err().kind(), Kind::Busy);
        drop(lock);
        assert!(cache.lock().is_ok());
    }
}
