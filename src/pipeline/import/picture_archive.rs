//! A zip of pictures that somebody sent, into a folder: only pictures, nothing outside of the folder, and no more than is told.

use crate::catalogue::images::MOST_PICTURE;
use crate::fault::{Fault, Kind, Result};
use crate::machine;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use zip::ZipArchive;
use zip::result::ZipError;

/// Endings of the pictures that an import reads.
const ENDINGS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// How much may come out of an archive.
#[derive(Clone, Copy, Debug)]
pub struct ArchiveLimits {
    /// Files and folders.
    pub entries: usize,
    /// All pictures together, bytes.
    pub bytes: u64,
    /// So many times the archive's own size: pictures do not become much smaller.
    pub ratio: u64,
    /// So much of the disk stays free, bytes.
    pub free: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        ArchiveLimits { entries: 100_000, bytes: 8 << 30, ratio: 50, free: 1 << 30 }
    }
}

/// What came out of an archive.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Unpacked {
    pub pictures: usize,
    /// Files that are no pictures by their endings.
    pub left_out: usize,
    /// The first pictures, by their paths: a feed names them so.
    pub first: Vec<String>,
}

/// Pictures that are named in [`Unpacked::first`].
const NAMED: usize = 5;

/// Unpacks the pictures of the archive at `archive` into `folder`, which is made.
///
/// # Errors
/// [`Kind::Input`] where it is no zip, is damaged or encrypted, leads out of the folder, or holds more than the limits allow. What
/// was unpacked by then stays: the caller deletes the folder.
pub fn unpack(archive: &Path, folder: &Path, limits: ArchiveLimits) -> Result<Unpacked> {
    let fail = |error| Fault::io(Kind::Storage, "read", archive, error);
    let file = File::open(archive).map_err(fail)?;
    let size = file.metadata().map_err(fail)?.len();
    let mut zip = ZipArchive::new(io::BufReader::new(file)).map_err(damaged)?;
    if zip.len() > limits.entries {
        return Err(refused(format!("it has {} files, the limit is {}", zip.len(), limits.entries)));
    }
    fs::create_dir_all(folder).map_err(|error| Fault::io(Kind::Storage, "make the folder", folder, error))?;
    let most = limits.bytes.min(limits.ratio.saturating_mul(size).saturating_add(1 << 20));
    let mut written = 0;
    let mut unpacked = Unpacked::default();
    for number in 0..zip.len() {
        let mut entry = zip.by_index(number).map_err(damaged)?;
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map_err(damaged)?.into_owned();
        let Some(path) = inside(&name) else {
            return Err(refused(format!("its file {name:?} would lie outside of the folder")));
        };
        if entry.is_symlink() || !is_picture(&path) {
            unpacked.left_out += 1;
            continue;
        }
        if machine::free_space(folder).is_ok_and(|free| free < limits.free) {
            let text = format!("the disk has less than {} MiB left", limits.free >> 20);
            return Err(Fault::new(Kind::Storage, text).cure("free some space on the disk of the catalogue"));
        }
        // What the archive says of its sizes may be a lie: what comes out is counted.
        let left = (most - written).min(MOST_PICTURE);
        let count = write(&mut entry.by_ref().take(left + 1), &folder.join(&path))?;
        written += count;
        if count > left {
            let limit = if left == MOST_PICTURE { MOST_PICTURE } else { most };
            return Err(refused(format!("with {name:?} it holds more than {} MiB", limit >> 20)));
        }
        unpacked.pictures += 1;
        if unpacked.first.len() < NAMED {
            unpacked.first.push(path.display().to_string());
        }
    }
    if unpacked.pictures == 0 {
        return Err(refused("it holds no picture (.jpg, .png or .webp)".into()));
    }
    Ok(unpacked)
}

