//! What a till or a stock system sends: prices, stock and places of products, as JSON; and the catalogue's history. Whoever changes
//! something brings a token, or the page's password from the page.

use super::App;
use super::answers::json_response;
use super::client::ClientAddress;
use crate::audit::AuditAction;
use crate::catalogue::{Addressed, Catalogue};
use crate::fault::{Fault, Kind, Result, plain_words};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Path, State};
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, patch, post};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// A request's body is no longer.
const MOST_BYTES: usize = 1 << 20;
/// Products that one request changes.
const MOST_PRODUCTS: usize = 10_000;
/// How long a change waits while another is written: the end of an import, say.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds after which to ask again where that was not enough.
const AGAIN: &str = "5";

/// The routes under `/api/` that read and change the catalogue.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/products/{id}", patch(update_one))
        .route("/api/products", post(update_many))
        .route("/api/history", get(history))
        .route("/api/undo", post(undo))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
}

/// One of several updates.
#[derive(Deserialize)]
#[serde(
    expecting = "each product as an object with its id and new values, such as {\"id\": \"TEE-M\", \"price\": \"29.90 EUR\"}"
)]
struct Named {
    id: String,
    #[serde(flatten)]
    update: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object such as {\"products\": [{\"id\": \"TEE-M\", \"price\": \"29.90 EUR\"}]}"
)]
struct Many {
    products: Vec<Named>,
}

/// Which generation to bring back.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object such as {\"to\": 3}, or nothing")]
struct Undo {
    to: Option<i64>,
}

async fn update_one(State(app): State<App>, Path(id): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let updates = move || Ok(vec![Addressed { id, update: parse(&body)? }]);
    update(app, &headers, updates).await
}

async fn update_many(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    let updates = move || {
        let many: Many = parse(&body)?;
        if many.products.len() > MOST_PRODUCTS {
            return Err(Fault::new(Kind::Input, format!("it names more than {MOST_PRODUCTS} products"))
                .cure("send them in parts"));
        }
        let addressed = |named: Named| {
            let of = |error| Fault::new(Kind::Input, format!("product {:?}", named.id)).cause(not_json(&error));
            let update = serde_json::from_value(named.update.into()).map_err(of)?;
            Ok(Addressed { id: named.id, update })
        };
        many.products.into_iter().map(addressed).collect()
    };
    update(app, &headers, updates).await
}

async fn update(
    app: App,
    headers: &HeaderMap,
    updates: impl FnOnce() -> Result<Vec<Addressed>> + Send + 'static,
) -> Response {
    change(app, headers, move |catalogue| {
        let updates: Vec<Addressed> = updates()?;
        let changed = catalogue.update(&updates)?;
        log::info!("{} products were updated over HTTP", changed.len());
        Ok(json!({ "changed": changed }))
    })
    .await
}

async fn history(State(app): State<App>) -> Response {
    let path = app.catalogue();
    let read = move || Catalogue::open(&path)?.history();
    answer(tokio::task::spawn_blocking(move || read().map(|generations| json!({ "generations": generations }))).await)
}

async fn undo(
    State(app): State<App>,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (audit, role) = (app.audit.clone(), app.guard.role(&headers));
    let wanted = move || if body.is_empty() { Ok(Undo::default()) } else { parse::<Undo>(&body) };
    change(app, &headers, move |catalogue| {
        let made = catalogue.undo(wanted()?.to)?;
        log::info!("the catalogue: {}", made.source);
        audit.write(client, role, AuditAction::Undo, "");
        Ok(json!({ "generation": made }))
    })
    .await
}

/// Changes the catalogue, if the request may.
async fn change<T: Serialize + Send + 'static>(
    app: App,
    headers: &HeaderMap,
    what: impl FnOnce(&mut Catalogue) -> Result<T> + Send + 'static,
) -> Response {
    if !app.guard.has_token(headers) && !app.guard.may_change(headers) {
        let words = app.guard.needs_token(headers);
        return json_response(StatusCode::FORBIDDEN, &json!({ "error": words }));
    }
    let path = app.catalogue();
    let work = move || what(&mut Catalogue::open(&path)?.with_patience(PATIENCE)?).map(|done| json!(done));
    answer(tokio::task::spawn_blocking(work).await)
}

/// Reads a JSON object; serde alone would take a list for one too.
pub(super) fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    if body.trim_ascii_start().first() == Some(&b'[') {
        return Err(Fault::new(Kind::Input, "the request is a list, not an object").cure("see docs/http-api.md"));
    }
    serde_json::from_slice(body).map_err(|error| not_json(&error))
}

fn not_json(error: &serde_json::Error) -> Fault {
    let words = plain_words(&error.to_string());
    Fault::new(Kind::Input, format!("the request cannot be read: {words}")).cure("see docs/http-api.md")
}

fn answer(done: std::result::Result<Result<serde_json::Value>, tokio::task::JoinError>) -> Response {
    let fault = match done {
        Ok(Ok(value)) => return json_response(StatusCode::OK, &value),
        Ok(Err(fault)) => fault,
        Err(_) => return json_response(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": "it was ended" })),
    };
    let status = match fault.kind() {
        Kind::Usage => StatusCode::NOT_FOUND,
        Kind::Input => StatusCode::BAD_REQUEST,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = json_response(status, &json!({ "error": fault.to_string() }));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static(AGAIN));
    }
    response
}
