//! Any headers of a request: without the password nobody is admitted; if none is set, only requests for this machine's
//! names are.
#![no_main]

use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use vetrina::web::admits;

const PASSWORD: &str = "correct horse";
/// "vetrina:correct horse" in base64.
const TOKEN: &str = "dmV0cmluYTpjb3JyZWN0IGhvcnNl";

/// Parses lines of "Name: value", as in a request; other lines are ignored.
fn headers(bytes: &[u8]) -> HeaderMap {
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    };
    let mut headers = HeaderMap::new();
    for (name, value) in bytes.split(|byte| *byte == b'\n').filter_map(header) {
        headers.append(name, value);
    }
    headers
}

/// Whether a host, with or without a port, is `localhost` or an address.
fn is_this_machine(host: &str) -> bool {
    let without_port = host.rsplit_once(':').map_or(host, |(name, _)| name);
    [host, without_port].into_iter().any(|name| {
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
    })
}

fuzz_target!(|bytes: &[u8]| {
    let headers = headers(bytes);
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let knows = text(AUTHORIZATION).is_some_and(|value| {
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        scheme.eq_ignore_ascii_case("basic") && token.trim_matches(' ') == TOKEN
    });
    assert_eq!(admits(Some(PASSWORD), &headers), knows, "with a password");
    if admits(None, &headers) {
        assert!(headers.get(HOST).is_none_or(|_| text(HOST).is_some_and(is_this_machine)), "without a password");
    }
});
