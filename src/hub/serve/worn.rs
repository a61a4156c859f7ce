//! What mirrors send up: worn views, which the next release brings to all that sell the product, and what staff said of the answers.

use super::{AskingMirror, Hub, Use, answer, failed, refuse};
use crate::catalogue::correction::CorrectionRecord;
use crate::hub::database::database_fault;
use crate::sync::fleet::{MissingUids, OwnUids};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::json;
use tokio_postgres::types::ToSql;

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
        .route("/api/corrections/missing", post(missing_corrections))
        .route("/api/corrections", post(keep_corrections))
        .layer(DefaultBodyLimit::max(MOST_LINE))
}

/// Which of these enrolments are not here.
async fn missing(State(hub): State<Hub>, _: AskingMirror, body: Bytes) -> Response {
    let query = "select uid from unnest($1::text[]) as asked (uid)
                 where not exists (select 1 from worn where worn.uid = asked.uid)";
    answer_missing(&hub, &body, query, &[]).await
}

/// Answers which of the uids that are asked for (`$1`) `query` names; `more` are its other values.
async fn answer_missing(hub: &Hub, body: &Bytes, query: &str, more: &[&(dyn ToSql + Sync)]) -> Response {
    let uids = match serde_json::from_slice::<OwnUids>(body) {
        Ok(asked) if asked.uids.len() <= MOST_UIDS => asked.uids,
        _ => return refuse(StatusCode::BAD_REQUEST, "these are no uids"),
    };
    let found = async {
        let client = hub.client(Use::Short).await?;
        let values: Vec<&(dyn ToSql + Sync)> = [&uids as _].into_iter().chain(more.iter().copied()).collect();
        client.query(query, &values).await.map_err(database_fault)
    };
    match found.await {
        Ok(rows) => {
            answer(StatusCode::OK, &json!(MissingUids { missing: rows.iter().map(|row| row.get(0)).collect() }))
        }
        Err(fault) => failed(&fault),
    }
}

async fn missing_corrections(State(hub): State<Hub>, mirror: AskingMirror, body: Bytes) -> Response {
    let query = "select uid from unnest($1::text[]) as asked (uid)
                 where not exists (select 1 from correction where mirror = $2 and correction.uid = asked.uid)";
    answer_missing(&hub, &body, query, &[&mirror.name]).await
}

/// Keeps judgements of a mirror; the same ones again change nothing.
async fn keep_corrections(State(hub): State<Hub>, mirror: AskingMirror, body: Bytes) -> Response {
    let read = serde_json::from_slice::<Vec<CorrectionRecord>>(&body).ok().filter(|all| all.iter().all(is_sound));
    let Some(text) = read.and_then(|records| serde_json::to_string(&records).ok()) else {
        return refuse(StatusCode::BAD_REQUEST, "these are no judgements");
    };
    let kept = async {
        let client = hub.client(Use::Short).await?;
        let query = "with kept as (
                       insert into correction (mirror, uid, hour, region, shown, logit, margin, verdict, judgement, meant, model)
                       select $1, uid, hour, region, shown, logit, margin, verdict, judgement, meant, descriptor_hash
                       from jsonb_to_recordset($2::text::jsonb) as one (uid text, hour text, region text, shown text, logit real,
                         margin real, verdict text, judgement text, meant text, descriptor_hash text)
                       on conflict do nothing returning 1)
                     insert into audit (actor, action, detail)
                       select $1, 'correction', count(*)::text from kept having count(*) > 0";
        client.execute(query, &[&mirror.name, &text]).await.map_err(database_fault)
    };
    match kept.await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(fault) => failed(&fault),
    }
}

/// Whether the tables take it.
fn is_sound(record: &CorrectionRecord) -> bool {
    record.hour.len() == 13 && ["none", "similar", "likely"].contains(&record.verdict.as_str())
}

/// Keeps one enrolment; the same one again changes nothing.
async fn keep(State(hub): State<Hub>, mirror: AskingMirror, body: Bytes) -> Response {
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
            .execute(query, &[&head.uid, &mirror.name, &head.descriptor_hash, &products, &line])
            .await
            .map_err(database_fault)
    };
    match kept.await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(fault) => failed(&fault),
    }
}
