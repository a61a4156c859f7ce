//! Who may read the page: everybody on this machine, or who has the password. And the headers that keep other sites' pages from
//! reading it through a browser.

use super::client::{ClientAddress, Role};
use super::{App, STAFF, USER};
use crate::audit::AuditAction;
use axum::extract::{Extension, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderValue, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::time::Duration;

/// The header that the page sends with requests that change something.
const FROM_PAGE: &str = "x-vetrina";
/// Below this path the token opens.
const API: &str = "/api/";

/// The answer to a wrong password comes after this.
const WRONG_PASSWORD: Duration = Duration::from_millis(500);

/// What a request must bring.
pub struct Guard {
    /// What follows `Basic` in the `Authorization` header; `None` where no password is set.
    expected: Option<String>,
    /// The same for the staff; `None`: they have no password of their own.
    staff: Option<String>,
    /// What follows `Bearer` in that header, for the paths under `/api/`; `None` where no token is set.
    token: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Admission {
    Welcome,
    /// No password, or a wrong one.
    Unauthorized,
    /// The browser came here by another name: another site's page may be asking (DNS rebinding).
    ForeignHost,
}

impl Guard {
    /// `password`: the owner's; `token`: of programs.
    pub fn new(password: Option<&str>, token: Option<&str>) -> Self {
        let expected = password.map(|password| base64(format!("{USER}:{password}").as_bytes()));
        Guard { expected, staff: None, token: token.map(str::to_owned) }
    }

    /// With a password for the staff.
    pub fn with_staff(self, password: Option<&str>) -> Self {
        Guard { staff: password.map(|password| base64(format!("{STAFF}:{password}").as_bytes())), ..self }
    }

    /// The role of the request's sender; `None`: no access. Without a password everybody who is admitted is the owner.
    pub fn role(&self, headers: &HeaderMap) -> Option<Role> {
        if self.has_token(headers) {
            return Some(Role::Program);
        }
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(basic);
        let is =
            |wanted: &Option<String>| wanted.as_ref().zip(given).is_some_and(|(wanted, given)| same(given, wanted));
        match () {
            () if self.expected.is_none() => (self.judge(headers) == Admission::Welcome).then_some(Role::Owner),
            () if is(&self.expected) => Some(Role::Owner),
            () if is(&self.staff) => Some(Role::Staff),
            () => None,
        }
    }

    /// Whether the request brings the token: a program that sends prices and stock does.
    pub fn has_token(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given =
            given.and_then(|given| given.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        match (&self.token, given) {
            (Some(token), Some((_, given))) => same(given.trim(), token),
            _ => false,
        }
    }

    /// Whether this request may change something: there is a password, which [`check`] has asked for, and it comes from the page. A
    /// form on another site can make a browser send the password along, but not this header.
    pub fn may_change(&self, headers: &HeaderMap) -> bool {
        self.expected.is_some() && headers.contains_key(FROM_PAGE) && self.role(headers) == Some(Role::Owner)
    }

    /// Whether this request may do what staff does: as [`Guard::may_change`], with either password.
    pub fn may_serve(&self, headers: &HeaderMap) -> bool {
        let is_person = matches!(self.role(headers), Some(Role::Owner | Role::Staff));
        self.expected.is_some() && headers.contains_key(FROM_PAGE) && is_person
    }

    /// Why a request that [`Guard::may_change`] or [`Guard::may_serve`] refuses is refused.
    pub fn needs_page(&self, headers: &HeaderMap) -> &'static str {
        match () {
            () if self.expected.is_none() => "set web.password: without one nothing is changed over HTTP",
            () if !headers.contains_key(FROM_PAGE) => {
                "the header x-vetrina is missing: use the mirror's page, or send `x-vetrina: 1`"
            }
            () if self.role(headers) == Some(Role::Staff) => "this is for the owner: log in as vetrina, not as staff",
            () => "log in with the password, as vetrina",
        }
    }

    /// The same for a request that may bring the token instead.
    pub fn needs_token(&self, headers: &HeaderMap) -> &'static str {
        match (&self.token, self.role(headers)) {
            (_, Some(Role::Staff)) => self.needs_page(headers),
            (None, _) if self.expected.is_none() => "set web.token and send it as `Authorization: Bearer TOKEN`",
            (None, _) => "the header x-vetrina is missing: send `x-vetrina: 1` with the password, or set web.token",
            (Some(_), _) => "send web.token as `Authorization: Bearer TOKEN`, or the password with `x-vetrina: 1`",
        }
    }

    /// Whether this request is answered at all.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        self.judge(headers) == Admission::Welcome
    }

    /// Whether there is a password at all.
    pub fn has_password(&self) -> bool {
        self.expected.is_some()
    }

    fn is_staff(&self, header: Option<&str>) -> bool {
        let given = header.and_then(basic);
        self.staff.as_ref().zip(given).is_some_and(|(wanted, given)| same(given, wanted))
    }

    fn judge(&self, headers: &HeaderMap) -> Admission {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        match &self.expected {
            Some(expected) if text(AUTHORIZATION).and_then(basic).is_some_and(|given| same(given, expected)) => {
                Admission::Welcome
            }
            Some(_) if self.is_staff(text(AUTHORIZATION)) => Admission::Welcome,
            Some(_) => Admission::Unauthorized,
            None => match headers.get(HOST).map(|host| host.to_str().is_ok_and(is_own_name)) {
                // A program of HTTP/1.0; no browser leaves the header out.
                None | Some(true) => Admission::Welcome,
                Some(false) => Admission::ForeignHost,
            },
        }
    }
}