/// Moves all files under `from` to their places under `to`, in place of what is there.
pub fn move_into(from: &Path, to: &Path) -> Result<()> {
    let fail = |error| Fault::io(Kind::Storage, "move pictures to", to, error);
    fs::create_dir_all(to).map_err(fail)?;
    for entry in fs::read_dir(from).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(fail)?.is_dir() {
            move_into(&entry.path(), &target)?;
        } else {
            fs::rename(entry.path(), &target).map_err(fail)?;
        }
    }
    fs::remove_dir(from).map_err(fail)
}

/// The path of an entry under the folder; `None` where it leads out of it.
fn inside(name: &str) -> Option<PathBuf> {
    let name = name.replace('\\', "/");
    let is_plain = !name.starts_with('/') && !name.contains('\0') && name.split('/').all(|part| part != "..");
    let drive = name.as_bytes().get(1) == Some(&b':');
    (is_plain && !drive).then(|| name.split('/').filter(|part| !part.is_empty() && *part != ".").collect())
}

/// By its ending, and no hidden file of a system that packed it.
fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let hidden = path.iter().any(|part| part.to_string_lossy().starts_with('.') || part == "__MACOSX");
    ENDINGS.contains(&ending.as_str()) && !hidden
}

fn write(from: &mut impl Read, path: &Path) -> Result<u64> {
    use io::ErrorKind::{AlreadyExists, InvalidFilename, IsADirectory, NotADirectory};
    let storage = |error: io::Error| match error.kind() {
        // Of two entries one is the other's folder, or a name is longer than names can be: no disk would take that.
        AlreadyExists | InvalidFilename | IsADirectory | NotADirectory => {
            refused(format!("{} cannot be written: {error}", path.display()))
        }
        _ => Fault::io(Kind::Storage, "write", path, error),
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(storage)?;
    }
    let mut file = File::create(path).map_err(storage)?;
    let mut block = vec![0; 64 << 10];
    let mut count = 0;
    loop {
        let read = from.read(&mut block).map_err(|error| refused(format!("it is damaged: {error}")))?;
        if read == 0 {
            return Ok(count);
        }
        file.write_all(&block[..read]).map_err(storage)?;
        count += read as u64;
    }
}

fn damaged(error: ZipError) -> Fault {
    Fault::new(Kind::Input, "the archive cannot be read")
        .cause(error)
        .cure("pack the pictures as a zip again, without a password")
}

fn refused(reason: String) -> Fault {
    Fault::new(Kind::Input, format!("the archive cannot be used: {reason}"))
        .cure("pack the pictures alone, in parts if need be")
}

