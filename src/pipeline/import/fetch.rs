//! Pictures from their web addresses, for an import that was told to fetch them: a few at a time, asked for again only where the
//! server says that they have changed, and never from an address of the local network unless that is allowed.
//!
//! The only outbound connections of an import. Each picture is a file of [`fetched_name`], with what the server said of its version
//! beside it (`NAME.json`).

use crate::catalogue::FetchFrom;
use crate::catalogue::images::{MOST_PICTURE, fetched_name};
use crate::fault::{Fault, Kind, Result};
use crate::machine;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use ureq::config::Config;
use ureq::http::{Response, StatusCode, Uri};
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

/// Pictures that are fetched at a time.
pub const AT_A_TIME: usize = 4;
/// Pictures that one import asks for.
pub const MOST_FETCHED: usize = 100_000;
/// A picture must be here within this time, and a connection stand within that.
const PICTURE_TIME: Duration = Duration::from_secs(60);
const CONNECT_TIME: Duration = Duration::from_secs(10);
const MOST_REDIRECTS: u32 = 5;
/// A picture that was fetched so lately is not asked for again: an import that was interrupted goes on.
const FRESH: Duration = Duration::from_secs(3600);
/// After so many failures one after the other a host is not asked again.
const MOST_FAILURES: u32 = 5;
/// So much of the disk stays free, bytes.
const LEAST_FREE: u64 = 1 << 30;

/// What the server said of a picture's version.
#[derive(Debug, Default, Serialize, Deserialize)]
struct PictureVersion {
    link: String,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// Why a picture could not be fetched.
enum FetchFailure {
    /// It is of this picture.
    Picture(String),
    /// The host does not answer as it should.
    Host(String),
}

/// Fetches pictures into a folder.
pub struct PictureFetcher {
    agent: Agent,
    from: FetchFrom,
    folder: PathBuf,
    /// By host, failures one after the other.
    failures: Mutex<HashMap<String, u32>>,
}

impl PictureFetcher {
    /// Makes the folder where it is not there.
    pub fn new(folder: &Path, from: FetchFrom) -> Result<Self> {
        Self::with(folder, AddressGuard { inner: DefaultResolver::default(), from, also: None }, TlsConfig::default())
    }

    /// As [`PictureFetcher::new`], with the addresses that may be asked and the certificates that are believed.
    fn with(folder: &Path, resolver: AddressGuard, tls: TlsConfig) -> Result<Self> {
        let from = resolver.from;
        fs::create_dir_all(folder).map_err(|error| Fault::io(Kind::Storage, "make the folder", folder, error))?;
        let config = Agent::config_builder()
            .tls_config(tls)
            .https_only(from == FetchFrom::Public)
            .max_redirects(MOST_REDIRECTS)
            .http_status_as_error(false)
            .timeout_global(Some(PICTURE_TIME))
            .timeout_connect(Some(CONNECT_TIME))
            // A proxy would ask for addresses that nobody here has looked at.
            .proxy(None)
            .accept("image/jpeg, image/png, image/webp")
            .user_agent(concat!("vetrina/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
        Ok(PictureFetcher { agent, from, folder: folder.to_owned(), failures: Mutex::default() })
    }

    /// Fetches the picture at `link`, unless it is here and has not changed. The error is the reason to report.
    pub fn fetch(&self, link: &str) -> std::result::Result<(), String> {
        let address = address(link);
        let uri: Uri = address.parse().map_err(|error| format!("{link} is no address: {error}"))?;
        if self.from == FetchFrom::Public && uri.scheme_str() != Some("https") {
            return Err(format!("{link} is not fetched: it is not https (--fetch=any allows it)"));
        }
        let host = uri.host().unwrap_or_default().to_owned();
        if self.failures_of(&host) >= MOST_FAILURES {
            return Err(format!("{link} is not fetched: {host} failed {MOST_FAILURES} times"));
        }
        if machine::free_space(&self.folder).is_ok_and(|free| free < LEAST_FREE) {
            return Err(format!("{link} is not fetched: the disk has less than {} MiB left", LEAST_FREE >> 20));
        }
        let done = self.get(link, &address);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok(()) => {
                failures.remove(&host);
                Ok(())
            }
            Err(FetchFailure::Picture(reason)) => Err(format!("cannot fetch {link}: {reason}")),
            Err(FetchFailure::Host(reason)) => {
                *failures.entry(host).or_default() += 1;
                Err(format!("cannot fetch {link}: {reason}"))
            }
        }
    }

    fn failures_of(&self, host: &str) -> u32 {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).get(host).copied().unwrap_or(0)
    }

