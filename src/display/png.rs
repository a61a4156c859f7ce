//! Canvases as PNG: in memory, and as numbered files in a folder.

use super::canvas::Canvas;
use super::panel::DisplayPanel;
use crate::fault::{Fault, Kind, Result};
use crate::geometry::Size;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use std::fs;
use std::path::{Path, PathBuf};

impl Canvas {
    /// The canvas as a PNG file, 8 bits a channel, RGB.
    pub fn encode_png(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let (width, height) = (self.size().width as u32, self.size().height as u32);
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive)
            .write_image(self.to_picture().rgb(), width, height, ExtendedColorType::Rgb8)
            .map_err(|error| Fault::new(Kind::Internal, "cannot encode a PNG").cause(error))?;
        Ok(bytes)
    }
}

/// A panel that keeps every canvas as a file: `screen-0001.png`, `screen-0002.png` and so on.
#[derive(Debug)]
pub struct PngPanel {
    folder: PathBuf,
    size: Size,
    written: usize,
    name: Option<String>,
}

impl PngPanel {
    /// Writes into `folder`, which is made if need be.
    pub fn create(folder: &Path, size: Size) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|error| Fault::io(Kind::Storage, "make folder", folder, error))?;
        Ok(PngPanel { folder: folder.to_owned(), size, written: 0, name: None })
    }

    /// The next canvas is written as `name`.png instead of under its number.
    pub fn name_next(&mut self, name: &str) {
        self.name = Some(name.to_owned());
    }

    /// How many files were written.
    pub fn written(&self) -> usize {
        self.written
    }
}

impl DisplayPanel for PngPanel {
    fn size(&self) -> Size {
        self.size
    }

    fn present(&mut self, canvas: &Canvas) -> Result<()> {
        canvas.expect_size(self.size)?;
        self.written += 1;
        let name = self.name.take().unwrap_or_else(|| format!("screen-{:04}", self.written));
        let path = self.folder.join(name + ".png");
        fs::write(&path, canvas.encode_png()?).map_err(|error| Fault::io(Kind::Storage, "write", &path, error))
    }
}

/// A panel that keeps the newest canvas as `screen.png`. The file is whole at any time.
#[derive(Debug)]
pub struct NewestPng {
    folder: PathBuf,
    size: Size,
}

impl NewestPng {
    /// Writes into `folder`, which is made if need be.
    pub fn create(folder: &Path, size: Size) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|error| Fault::io(Kind::Storage, "make folder", folder, error))?;
        Ok(NewestPng { folder: folder.to_owned(), size })
    }
}

impl DisplayPanel for NewestPng {
    fn size(&self) -> Size {
        self.size
    }

    fn present(&mut self, canvas: &Canvas) -> Result<()> {
        canvas.expect_size(self.size)?;
        let (part, whole) = (self.folder.join("screen.png.part"), self.folder.join("screen.png"));
        fs::write(&part, canvas.encode_png()?)
            .and_then(|()| fs::rename(&part, &whole))
            .map_err(|error| Fault::io(Kind::Storage, "write", &whole, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::theme;

    #[test]
    fn a_png_reads_back_as_drawn() {
        let mut canvas = Canvas::new(Size::new(5, 3));
        canvas.fill(theme::BRASS);
        let picture = image::load_from_memory(&canvas.encode_png().expect("encodes")).expect("decodes").into_rgb8();
        assert_eq!((picture.width(), picture.height()), (5, 3));
        assert_eq!(picture.as_raw(), canvas.to_picture().rgb());
    }

    #[test]
    fn the_newest_screen_replaces_the_one_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut panel = NewestPng::create(folder.path(), Size::new(4, 4)).expect("made");
        let mut canvas = Canvas::new(Size::new(4, 4));
        for colour in [theme::BRASS, theme::IVORY] {
            canvas.fill(colour);
            panel.present(&canvas).expect("written");
        }
        let bytes = std::fs::read(folder.path().join("screen.png")).expect("there");
        assert_eq!(bytes, canvas.encode_png().expect("encodes"));
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1);
    }

    #[test]
    fn files_are_numbered_or_named_and_a_wrong_size_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut panel = PngPanel::create(&folder.path().join("new"), Size::new(4, 4)).expect("made");
        panel.present(&Canvas::new(Size::new(4, 4))).expect("written");
        panel.name_next("attract");
        panel.present(&Canvas::new(Size::new(4, 4))).expect("written");
        assert!(folder.path().join("new/screen-0001.png").exists() && folder.path().join("new/attract.png").exists());
        assert_eq!(panel.present(&Canvas::new(Size::new(5, 4))).expect_err("wrong size").kind(), Kind::Internal);
    }
}
