//! The board's temperature, throttling and power alarms, read from sysfs (`/sys`, or a folder in tests).
//!
//! A Jetson counts over-current and low-voltage events in `soctherm_oc` and has cooling devices for each processor; a Raspberry
//! Pi has a voltage alarm; x86 counts how often each core was throttled.

use super::{entries, word};
use std::path::Path;

/// A thermal zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// The kernel's name: "cpu-thermal".
    pub name: String,
    pub celsius: f64,
    /// The board throttles from this temperature, degrees Celsius; if it reports one.
    pub slows_at: Option<f64>,
}

/// A cooling device that throttles a processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brake {
    /// The kernel's name: "gpu-throttle-alert".
    pub name: String,
    /// The current cooling state; 0: no throttling.
    pub steps: u64,
}

/// The state of the board at one moment. What it does not report is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    pub zones: Vec<Zone>,
    pub brakes: Vec<Brake>,
    /// How often its processors were throttled for heat since it was started.
    pub slowdowns: Option<u64>,
    /// Over-current and low-voltage events since it was started.
    pub overcurrents: Option<u64>,
    /// Whether the voltage is too low now.
    pub low_voltage: Option<bool>,
}

/// Lower trip points are placeholders of the firmware, degrees Celsius.
const LEAST_TRIP: f64 = 40.0;
/// If only a shutdown temperature is reported, throttling is assumed this much below, degrees.
const BEFORE_STOP: f64 = 10.0;

impl Board {
    /// Reads the state from `sysfs`. What is missing or unreadable is left out.
    pub fn read(sysfs: &Path) -> Self {
        let thermal = sysfs.join("class/thermal");
        Board {
            zones: entries(&thermal, "thermal_zone").iter().filter_map(|folder| zone(folder)).collect(),
            brakes: entries(&thermal, "cooling_device").iter().filter_map(|folder| brake(folder)).collect(),
            slowdowns: slowdowns(sysfs),
            overcurrents: overcurrents(sysfs),
            low_voltage: low_voltage(sysfs),
        }
    }

    /// The temperature of the hottest zone, degrees Celsius.
    pub fn hottest(&self) -> Option<f64> {
        self.zones.iter().map(|zone| zone.celsius).max_by(f64::total_cmp)
    }

    /// The active cooling device with the highest state.
    pub fn braking(&self) -> Option<&Brake> {
        self.brakes.iter().filter(|brake| brake.steps > 0).max_by_key(|brake| brake.steps)
    }
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

/// The cooling device in `folder`, if it throttles a processor. Fans and dimmed screens do not.
fn brake(folder: &Path) -> Option<Brake> {
    let name = word(&folder.join("type"))?;
    let clock = ["cpufreq-", "devfreq-", "thermal-cpufreq-", "thermal-devfreq-"];
    let slows = name == "Processor" || name.ends_with("-throttle-alert") || clock.iter().any(|it| name.starts_with(it));
    slows.then_some(Brake { name, steps: number(&folder.join("cur_state"))? })
}

fn slowdowns(sysfs: &Path) -> Option<u64> {
    let cores = entries(&sysfs.join("devices/system/cpu"), "cpu");
    let counters = cores.iter().map(|core| core.join("thermal_throttle/core_throttle_count"));
    sum(counters.filter_map(|path| number(&path)))
}

fn overcurrents(sysfs: &Path) -> Option<u64> {
    let monitors = entries(&sysfs.join("class/hwmon"), "hwmon");
    let counters = monitors.iter().flat_map(|folder| entries(folder, "oc"));
    // The Orin's names, and those before.
    let counts = |name: &str| name.ends_with("_event_cnt") || name.ends_with("_irq_cnt");
    let counters = counters.filter(|path| counts(&path.to_string_lossy()));
    sum(counters.filter_map(|path| number(&path)))
}

fn low_voltage(sysfs: &Path) -> Option<bool> {
    let monitors = entries(&sysfs.join("class/hwmon"), "hwmon");
    let monitor = monitors.iter().find(|folder| word(&folder.join("name")).as_deref() == Some("rpi_volt"))?;
    number(&monitor.join("in0_lcrit_alarm")).map(|alarm| alarm > 0)
}

/// `None` if there are no numbers.
fn sum(numbers: impl Iterator<Item = u64>) -> Option<u64> {
    numbers.reduce(u64::saturating_add)
}

fn number(path: &Path) -> Option<u64> {
    word(path)?.parse().ok()
}

/// Sysfs reports thousandths of a degree.
fn degrees(path: &Path) -> Option<f64> {
    word(path)?.parse::<f64>().ok().map(|millidegrees| millidegrees / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Writes files under `root/folder`.
    fn write(root: &Path, folder: &str, files: &[(&str, &str)]) {
        fs::create_dir_all(root.join(folder)).unwrap();
        for (name, text) in files {
            fs::write(root.join(folder).join(name), format!("{text}\n")).unwrap();
        }
    }

    /// Writes a zone as in sysfs: its temperature, and types and temperatures of its trip points.
    fn write_zone(root: &Path, index: usize, celsius: i64, trips: &[(&str, i64)]) {
        let folder = format!("class/thermal/thermal_zone{index}");
        write(root, &folder, &[("type", &format!("zone-{index}")), ("temp", &format!("{}", 1000 * celsius))]);
        for (place, (kind, celsius)) in trips.iter().enumerate() {
            let (kind_name, temp_name) = (format!("trip_point_{place}_type"), format!("trip_point_{place}_temp"));
            write(root, &folder, &[(&kind_name, kind), (&temp_name, &format!("{}", 1000 * celsius))]);
        }
    }

    #[test]
    fn a_zone_throttles_at_its_lowest_passive_trip_or_below_shutdown() {
        let folder = tempfile::tempdir().unwrap();
        write_zone(folder.path(), 0, 51, &[("active", 45), ("passive", 0), ("passive", 99), ("critical", 104)]);
        write_zone(folder.path(), 1, 48, &[("critical", 105), ("hot", 100)]);
        write_zone(folder.path(), 2, 70, &[]);
        fs::create_dir_all(folder.path().join("class/thermal/cooling_device0")).unwrap();
        let mut board = Board::read(folder.path());
        board.zones.sort_by(|a, b| a.name.cmp(&b.name));
        let found: Vec<_> = board.zones.iter().map(|zone| (zone.name.as_str(), zone.celsius, zone.slows_at)).collect();
        assert_eq!(found, [("zone-0", 51.0, Some(99.0)), ("zone-1", 48.0, Some(90.0)), ("zone-2", 70.0, None)]);
        assert_eq!(board.hottest(), Some(70.0));
        assert!(board.brakes.is_empty(), "a cooling device without a type was listed");
    }

    #[test]
    fn a_board_without_sensors_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Board::read(folder.path()), Board::default());
        assert_eq!(Board::read(&folder.path().join("nowhere")).hottest(), None);
    }