    fn get(&self, link: &str, address: &str) -> std::result::Result<(), FetchFailure> {
        let path = self.folder.join(fetched_name(link));
        if is_fresh(&path) {
            return Ok(());
        }
        let mut request = self.agent.get(address);
        if let Some(version) = version_of(&path, link) {
            let validators = [("If-None-Match", version.etag), ("If-Modified-Since", version.last_modified)];
            for (name, value) in validators {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
        }
        let response = request.call().map_err(failure)?;
        match response.status() {
            StatusCode::NOT_MODIFIED if path.is_file() => touch(&path),
            StatusCode::OK => self.keep(link, &path, response),
            status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::FORBIDDEN) => {
                Err(FetchFailure::Host(format!("the server says {status}")))
            }
            status if status.is_server_error() => Err(FetchFailure::Host(format!("the server says {status}"))),
            status => Err(FetchFailure::Picture(format!("the server says {status}"))),
        }
    }

    /// Writes a picture to its place, wholly or not at all.
    fn keep(&self, link: &str, path: &Path, mut response: Response<Body>) -> std::result::Result<(), FetchFailure> {
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let version =
            PictureVersion { link: link.to_owned(), etag: header("etag"), last_modified: header("last-modified") };
        let kind = header("content-type").unwrap_or_default().to_ascii_lowercase();
        if !(kind.is_empty() || kind.starts_with("image/") || kind.contains("octet-stream")) {
            return Err(FetchFailure::Picture(format!("it is {kind}, not a picture")));
        }
        let bytes = response.body_mut().with_config().limit(MOST_PICTURE).read_to_vec().map_err(failure)?;
        use image::ImageFormat::{Jpeg, Png, WebP};
        if !image::guess_format(&bytes).is_ok_and(|format| matches!(format, Jpeg | Png | WebP)) {
            return Err(FetchFailure::Picture("it is no JPEG, PNG or WebP picture".into()));
        }
        write_whole(path, &bytes, &version)
            .map_err(|error| FetchFailure::Picture(format!("it cannot be written: {error}")))
    }
}

/// Writes a picture and then its version, each to its place; where the disk is full, nothing of it is left.
fn write_whole(path: &Path, bytes: &[u8], version: &PictureVersion) -> std::io::Result<()> {
    let part = path.with_extension("part");
    if let Err(error) = fs::write(&part, bytes) {
        let _ = fs::remove_file(&part);
        return Err(error);
    }
    let json = path.with_extension("json");
    // The old version's word would not be true of the new picture.
    let _ = fs::remove_file(&json);
    fs::rename(&part, path)?;
    // A picture without its version is asked for again.
    if serde_json::to_vec(version).map_err(std::io::Error::from).and_then(|text| fs::write(&json, text)).is_err() {
        let _ = fs::remove_file(&json);
    }
    Ok(())
}

/// The address to ask for: `//host/a b.jpg` is `https://host/a%20b.jpg`.
fn address(link: &str) -> String {
    let link = if link.starts_with("//") { format!("https:{link}") } else { link.to_owned() };
    let mut address = String::with_capacity(link.len());
    for byte in link.bytes() {
        if byte.is_ascii_graphic() && !br#""<>\^`{|}"#.contains(&byte) {
            address.push(char::from(byte));
        } else {
            address.push_str(&format!("%{byte:02X}"));
        }
    }
    address
}

fn is_fresh(path: &Path) -> bool {
    let written = fs::metadata(path).and_then(|file| file.modified()).ok();
    written.and_then(|written| SystemTime::now().duration_since(written).ok()).is_some_and(|age| age < FRESH)
}

