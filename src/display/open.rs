//! Opens the configured panel.

use super::canvas::Canvas;
use super::kms::{KmsPanel, KmsSettings};
use super::panel::DisplayPanel;
use super::png::NewestPng;
use super::window::WindowPanel;
use crate::fault::Result;
use crate::geometry::Size;
use std::path::PathBuf;

/// The panels there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PanelKind {
    /// A screen without a desktop.
    Kms(KmsSettings),
    /// A window on a desktop.
    Window,
    /// The newest screen, as `screen.png` in this folder.
    Png(PathBuf),
    /// Nothing is shown.
    None,
    /// Everything is drawn but not shown: for benchmarks.
    Memory,
}

/// A panel as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelSettings {
    pub kind: PanelKind,
    /// Size of the canvas in panel pixels; a KMS screen determines its own.
    pub size: Size,
}

/// Opens the panel. It belongs to the thread that opened it.
pub fn open(settings: &PanelSettings) -> Result<Box<dyn DisplayPanel>> {
    Ok(match &settings.kind {
        PanelKind::Kms(screen) => Box::new(KmsPanel::open(screen, settings.size)?),
        PanelKind::Window => Box::new(WindowPanel::open("vetrina", settings.size)?),
        PanelKind::Png(folder) => Box::new(NewestPng::create(folder, settings.size)?),
        PanelKind::None => Box::new(NoPanel { size: settings.size, drawn: false }),
        PanelKind::Memory => Box::new(NoPanel { size: settings.size, drawn: true }),
    })
}

/// Takes every canvas and shows none.
struct NoPanel {
    size: Size,
    drawn: bool,
}

impl DisplayPanel for NoPanel {
    fn size(&self) -> Size {
        self.size
    }

    fn present(&mut self, canvas: &Canvas) -> Result<()> {
        canvas.expect_size(self.size)
    }

    fn is_seen(&self) -> bool {
        self.drawn
    }
}
