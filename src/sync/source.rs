//! Where releases come from: a web server or a folder. Downloads go on where they were cut off.

use super::manifest::{FILE, MOST_BYTES, ReleaseObject};
use crate::fault::{Fault, Kind, Result};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

const CONNECT: Duration = Duration::from_secs(10);
/// A server that says nothing for so long is not there.
const SILENCE: Duration = Duration::from_secs(30);

/// Where a shop's releases lie.
#[derive(Clone, Debug)]
pub struct ReleaseSource {
    place: SourcePlace,
    /// The last part of the address.
    shop: String,
    /// Of this mirror, for a hub that asks for it.
    token: Option<String>,
}

#[derive(Clone, Debug)]
enum SourcePlace {
    Folder(PathBuf),
    /// Without a slash at its end.
    Web(String, Agent),
}

/// A manifest's bytes, and what to say at the next poll so that it is sent only if it has changed.
pub struct FetchedManifest {
    pub bytes: Vec<u8>,
    pub etag: Option<String>,
}

impl ReleaseSource {
    /// `https://hub.example/releases/berlin`, `http://...` or `file:///srv/releases/berlin`.
    ///
    /// # Errors
    /// [`Kind::Usage`] for any other address.
    pub fn parse(address: &str) -> Result<Self> {
        let address = address.trim_end_matches('/');
        let wrong = || {
            Fault::new(Kind::Usage, format!("{address:?} is no source of releases"))
                .cure("name a shop's folder: https://hub.example/releases/berlin, or file:///srv/releases/berlin")
        };
        let (scheme, rest) = address.split_once("://").ok_or_else(wrong)?;
        let (base, shop) = rest.rsplit_once('/').ok_or_else(wrong)?;
        if !is_shop_name(shop) || base.contains(['?', '#']) {
            return Err(wrong());
        }
        let place = match scheme {
            "file" if base.starts_with('/') || base.is_empty() => {
                SourcePlace::Folder(PathBuf::from(format!("{base}/")))
            }
            "http" | "https" if !base.is_empty() && !base.starts_with('/') => {
                SourcePlace::Web(format!("{scheme}://{base}"), agent())
            }
            _ => return Err(wrong()),
        };
        Ok(ReleaseSource { place, shop: shop.to_owned(), token: None })
    }

    /// Sends this mirror's own key with each request.
    pub fn with_token(mut self, token: Option<String>) -> Self {
        self.token = token;
        self
    }

    /// The shop whose releases are followed.
    pub fn shop(&self) -> &str {
        &self.shop
    }

    /// The newest manifest, not yet verified; `None` where it is the one of `etag`.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where the server cannot be reached, or has none.
    pub fn manifest(&self, etag: Option<&str>) -> Result<Option<FetchedManifest>> {
        let path = format!("{}/{FILE}", self.shop);
        let mut bytes = Vec::new();
        let etag = match &self.place {
            SourcePlace::Folder(folder) => {
                let path = folder.join(path);
                let read = File::open(&path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
                read.map_err(|error| Fault::io(Kind::Unavailable, "read the manifest", &path, error))?;
                None
            }
            SourcePlace::Web(base, agent) => {
                let address = format!("{base}/{path}");
                let mut response = self.get(agent, &address, etag.map(|etag| ("if-none-match", etag)))?;
                match response.status() {
                    StatusCode::NOT_MODIFIED => return Ok(None),
                    StatusCode::OK => {}
                    status => return Err(answered(&address, status)),
                }
                let read = response.body_mut().as_reader().take(MOST_BYTES + 1).read_to_end(&mut bytes);
                read.map_err(|error| cut_off(&address, error))?;
                response.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned)
            }
        };
        if bytes.len() as u64 > MOST_BYTES {
            return Err(Fault::new(Kind::Catalogue, format!("the hub's manifest is longer than {MOST_BYTES} bytes")));
        }
        Ok(Some(FetchedManifest { bytes, etag }))
    }

    /// Downloads `object` to `part`, from where `part` ends, and checks its hash. What cannot be the file is deleted.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where the connection is cut off: the next call goes on there. [`Kind::Catalogue`] where the file is
    /// not the one that the manifest names.
    pub fn download(&self, object: &ReleaseObject, part: &Path) -> Result<()> {
        let path = object.path()?;
        let fail = |error| Fault::io(Kind::Storage, "write", part, error);
        let mut file = OpenOptions::new().create(true).append(true).open(part).map_err(fail)?;
        let mut have = file.metadata().map_err(fail)?.len();
        if have > object.bytes {
            file.set_len(0).map_err(fail)?;
            have = 0;
        }
        if have < object.bytes {
            let (mut body, from): (Box<dyn Read>, u64) = self.open(&path, have)?;
            if from != have {
                file.set_len(from).map_err(fail)?;
            }
            copy(&mut *body, object.bytes - from, &mut file, part, &path)?;
            file.sync_all().map_err(fail)?;
        }
        drop(file);
        if hash_of(part)? == object.sha256.to_ascii_lowercase() {
            return Ok(());
        }
        std::fs::remove_file(part).map_err(fail)?;
        Err(Fault::new(Kind::Catalogue, format!("{path} is not the file that the hub's manifest names")))
    }

