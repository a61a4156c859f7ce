//! A folder of pictures as a source, sorted by name. Damaged pictures are skipped and counted, as in a clip.

use super::{Damage, Source, read_picture, recorded};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Frame;
use std::path::{Path, PathBuf};

/// The pictures of a folder as frames, in the order of their names.
pub struct Folder {
    path: PathBuf,
    files: Vec<PathBuf>,
    next: usize,
    damage: Damage,
}

impl Folder {
    /// Lists the folder.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |error| Fault::io(Kind::Input, "read the folder", path, error);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            let ending = file.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
            if matches!(ending.as_deref(), Some("jpg" | "jpeg" | "png" | "webp")) && file.is_file() {
                files.push(file);
            }
        }
        if files.is_empty() {
            let text = format!("no pictures in {}", path.display());
            return Err(Fault::new(Kind::Input, text).cure("put JPEG, PNG or WebP files there"));
        }
        files.sort();
        Ok(Folder { path: path.into(), files, next: 0, damage: Damage::default() })
    }
}

impl Source for Folder {
    fn next(&mut self) -> Result<Option<Frame>> {
        while let Some(file) = self.files.get(self.next) {
            let number = self.next as u64;
            self.next += 1;
            if let Some(picture) = self.damage.sort_out(read_picture(file))? {
                return Ok(Some(recorded(number, picture)));
            }
        }
        if self.damage.count == self.files.len() as u64 {
            return Err(self.damage.nothing_left(&self.path.display().to_string(), "picture"));
        }
        Ok(None)
    }

    fn corrupt(&self) -> u64 {
        self.damage.count
    }

    fn damage(&self) -> Option<String> {
        self.damage.words()
    }

    fn frames(&self) -> Option<usize> {
        Some(self.files.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_picture_is_skipped_and_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a.png", "c.png"] {
            image::RgbImage::new(8, 4).save(path(name)).unwrap();
        }
        std::fs::write(path("b.jpg"), [0xff, 0xd8, 0xff, 0xe0]).unwrap();
        std::fs::create_dir(path("d.jpg")).unwrap();
        let mut source = Folder::open(folder.path()).unwrap();
        let mut numbers = Vec::new();
        while let Some(frame) = source.next().unwrap() {
            numbers.push(frame.meta.sequence);
        }
        assert_eq!((numbers, source.corrupt()), (vec![0, 2], 1));
        let said = source.damage().unwrap();
        assert!(
            said.starts_with("1 damaged frame was skipped: ") && said.contains("b.jpg: the file is cut short"),
            "{said}"
        );
        for name in ["a.png", "c.png"] {
            std::fs::write(path(name), b"").unwrap();
        }
        let fault = Folder::open(folder.path()).unwrap().next().unwrap_err();
        assert!(fault.kind() == Kind::Input && fault.to_string().contains("a.png"), "{fault}");
    }
}
