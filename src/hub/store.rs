//! A copy of the folder of releases in an object store that speaks as S3 does, or in a folder of a web server that takes PUT (WebDAV).
//! Mirrors fetch from there over plain HTTP.
//!
//! The folder stays what is published from: deltas are made of what lies there. A store gets the files that a manifest names, then
//! the manifest; what an interrupted copy lacks comes with the next one.
//!
//! Not every store can list its files. What it may have is noted in the folder before it is sent, and goes when the folder has lost it.
//! The manifest that a store has is kept in the folder too: its files stay while mirrors find it there.

use super::aws_signature::{AwsKeys, hexadecimal};
use super::publish::{ReleaseFolder, put};
use crate::fault::{Fault, Kind, Result};
use crate::sync::manifest::FILE;
use crate::sync::source::hash_of;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{Method, Request, Response, StatusCode};
use ureq::{Agent, AsSendBody, Body};

/// The header `Authorization` of a web server's store.
const AUTHORIZATION: &str = "VETRINA_STORE_AUTHORIZATION";
const CONNECT: Duration = Duration::from_secs(10);
/// A store that takes or says nothing for so long is not there.
const SILENCE: Duration = Duration::from_secs(60);
/// SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Where the copy is.
pub struct ReleaseStore {
    /// As people name it.
    address: String,
    /// http:// or https://.
    scheme: String,
    host: String,
    /// Of all shops' files, with a slash before and none behind it; or empty.
    path: String,
    access: StoreAccess,
    agent: Agent,
}

enum StoreAccess {
    /// A header of each request, where there is one.
    Header(Option<String>),
    Aws(AwsKeys),
}

impl ReleaseStore {
    /// `s3://bucket/prefix`, with keys, region and another maker's address as AWS's own variables have them (`AWS_ACCESS_KEY_ID`, ...).
    /// `https://host/folder` or `http://...`, with `VETRINA_STORE_AUTHORIZATION`. `variable` reads the environment. Nothing is asked of
    /// the store yet.
    ///
    /// # Errors
    /// [`Kind::Usage`] for any other address, and where the keys are missing.
    pub fn open(address: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let address = address.trim_end_matches('/');
        let (scheme, place) = address.split_once("://").ok_or_else(|| no_store(address))?;
        let (url, access) = match scheme {
            "s3" => {
                let keys = aws_keys(&variable)?;
                let amazon = || format!("https://s3.{}.amazonaws.com", keys.region);
                let endpoint = variable("AWS_ENDPOINT_URL").unwrap_or_else(amazon);
                (format!("{}/{place}", endpoint.trim_end_matches('/')), StoreAccess::Aws(keys))
            }
            _ => (address.to_owned(), StoreAccess::Header(variable(AUTHORIZATION))),
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| no_store(&url))?;
        let (host, path) =
            rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
        // Nothing that would have to be escaped in an address.
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
        let is_whole = !place.is_empty() && !place.starts_with('/') && !host.is_empty() && !host.contains('@');
        if !["http", "https"].contains(&scheme) || !is_whole || !path.bytes().all(fits) {
            return Err(no_store(address));
        }
        let (address, scheme, host) = (address.to_owned(), scheme.to_owned(), host.to_owned());
        Ok(ReleaseStore { address, scheme, host, path, access, agent: agent() })
    }

    /// Copies the newest release of `shop`: the files that the store lacks, then the manifest. The caller holds the shop's lock.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where the store cannot be reached, or refuses. Mirrors then still find the release before.
    pub fn copy(&self, folder: &ReleaseFolder, shop: &str) -> Result<()> {
        let Some(manifest) = folder.newest(shop)? else { return Ok(()) };
        let names: Vec<String> = manifest.objects().map(|object| object.path()).collect::<Result<_>>()?;
        let mut stored = StoredFiles::open(folder, &self.address)?;
        stored.names.extend(names.iter().cloned());
        stored.close()?;
        for (object, name) in manifest.objects().zip(names) {
            if !self.has(&name, object.bytes)? {
                self.put(&name, &folder.root().join(&name), &object.sha256)?;
            }
        }
        let name = format!("{shop}/{FILE}");
        let file = folder.root().join(&name);
        self.put(&name, &file, &hash_of(&file)?)?;
        let text = fs::read(&file).map_err(|error| Fault::io(Kind::Storage, "read", &file, error))?;
        put(&folder.root().join(shop).join(format!("store-{}.json", short_name(&self.address))), &text)
    }

