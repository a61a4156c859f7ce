//! What the system tells of the machine and of this process.

use std::io;
use std::path::Path;

/// Memory that the process holds, bytes; where Linux tells.
pub fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| 1024 * kb)
}

/// The hottest place of the board, degrees Celsius; where Linux tells.
pub fn temperature() -> Option<f64> {
    let zones = std::fs::read_dir("/sys/class/thermal").ok()?;
    let read = |entry: io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(entry.ok()?.path().join("temp")).ok()?;
        text.trim().parse::<f64>().ok().map(|millidegrees| millidegrees / 1e3)
    };
    zones.filter_map(read).max_by(f64::total_cmp)
}

/// Bytes that may still be written to the disk on which `path` lies.
pub fn free_space(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
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
}
