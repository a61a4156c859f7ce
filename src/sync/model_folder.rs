//! Model folders that come with releases, beside the catalogue: each named by a hash of its files, and complete before it has its name.
//!
//! The catalogue's release says which of them the mirror runs ([`crate::catalogue::ReleaseMark::model_folder`]), so that catalogue and
//! model change in one transaction.

use super::fleet::work_folder;
use super::manifest::{ModelFile, ReleaseManifest};
use super::source::{ReleaseSource, unpack};
use crate::fault::{Fault, Kind, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The model folder `name` of the mirror with this catalogue.
pub fn model_folder(catalogue: &Path, name: &str) -> PathBuf {
    all(catalogue).join(name)
}

fn all(catalogue: &Path) -> PathBuf {
    work_folder(catalogue).join("models")
}

/// Fetches the model that the release brings, where it is not here; the bytes that were fetched. An interrupted one goes on with the
/// file that it was at.
///
/// # Errors
/// Those of [`ReleaseSource::download`], and [`Kind::Storage`].
pub(super) fn fetch(source: &ReleaseSource, manifest: &ReleaseManifest, catalogue: &Path) -> Result<u64> {
    let Some(name) = &manifest.mark.model_folder else { return Ok(0) };
    let place = model_folder(catalogue, name);
    if place.exists() {
        return Ok(0);
    }
    let new = place.with_extension("new");
    let fail = |error| Fault::io(Kind::Storage, "write", &new, error);
    fs::create_dir_all(&new).map_err(fail)?;
    let files = manifest.model_files.iter();
    let fetched = files.map(|file| fetch_file(source, file, &new, &all(catalogue))).sum::<Result<u64>>()?;
    File::open(&new).and_then(|folder| folder.sync_all()).map_err(fail)?;
    fs::rename(&new, &place).map_err(fail)?;
    File::open(all(catalogue)).and_then(|folder| folder.sync_all()).map_err(fail)?;
    Ok(fetched)
}

fn fetch_file(source: &ReleaseSource, file: &ModelFile, folder: &Path, work: &Path) -> Result<u64> {
    let to = folder.join(&file.name);
    if to.exists() {
        return Ok(0);
    }
    let (part, unpacked) = (work.join(format!("{}.part", file.object.sha256)), work.join("file.new"));
    source.download(&file.object, &part)?;
    unpack(&part, &unpacked, file.object.unpacked_bytes)?;
    let fail = |error| Fault::io(Kind::Storage, "write", &to, error);
    File::open(&unpacked).and_then(|file| file.sync_all()).map_err(fail)?;
    fs::rename(&unpacked, &to).map_err(fail)?;
    fs::remove_file(&part).map_err(fail)?;
    Ok(file.object.bytes)
}

/// Removes all models but `name`, and what was left of downloads.
pub(super) fn keep_only(catalogue: &Path, name: Option<&str>) {
    for entry in fs::read_dir(all(catalogue)).into_iter().flatten().flatten() {
        if name.is_none_or(|name| entry.file_name() != *name) {
            let path = entry.path();
            // What cannot be removed is tried again at the next release.
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
}
