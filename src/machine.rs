//! What the operating system reports about the machine and this process.

mod board;
mod threads;

pub use board::{Board, Brake, Zone};
pub use threads::{Thread, threads};

use rustix::process::{Resource, Rlimit, getpriority_process, getrlimit, setpriority_process, setrlimit};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Resident memory of this process, bytes; `None` if the kernel does not report it.
pub fn resident_memory() -> Option<u64> {
    figure("/proc/self/status", "VmRSS:")
}

/// Peak resident memory of this process, bytes; `None` if the kernel does not report it.
pub fn peak_memory() -> Option<u64> {
    figure("/proc/self/status", "VmHWM:")
}

/// Memory available to programs, bytes; `None` if the kernel does not report it.
pub fn available_memory() -> Option<u64> {
    figure("/proc/meminfo", "MemAvailable:")
}

/// The entry `name` of the kernel's table `path`, converted from kB to bytes.
fn figure(path: &str, name: &str) -> Option<u64> {
    let table = fs::read_to_string(path).ok()?;
    let line = table.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| 1024 * kb)
}

/// The entries of `folder` whose names begin with `start`.
fn entries(folder: &Path, start: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(io::Result::ok);
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(start)).map(|entry| entry.path()).collect()
}

fn word(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Niceness of background work.
const NICE: i32 = 10;

/// Lowers the priority of this thread and of the threads and processes that it starts: for background work.
pub fn step_back() {
    // An error is ignored: the work runs anyway. A thread that is already nice is left alone, so that children do not
    // add up.
    if getpriority_process(None).is_ok_and(|nice| nice < NICE) {
        let _ = setpriority_process(None, NICE);
    }
}

/// Makes this process the first that the kernel kills when memory runs out: for work that can be repeated.
pub fn first_to_go() {
    // Not every kernel supports it.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
}

/// Maximum number of file descriptors. A mirror needs no more, and some libraries loop over the limit.
const DESCRIPTORS: u64 = 4096;

/// Raises the limit of open file descriptors, to 4096 if permitted. Returns the limit in effect.
pub fn descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let (now, most) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    let wanted = most.min(DESCRIPTORS);
    if wanted <= now || setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit }).is_err() {
        return now;
    }
    wanted
}

/// Free space on the file system of `path`, bytes.
pub fn free_space(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The folder that a file is in, or would be in.
pub fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether the file system of a folder is mounted for reading only. False where it is not known.
pub fn is_read_only(folder: &Path) -> bool {
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_memory_and_the_disk_has_room() {
        assert!(resident_memory().is_none_or(|bytes| bytes > 1 << 16));
        assert!(free_space(Path::new("/")).unwrap() > 0);
        assert!(free_space(Path::new("/nowhere/at/all")).is_err());
    }

    #[test]
    fn the_service_allows_as_many_descriptors_as_the_program_asks_for() {
        let unit = include_str!("../firmware/vetrina.service");
        assert!(unit.lines().any(|line| line == format!("LimitNOFILE={DESCRIPTORS}")));
    }
}
