//! Records kept between runs, a file each: a run that was broken off goes on where it stood.
//!
//! The folder is named by the model's descriptor hash, so that another model never reads them; a file is written whole or
//! not at all and bears its key and checksum, so that a damaged one is computed again.

use super::record::DetectionRecord;
use crate::fault::{Fault, Kind, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder of records; without one, nothing is kept.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// Keeps nothing.
    pub fn none() -> Self {
        Cache { folder: None }
    }

    /// Keeps the records of the model `descriptor_hash` under `folder`, which is made if need be.
    pub fn open(folder: &Path, descriptor_hash: &str) -> Result<Self> {
        let name: String = descriptor_hash.chars().filter(char::is_ascii_alphanumeric).take(24).collect();
        let folder = folder.join(name);
        fs::create_dir_all(&folder).map_err(|error| Fault::io(Kind::Storage, "make the folder", &folder, error))?;
        Ok(Cache { folder: Some(folder) })
    }

    /// What was put under `key`, if it is there and sound.
    pub fn get(&self, key: &str) -> Option<DetectionRecord> {
        let bytes = fs::read(self.folder.as_ref()?.join(file_name(key))).ok()?;
        let (body, checksum) = bytes.split_last_chunk::<32>()?;
        let sound = Sha256::digest(body).as_slice() == checksum;
        let record = body.strip_prefix(key.as_bytes())?.strip_prefix(b"\n")?;
        sound.then(|| DetectionRecord::decode(record)).flatten()
    }

    /// Keeps `record` under `key`.
    pub fn put(&self, key: &str, record: &DetectionRecord) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut bytes = [key.as_bytes(), b"\n", &record.encode()].concat();
        let checksum = Sha256::digest(&bytes);
        bytes.extend(checksum.iter());
        let path = folder.join(file_name(key));
        let draft = path.with_extension("draft");
        fs::write(&draft, bytes)
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|error| Fault::io(Kind::Storage, "write", &path, error))
    }
}

fn file_name(key: &str) -> String {
    let hash = Sha256::digest(key);
    hash.iter().take(20).map(|byte| format!("{byte:02x}")).collect::<String>() + ".seen"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    #[test]
    fn records_are_kept_by_model_and_key_and_damaged_ones_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), "abc").unwrap();
        let record = DetectionRecord { size: Size::new(3, 4), frames: vec![1], detections: Vec::new() };
        cache.put("clip 1", &record).unwrap();
        assert_eq!(cache.get("clip 1").map(|record| record.size), Some(Size::new(3, 4)));
        assert!(cache.get("clip 2").is_none() && Cache::none().get("clip 1").is_none());
        assert!(Cache::open(folder.path(), "abd").unwrap().get("clip 1").is_none());
        let file = folder.path().join("abc").join(file_name("clip 1"));
        let mut bytes = fs::read(&file).unwrap();
        bytes[9] ^= 1;
        fs::write(&file, bytes).unwrap();
        assert!(cache.get("clip 1").is_none());
        assert!(Cache::none().put("clip 1", &record).is_ok());
    }
}
