//! An archive of pictures that was sent to the page: pictures of the folder come out, few enough, or a refusal. What the archive itself
//! holds is never taken for a fault of the disk.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use vetrina::fault::Kind;
use vetrina::pipeline::import::picture_archive::{ArchiveLimits, unpack};

/// In memory where the system has that: thousands of archives a second.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    parent.join(format!("vetrina-fuzz-archive-{}", std::process::id()))
});

const LIMITS: ArchiveLimits = ArchiveLimits { entries: 50, bytes: 1 << 20, ratio: 50, free: 0 };

fuzz_target!(|bytes: &[u8]| {
    let (archive, out) = (FOLDER.join("a.zip"), FOLDER.join("in/out"));
    let _ = fs::remove_dir_all(FOLDER.as_path());
    fs::create_dir_all(FOLDER.join("in")).expect("a folder for the archive");
    fs::write(&archive, bytes).expect("the archive");
    match unpack(&archive, &out, LIMITS) {
        Ok(unpacked) => assert!((1..=LIMITS.entries).contains(&unpacked.pictures)),
        Err(fault) => assert_eq!(fault.kind(), Kind::Input, "{fault}"),
    }
    let names = |folder: &Path| -> Vec<_> {
        fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").file_name()).collect()
    };
    assert!(names(&FOLDER).iter().all(|name| name == "a.zip" || name == "in"), "something lies outside");
    assert!(names(&FOLDER.join("in")).iter().all(|name| name == "out"), "something lies outside");
    let _ = fs::remove_dir_all(FOLDER.as_path());
});
