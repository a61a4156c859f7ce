//! Releases into a folder, which any web server can serve or a program can copy to one.
//!
//! ```text
//! objects/<hash>.zst        catalogues and deltas of all shops; their names are the hashes of their bytes
//! berlin/release.json       the newest manifest, signed
//! berlin/release-7.json     it and the last ones before it
//! berlin/store-<hash>.json  the manifest that a store has (store.rs), where releases are copied to one
//! ```
//!
//! Files are complete before a manifest names them, and a manifest is put into its place in one step: a publication that is
//! interrupted has changed nothing that mirrors see.

use super::sign::ReleaseKey;
use crate::catalogue::{Catalogue, ModelStamp, ReleaseMark, write_difference};
use crate::fault::{Fault, Kind, Result};
use crate::network::Manifest;
use crate::sync::manifest::{
    FILE, FORMAT, ModelFile, OBJECTS, ReleaseDelta, ReleaseManifest, ReleaseObject, SignedManifest, is_file_name,
    model_folder_name,
};
use crate::sync::source::{hash_of, is_shop_name};
use serde::Serialize;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Releases before the newest that a mirror can come from without fetching everything.
pub const DELTAS: usize = 3;
/// Manifests that are kept.
const KEPT: u64 = 10;
/// A file that no manifest names is deleted when it is so old: another publication may be about to name it.
const UNNAMED: Duration = Duration::from_secs(24 * 3600);
const COMPRESSION: i32 = 3;
/// A delta of at most this many bytes is never too large.
const SMALL: u64 = 64 << 10;

/// The folder of all shops' releases.
#[derive(Clone, Debug)]
pub struct ReleaseFolder {
    root: PathBuf,
}

/// What a publication has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublishReport {
    pub shop: String,
    pub release: u64,
    /// False: nothing has changed since the newest release, which stays the newest.
    pub is_new: bool,
    pub products: u64,
    /// Of the catalogue, as its manifest says it.
    pub state: String,
    /// Of the whole catalogue, compressed.
    pub snapshot_bytes: u64,
    /// From each of the last releases, the newest first, compressed.
    pub delta_bytes: Vec<u64>,
    /// Files that no release named any more, deleted in the folder.
    pub deleted: usize,
    /// The same in the store; 0 where none is named.
    pub deleted_in_store: usize,
}

/// A publication under way: holds the shop's lock until it is dropped.
pub struct Publication {
    folder: ReleaseFolder,
    shop: String,
    work: PathBuf,
    newest: Option<ReleaseManifest>,
    /// The model that the release brings, and its hash.
    model_files: Vec<ModelFile>,
    brings: Option<String>,
    configuration: String,
    _lock: File,
}

impl ReleaseFolder {
    pub fn open(root: &Path) -> Result<Self> {
        let folder = ReleaseFolder { root: root.to_owned() };
        make_folder(&folder.root.join(OBJECTS))?;
        Ok(folder)
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The newest manifest of a shop; `None` before the first release.
    pub fn newest(&self, shop: &str) -> Result<Option<ReleaseManifest>> {
        Self::manifest(&self.root.join(shop).join(FILE))
    }

    /// The hashes that manifests name: of all shops' releases, and of what stores have of them ([`super::store`]).
    fn named(&self) -> Result<HashSet<String>> {
        let mut named = HashSet::new();
        for shop in entries(&self.root)? {
            for path in entries(&shop).unwrap_or_default() {
                if path.extension().is_some_and(|ending| ending == "json") {
                    // One that cannot be read names we know not what: nothing is deleted then.
                    let Some(manifest) = Self::manifest(&path)? else { continue };
                    named.extend(manifest.objects().map(|object| object.sha256.clone()));
                }
            }
        }
        Ok(named)
    }

    fn object(&self, object: &ReleaseObject) -> Result<PathBuf> {
        object.path().map(|path| self.root.join(path))
    }

    fn manifest_path(&self, shop: &str, release: u64) -> PathBuf {
        self.root.join(shop).join(format!("release-{release}.json"))
    }

    /// The manifest at `path`; `None` where there is none. It is our own: its signature is not checked.
    fn manifest(path: &Path) -> Result<Option<ReleaseManifest>> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Fault::io(Kind::Storage, "read", path, error)),
        };
        let parsed =
            serde_json::from_slice::<SignedManifest>(&text).and_then(|signed| serde_json::from_str(&signed.manifest));
        parsed.map(Some).map_err(|error| {
            Fault::new(Kind::Input, format!("{} is no manifest", path.display()))
                .cause(error)
                .cure("delete it; publish with --after and the number of the last release that mirrors have")
        })
    }

    /// Begins a release of `shop`. Only one publication of a shop runs at a time.
    ///
    /// # Errors
    /// [`Kind::Busy`] while another one runs.
    pub fn begin(&self, shop: &str) -> Result<Publication> {
        if !is_shop_name(shop) {
            return Err(Fault::new(Kind::Usage, format!("{shop:?} is no name of a shop"))
                .cure("use letters, digits, hyphens and dots"));
        }
        let place = self.root.join(shop);
        make_folder(&place)?;
        let path = place.join(".lock");
        let lock = File::create(&path).map_err(|error| Fault::io(Kind::Storage, "write", &path, error))?;
        lock.try_lock().map_err(|_| {
            Fault::new(Kind::Busy, format!("another program publishes {shop}")).cure("wait until it has finished")
        })?;
        let work = place.join(".work");
        // What an interrupted publication has left.
        let _ = fs::remove_dir_all(&work);
        make_folder(&work)?;
        let newest = self.newest(shop)?;
        // What no option says stays as it was.
        let (model_files, configuration) = newest
            .as_ref()
            .map(|newest| (newest.model_files.clone(), newest.mark.configuration.clone()))
            .unwrap_or_default();
        let bringing = newest.as_ref().filter(|newest| !newest.model_files.is_empty());
        let brings = bringing.map(|newest| newest.model.descriptor_hash.clone());
        let shop = shop.to_owned();
        Ok(Publication { folder: self.clone(), shop, work, newest, model_files, brings, configuration, _lock: lock })
    }
}

