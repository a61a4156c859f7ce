//! Who asks, and whether they may: mirrors by their keys, operators by their tokens. What is refused is in the audit log.

use super::{Hub, Use, failed, refuse};
use crate::fault::Result;
use crate::hub::database::{database_fault, note};
use crate::hub::mirrors;
use crate::hub::tokens::{self, OperatorRole};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use std::net::{IpAddr, SocketAddr};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Refusals of strangers in this time are one line of the audit log: nobody can fill it.
const STRANGERS: Duration = Duration::from_secs(600);
const FORWARDED_FOR: &str = "x-forwarded-for";
const NO_KEY: &str = "this asks for the key of a mirror: join with `vetrina sync join`";
const NO_TOKEN: &str = "this asks for an operator's token: make one with `vetrina hub token add`";

/// The mirror that asks. One without a valid key is refused before the handler is called.
pub struct AskingMirror {
    pub name: String,
    pub shop: String,
}

/// The operator that asks, as the audit log names them: `token till`.
#[derive(Clone, Debug)]
pub struct Operator(pub String);

/// Whoever may search.
pub enum Searcher {
    Mirror(String),
    Operator(String),
}

/// The address that asks: where it comes by a trusted proxy, the one that the proxy names.
pub struct AskerAddress(pub IpAddr);

/// How many strangers were refused since the last line of the audit log.
#[derive(Debug, Default)]
pub struct StrangerCount {
    noted: Option<Instant>,
    refused: u64,
}

impl StrangerCount {
    /// Counts one at `now`; the count since the last line, where another line is due.
    fn refuse(&mut self, now: Instant) -> Option<u64> {
        self.refused += 1;
        if self.noted.is_some_and(|noted| now.duration_since(noted) < STRANGERS) {
            return None;
        }
        self.noted = Some(now);
        Some(std::mem::take(&mut self.refused))
    }
}

impl FromRequestParts<Hub> for AskingMirror {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, hub: &Hub) -> std::result::Result<Self, Response> {
        match mirror(hub, &parts.headers).await {
            Ok(Some((name, shop))) => Ok(AskingMirror { name, shop }),
            Ok(None) => Err(refuse_stranger(hub, parts, StatusCode::UNAUTHORIZED, NO_KEY).await),
            Err(fault) => Err(failed(&fault)),
        }
    }
}

impl FromRequestParts<Hub> for AskerAddress {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, hub: &Hub) -> std::result::Result<Self, Response> {
        let address = address(hub, parts).map(AskerAddress);
        address.ok_or_else(|| refuse(StatusCode::INTERNAL_SERVER_ERROR, "the connection has no address"))
    }
}

impl FromRequestParts<Hub> for Searcher {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, hub: &Hub) -> std::result::Result<Self, Response> {
        let found = async {
            if let Some((name, _)) = mirror(hub, &parts.headers).await? {
                return Ok(Some(Searcher::Mirror(name)));
            }
            Ok(operator(hub, &parts.headers).await?.map(|(name, _)| Searcher::Operator(actor(&name))))
        };
        match found.await {
            Ok(Some(searcher)) => Ok(searcher),
            Ok(None) => Err(refuse_stranger(hub, parts, StatusCode::UNAUTHORIZED, NO_KEY).await),
            Err(fault) => Err(failed(&fault)),
        }
    }
}

impl Searcher {
    /// As the audit log names them.
    pub fn actor(&self) -> &str {
        match self {
            Searcher::Mirror(name) | Searcher::Operator(name) => name,
        }
    }
}

/// Lets operators of at least this role through to the handlers, which get an [`Operator`]. While there is no token at all, who is on
/// this machine may read.
pub async fn require(State((hub, role)): State<(Hub, OperatorRole)>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let actor = match operator(&hub, &parts.headers).await {
        Ok(Some((name, has))) if has >= role => actor(&name),
        Ok(Some((name, has))) => {
            let why = format!("the token {name} is of a {has}, and this asks for a {role}");
            let detail = format!("{} {}: {why}", parts.method, parts.uri.path());
            note_refusal(&hub, &actor(&name), &detail).await;
            return refuse(StatusCode::FORBIDDEN, &why);
        }
        Ok(None) if role == OperatorRole::Reader && is_local(&hub, &parts) => match are_there_tokens(&hub).await {
            Ok(false) => "this machine".to_owned(),
            Ok(true) => return refuse_stranger(&hub, &parts, StatusCode::UNAUTHORIZED, NO_TOKEN).await,
            Err(fault) => return failed(&fault),
        },
        Ok(None) => return refuse_stranger(&hub, &parts, StatusCode::UNAUTHORIZED, NO_TOKEN).await,
        Err(fault) => return failed(&fault),
    };
    parts.extensions.insert(Operator(actor));
    next.run(Request::from_parts(parts, body)).await
}