    #[test]
    fn overcurrent_events_are_summed() {
        let folder = tempfile::tempdir().unwrap();
        let monitor = [("name", "soctherm_oc"), ("oc1_event_cnt", "2"), ("oc3_event_cnt", "5"), ("oc1_throt_en", "1")];
        write(folder.path(), "class/hwmon/hwmon3", &monitor);
        assert_eq!(Board::read(folder.path()).overcurrents, Some(7));
        // The Xavier's names.
        write(
            folder.path(),
            "class/hwmon/hwmon4",
            &[("name", "soctherm_oc"), ("oc1_irq_cnt", "4"), ("oc1_priority", "9")],
        );
        assert_eq!(Board::read(folder.path()).overcurrents, Some(11));
    }

    #[test]
    fn processor_throttles_are_brakes_and_fans_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let devices = [
            ("pwm-fan", "3"),
            ("hot-surface-alert", "1"),
            ("TCC Offset", "10"),
            ("cpu-throttle-alert", "0"),
            ("gpu-throttle-alert", "1"),
            ("devfreq-gpu-gpc-0", "18"),
            ("cpufreq-cpu0", "0"),
            ("Processor", "0"),
        ];
        for (index, (kind, state)) in devices.iter().enumerate() {
            write(
                folder.path(),
                &format!("class/thermal/cooling_device{index}"),
                &[("type", kind), ("cur_state", state)],
            );
        }
        let board = Board::read(folder.path());
        assert_eq!(board.brakes.len(), 5);
        assert_eq!(board.braking().map(|brake| (brake.name.as_str(), brake.steps)), Some(("devfreq-gpu-gpc-0", 18)));
        write(folder.path(), "class/thermal/cooling_device5", &[("cur_state", "0")]);
        write(folder.path(), "class/thermal/cooling_device4", &[("cur_state", "0")]);
        assert_eq!(Board::read(folder.path()).braking(), None);
    }

    #[test]
    fn throttled_cores_and_low_voltage_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        for (core, count) in [("cpu0", "3"), ("cpu1", "4")] {
            let place = format!("devices/system/cpu/{core}/thermal_throttle");
            write(folder.path(), &place, &[("core_throttle_count", count), ("package_throttle_count", "90")]);
        }
        fs::create_dir_all(folder.path().join("devices/system/cpu/cpuidle")).unwrap();
        // The alarm of another monitor does not concern the board's supply.
        write(folder.path(), "class/hwmon/hwmon0", &[("name", "nct6775"), ("in0_lcrit_alarm", "1")]);
        let board = Board::read(folder.path());
        assert_eq!((board.slowdowns, board.low_voltage), (Some(7), None));
        write(folder.path(), "class/hwmon/hwmon1", &[("name", "rpi_volt"), ("in0_lcrit_alarm", "1")]);
        assert_eq!(Board::read(folder.path()).low_voltage, Some(true));
    }
}
