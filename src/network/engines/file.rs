//! An engine on the disk: TensorRT's bytes, then what they are, then a seal over both.
//!
//! ```text
//! engine | record, JSON | length of the engine, u64 | length of the record, u64 | SHA-256 of all before | magic
//! ```
//! All numbers are little-endian. A file that was cut off or changed anywhere does not fit its seal, and is never handed to
//! TensorRT, which would crash on some of them.

use super::Record;
use crate::fault::{Fault, Kind, Result};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"vtrnENG1";
const SEAL: usize = 8 + 8 + 32 + 8;
/// How the names of files begin that are still being written.
pub const UNFINISHED: &str = ".unfinished-";

/// Writes an engine so that at any moment the whole file stands under its name or none does.
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
        // What could not be written fills the disk no longer; a second fault would say nothing more.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// Reads an engine with its record.
///
/// # Errors
/// [`Kind::Input`]: not an engine file, or a damaged one; it says how.
pub fn read(path: &Path) -> Result<(Record, Vec<u8>)> {
    let damaged = |why: &str| {
        let text = format!("cannot use the engine {}: {why}", path.display());
        Fault::new(Kind::Input, text).cure("build it again: vetrina engine build")
    };
    let mut bytes = fs::read(path).map_err(|error| Fault::io(Kind::Input, "read the engine", path, error))?;
    let Some(end) = bytes.len().checked_sub(SEAL) else { return Err(damaged("it is cut off")) };
    let (body, seal) = bytes.split_at(end);
    if seal[48..] != MAGIC {
        return Err(damaged("it is cut off, or none of vetrina's"));
    }
    let length = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| seal[at + byte])) as usize;
    let (engine, record) = (length(0), length(8));
    if engine.checked_add(record) != Some(end) || seal[16..48] != digest(&[body, &seal[..16]]) {
        return Err(damaged("its contents are not those that were written"));
    }
    let record = serde_json::from_slice(&body[engine..]).map_err(|error| damaged(&error.to_string()))?;
    bytes.truncate(engine);
    Ok((record, bytes))
}

fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{UNFINISHED}{}-{name}", std::process::id()))
}

/// All that comes after the engine.
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
    fn what_was_written_is_read_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.engine");
        write(&path, b"plan", &record()).unwrap();
        write(&path, b"newer plan", &record()).unwrap();
        assert_eq!(read(&path).unwrap(), (record(), b"newer plan".to_vec()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_a_storage_fault_that_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("a.engine");
        fs::create_dir(&taken).unwrap();
        assert_eq!(write(&taken, b"plan", &record()).unwrap_err().kind(), Kind::Storage);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    proptest! {
        #[test]
        fn damage_anywhere_is_noticed(cut in 0usize..2000, flip in any::<proptest::sample::Index>(), bit in 0u8..8) {
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
