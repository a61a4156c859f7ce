//! A picture in, its products out: `POST /api/match`. One at a time, at the page's low priority, and the network that it needs is
//! loaded with the first one.

use super::App;
use super::answers::json_response;
use super::client::ClientAddress;
use crate::audit::AuditAction;
use crate::fault::{Kind, Result};
use crate::pipeline::garment_answers::{PictureMatcher, decode_sent_picture};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Query, State};
use axum::http::header::{HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The largest picture, bytes.
const MOST_BYTES: usize = 12 << 20;
/// It must have been sent completely within this time.
const SENDING: Duration = Duration::from_secs(30);

/// The route for pictures that are sent.
pub fn routes() -> Router<App> {
    Router::new().route("/api/match", post(find))
}

/// The network for pictures that are sent, once one was.
pub struct PictureMatching {
    model: PathBuf,
    /// One picture is received and matched at a time.
    turn: Arc<Semaphore>,
    matcher: Mutex<Option<PictureMatcher>>,
}

impl PictureMatching {
    pub fn new(model: PathBuf) -> Self {
        PictureMatching { model, turn: Arc::new(Semaphore::new(1)), matcher: Mutex::new(None) }
    }

    fn answer(&self, bytes: &[u8], catalogue: &Path, top: usize) -> Result<Value> {
        let picture = decode_sent_picture(bytes)?;
        let mut matcher = self.matcher.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = match matcher.take() {
            Some(loaded) => loaded,
            None => PictureMatcher::load(&self.model, catalogue)?,
        };
        // Where it panics, it is not kept.
        let mut loaded = loaded;
        let answer = loaded.answer(picture, catalogue, top);
        *matcher = Some(loaded);
        answer
    }
}

/// How many products of each garment.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MatchQuery {
    top: usize,
}

impl Default for MatchQuery {
    fn default() -> Self {
        MatchQuery { top: 5 }
    }
}

/// The products in the picture that is the request's body.
async fn find(
    State(app): State<App>,
    Extension(client): Extension<ClientAddress>,
    Query(asked): Query<MatchQuery>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let refused = |status, words: &str| json_response(status, &json!({ "error": words }));
    if !app.guard.has_token(&headers) && !app.guard.may_serve(&headers) {
        return refused(StatusCode::FORBIDDEN, app.guard.needs_token(&headers));
    }
    if !(1..=50).contains(&asked.top) {
        return refused(StatusCode::BAD_REQUEST, "top is a number from 1 to 50");
    }
    let matching = app.picture_matching.clone();
    let Ok(turn) = matching.turn.clone().try_acquire_owned() else {
        let mut response = refused(StatusCode::SERVICE_UNAVAILABLE, "another picture is being matched: send it again");
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        return response;
    };
    let bytes = match timeout(SENDING, to_bytes(body, MOST_BYTES)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            return refused(StatusCode::PAYLOAD_TOO_LARGE, "the picture is larger than 12 MiB or was cut off");
        }
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "sending the picture took longer than 30 seconds"),
    };
    let catalogue = app.catalogue();
    let work = move || {
        let answer = matching.answer(&bytes, &catalogue, asked.top);
        // Held to the end, even where the client has left.
        drop(turn);
        answer
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(answer)) => {
            app.audit.seldom(client, app.guard.role(&headers), AuditAction::MatchPicture);
            json_response(StatusCode::OK, &answer)
        }
        Ok(Err(fault)) if fault.kind() == Kind::Input => refused(StatusCode::BAD_REQUEST, &fault.to_string()),
        Ok(Err(fault)) => refused(StatusCode::SERVICE_UNAVAILABLE, &fault.to_string()),
        Err(_) => refused(StatusCode::INTERNAL_SERVER_ERROR, "the picture could not be matched"),
    }
}
