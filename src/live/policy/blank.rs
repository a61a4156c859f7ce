//! When the screen is dark: while the shop is closed, and after some time without a person. A person wakes it. Pure
//! functions.
//!
//! A dark screen is a black picture like any other, so the watchdog counts it as progress.

use std::time::Duration;

/// While the shop is closed, the screen turns dark again this long after the last person.
const CLOSED: Duration = Duration::from_secs(15);

/// A range of minutes since midnight. It may cross midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    pub from: u16,
    /// Exclusive.
    pub until: u16,
}

impl Hours {
    fn holds(&self, minute: u16) -> bool {
        let (after, before) = (minute >= self.from, minute < self.until);
        if self.from <= self.until { after && before } else { after || before }
    }
}

/// Settings of the dark screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlankSettings {
    /// Hours in which the shop is closed; `None`: never.
    pub hours: Option<Hours>,
    /// Time without a person after which the screen turns dark; `None`: never.
    pub idle: Option<Duration>,
}

impl BlankSettings {
    /// Whether the screen is dark. `minute`: minute of the day. `unseen`: time since the last person. `see`: whether
    /// there is a camera picture. Without one, absence of persons is unknown: only the hours count, and the screen
    /// shows what is wrong.
    pub fn is_dark(&self, minute: u16, unseen: Duration, see: bool) -> bool {
        let closed = self.hours.is_some_and(|hours| hours.holds(minute));
        let idle = self.idle.is_some_and(|idle| see && unseen >= idle);
        idle || closed && unseen >= CLOSED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn clock(text: &str) -> u16 {
        let (hour, minute) = text.split_once(':').unwrap();
        60 * hour.parse::<u16>().unwrap() + minute.parse::<u16>().unwrap()
    }

    #[test]
    fn a_closed_shop_is_dark_also_across_midnight() {
        let night = Hours { from: clock("21:00"), until: clock("8:00") };
        let noon = Hours { from: clock("12:30"), until: clock("15:00") };
        for (hours, time, dark) in [
            (night, "20:59", false),
            (night, "21:00", true),
            (night, "23:59", true),
            (night, "0:00", true),
            (night, "7:59", true),
            (night, "8:00", false),
            (noon, "12:29", false),
            (noon, "12:30", true),
            (noon, "15:00", false),
        ] {
            let settings = BlankSettings { hours: Some(hours), idle: None };
            assert_eq!(settings.is_dark(clock(time), LONG, true), dark, "{time}");
            assert_eq!(settings.is_dark(clock(time), LONG, false), dark, "{time}, without a camera");
            assert!(!settings.is_dark(clock(time), Duration::ZERO, true), "{time}: a person wakes it");
        }
    }

    #[test]
    fn an_idle_screen_is_dark_unless_the_camera_is_away() {
        let settings = BlankSettings { hours: None, idle: Some(Duration::from_secs(60)) };
        assert!(settings.is_dark(0, Duration::from_secs(60), true));
        assert!(!settings.is_dark(0, Duration::from_secs(59), true));
        assert!(!settings.is_dark(0, LONG, false));
        assert!(!BlankSettings::default().is_dark(0, LONG, true));
    }
}
