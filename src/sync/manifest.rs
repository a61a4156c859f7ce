//! The manifest of a release: what a hub says of it, and signs.
//!
//! `release.json` is one file, so that a manifest never comes with another one's signature: the manifest's own text, and its
//! signature by minisign (ed25519).

use crate::catalogue::{ModelStamp, ReleaseMark};
use crate::fault::{Fault, Kind, Result};
use minisign_verify::{PublicKey, Signature};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The format that this vetrina reads and writes.
pub const FORMAT: u32 = 1;
/// The file's name, in the shop's folder.
pub const FILE: &str = "release.json";
/// The folder of all shops' files, beside the shops' folders.
pub const OBJECTS: &str = "objects";
/// A manifest is no longer, bytes.
pub const MOST_BYTES: u64 = 1 << 20;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ReleaseManifest {
    pub format: u32,
    #[serde(flatten)]
    pub mark: ReleaseMark,
    /// The model that embedded the pictures.
    pub model: ModelStamp,
    pub products: u64,
    /// Changes with the worn views that come with it.
    #[serde(default)]
    pub worn: String,
    /// The whole catalogue.
    pub snapshot: ReleaseObject,
    /// What has changed since earlier releases.
    pub deltas: Vec<ReleaseDelta>,
    /// The files of the model folder that the mirrors run; empty: they have their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model_files: Vec<ModelFile>,
}

/// A file of a model folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ModelFile {
    /// Its name in the folder.
    pub name: String,
    #[serde(flatten)]
    pub object: ReleaseObject,
}

/// A file of a release, compressed by zstd, named by its hash.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ReleaseObject {
    /// SHA-256 of the compressed file, in hexadecimal: its name under `objects/`.
    pub sha256: String,
    /// Of the compressed file.
    pub bytes: u64,
    /// Of the file inside.
    pub unpacked_bytes: u64,
}

/// What leads from one release to the newest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ReleaseDelta {
    /// The release that it builds on.
    pub from: u64,
    /// The state of that release.
    pub from_state: String,
    #[serde(flatten)]
    pub object: ReleaseObject,
}

/// A manifest and its signature, as they lie on a server.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SignedManifest {
    /// The text that is signed: a [`ReleaseManifest`] as JSON.
    pub manifest: String,
    /// As minisign writes it.
    pub signature: String,
}

impl ReleaseManifest {
    /// All files that the release consists of.
    pub fn objects(&self) -> impl Iterator<Item = &ReleaseObject> {
        let deltas = self.deltas.iter().map(|delta| &delta.object);
        [&self.snapshot].into_iter().chain(deltas).chain(self.model_files.iter().map(|file| &file.object))
    }

    /// Reads a signed manifest for `shop`.
    ///
    /// # Errors
    /// [`Kind::Catalogue`] where the signature is not by `key`, or the manifest is another shop's or of another format.
    pub fn verified(bytes: &[u8], key: &PublicKey, shop: &str) -> Result<Self> {
        let signed: SignedManifest =
            serde_json::from_slice(bytes).map_err(|error| refused("it is damaged").cause(error))?;
        let signature =
            Signature::decode(&signed.signature).map_err(|error| refused("its signature is damaged").cause(error))?;
        key.verify(signed.manifest.as_bytes(), &signature, false).map_err(|error| {
            refused("it is not signed by the hub's key")
                .cause(error)
                .cure("set sync.key to the hub's public key; if it is, somebody has changed the manifest")
        })?;
        let manifest: ReleaseManifest = serde_json::from_str(&signed.manifest).map_err(|error| {
            refused("it is signed, but this vetrina does not understand it").cause(error).cure("update vetrina")
        })?;
        if manifest.format != FORMAT {
            return Err(refused(&format!("it has format {}, this vetrina reads {FORMAT}", manifest.format))
                .cure("update vetrina"));
        }
        if manifest.mark.shop != shop {
            return Err(refused(&format!("it is that of the shop {:?}", manifest.mark.shop))
                .cure("the last part of sync.source is the shop's name: set it to this mirror's"));
        }
        let names_files = manifest.model_files.iter().all(|file| is_file_name(&file.name));
        if !names_files || manifest.mark.model_folder != model_folder_name(&manifest.model_files) {
            return Err(refused("the model that it brings is not the one that it names"));
        }
        Ok(manifest)
    }

    /// What leads from `mark` to this release.
    pub fn delta_from(&self, mark: &ReleaseMark) -> Option<&ReleaseDelta> {
        self.deltas
            .iter()
            .find(|delta| mark.shop == self.mark.shop && delta.from == mark.number && delta.from_state == mark.state)
    }
}

impl ReleaseObject {
    /// Its path below the hub's folder.
    ///
    /// # Errors
    /// [`Kind::Catalogue`] where its name is none of a hash.
    pub fn path(&self) -> Result<String> {
        let is_hash = self.sha256.len() == 64 && self.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash { Ok(format!("{OBJECTS}/{}.zst", self.sha256)) } else { Err(refused("it names no file")) }
    }
}

/// What a model folder of these files is called: a hash of their names and contents, in hexadecimal. `None` for no files.
pub fn model_folder_name(files: &[ModelFile]) -> Option<String> {
    let mut hasher = Sha256::new();
    files.iter().for_each(|file| hasher.update(format!("{} {}\n", file.name, file.object.sha256)));
    (!files.is_empty()).then(|| hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A file's name, not a path.
pub fn is_file_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

/// The key as minisign prints it: the last line of `minisign.pub`.
pub fn public_key(text: &str) -> Result<PublicKey> {
    PublicKey::from_base64(text.trim()).map_err(|error| {
        Fault::new(Kind::Usage, "sync.key is no public key of minisign")
            .cause(error)
            .cure("set it to what `vetrina hub key` printed: it begins with RW")
    })
}

fn refused(why: &str) -> Fault {
    Fault::new(Kind::Catalogue, format!("the hub's manifest was refused: {why}"))
}