    /// The file from byte `from` on, or from its begin where the server does not know ranges.
    fn open(&self, path: &str, from: u64) -> Result<(Box<dyn Read>, u64)> {
        match &self.place {
            SourcePlace::Folder(folder) => {
                let path = folder.join(path);
                let fail = |error| Fault::io(Kind::Unavailable, "read", &path, error);
                let mut file = File::open(&path).map_err(fail)?;
                file.seek(SeekFrom::Start(from)).map_err(fail)?;
                Ok((Box::new(file), from))
            }
            SourcePlace::Web(base, agent) => {
                let address = format!("{base}/{path}");
                let range = format!("bytes={from}-");
                let response = self.get(agent, &address, (from > 0).then_some(("range", range.as_str())))?;
                let from = match response.status() {
                    StatusCode::PARTIAL_CONTENT if begins_at(&response, from) => from,
                    StatusCode::OK => 0,
                    status => return Err(answered(&address, status)),
                };
                Ok((Box::new(response.into_body().into_reader()), from))
            }
        }
    }

    fn get(&self, agent: &Agent, address: &str, header: Option<(&str, &str)>) -> Result<Response<Body>> {
        let mut request = agent.get(address);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| unreachable(address, error))
    }
}

/// What is asked of web servers.
pub fn agent() -> Agent {
    Agent::config_builder()
        .timeout_connect(Some(CONNECT))
        .timeout_resolve(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .http_status_as_error(false)
        .max_redirects(3)
        .user_agent(concat!("vetrina/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

/// What a shop may be called: a part of a path and of an address.
pub fn is_shop_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len())
        && name.bytes().all(fits)
        && !name.starts_with('.')
        && name != super::manifest::OBJECTS
}

pub fn unreachable(address: &str, error: ureq::Error) -> Fault {
    Fault::new(Kind::Unavailable, format!("cannot reach {address}")).cause(error)
}

fn answered(address: &str, status: StatusCode) -> Fault {
    let fault = Fault::new(Kind::Unavailable, format!("{address} answered {status}"));
    match status {
        StatusCode::NOT_FOUND => fault.cure("check the shop's name in sync.source, and that a release is published"),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => fault.cure("join the hub with `vetrina sync join`"),
        _ => fault,
    }
}

fn cut_off(address: &str, error: io::Error) -> Fault {
    Fault::new(Kind::Unavailable, format!("the connection to {address} was cut off")).cause(error)
}

/// Whether a partial answer begins where it was asked to.
fn begins_at(response: &Response<Body>, from: u64) -> bool {
    let range = response.headers().get("content-range").and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

/// Copies exactly `bytes`; what comes more is left.
fn copy(from: &mut dyn Read, bytes: u64, to: &mut File, part: &Path, path: &str) -> Result<()> {
    let mut from = from.take(bytes);
    let mut buffer = vec![0; 64 << 10];
    let mut left = bytes;
    while left > 0 {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Err(cut_off(path, io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => count,
            Err(error) => return Err(cut_off(path, error)),
        };
        to.write_all(&buffer[..count]).map_err(|error| Fault::io(Kind::Storage, "write", part, error))?;
        left -= count as u64;
    }
    Ok(())
}

/// Unpacks a file of exactly `bytes`.
pub(super) fn unpack(packed: &Path, to: &Path, bytes: u64) -> Result<()> {
    let damaged =
        |error: io::Error| Fault::new(Kind::Catalogue, format!("cannot unpack {}", packed.display())).cause(error);
    let file = File::open(packed).map_err(|error| Fault::io(Kind::Storage, "read", packed, error))?;
    let mut reader = zstd::stream::read::Decoder::new(file).map_err(damaged)?.take(bytes + 1);
    let fail = |error| Fault::io(Kind::Storage, "write", to, error);
    let mut out = File::create(to).map_err(fail)?;
    let mut buffer = vec![0; 256 << 10];
    let mut written = 0;
    loop {
        let count = reader.read(&mut buffer).map_err(damaged)?;
        if count == 0 {
            break;
        }
        out.write_all(&buffer[..count]).map_err(fail)?;
        written += count as u64;
    }
    if written == bytes { Ok(()) } else { Err(damaged(io::ErrorKind::InvalidData.into())) }
}

/// SHA-256 of a file, in hexadecimal.
pub fn hash_of(path: &Path) -> Result<String> {
    let fail = |error| Fault::io(Kind::Storage, "read", path, error);
    let mut file = File::open(path).map_err(fail)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut buffer).map_err(fail)?;
        if count == 0 {
            return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hasher.update(&buffer[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shop_is_the_last_part_of_the_address() {
        for address in ["https://hub/r/berlin", "http://hub:8080/berlin/", "file:///srv/berlin", "file:///berlin"] {
            assert_eq!(ReleaseSource::parse(address).unwrap().shop(), "berlin", "{address}");
        }
        for address in [
            "berlin",
            "ftp://hub/berlin",
            "https://berlin",
            "https:///berlin",
            "file://srv/berlin",
            "http://hub/..",
            "http://hub/objects",
            "http://hub/a b",
            "http://hub/r?x=/berlin",
            "file://berlin",
        ] {
            assert!(ReleaseSource::parse(address).is_err(), "{address}");
        }
    }
}
