//! A folder of pictures, in the order of their names, as a source.

use super::{Source, read_picture, recorded};
use crate::fault::{Fault, Kind, Result};
use crate::frame::Frame;
use std::path::{Path, PathBuf};

pub struct Folder {
    files: Vec<PathBuf>,
    next: usize,
}

impl Folder {
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |error| Fault::io(Kind::Input, "read the folder", path, error);
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            let ending = file.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
            if matches!(ending.as_deref(), Some("jpg" | "jpeg" | "png" | "webp")) {
                files.push(file);
            }
        }
        if files.is_empty() {
            let text = format!("no pictures in {}", path.display());
            return Err(Fault::new(Kind::Input, text).cure("put JPEG, PNG or WebP files there"));
        }
        files.sort();
        Ok(Folder { files, next: 0 })
    }
}

impl Source for Folder {
    fn next(&mut self) -> Result<Option<Frame>> {
        let Some(file) = self.files.get(self.next) else { return Ok(None) };
        self.next += 1;
        Ok(Some(recorded(self.next as u64 - 1, read_picture(file)?)))
    }

    fn frames(&self) -> Option<usize> {
        Some(self.files.len())
    }
}
