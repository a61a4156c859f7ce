//! What operators change: prices (publishers), mirrors and roll-outs (admins). The same as the commands, and noted under the token's
//! name.

use super::access::Operator;
use super::{Hub, Use, answer, failed, refuse};
use crate::fault::{Kind, Result};
use crate::hub::feed_import::set_price;
use crate::hub::mirrors::{self, RolloutChange};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Extension, FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Hours that a code can be used, where it is not said.
const HOURS: u16 = 24;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceChange {
    shop: String,
    product: String,
    /// As feeds write it: "19.90 EUR".
    price: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MirrorInvitation {
    shop: String,
    mirror: String,
    /// At most 720.
    #[serde(default = "day")]
    hours: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MirrorName {
    mirror: String,
}

/// One of `share` and `stop`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RolloutRequest {
    shop: String,
    /// Percent.
    share: Option<u8>,
    /// Why it goes to no more.
    stop: Option<String>,
}

fn day() -> u16 {
    HOURS
}

/// A body of JSON. One that cannot be read is refused before the handler is called.
struct Sent<T>(T);

impl<T: DeserializeOwned> FromRequest<Hub> for Sent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, hub: &Hub) -> std::result::Result<Self, Response> {
        let body = Bytes::from_request(request, hub).await.map_err(IntoResponse::into_response)?;
        let read = serde_json::from_slice(&body);
        read.map(Sent).map_err(|error| refuse(StatusCode::BAD_REQUEST, &error.to_string()))
    }
}

pub fn of_publishers() -> Router<Hub> {
    Router::new().route("/api/price", post(price))
}

pub fn of_admins() -> Router<Hub> {
    Router::new()
        .route("/api/enrol", post(enrol))
        .route("/api/revoke", post(revoke))
        .route("/api/roll-out", post(roll_out))
}

async fn price(
    State(hub): State<Hub>,
    Extension(operator): Extension<Operator>,
    Sent(asked): Sent<PriceChange>,
) -> Response {
    let done = async {
        let client = hub.client(Use::Short).await?;
        set_price(&client, &asked.shop, &asked.product, &asked.price, &operator.0).await
    };
    changed(done.await.map(|()| None))
}

async fn enrol(
    State(hub): State<Hub>,
    Extension(operator): Extension<Operator>,
    Sent(asked): Sent<MirrorInvitation>,
) -> Response {
    if !(1..=720).contains(&asked.hours) {
        return refuse(StatusCode::BAD_REQUEST, "hours is a number from 1 to 720");
    }
    let done = async {
        let client = hub.client(Use::Short).await?;
        mirrors::invite(&client, &asked.shop, &asked.mirror, asked.hours, &operator.0).await
    };
    changed(done.await.map(|code| Some(json!({ "code": code }))))
}

async fn revoke(
    State(hub): State<Hub>,
    Extension(operator): Extension<Operator>,
    Sent(asked): Sent<MirrorName>,
) -> Response {
    let done = async {
        let client = hub.client(Use::Short).await?;
        mirrors::revoke(&client, &asked.mirror, &operator.0).await
    };
    changed(done.await.map(|()| None))
}

async fn roll_out(
    State(hub): State<Hub>,
    Extension(operator): Extension<Operator>,
    Sent(asked): Sent<RolloutRequest>,
) -> Response {
    let change = match (asked.share, asked.stop) {
        (Some(share), None) if share <= 100 => RolloutChange::Share(share),
        (None, Some(why)) if !why.trim().is_empty() => RolloutChange::Stop(why),
        _ => return refuse(StatusCode::BAD_REQUEST, "say either share, from 0 to 100, or stop with a reason"),
    };
    let done = async {
        let client = hub.client(Use::Short).await?;
        mirrors::change_roll_out(&client, &asked.shop, &change, &operator.0).await
    };
    changed(done.await.map(|()| None))
}

/// What cannot be changed is the operator's fault, or the hub's.
fn changed(done: Result<Option<Value>>) -> Response {
    match done {
        Ok(Some(value)) => answer(StatusCode::OK, &value),
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(fault) if matches!(fault.kind(), Kind::Usage | Kind::Input) => {
            refuse(StatusCode::BAD_REQUEST, &fault.to_string())
        }
        Err(fault) => failed(&fault),
    }
}