impl Publication {
    /// Where the catalogue that is to be published is put.
    pub fn catalogue(&self) -> PathBuf {
        self.work.join("catalogue.db")
    }

    /// The number of the newest release; 0 before the first.
    pub fn newest(&self) -> u64 {
        self.newest.as_ref().map_or(0, |manifest| manifest.mark.number)
    }

    /// Brings the model in the folder `model` to the mirrors, with this release and the next ones.
    ///
    /// # Errors
    /// [`Kind::Model`] where it is none.
    pub fn with_model(mut self, model: &Path) -> Result<Self> {
        self.brings = Some(Manifest::load(model)?.descriptor_hash);
        let mut files = entries(model)?;
        files.sort();
        self.model_files.clear();
        for path in files.iter().filter(|path| path.is_file()) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if is_file_name(&name) {
                self.model_files.push(ModelFile { name, object: self.pack(path)? });
            }
        }
        Ok(self)
    }

    /// Sets keys of the mirrors' configuration, as TOML, with this release and the next ones; empty: none.
    pub fn with_configuration(mut self, text: String) -> Self {
        self.configuration = text;
        self
    }

    fn require_same_model(&self, model: &ModelStamp) -> Result<()> {
        match &self.brings {
            Some(hash) if *hash != model.descriptor_hash => Err(Fault::new(
                Kind::Usage,
                format!("the release would bring another model than {}, which embedded the pictures", model.name),
            )
            .cure("give its folder with --model")),
            _ => Ok(()),
        }
    }

    /// Publishes [`Publication::catalogue`] as the release after `after` and the newest. Where it is the newest already, there is no new
    /// one.
    pub fn finish(&self, key: &ReleaseKey, after: u64) -> Result<PublishReport> {
        let new = self.catalogue();
        let catalogue = Catalogue::open(&new)?;
        let state = catalogue.state()?;
        let model = catalogue
            .stamp()?
            .ok_or_else(|| Fault::new(Kind::Input, format!("{} sells nothing that has a picture yet", self.shop)))?;
        self.require_same_model(&model)?;
        let worn = catalogue.worn_state()?;
        let products = catalogue.list()?.len() as u64;
        drop(catalogue);
        if let Some(newest) = &self.newest
            && newest.mark.state == state
            && newest.worn == worn
            && newest.model_files == self.model_files
            && newest.mark.configuration == self.configuration
            && newest.mark.number >= after
        {
            return Ok(self.report(newest, false));
        }
        let number = self.newest().max(after) + 1;
        let mark = ReleaseMark {
            shop: self.shop.clone(),
            number,
            state,
            made: now(),
            model_folder: model_folder_name(&self.model_files),
            configuration: self.configuration.clone(),
        };
        let snapshot = self.pack(&new)?;
        let deltas = self.deltas(&new, &model, snapshot.bytes)?;
        let manifest = ReleaseManifest {
            format: FORMAT,
            mark,
            model,
            products,
            worn,
            snapshot,
            deltas,
            model_files: self.model_files.clone(),
        };
        let signed = key.sign(&manifest)?;
        put(&self.folder.manifest_path(&self.shop, number), &signed)?;
        put(&self.folder.root.join(&self.shop).join(FILE), &signed)?;
        Ok(self.report(&manifest, true))
    }

    fn report(&self, manifest: &ReleaseManifest, is_new: bool) -> PublishReport {
        PublishReport {
            shop: self.shop.clone(),
            release: manifest.mark.number,
            is_new,
            products: manifest.products,
            state: manifest.mark.state.clone(),
            snapshot_bytes: manifest.snapshot.bytes,
            delta_bytes: manifest.deltas.iter().map(|delta| delta.object.bytes).collect(),
            deleted: 0,
            deleted_in_store: 0,
        }
    }

    /// What leads from the last releases to the new one, where that is less than all.
    fn deltas(&self, new: &Path, model: &ModelStamp, whole: u64) -> Result<Vec<ReleaseDelta>> {
        let (old, delta) = (self.work.join("old.db"), self.work.join("delta.db"));
        let mut deltas = Vec::new();
        let mut number = self.newest();
        while number > 0 && deltas.len() < DELTAS {
            let before = ReleaseFolder::manifest(&self.folder.manifest_path(&self.shop, number))?;
            number -= 1;
            let Some(before) = before.filter(|before| before.model.descriptor_hash == model.descriptor_hash) else {
                break;
            };
            let Ok(packed) = File::open(self.folder.object(&before.snapshot)?) else { break };
            let fail = |error| Fault::io(Kind::Storage, "write", &old, error);
            Catalogue::delete(&old)?;
            zstd::stream::copy_decode(packed, File::create(&old).map_err(fail)?).map_err(fail)?;
            if !write_difference(Some(&old), new, &delta, "delta")? {
                break;
            }
            let object = self.pack(&delta)?;
            if object.bytes > whole.max(SMALL) {
                break;
            }
            deltas.push(ReleaseDelta { from: before.mark.number, from_state: before.mark.state, object });
        }
        Ok(deltas)
    }

    /// Compresses a file into `objects/`.
    fn pack(&self, path: &Path) -> Result<ReleaseObject> {
        let packed = self.work.join("packed");
        let fail = |error| Fault::io(Kind::Storage, "write", &packed, error);
        let from = File::open(path).map_err(|error| Fault::io(Kind::Storage, "read", path, error))?;
        let unpacked_bytes = from.metadata().map_err(fail)?.len();
        let mut to = File::create(&packed).map_err(fail)?;
        zstd::stream::copy_encode(from, &mut to, COMPRESSION).map_err(fail)?;
        to.sync_all().map_err(fail)?;
        let bytes = to.metadata().map_err(fail)?.len();
        let object = ReleaseObject { sha256: hash_of(&packed)?, bytes, unpacked_bytes };
        let place = self.folder.object(&object)?;
        fs::rename(&packed, &place).map_err(|error| Fault::io(Kind::Storage, "write", &place, error))?;
        Ok(object)
    }

    /// Deletes what the publication has worked with, manifests of old releases, and old files that no manifest names; how many of these.
    /// Manifests from the release `needed` on stay, however old: some mirrors are given no newer one.
    pub fn clear(&self, needed: u64) -> Result<usize> {
        let _ = fs::remove_dir_all(&self.work);
        let newest = self.folder.newest(&self.shop)?.map_or(0, |newest| newest.mark.number);
        let oldest = (newest + 1).saturating_sub(KEPT).min(needed);
        for path in entries(&self.folder.root.join(&self.shop))? {
            if release_of(&path).is_some_and(|number| number < oldest) {
                let _ = fs::remove_file(&path);
            }
        }
        let named = self.folder.named()?;
        let mut deleted = 0;
        for path in entries(&self.folder.root.join(OBJECTS))? {
            // Files of other names are not the hub's.
            let Some(hash) = path.file_name().and_then(|name| hash_in(name.to_str()?)) else { continue };
            let made = path.metadata().and_then(|file| file.modified()).unwrap_or(SystemTime::now());
            if !named.contains(hash) && made.elapsed().is_ok_and(|age| age > UNNAMED) {
                deleted += usize::from(fs::remove_file(&path).is_ok());
            }
        }
        Ok(deleted)
    }
}

/// `release-7.json`: 7.
fn release_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("release-")?.strip_suffix(".json")?.parse().ok()
}

/// `<hash>.zst`, the name of a file in `objects/`: the hash.
pub(super) fn hash_in(name: &str) -> Option<&str> {
    let hash = name.strip_suffix(".zst")?;
    (hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(hash)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |error| Fault::io(Kind::Storage, "read the folder", folder, error);
    fs::read_dir(folder).map_err(fail)?.map(|entry| entry.map(|entry| entry.path()).map_err(fail)).collect()
}

fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Fault::io(Kind::Storage, "make the folder", path, error))
}

/// Puts a file into its place in one step.
pub(super) fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let new = path.with_extension("new");
    let fail = |error| Fault::io(Kind::Storage, "write", path, error);
    let mut file = File::create(&new).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)?;
    fs::rename(&new, path).map_err(fail)?;
    // The folder's entry, too, outlives a power cut.
    path.parent().map_or(Ok(()), |folder| File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail))
}

/// Now, UTC, RFC 3339, to the second.
fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}