#[cfg(test)]
mod tests {
    use super::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn archive(folder: &Path, entries: &[(&str, &[u8])]) -> PathBuf {
        let path = folder.join("a.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for (name, bytes) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    #[test]
    fn names_that_no_disk_takes_are_the_archives_fault() {
        let folder = tempfile::tempdir().unwrap();
        let long = format!("{}.jpg", "a".repeat(300));
        for entries in [
            &[("a.jpg", &b"one"[..]), ("a.jpg/b.jpg", b"two")][..],
            &[("a.jpg/b.jpg", b"two"), ("a.jpg", b"one")],
            &[(long.as_str(), b"one")],
        ] {
            let path = archive(folder.path(), entries);
            let out = folder.path().join("out");
            let fault = unpack(&path, &out, ArchiveLimits { free: 0, ..ArchiveLimits::default() }).unwrap_err();
            assert_eq!(fault.kind(), Kind::Input, "{fault}");
            fs::remove_dir_all(&out).unwrap();
        }
    }

    #[test]
    fn pictures_come_out_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let entries: [(&str, &[u8]); 6] = [
            ("p/1.jpg", b"one"),
            ("p\\2.PNG", b"two"),
            ("./3.webp", b"three"),
            ("notes.txt", b"no"),
            ("__MACOSX/p/._1.jpg", b"no"),
            (".hidden.jpg", b"no"),
        ];
        let path = archive(folder.path(), &entries);
        let out = folder.path().join("out");
        let unpacked = unpack(&path, &out, ArchiveLimits { free: 0, ..ArchiveLimits::default() }).unwrap();
        assert_eq!((unpacked.pictures, unpacked.left_out), (3, 3));
        assert_eq!(unpacked.first, ["p/1.jpg", "p/2.PNG", "3.webp"]);
        assert_eq!(fs::read(out.join("p/2.PNG")).unwrap(), b"two");
        let kept = folder.path().join("kept");
        fs::create_dir_all(kept.join("p")).unwrap();
        fs::write(kept.join("p/1.jpg"), "old").unwrap();
        fs::write(kept.join("p/9.jpg"), "stays").unwrap();
        move_into(&out, &kept).unwrap();
        assert_eq!(fs::read(kept.join("p/1.jpg")).unwrap(), b"one");
        assert!(kept.join("p/9.jpg").exists() && kept.join("3.webp").exists() && !out.exists());
    }

    #[test]
    fn an_archive_that_leads_out_or_swells_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let limits = ArchiveLimits { free: 0, ..ArchiveLimits::default() };
        let refusal = |entries: &[(&str, &[u8])], limits| {
            let fault = unpack(&archive(folder.path(), entries), &out, limits).unwrap_err();
            assert_eq!(fault.kind(), Kind::Input, "{fault}");
            fault.to_string()
        };
        for name in ["../out.jpg", "a/../../out.jpg", "/etc/a.jpg", "..\\a.jpg", "C:\\a.jpg"] {
            let text = refusal(&[("ok.jpg", b"x"), (name, b"x")], limits);
            assert!(text.contains("outside of the folder"), "{name}: {text}");
        }
        assert!(!folder.path().join("out.jpg").exists());
        // 4 MiB of zeros are some kilobytes in the archive.
        let zeros = vec![0; 4 << 20];
        let text = refusal(&[("a.jpg", &zeros)], limits);
        assert!(text.contains("holds more than 1 MiB"), "{text}");
        assert!(refusal(&[("a.txt", b"x")], limits).contains("no picture"));
        let few = ArchiveLimits { entries: 1, ..limits };
        assert!(refusal(&[("a.jpg", b"x"), ("b.jpg", b"x")], few).contains("2 files, the limit is 1"));
        let full = ArchiveLimits { free: u64::MAX, ..limits };
        let fault = unpack(&archive(folder.path(), &[("a.jpg", b"x")]), &out, full).unwrap_err();
        assert_eq!(fault.kind(), Kind::Storage);
        fs::write(folder.path().join("no.zip"), "no archive").unwrap();
        assert_eq!(unpack(&folder.path().join("no.zip"), &out, limits).unwrap_err().kind(), Kind::Input);
        let whole = archive(folder.path(), &[("a.jpg", &b"some bytes that do not repeat 0123456789".repeat(40))]);
        let bytes = fs::read(&whole).unwrap();
        fs::write(&whole, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(unpack(&whole, &out, limits).unwrap_err().kind(), Kind::Input);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
        #[test]
        fn a_damaged_archive_neither_panics_nor_writes_elsewhere(
            changes in proptest::collection::vec((0usize..600, proptest::prelude::any::<u8>()), 1..6),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = archive(folder.path(), &[("p/a.jpg", b"one"), ("../b.jpg", b"two"), ("c.png", &[7; 300])]);
            let mut bytes = fs::read(&path).unwrap();
            for (at, value) in changes {
                let length = bytes.len();
                bytes[at % length] = value;
            }
            fs::write(&path, bytes).unwrap();
            let _ = unpack(&path, &folder.path().join("out"), ArchiveLimits { free: 0, ..ArchiveLimits::default() });
            let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
            proptest::prop_assert!(names.into_iter().all(|name| name == "a.zip" || name == "out"));
        }
    }
}
