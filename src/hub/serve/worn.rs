//! Worn views that mirrors send up: what one has learned, the next release brings to all that sell the product.

use super::{Hub, NO_KEY, Use, answer, failed, refuse};
use crate::hub::database::database_fault;
use crate::sync::fleet::{WornMissing, WornUids};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::json;

/// One enrolment is no longer, bytes.
const MOST_LINE: usize = 4 << 20;
/// Enrolments of one request.
const MOST_UIDS: usize = 20_000;

/// What the hub has to know of an enrolment.
#[derive(Deserialize)]
struct WornHead {
    uid: String,
    descriptor_hash: String,
    products: Vec<WornHeadProduct>,
}

#[derive(Deserialize)]
struct WornHeadProduct {
    id: String,
}

pub fn routes() -> Router<Hub> {
    Router::new()
        .route("/api/worn/missing", post(missing))
        .route("/api/worn", post(keep))
        .layer(DefaultBodyLimit::max(MOST_LINE))
}

/// Which of these enrolments are not here.
async fn missing(State(hub): State<Hub>, headers: HeaderMap, body: Bytes) -> Response {
    match hub.mirror(&headers).await {
        Ok(Some(_)) => {}
        Ok(None) => return refuse(StatusCode::UNAUTHORIZED, NO_KEY),
        Err(fault) => return failed(&fault),
    }
    let uids = match serde_json::from_slice::<WornUids>(&body) {
        Ok(asked) if asked.uids.len() <= MOST_UIDS => asked.uids,
        _ => return refuse(StatusCode::BAD_REQUEST, "these are no uids"),
    };
    let found = async {
        let client = hub.client(Use::Short).await?;
        let query = "select uid from unnest($1::text[]) as asked (uid) where uid not in (select uid from worn)";
        client.query(query, &[&uids]).await.map_err(database_fault)
    };
    match found.await {
        Ok(rows) => {
            answer(StatusCode::OK, &json!(WornMissing { missing: rows.iter().map(|row| row.get(0)).collect() }))
        }
        Err(fault) => failed(&fault),
    }
}

/// Keeps one enrolment; the same one again changes nothing.
async fn keep(State(hub): State<Hub>, headers: HeaderMap, body: Bytes) -> Response {
    let mirror = match hub.mirror(&headers).await {
        Ok(Some((mirror, _))) => mirror,
        Ok(None) => return refuse(StatusCode::UNAUTHORIZED, NO_KEY),
        Err(fault) => return failed(&fault),
    };
    let line = std::str::from_utf8(&body).ok().map(str::trim).filter(|line| !line.contains('\n'));
    let head = line.and_then(|line| Some((line, serde_json::from_str::<WornHead>(line).ok()?)));
    let Some((line, head)) = head else {
        return refuse(StatusCode::BAD_REQUEST, "this is no enrolment");
    };
    let products: Vec<&str> = head.products.iter().map(|product| product.id.as_str()).collect();
    let kept = async {
        let client = hub.client(Use::Short).await?;
        let query = "with kept as (insert into worn (uid, mirror, model, products, line) values ($1, $2, $3, $4, $5)
                       on conflict do nothing returning 1)
                     insert into audit (actor, action, detail) select $2, 'worn', $1 from kept";
        client
            .execute(query, &[&head.uid, &mirror, &head.descriptor_hash, &products, &line])
            .await
            .map_err(database_fault)
    };
    match kept.await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(fault) => failed(&fault),
    }
}
