//! Any request to `POST /api/match`: without the token its body is not read; with it, whatever comes is answered. There is no model,
//! so that a picture comes as far as the network and no further; the target `sent_picture` decodes more of them.
#![no_main]

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use vetrina::audit::AuditLog;
use vetrina::clock::SystemClock;
use vetrina::config::Config;
use vetrina::live::Links;
use vetrina::web::MatchRoute;

const TOKEN: &str = "battery staple";

/// The route of a mirror without a password, where a wrong one would be answered slowly.
fn route() -> &'static MatchRoute {
    static ROUTE: OnceLock<MatchRoute> = OnceLock::new();
    ROUTE.get_or_init(|| {
        let (config, nowhere) = (Config::default(), Path::new("/nowhere"));
        let mut settings = config.web(nowhere, nowhere).expect("the page is on");
        settings.token = Some(TOKEN.into());
        settings.audit = AuditLog::new("/dev/null".into());
        MatchRoute::new(&settings, Links::new(&config.live(nowhere), Arc::new(SystemClock::start()))).expect("a route")
    })
}

/// The first line is what follows the path; lines "Name: value" until an empty one; the body.
fn request(bytes: &[u8]) -> Option<Request> {
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap_or(bytes.len());
    let (head, body) = (&bytes[..end], bytes.get(end + 2..).unwrap_or_default());
    let mut lines = head.split(|byte| *byte == b'\n');
    let address = format!("/api/match{}", std::str::from_utf8(lines.next()?).ok()?);
    let mut request = Request::post(address).body(Body::from(body.to_vec())).ok()?;
    let header = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    };
    for (name, value) in lines.filter_map(header) {
        request.headers_mut().append(name, value);
    }
    Some(request)
}

fuzz_target!(|bytes: &[u8]| {
    let Some(request) = request(bytes) else { return };
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = given.and_then(|given| given.split_once(' ')).unwrap_or_default();
    let knows = scheme.eq_ignore_ascii_case("bearer") && token.trim() == TOKEN;
    let (status, answer) = route().answer(request);
    let known =
        [StatusCode::BAD_REQUEST, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::SERVICE_UNAVAILABLE];
    assert!(known.contains(&status), "{status}");
    // What the route itself says is JSON.
    let is_answered = status != StatusCode::FORBIDDEN && answer.starts_with(b"{");
    assert!(knows || !is_answered, "without the token: {status}");
});
