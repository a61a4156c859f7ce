//! Keys and a touch screen, by evdev: what a shopper does at the mirror. Off unless the configuration names a device. Only events of
//! keys and of the touched place are read.

use super::Links;
use super::control::ShopperAction;
use crate::fault::{Fault, Kind, Result};
use crate::shutdown::Token;
use evdev::{AbsoluteAxisCode, Device, EventSummary, InputEvent, KeyCode};
use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Builder;
use std::time::Duration;

/// A touch is noticed within this.
const LOOK: Duration = Duration::from_millis(25);
/// A device that is away is looked for this often.
const REOPEN: Duration = Duration::from_secs(2);

/// Reads `device` on a thread of its own until `token` is cancelled. One that is away is waited for.
pub fn listen(device: PathBuf, links: Arc<Links>, token: Token) -> Result<()> {
    let body = move || {
        let mut said = false;
        while !token.is_cancelled() {
            match follow(&device, &links, &token) {
                Ok(()) => return,
                Err(error) if !said => log::warn!("input {}: {error}; it is looked for again", device.display()),
                Err(_) => {}
            }
            said = true;
            links.clock.wait(&token, REOPEN);
        }
    };
    let fail = |error| Fault::new(Kind::Internal, "cannot start the thread input").cause(error);
    Builder::new().name("input".into()).spawn(body).map(drop).map_err(fail)
}

/// Hands on what happens at the device until the token is cancelled.
fn follow(path: &Path, links: &Links, token: &Token) -> std::io::Result<()> {
    let mut device = Device::open(path)?;
    device.set_nonblocking(true)?;
    let mut reader = InputReader::default();
    for (axis, range) in device.get_absinfo()? {
        reader.set_range(axis, range.minimum()..=range.maximum());
    }
    log::info!("input {}: {}", path.display(), device.name().unwrap_or("without a name"));
    while !links.clock.wait(token, LOOK) {
        match device.fetch_events() {
            Ok(events) => {
                for action in events.filter_map(|event| reader.read(event)) {
                    links.actions.put(action);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes actions of a device's events.
#[derive(Debug)]
struct InputReader {
    across: RangeInclusive<i32>,
    down: RangeInclusive<i32>,
    /// Where it was touched last.
    place: (i32, i32),
}

impl Default for InputReader {
    fn default() -> Self {
        InputReader { across: 0..=1, down: 0..=1, place: (0, 0) }
    }
}

impl InputReader {
    fn set_range(&mut self, axis: AbsoluteAxisCode, range: RangeInclusive<i32>) {
        match axis {
            AbsoluteAxisCode::ABS_X => self.across = range,
            AbsoluteAxisCode::ABS_Y => self.down = range,
            _ => {}
        }
    }

    fn read(&mut self, event: InputEvent) -> Option<ShopperAction> {
        match event.destructure() {
            EventSummary::AbsoluteAxis(_, AbsoluteAxisCode::ABS_X, x) => self.place.0 = x,
            EventSummary::AbsoluteAxis(_, AbsoluteAxisCode::ABS_Y, y) => self.place.1 = y,
            // On release: by then the place is known, whatever the order of the events.
            EventSummary::Key(_, KeyCode::BTN_TOUCH, 0) => {
                let (x, y) = (share(self.place.0, &self.across), share(self.place.1, &self.down));
                return Some(ShopperAction::Touch { x, y });
            }
            // 1: pressed; not released, and not repeated.
            EventSummary::Key(_, key, 1) => return action(key),
            _ => {}
        }
        None
    }
}

fn share(value: i32, range: &RangeInclusive<i32>) -> f32 {
    let (start, end) = (*range.start() as f32, *range.end() as f32);
    if end > start { ((value as f32 - start) / (end - start)).clamp(0.0, 1.0) } else { 0.0 }
}

fn action(key: KeyCode) -> Option<ShopperAction> {
    match key {
        KeyCode::KEY_RIGHT | KeyCode::KEY_TAB | KeyCode::KEY_NEXT => Some(ShopperAction::NextGarment),
        KeyCode::KEY_LEFT | KeyCode::KEY_PREVIOUS => Some(ShopperAction::PreviousGarment),
        KeyCode::KEY_DOWN | KeyCode::KEY_UP | KeyCode::KEY_SPACE => Some(ShopperAction::NextProduct),
        KeyCode::KEY_ENTER | KeyCode::KEY_KPENTER | KeyCode::KEY_HELP => Some(ShopperAction::CallStaff),
        KeyCode::KEY_F1 => Some(ShopperAction::ToggleOperator),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evdev::EventType;

    fn key(code: KeyCode, value: i32) -> InputEvent {
        InputEvent::new(EventType::KEY.0, code.0, value)
    }

    #[test]
    fn keys_act_once_when_they_are_pressed() {
        let mut reader = InputReader::default();
        let mut read = |code, value| reader.read(key(code, value));
        assert_eq!(read(KeyCode::KEY_RIGHT, 1), Some(ShopperAction::NextGarment));
        assert_eq!(read(KeyCode::KEY_RIGHT, 2), None, "held");
        assert_eq!(read(KeyCode::KEY_RIGHT, 0), None, "released");
        assert_eq!(read(KeyCode::KEY_ENTER, 1), Some(ShopperAction::CallStaff));
        assert_eq!(read(KeyCode::KEY_A, 1), None, "what is typed is not read");
    }

    #[test]
    fn a_touch_is_a_share_of_the_panel() {
        let mut reader = InputReader::default();
        reader.set_range(AbsoluteAxisCode::ABS_X, 0..=4000);
        reader.set_range(AbsoluteAxisCode::ABS_Y, 100..=300);
        let moved = |axis: AbsoluteAxisCode, value| InputEvent::new(EventType::ABSOLUTE.0, axis.0, value);
        assert_eq!(reader.read(key(KeyCode::BTN_TOUCH, 1)), None);
        assert_eq!(reader.read(moved(AbsoluteAxisCode::ABS_X, 1000)), None);
        assert_eq!(reader.read(moved(AbsoluteAxisCode::ABS_Y, 300)), None);
        assert_eq!(reader.read(key(KeyCode::BTN_TOUCH, 0)), Some(ShopperAction::Touch { x: 0.25, y: 1.0 }));
    }
}
