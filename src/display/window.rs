//! A desktop window, for development and for the demo.

use super::canvas::Canvas;
use super::panel::DisplayPanel;
use crate::fault::{Fault, Kind, Result};
use crate::geometry::Size;
use minifb::{Key, ScaleMode, Window, WindowOptions};

/// The longest side that a new window has; the canvas is scaled into it, and the window can be resized.
const LONGEST: usize = 960;

/// A window that shows canvases of one size, scaled to fit. Esc or the close button ends it.
pub struct WindowPanel {
    window: Window,
    size: Size,
}

impl WindowPanel {
    /// Opens a window for canvases of `size`. Without a display server this is [`Kind::Unavailable`].
    pub fn open(title: &str, size: Size) -> Result<Self> {
        display_server()?;
        let long = size.width.max(size.height).max(1);
        let fit = |side: usize| if long > LONGEST { (side * LONGEST / long).max(1) } else { side };
        let options =
            WindowOptions { resize: true, scale_mode: ScaleMode::AspectRatioStretch, ..WindowOptions::default() };
        let window = Window::new(title, fit(size.width), fit(size.height), options)
            .map_err(|error| unavailable().cause(error.to_string()))?;
        Ok(WindowPanel { window, size })
    }
}

impl DisplayPanel for WindowPanel {
    fn size(&self) -> Size {
        self.size
    }

    fn present(&mut self, canvas: &Canvas) -> Result<()> {
        canvas.expect_size(self.size)?;
        self.window
            .update_with_buffer(canvas.pixels(), self.size.width, self.size.height)
            .map_err(|error| Fault::new(Kind::Unavailable, "cannot draw into the window").cause(error.to_string()))
    }

    /// False once the shopkeeper has closed the window or pressed Esc.
    fn is_open(&self) -> bool {
        self.window.is_open() && !self.window.is_key_down(Key::Escape)
    }
}

fn unavailable() -> Fault {
    Fault::new(Kind::Unavailable, "cannot open a window")
        .cure("run it in a desktop session (DISPLAY or WAYLAND_DISPLAY set), or set panel = \"png\" under [screen]")
}

/// On Linux a window needs a display server, which the environment names.
fn display_server() -> Result<()> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let needed = cfg!(all(unix, not(target_os = "macos")));
    if needed && !set("DISPLAY") && !set("WAYLAND_DISPLAY") {
        return Err(unavailable().cause("no display server"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_display_server_the_fault_says_so() {
        if display_server().is_ok() {
            return;
        }
        let fault = WindowPanel::open("vetrina", Size::new(1080, 1920)).err().expect("no server, no window");
        assert_eq!(fault.kind(), Kind::Unavailable);
        assert!(fault.to_string().contains("DISPLAY"), "{fault}");
    }
}