    /// Deletes the files that came from the folder and are there no more; how many. What the store refuses to delete is tried again with
    /// the next publication.
    pub fn clear(&self, folder: &ReleaseFolder) -> Result<usize> {
        let mut stored = StoredFiles::open(folder, &self.address)?;
        let old: Vec<String> = stored.names.iter().filter(|name| !folder.root().join(name).exists()).cloned().collect();
        let before = stored.names.len();
        for name in old {
            let answer = self.ask(Method::DELETE, &name, EMPTY, ())?.status();
            if answer.is_success() || answer == StatusCode::NOT_FOUND {
                stored.names.remove(&name);
            } else {
                log::warn!("{} keeps the old file {name}: it answered {answer}", self.address);
            }
        }
        let deleted = before - stored.names.len();
        stored.close()?;
        Ok(deleted)
    }

    /// Whether a file of this size is there.
    fn has(&self, name: &str, bytes: u64) -> Result<bool> {
        let answer = self.ask(Method::HEAD, name, EMPTY, ())?;
        let length =
            answer.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(length == Some(bytes)),
            status => Err(self.refused("look for", name, status)),
        }
    }

    fn put(&self, name: &str, file: &Path, sha256: &str) -> Result<()> {
        let open = || File::open(file).map_err(|error| Fault::io(Kind::Storage, "read", file, error));
        let mut answer = self.ask(Method::PUT, name, sha256, open()?)?;
        // A server that wants the folder made says so with one of these.
        if [StatusCode::CONFLICT, StatusCode::NOT_FOUND].contains(&answer.status())
            && let (StoreAccess::Header(_), Some((folder, _)), Ok(method)) =
                (&self.access, name.rsplit_once('/'), Method::from_bytes(b"MKCOL"))
        {
            self.ask(method, folder, EMPTY, ())?;
            answer = self.ask(Method::PUT, name, sha256, open()?)?;
        }
        if answer.status().is_success() { Ok(()) } else { Err(self.refused("put", name, answer.status())) }
    }

    /// Asks for the file `name`; `sha256` is of the body.
    fn ask(&self, method: Method, name: &str, sha256: &str, body: impl AsSendBody) -> Result<Response<Body>> {
        let path = format!("{}/{name}", self.path);
        let url = format!("{}://{}{path}", self.scheme, self.host);
        let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let headers = match &self.access {
            StoreAccess::Aws(keys) => keys.headers(method.as_str(), &self.host, &path, sha256, &time)?,
            StoreAccess::Header(header) => header.iter().map(|header| ("authorization", header.clone())).collect(),
        };
        let mut request = Request::builder().method(method).uri(url);
        for (header, value) in headers {
            request = request.header(header, value);
        }
        let request = request.body(body).map_err(|error| {
            Fault::new(Kind::Usage, "cannot ask the store").cause(error).cure(format!("check {AUTHORIZATION}"))
        })?;
        self.agent.run(request).map_err(|error| {
            Fault::new(Kind::Unavailable, format!("cannot reach the store {}", self.address))
                .cause(error)
                .cure("publish again when it is there: the copy goes on")
        })
    }

    fn refused(&self, verb: &str, name: &str, status: StatusCode) -> Fault {
        let text = format!("cannot {verb} {name} in the store {}: it answered {status}", self.address);
        Fault::new(Kind::Unavailable, text)
            .cure("check its address and the keys in the environment; then publish again")
    }
}

/// The files that a store may have. Locked while it is open: nothing is deleted there between the moment when another shop's publication
/// notes a file and the moment when it looks for it.
struct StoredFiles {
    path: PathBuf,
    names: BTreeSet<String>,
    _lock: File,
}