/// `localhost` or an address, with or without a port: not a name that somebody else's DNS could point here.
fn is_own_name(host: &str) -> bool {
    let port =
        host.rfind(':').filter(|at| host[at + 1..].bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(']'));
    let name = &host[..port.unwrap_or(host.len())];
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// The credentials of an `Authorization` header of the scheme "Basic", which may be written in any case (RFC 9110, 11.1).
fn basic(header: &str) -> Option<&str> {
    let (scheme, credentials) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then_some(credentials.trim_matches(' '))
}

/// Whether both are equal, in a time that does not depend on where they differ.
fn same(a: &str, b: &str) -> bool {
    let different = a.bytes().zip(b.bytes()).fold(0, |different, (a, b)| different | (a ^ b));
    a.len() == b.len() && different == 0
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { letter.into() } else { '=' });
        }
    }
    text
}

/// The middleware in front of every route: answers or refuses, and adds the headers.
pub async fn check(
    State(app): State<App>,
    Extension(client): Extension<ClientAddress>,
    request: Request,
    next: Next,
) -> Response {
    let is_program = request.uri().path().starts_with(API) && app.guard.has_token(request.headers());
    let verdict = if is_program { Admission::Welcome } else { app.guard.judge(request.headers()) };
    let mut response = match verdict {
        Admission::Welcome => {
            let role = app.guard.role(request.headers());
            if app.guard.has_password() || is_program {
                app.audit.seldom(client, role, AuditAction::Login);
            }
            next.run(request).await
        }
        Admission::Unauthorized => {
            if request.headers().contains_key(AUTHORIZATION) {
                app.audit.seldom(client, None, AuditAction::LoginRefused);
                // Guessing takes its time.
                tokio::time::sleep(WRONG_PASSWORD).await;
            }
            let ask = [(WWW_AUTHENTICATE, "Basic realm=\"vetrina\", charset=\"UTF-8\"")];
            (StatusCode::UNAUTHORIZED, ask, "password required\n").into_response()
        }
        Admission::ForeignHost => (
            StatusCode::FORBIDDEN,
            "this host name is not answered: use localhost or the address, or set web.password\n",
        )
            .into_response(),
    };
    let tell = [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'self'; frame-ancestors 'none'; form-action 'self'"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in tell {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(guard: &Guard, name: axum::http::HeaderName, value: &str) -> Admission {
        guard.judge(&HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]))
    }

    #[test]
    fn only_the_page_changes_anything_and_only_with_a_password() {
        let from_page = (axum::http::HeaderName::from_static(FROM_PAGE), HeaderValue::from_static("1"));
        let with = |user: &str| {
            let given = HeaderValue::from_str(&format!("Basic {}", base64(user.as_bytes()))).unwrap();
            HeaderMap::from_iter([from_page.clone(), (AUTHORIZATION, given)])
        };
        let guard = Guard::new(Some("correct horse"), None).with_staff(Some("battery staple"));
        let (owner, staff, stranger) =
            (with("vetrina:correct horse"), with("staff:battery staple"), with("staff:correct horse"));
        assert!(guard.may_change(&owner) && guard.may_serve(&owner));
        assert!(!guard.may_change(&staff) && guard.may_serve(&staff) && guard.admits(&staff));
        assert!(!guard.may_change(&stranger) && !guard.may_serve(&stranger) && !guard.admits(&stranger));
        assert_eq!(
            [&owner, &staff, &stranger].map(|one| guard.role(one)),
            [Some(Role::Owner), Some(Role::Staff), None]
        );
        let mut form = owner.clone();
        form.remove(FROM_PAGE);
        assert!(!guard.may_change(&form) && !guard.may_serve(&form));
        assert!(!Guard::new(None, None).may_change(&HeaderMap::from_iter([from_page.clone()])));
        // The answer names what is missing, and nothing else.
        assert!(guard.needs_page(&form).contains("x-vetrina") && !guard.needs_page(&form).contains("web.password"));
        assert!(guard.needs_page(&staff).contains("owner"));
        assert!(Guard::new(None, None).needs_page(&form).contains("set web.password"));
        assert!(guard.needs_token(&form).contains("x-vetrina"));
    }

    #[test]
    fn base64_is_as_the_standard_has_it() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"), ("\u{fc}", "w7w=")];
        for (text, encoded) in cases {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }

    #[test]
    fn only_the_password_opens_whatever_the_case_of_the_scheme() {
        let guard = Guard::new(Some("correct horse"), None);
        assert_eq!(guard.judge(&HeaderMap::new()), Admission::Unauthorized);
        let header = |scheme: &str, given: &str| format!("{scheme} {}", base64(given.as_bytes()));
        for scheme in ["Basic", "basic", "BASIC", "Basic "] {
            let verdict = |given| judge(&guard, AUTHORIZATION, &header(scheme, given));
            assert_eq!(verdict("vetrina:correct horse"), Admission::Welcome, "{scheme}");
            assert_eq!(verdict("vetrina:correct hors"), Admission::Unauthorized, "{scheme}");
            assert_eq!(verdict("vetrina:correct horses"), Admission::Unauthorized, "{scheme}");
        }
        let bare = base64(b"vetrina:correct horse");
        for wrong in [format!("Bearer {bare}"), format!("Basic{bare}"), bare, "Basic".into(), String::new()] {
            assert_eq!(judge(&guard, AUTHORIZATION, &wrong), Admission::Unauthorized, "{wrong}");
        }
    }

    #[test]
    fn the_token_is_a_programs_and_another_secret_than_the_password() {
        let guard = Guard::new(Some("correct horse"), Some("battery staple"));
        let with = |value: &str| HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())]);
        for (header, expected) in [
            ("Bearer battery staple", true),
            ("bearer  battery staple", true),
            ("Bearer battery stapl", false),
            ("Bearer correct horse", false),
            ("Bearer", false),
            ("Basic battery staple", false),
        ] {
            assert_eq!(guard.has_token(&with(header)), expected, "{header}");
        }
        assert!(!Guard::new(Some("correct horse"), None).has_token(&with("Bearer battery staple")));
    }

    #[test]
    fn without_a_password_no_foreign_name_is_answered() {
        let guard = Guard::new(None, None);
        for own in ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]"] {
            assert_eq!(judge(&guard, HOST, own), Admission::Welcome, "{own}");
        }
        let garbled = HeaderValue::from_bytes(b"\xff.example").unwrap();
        assert_eq!(guard.judge(&HeaderMap::from_iter([(HOST, garbled)])), Admission::ForeignHost);
        for strange in ["evil.example", "evil.example:8080", "localhost.evil.example", ""] {
            assert_eq!(judge(&guard, HOST, strange), Admission::ForeignHost, "{strange}");
        }
    }
}
