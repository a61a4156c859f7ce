//! Detection records kept between runs, one file each: an interrupted run continues where it stopped.
//!
//! A record is found only if everything that it depends on is equal: the basis and the record's key are stored in full
//! in its file and hashed into its name. Files are written atomically with a checksum; a damaged record is computed
//! again.

use super::record::DetectionRecord;
use crate::fault::{Fault, Kind, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder of records, or no cache.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: Option<PathBuf>,
    /// Everything that all records depend on.
    basis: String,
}

impl Cache {
    /// No cache: nothing is kept.
    pub fn none() -> Self {
        Cache { folder: None, basis: String::new() }
    }

    /// Keeps records under `folder`, which is created if missing. `basis` names everything that all records depend on
    /// besides their keys: model, backend, program.
    pub fn open(folder: &Path, basis: &str) -> Result<Self> {
        // One folder per basis, so that an outdated one can be deleted.
        let folder = folder.join(hex(&Sha256::digest(basis)));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("basis.txt"), basis))
            .map_err(|error| Fault::io(Kind::Storage, "write to the folder", &folder, error))?;
        Ok(Cache { folder: Some(folder), basis: basis.into() })
    }

    /// The record stored under `key`, if present and undamaged.
    pub fn get(&self, key: &str) -> Option<DetectionRecord> {
        let bytes = fs::read(self.folder.as_ref()?.join(file_name(key))).ok()?;
        let (body, checksum) = bytes.split_last_chunk::<32>()?;
        let sound = Sha256::digest(body).as_slice() == checksum;
        let record = body.strip_prefix(self.head(key).as_bytes())?;
        sound.then(|| DetectionRecord::decode(record)).flatten()
    }

    /// Stores `record` under `key`.
    pub fn put(&self, key: &str, record: &DetectionRecord) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let mut bytes = [self.head(key).as_bytes(), &record.encode()].concat();
        let checksum = Sha256::digest(&bytes);
        bytes.extend(checksum.iter());
        let path = folder.join(file_name(key));
        let draft = path.with_extension("draft");
        fs::write(&draft, bytes)
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(|error| Fault::io(Kind::Storage, "write", &path, error))
    }

    /// Header of a record's file.
    fn head(&self, key: &str) -> String {
        format!("{}\n{key}\n", self.basis)
    }
}

fn file_name(key: &str) -> String {
    hex(&Sha256::digest(key)) + ".seen"
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Size;

    const HASH: &str = "9d1c6a0f2b7e4c5d8a3f1e0b9c7d6a5f4e3b2a19087f6e5d4c3b2a1908f7e6d5";

    #[test]
    fn records_depend_on_basis_and_key_and_damaged_ones_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let basis = format!("model {HASH}\nthe CPU");
        let cache = Cache::open(folder.path(), &basis).unwrap();
        let record = DetectionRecord { size: Size::new(3, 4), frames: vec![1], detections: Vec::new() };
        cache.put("clip 1", &record).unwrap();
        assert_eq!(cache.get("clip 1").map(|record| record.size), Some(Size::new(3, 4)));
        assert!(cache.get("clip 2").is_none() && Cache::none().get("clip 1").is_none());
        let file = cache.folder.as_ref().unwrap().join(file_name("clip 1"));
        let mut bytes = fs::read(&file).unwrap();
        bytes[9] ^= 1;
        fs::write(&file, bytes).unwrap();
        assert!(cache.get("clip 1").is_none());
        assert!(Cache::none().put("clip 1", &record).is_ok());
    }

    #[test]
    fn a_difference_at_the_end_is_another_basis() {
        let folder = tempfile::tempdir().unwrap();
        let record = DetectionRecord { size: Size::new(3, 4), frames: vec![1], detections: Vec::new() };
        let basis = format!("model {HASH}\nruns on the CPU");
        Cache::open(folder.path(), &basis).unwrap().put("clip 1", &record).unwrap();
        let others = [
            format!("model {HASH}\nruns on TensorRT 10.3.0 in fp16"),
            format!("model {HASH}\nruns on TensorRT 10.3.0 in fp32"),
            format!("model {}0\nruns on the CPU", &HASH[..63]),
            basis.to_uppercase(),
        ];
        for other in others {
            assert!(Cache::open(folder.path(), &other).unwrap().get("clip 1").is_none(), "{other}");
        }
        assert!(Cache::open(folder.path(), &basis).unwrap().get("clip 1").is_some());
    }
}
