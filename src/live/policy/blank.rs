//! When the screen is dark: while the shop is closed, and when nobody was seen for a while. A person wakes it. Pure.
//!
//! A dark screen is a black picture like any other, so that the watchdog sees it become pixels.

use std::time::Duration;

/// While the shop is closed, the screen goes dark again this long after a person has left.
const CLOSED: Duration = Duration::from_secs(15);

/// A part of the day, in minutes since midnight; it may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    pub from: u16,
    /// No longer within.
    pub until: u16,
}

impl Hours {
    fn holds(&self, minute: u16) -> bool {
        let (after, before) = (minute >= self.from, minute < self.until);
        if self.from <= self.until { after && before } else { after || before }
    }
}

/// When the screen is dark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlankSettings {
    /// When the shop is closed; `None`: never.
    pub hours: Option<Hours>,
    /// Dark after nobody was seen for this long; `None`: never for that reason.
    pub idle: Option<Duration>,
}

impl BlankSettings {
    /// Whether the screen is dark at this minute of the day, `unseen` after a person was last seen. Without a camera picture
    /// (`see` is false) it is not known that nobody is there: then only the hours count, and the screen says what is wrong.
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
    fn a_closed_shop_is_dark_and_the_night_goes_over_midnight() {
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
    fn nobody_for_a_while_is_dark_unless_it_cannot_see() {
        let settings = BlankSettings { hours: None, idle: Some(Duration::from_secs(60)) };
        assert!(settings.is_dark(0, Duration::from_secs(60), true));
        assert!(!settings.is_dark(0, Duration::from_secs(59), true));
        assert!(!settings.is_dark(0, LONG, false));
        assert!(!BlankSettings::default().is_dark(0, LONG, true));
    }
}
