//! What the system tells of the machine and of this process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Memory that the process holds, bytes; where Linux tells.
pub fn resident_memory() -> Option<u64> {
    figure("/proc/self/status", "VmRSS:")
}

/// The most memory that this process has held, bytes; where Linux tells.
pub fn peak_memory() -> Option<u64> {
    figure("/proc/self/status", "VmHWM:")
}

/// Memory that programs can still have, bytes; where Linux tells.
pub fn available_memory() -> Option<u64> {
    figure("/proc/meminfo", "MemAvailable:")
}

/// What the kernel's table `path` says of `name`, which it counts in kB, in bytes.
fn figure(path: &str, name: &str) -> Option<u64> {
    let table = fs::read_to_string(path).ok()?;
    let line = table.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| 1024 * kb)
}

/// A place of the board whose temperature is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// As the board has it: "cpu-thermal".
    pub name: String,
    pub celsius: f64,
    /// From here on the board slows itself down, degrees Celsius; where it says so.
    pub slows_at: Option<f64>,
}

/// Trip points below are placeholders of firmware, degrees Celsius.
const LEAST_TRIP: f64 = 40.0;
/// A board that only says where it stops is slow by so much before, degrees.
const BEFORE_STOP: f64 = 10.0;

/// The thermal zones under `sysfs`, those that cannot be read left out.
pub fn zones(sysfs: &Path) -> Vec<Zone> {
    let folders = entries(&sysfs.join("class/thermal"), "thermal_zone");
    folders.iter().filter_map(|folder| zone(folder)).collect()
}

fn zone(folder: &Path) -> Option<Zone> {
    let celsius = degrees(&folder.join("temp"))?;
    let name = word(&folder.join("type")).unwrap_or_else(|| "a thermal zone".into());
    let (mut slow, mut stop) = (None, None);
    for index in 0.. {
        let Some(kind) = word(&folder.join(format!("trip_point_{index}_type"))) else { break };
        let trip = degrees(&folder.join(format!("trip_point_{index}_temp"))).filter(|trip| *trip >= LEAST_TRIP);
        let lowest = match kind.as_str() {
            "passive" => &mut slow,
            "hot" | "critical" => &mut stop,
            _ => continue,
        };
        *lowest = match (*lowest, trip) {
            (Some(a), Some(b)) => Some(f64::min(a, b)),
            (a, b) => a.or(b),
        };
    }
    Some(Zone { name, celsius, slows_at: slow.or(stop.map(|degrees| degrees - BEFORE_STOP)) })
}

/// How often the board has drawn too much current since it was started: the event counters of a Jetson's power monitors.
pub fn overcurrents(sysfs: &Path) -> u64 {
    let monitors = entries(&sysfs.join("class/hwmon"), "hwmon");
    let counters = monitors.iter().flat_map(|folder| entries(folder, "oc"));
    let counters = counters.filter(|path| path.to_string_lossy().ends_with("_event_cnt"));
    counters.filter_map(|path| word(&path)?.parse::<u64>().ok()).sum()
}

/// The hottest place of the board, degrees Celsius; where Linux tells.
pub fn temperature(sysfs: &Path) -> Option<f64> {
    hottest(&zones(sysfs))
}

/// The temperature of the hottest of `zones`, degrees Celsius.
pub fn hottest(zones: &[Zone]) -> Option<f64> {
    zones.iter().map(|zone| zone.celsius).max_by(f64::total_cmp)
}

/// What lies in `folder` under a name that begins with `start`.
fn entries(folder: &Path, start: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(io::Result::ok);
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(start)).map(|entry| entry.path()).collect()
}

fn word(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Sysfs counts thousandths.
fn degrees(path: &Path) -> Option<f64> {
    word(path)?.parse::<f64>().ok().map(|millidegrees| millidegrees / 1e3)
}

/// Lets everybody else go first: for work that nobody waits for.
pub fn step_back() {
    // Who may not be nice works as before.
    let _ = rustix::process::nice(10);
}

/// Where memory runs out, this process is ended before any other: for work that can be done again.
pub fn first_to_go() {
    // A kernel without it ends whom it likes.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
}

/// Bytes that may still be written to the disk on which `path` lies.
pub fn free_space(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zone as sysfs has it: its temperature, and kinds and temperatures of its trip points.
    fn write_zone(root: &Path, index: usize, celsius: i64, trips: &[(&str, i64)]) {
        let folder = root.join(format!("class/thermal/thermal_zone{index}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("type"), format!("zone-{index}\n")).unwrap();
        fs::write(folder.join("temp"), format!("{}\n", 1000 * celsius)).unwrap();
        for (place, (kind, celsius)) in trips.iter().enumerate() {
            fs::write(folder.join(format!("trip_point_{place}_type")), format!("{kind}\n")).unwrap();
            fs::write(folder.join(format!("trip_point_{place}_temp")), format!("{}\n", 1000 * celsius)).unwrap();
        }
    }

    #[test]
    fn a_zone_slows_at_its_lowest_passive_point_or_before_it_stops() {
        let folder = tempfile::tempdir().unwrap();
        write_zone(folder.path(), 0, 51, &[("active", 45), ("passive", 0), ("passive", 99), ("critical", 104)]);
        write_zone(folder.path(), 1, 48, &[("critical", 105), ("hot", 100)]);
        write_zone(folder.path(), 2, 70, &[]);
        fs::create_dir_all(folder.path().join("class/thermal/cooling_device0")).unwrap();
        let mut zones = zones(folder.path());
        zones.sort_by(|a, b| a.name.cmp(&b.name));
        let found: Vec<_> = zones.iter().map(|zone| (zone.name.as_str(), zone.celsius, zone.slows_at)).collect();
        assert_eq!(found, [("zone-0", 51.0, Some(99.0)), ("zone-1", 48.0, Some(90.0)), ("zone-2", 70.0, None)]);
        assert_eq!(temperature(folder.path()), Some(70.0));
        assert_eq!(temperature(&folder.path().join("nowhere")), None);
    }

    #[test]
    fn events_of_current_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let monitor = folder.path().join("class/hwmon/hwmon3");
        fs::create_dir_all(&monitor).unwrap();
        for (name, text) in
            [("oc1_event_cnt", "2\n"), ("oc3_event_cnt", "5\n"), ("oc1_throt_en", "1\n"), ("name", "soctherm_oc")]
        {
            fs::write(monitor.join(name), text).unwrap();
        }
        assert_eq!(overcurrents(folder.path()), 7);
        assert_eq!(overcurrents(&folder.path().join("nowhere")), 0);
    }

    #[test]
    fn this_process_holds_memory_and_the_disk_has_room() {
        assert!(resident_memory().is_none_or(|bytes| bytes > 1 << 16));
        assert!(free_space(Path::new("/")).unwrap() > 0);
        assert!(free_space(Path::new("/nowhere/at/all")).is_err());
    }
}
