//! The hub's key: made once, kept where releases are published, never in the database. By minisign (ed25519).

use crate::fault::{Fault, Kind, Result};
use crate::sync::manifest::{ReleaseManifest, SignedManifest};
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What signs releases.
pub struct ReleaseKey(SecretKey);

impl ReleaseKey {
    /// Makes a key and keeps it in the file `path`, which must not be there yet. It is not encrypted: only its owner can read it.
    pub fn make(path: &Path) -> Result<Self> {
        let pair = KeyPair::generate_unencrypted_keypair().map_err(key_fault)?;
        let text = pair.sk.to_box(Some("vetrina hub: secret key")).map_err(key_fault)?.to_string();
        let fail = |error| Fault::io(Kind::Storage, "write the key", path, error);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Fault::new(Kind::Usage, format!("{} is there already", path.display()))
                    .cure("every mirror would have to be told of a new key: keep the old one, or name another file")
            }
            _ => fail(error),
        })?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
        Ok(ReleaseKey(pair.sk))
    }

    /// Reads the key from the file `path`, as [`ReleaseKey::make`] or `minisign -G -W` wrote it.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| Fault::io(Kind::Usage, "read the key", path, error))?;
        let wrong = |error| {
            Fault::new(Kind::Usage, format!("{} is no secret key without a password", path.display()))
                .cause(error)
                .cure("make one with `vetrina hub key`")
        };
        let key = SecretKeyBox::from_string(&text).and_then(SecretKeyBox::into_unencrypted_secret_key);
        key.map(ReleaseKey).map_err(wrong)
    }

    /// What mirrors are configured with.
    pub fn public(&self) -> Result<String> {
        PublicKey::from_secret_key(&self.0).map(|key| key.to_base64()).map_err(key_fault)
    }

    /// The manifest with its signature, as it lies on a server.
    pub fn sign(&self, manifest: &ReleaseManifest) -> Result<Vec<u8>> {
        let fail = |error| Fault::new(Kind::Internal, "cannot write a manifest").cause(error);
        let text = serde_json::to_string_pretty(manifest).map_err(fail)?;
        let comment = format!("release {} of {}", manifest.mark.number, manifest.mark.shop);
        let signature = minisign::sign(None, &self.0, text.as_bytes(), Some(&comment), None).map_err(key_fault)?;
        let signed = SignedManifest { manifest: text, signature: signature.into_string() };
        serde_json::to_vec_pretty(&signed).map_err(fail)
    }
}

fn key_fault(error: minisign::PError) -> Fault {
    Fault::new(Kind::Internal, "minisign failed").cause(error)
}
