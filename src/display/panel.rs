//! What shows a canvas: a screen, a window, a file.

use super::canvas::Canvas;
use crate::fault::{Fault, Result};
use crate::geometry::Size;

/// A place where finished canvases go. Its size may change with each [`DisplayPanel::present`]; a canvas of another size is the caller's
/// mistake, reported as a fault.
pub trait DisplayPanel {
    /// Size of the canvases that it takes.
    fn size(&self) -> Size;

    /// Shows `canvas` and returns once it may be drawn on again. A panel that may come back is no error but a [`DisplayPanel::fault`].
    fn present(&mut self, canvas: &Canvas) -> Result<()>;

    /// Its diagonal in inches, where it says so.
    fn diagonal(&self) -> Option<f32> {
        None
    }

    /// False once somebody has closed it: then it is time to go.
    fn is_open(&self) -> bool {
        true
    }

    /// False where nobody can see what is presented, so that it need not be drawn.
    fn is_seen(&self) -> bool {
        true
    }

    /// Why nothing is seen, while the panel is away and waited for.
    fn fault(&self) -> Option<&Fault> {
        None
    }
}