/// What is known of the picture that is here.
fn version_of(path: &Path, link: &str) -> Option<PictureVersion> {
    let text = fs::read(path.with_extension("json")).ok().filter(|_| path.is_file())?;
    serde_json::from_slice(&text).ok().filter(|version: &PictureVersion| version.link == link)
}

/// It has not changed: from now on it is fresh again.
fn touch(path: &Path) -> std::result::Result<(), FetchFailure> {
    let done = File::options().write(true).open(path).and_then(|file| file.set_modified(SystemTime::now()));
    done.map_err(|error| FetchFailure::Picture(format!("it cannot be written: {error}")))
}

fn failure(error: ureq::Error) -> FetchFailure {
    match error {
        ureq::Error::BodyExceedsLimit(_) => {
            FetchFailure::Picture(format!("it is larger than {} MiB", MOST_PICTURE >> 20))
        }
        ureq::Error::RequireHttpsOnly(_) => FetchFailure::Picture("it leads to an address that is not https".into()),
        ureq::Error::TooManyRedirects => FetchFailure::Picture(format!("it leads on more than {MOST_REDIRECTS} times")),
        ureq::Error::Other(reason) => FetchFailure::Picture(reason.to_string()),
        error => FetchFailure::Host(error.to_string()),
    }
}

/// Names to addresses, but for those that may not be asked. It is asked for every hop of a redirect, and what it gives is what is
/// connected to: a name cannot mean another address afterwards.
#[derive(Debug)]
struct AddressGuard {
    inner: DefaultResolver,
    from: FetchFrom,
    /// One more that may be asked: the tests' own server. There is none otherwise.
    also: Option<SocketAddr>,
}

impl Resolver for AddressGuard {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        if self.from == FetchFrom::Anywhere {
            return Ok(found);
        }
        let mut kept = self.empty();
        found
            .iter()
            .filter(|address| is_public(address.ip()) || self.also == Some(**address))
            .for_each(|address| kept.push(*address));
        if kept.is_empty() {
            let host = uri.host().unwrap_or_default();
            let words = format!("{host} is an address of the local network (--fetch=any allows it)");
            return Err(ureq::Error::Other(words.into()));
        }
        Ok(kept)
    }
}

/// Whether an address belongs to the public network.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127, _, _) => true,
        (100, 64..=127, _) => true,
        (169, 254, _) => true,
        (172, 16..=31, _) => true,
        (192, 168, _) | (192, 0, 0 | 2) | (192, 88, 99) => true,
        (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => true,
        // Multicast, reserved and broadcast.
        (224.., _, _) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // Mapped and translated addresses are those that they stand for.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        // Teredo, documentation.
        [0x2001, 0, ..] | [0x2001, 0xdb8, ..] => false,
        // All that is assigned to the public network lies here.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_network_are_public() {
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn a_full_disk_keeps_no_part_of_a_picture() {
        let folder = tempfile::tempdir().unwrap();
        let mount = |args: &[&str]| {
            std::process::Command::new(args[0])
                .args(&args[1..])
                .arg(folder.path())
                .output()
                .is_ok_and(|out| out.status.success())
        };
        if !mount(&["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs"]) {
            eprintln!("skipped: no small disk can be mounted");
            return;
        }
        let path = folder.path().join("picture");
        write_whole(&path, b"old", &PictureVersion::default()).unwrap();
        let failed = write_whole(&path, &vec![1; 1 << 20], &PictureVersion::default());
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        left.sort();
        let old = fs::read(&path).unwrap();
        assert!(mount(&["umount"]));
        assert_eq!(failed.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        assert_eq!((left, old), (vec!["picture".into(), "picture.json".into()], b"old".to_vec()));
    }

    #[test]
    fn links_become_addresses() {
        assert_eq!(address("//cdn.example/a b\u{e9}.jpg?x=1&y=%20"), "https://cdn.example/a%20b%C3%A9.jpg?x=1&y=%20");
        assert_eq!(address("http://h/{a}|b"), "http://h/%7Ba%7D%7Cb");
    }
}

#[cfg(test)]
#[path = "fetch_tls_tests.rs"]
mod tls_tests;