fn actor(name: &str) -> String {
    format!("token {name}")
}

/// Whoever names another one that it asks for, or comes by a proxy, is not taken for this machine.
fn is_local(hub: &Hub, parts: &Parts) -> bool {
    let is_here = |peer: IpAddr| peer.is_loopback() && !hub.settings.proxies.contains(&peer);
    bearer(&parts.headers).is_none() && !parts.headers.contains_key(FORWARDED_FOR) && peer(parts).is_some_and(is_here)
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical())
}

fn address(hub: &Hub, parts: &Parts) -> Option<IpAddr> {
    peer(parts).map(|peer| forwarded(peer, &parts.headers, &hub.settings.proxies))
}

/// Each proxy adds the address that it is asked from at the end of the header: the last one that is no trusted proxy's counts. What stands
/// before it anybody can write.
fn forwarded(peer: IpAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> IpAddr {
    let lines = headers.get_all(FORWARDED_FOR).iter();
    let named: Vec<&str> = lines.flat_map(|line| line.to_str().unwrap_or_default().split(',')).map(str::trim).collect();
    let mut address = peer;
    for name in named.into_iter().rev() {
        let Ok(before) = name.parse::<IpAddr>() else { break };
        if !proxies.contains(&address) {
            break;
        }
        address = before.to_canonical();
    }
    address
}

async fn mirror(hub: &Hub, headers: &HeaderMap) -> Result<Option<(String, String)>> {
    let Some(token) = bearer(headers) else { return Ok(None) };
    let client = hub.client(Use::Short).await?;
    mirrors::owner(&client, token).await.map_err(database_fault)
}

async fn operator(hub: &Hub, headers: &HeaderMap) -> Result<Option<(String, OperatorRole)>> {
    let Some(token) = bearer(headers) else { return Ok(None) };
    let client = hub.client(Use::Short).await?;
    tokens::owner(&client, token).await.map_err(database_fault)
}

async fn are_there_tokens(hub: &Hub) -> Result<bool> {
    let client = hub.client(Use::Short).await?;
    tokens::are_there(&client).await.map_err(database_fault)
}

/// Refuses one who is unknown, or a mirror that asks for what is not its own.
pub async fn refuse_stranger(hub: &Hub, parts: &Parts, status: StatusCode, why: &str) -> Response {
    let counted = hub.strangers.lock().unwrap_or_else(PoisonError::into_inner).refuse(Instant::now());
    if let Some(count) = counted {
        let who = address(hub, parts).map_or("somewhere".to_owned(), |address| address.to_string());
        let detail = format!("{} {}: {why} ({count} refused since the last such line)", parts.method, parts.uri.path());
        note_refusal(hub, &who, &detail).await;
    }
    refuse(status, why)
}

/// A line that cannot be written changes nothing: it is refused all the same.
async fn note_refusal(hub: &Hub, actor: &str, detail: &str) {
    let noted = async {
        let client = hub.client(Use::Short).await?;
        note(&client, actor, "refused", detail).await.map_err(database_fault)
    };
    if let Err(fault) = noted.await {
        log::warn!("{fault}");
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_get_one_line_in_ten_minutes_and_all_of_them_are_counted() {
        let (mut count, start) = (StrangerCount::default(), Instant::now());
        assert_eq!(count.refuse(start), Some(1));
        assert!((1..500).all(|second| count.refuse(start + Duration::from_secs(second)).is_none()));
        assert_eq!(count.refuse(start + STRANGERS), Some(500));
        assert_eq!(count.refuse(start + STRANGERS), None);
    }

    #[test]
    fn only_trusted_proxies_are_believed_whom_they_are_asked_by() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let proxies = [parse("10.0.0.1"), parse("10.0.0.2")];
        for (peer, lines, address) in [
            ("192.0.2.7", &[][..], "192.0.2.7"),
            ("192.0.2.7", &["203.0.113.9"], "192.0.2.7"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.9,10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            assert_eq!(forwarded(parse(peer), &headers, &proxies), parse(address), "{peer} {lines:?}");
        }
    }
}