impl StoredFiles {
    fn open(folder: &ReleaseFolder, address: &str) -> Result<Self> {
        let lock = folder.root().join(".stores.lock");
        let fail = |error| Fault::io(Kind::Storage, "lock", &lock, error);
        let locked = File::create(&lock).map_err(fail)?;
        locked.lock().map_err(fail)?;
        let path = folder.root().join(format!(".store-{}", short_name(address)));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Fault::io(Kind::Storage, "read", &path, error)),
        };
        Ok(StoredFiles { names: text.lines().map(str::to_owned).collect(), path, _lock: locked })
    }

    fn close(self) -> Result<()> {
        let text: String = self.names.iter().map(|name| format!("{name}\n")).collect();
        put(&self.path, text.as_bytes())
    }
}

/// What files about a store are called by.
fn short_name(address: &str) -> String {
    hexadecimal(&Sha256::digest(address)[..8])
}

/// The address may hold a password or a signature: what stands before an `@` or behind a `?` is not said.
fn no_store(address: &str) -> Fault {
    let place = address.rsplit_once('@').map_or(address, |(_, place)| place);
    let place = place.split(['?', '#']).next().unwrap_or_default();
    Fault::new(Kind::Usage, format!("{place:?} is no store"))
        .cure("name s3://bucket/prefix or https://host/folder, with letters, digits, hyphens and dots")
}

fn aws_keys(variable: impl Fn(&str) -> Option<String>) -> Result<AwsKeys> {
    let required = |name: &str| {
        variable(name).ok_or_else(|| {
            Fault::new(Kind::Usage, format!("the store asks for keys: {name} is not set"))
                .cure("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        })
    };
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    Ok(AwsKeys {
        id: required("AWS_ACCESS_KEY_ID")?,
        secret: required("AWS_SECRET_ACCESS_KEY")?,
        session: variable("AWS_SESSION_TOKEN"),
        region: region.unwrap_or_else(|| "us-east-1".into()),
    })
}

fn agent() -> Agent {
    Agent::config_builder()
        .timeout_connect(Some(CONNECT))
        .timeout_resolve(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .timeout_per_write(Some(SILENCE))
        .http_status_as_error(false)
        // MKCOL.
        .allow_non_standard_methods(true)
        // A signature is for one host.
        .max_redirects(0)
        .user_agent(concat!("vetrina/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(name: &str) -> Option<String> {
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].contains(&name).then(|| "key".into())
    }

    #[test]
    fn a_store_is_named_by_its_address() {
        let place = |address: &str, more: Option<(&str, &str)>| {
            let variable = |name: &str| keys(name).or(more.filter(|more| more.0 == name).map(|more| more.1.to_owned()));
            ReleaseStore::open(address, variable)
                .map(|store| format!("{}://{}{}", store.scheme, store.host, store.path))
        };
        for (address, more, url) in [
            ("s3://bucket/a/b/", None, "https://s3.us-east-1.amazonaws.com/bucket/a/b"),
            ("s3://bucket", Some(("AWS_REGION", "eu-central-1")), "https://s3.eu-central-1.amazonaws.com/bucket"),
            ("s3://bucket/a", Some(("AWS_ENDPOINT_URL", "http://minio:9000/")), "http://minio:9000/bucket/a"),
            ("https://store.example/releases/", None, "https://store.example/releases"),
            ("http://store.example", None, "http://store.example"),
        ] {
            assert_eq!(place(address, more).unwrap(), url, "{address}");
        }
        for address in ["bucket", "ftp://host/a", "s3://", "s3:///a", "https://", "https:///a", "https://u:p@host/a"] {
            assert_eq!(place(address, None).unwrap_err().kind(), Kind::Usage, "{address}");
        }
        assert!(place("s3://bucket/a b", None).is_err() && place("https://host/a?x=1", None).is_err());
        let said = place("https://hub:geheim@host/a", None).unwrap_err().to_string();
        assert!(said.contains("\"host/a\" is no store") && !said.contains("geheim"), "{said}");
        let signed = place("https://host/a?sig=geheim", None).unwrap_err().to_string();
        assert!(signed.contains("\"https://host/a\" is no store") && !signed.contains("geheim"), "{signed}");
        let keyless = ReleaseStore::open("s3://bucket", |_| None).map(drop).unwrap_err();
        assert!(keyless.to_string().contains("AWS_ACCESS_KEY_ID is not set"), "{keyless}");
    }
}
