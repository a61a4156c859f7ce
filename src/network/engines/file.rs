//! Engine files: TensorRT's serialised engine, a JSON record that describes it, and a checksum over both.
//!
//! ```text
//! engine | record, JSON | length of the engine, u64 | length of the record, u64 | SHA-256 of all before | magic
//! ```
//! All numbers are little-endian. A truncated or changed file fails the checksum and is never passed to TensorRT, which
//! crashes on some damaged engines.

use super::Record;
use crate::fault::{Fault, Kind, Result};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"vtrnENG1";
const SEAL: usize = 8 + 8 + 32 + 8;
/// Name prefix of unfinished files.
pub const UNFINISHED: &str = ".unfinished-";

/// Writes an engine file atomically: the file is complete under its name, or absent.
pub fn write(path: &Path, engine: &[u8], record: &Record) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let unfinished = unfinished(path);
    let failed = |error| Fault::io(Kind::Storage, "write the engine", path, error);
    let written = seal(engine, record).and_then(|tail| {
        let mut file = File::create(&unfinished).map_err(failed)?;
        file.write_all(engine).and_then(|()| file.write_all(&tail)).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&unfinished, path).map_err(failed)?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
    });
    if written.is_err() {
        // Free the disk space of the partial file. An error here would add nothing to the first one.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// Reads an engine and its record.
///
/// # Errors
/// [`Kind::Input`]: not an engine file, or a damaged one; the message says which.
pub fn read(path: &Path) -> Result<(Record, Vec<u8>)> {
    let damaged = |why: &str| {
        let text = format!("cannot use the engine {}: {why}", path.display());
        Fault::new(Kind::Input, text).cure("build it again: vetrina engine build")
    };
    let mut bytes = fs::read(path).map_err(|error| Fault::io(Kind::Input, "read the engine", path, error))?;
    let Some(end) = bytes.len().checked_sub(SEAL) else { return Err(damaged("it is truncated")) };
    let (body, seal) = bytes.split_at(end);
    if seal[48..] != MAGIC {
        return Err(damaged("it is truncated, or not an engine file of vetrina"));
    }
    let length = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| seal[at + byte])) as usize;
    let (engine, record) = (length(0), length(8));
    if engine.checked_add(record) != Some(end) || seal[16..48] != digest(&[body, &seal[..16]]) {
        return Err(damaged("its checksum does not match"));
    }
    let record = serde_json::from_slice(&body[engine..]).map_err(|error| damaged(&error.to_string()))?;
    bytes.truncate(engine);
    Ok((record, bytes))
}

fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{UNFINISHED}{}-{name}", std::process::id()))
}

/// Everything after the engine: record, lengths, checksum, magic.
fn seal(engine: &[u8], record: &Record) -> Result<Vec<u8>> {
    let mut tail = serde_json::to_vec(record)
        .map_err(|error| Fault::new(Kind::Internal, "cannot write an engine's record").cause(error))?;
    let lengths = [engine.len() as u64, tail.len() as u64].map(u64::to_le_bytes).concat();
    let digest = digest(&[engine, &tail, &lengths]);
    tail.extend(lengths);
    tail.extend(digest);
    tail.extend(MAGIC);
    Ok(tail)
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::engines::tests::record;
    use proptest::prelude::*;

    #[test]
    fn an_engine_round_trips_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.engine");
        write(&path, b"plan", &record()).unwrap();
        write(&path, b"newer plan", &record()).unwrap();
        assert_eq!(read(&path).unwrap(), (record(), b"newer plan".to_vec()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_read_only_folder_is_a_storage_fault_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("a.engine");
        fs::create_dir(&taken).unwrap();
        assert_eq!(write(&taken, b"plan", &record()).unwrap_err().kind(), Kind::Storage);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    proptest! {
        #[test]
        fn any_damage_is_detected(cut in 0usize..2000, flip in any::<proptest::sample::Index>(), bit in 0u8..8) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("a.engine");
            write(&path, &[7; 600], &record()).unwrap();
            let whole = fs::read(&path).unwrap();
            fs::write(&path, &whole[..cut.min(whole.len() - 1)]).unwrap();
            prop_assert_eq!(read(&path).unwrap_err().kind(), Kind::Input);
            let mut changed = whole;
            let at = flip.index(changed.len());
            changed[at] ^= 1 << bit;
            fs::write(&path, &changed).unwrap();
            prop_assert!(read(&path).is_err());
        }
    }
}
