//! `POST /api/search`: the products of all shops that an embedding is like or, for operators, that a product's picture shows.
//!
//! A picture is embedded as the hub's workers embed those of a feed, searched, and forgotten.

use super::access::Searcher;
use super::{Hub, MOST_BODY, PATIENCE, Use, answer, failed, refuse};
use crate::catalogue::ShopPicture;
use crate::fault::{Kind, Result};
use crate::hub::database::{database_fault, note};
use crate::hub::search::{HubHit, HubQuery, ten};
use crate::pipeline::import::shop_picture::shop_picture;
use crate::pipeline::recognizer::Recognizer;
use crate::seam::Region;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::NoTls;

/// The largest picture, bytes.
const MOST_PICTURE: usize = 12 << 20;

/// What embeds pictures that are sent. The network is loaded with the first one.
pub struct PictureEmbedder {
    model: PathBuf,
    /// One at a time.
    turn: Arc<Semaphore>,
    recognizer: Mutex<Option<Recognizer>>,
}

impl PictureEmbedder {
    pub fn new(model: PathBuf) -> Self {
        PictureEmbedder { model, turn: Arc::new(Semaphore::new(1)), recognizer: Mutex::new(None) }
    }

    fn embed(&self, bytes: &[u8], region: Option<Region>) -> Result<ShopPicture> {
        let mut place = self.recognizer.lock().unwrap_or_else(PoisonError::into_inner);
        // Where it panics, it is not kept.
        let mut recognizer = match place.take() {
            Some(recognizer) => recognizer,
            None => Recognizer::load(&self.model)?,
        };
        let found = shop_picture(&mut recognizer, bytes, Path::new("the picture"), region);
        *place = Some(recognizer);
        found
    }
}

/// What is said of a picture beside its bytes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PictureQuestion {
    /// The region of the body that the product covers; absent: the picture says it.
    region: Option<Region>,
    /// Products of the answer.
    #[serde(default = "ten")]
    most: usize,
}

pub fn routes() -> Router<Hub> {
    Router::new().route("/api/search", post(search)).layer(DefaultBodyLimit::max(MOST_PICTURE))
}

async fn search(
    State(hub): State<Hub>,
    searcher: Searcher,
    asked: std::result::Result<Query<PictureQuestion>, QueryRejection>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let is_picture = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"image/"));
    let question = match (is_picture, asked) {
        (false, _) if body.len() > MOST_BODY => Err(refuse(StatusCode::PAYLOAD_TOO_LARGE, "an embedding is shorter")),
        (false, _) => match serde_json::from_slice(&body) {
            Ok(query) => Ok((query, None)),
            Err(error) => Err(refuse(StatusCode::BAD_REQUEST, &error.to_string())),
        },
        (true, Ok(Query(asked))) => of_picture(&hub, &searcher, &asked, body).await,
        (true, Err(wrong)) => Err(refuse(StatusCode::BAD_REQUEST, &wrong.body_text())),
    };
    let (query, garment) = match question {
        Ok(question) => question,
        Err(refusal) => return refusal,
    };
    if let Some(why) = hub.search.wrong(&query) {
        return refuse(StatusCode::BAD_REQUEST, &why);
    }
    let detail = if is_picture { "by a picture" } else { "by an embedding" };
    // On its own: it comes to its end also where the asker has left.
    let found = tokio::spawn(find(hub, query, searcher.actor().to_owned(), detail));
    match timeout(PATIENCE, found).await {
        Ok(Ok(Ok(Some(hits)))) => answer(StatusCode::OK, &with_garment(garment, &hits)),
        Ok(Ok(Err(fault))) => failed(&fault),
        Ok(Err(_)) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the search ended before its answer"),
        Ok(Ok(Ok(None))) | Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the search takes too long"),
    }
}

/// The question that a picture asks, and what of the picture is asked after.
async fn of_picture(
    hub: &Hub,
    searcher: &Searcher,
    asked: &PictureQuestion,
    body: Bytes,
) -> std::result::Result<(HubQuery, Option<Value>), Response> {
    if matches!(searcher, Searcher::Mirror(_)) {
        return Err(refuse(StatusCode::FORBIDDEN, "a mirror sends no picture"));
    }
    let embedder = hub.embedder.clone();
    let Ok(turn) = embedder.turn.clone().try_acquire_owned() else {
        return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "another picture is being looked at: send it again"));
    };
    let region = asked.region;
    let embed = move || {
        let found = embedder.embed(&body, region);
        // Held to the end, even where the client has left.
        drop(turn);
        found
    };
    match spawn_blocking(embed).await {
        Ok(Ok(found)) => {
            let query = hub.search.about(&found.detection, region, asked.most);
            let garment = json!({
                "region": query.region,
                "box": found.detection.bounds.corners(),
                "score": found.detection.score,
            });
            Ok((query, Some(garment)))
        }
        Ok(Err(fault)) if fault.kind() == Kind::Input => Err(refuse(StatusCode::BAD_REQUEST, &fault.to_string())),
        Ok(Err(fault)) => Err(failed(&fault)),
        Err(_) => Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "the picture could not be looked at")),
    }
}

/// `None` where it takes too long: the database is told to leave it.
async fn find(hub: Hub, query: HubQuery, actor: String, detail: &'static str) -> Result<Option<Vec<HubHit>>> {
    let until = Instant::now() + PATIENCE;
    let client = hub.client(Use::Short).await?;
    note(&client, &actor, "search", detail).await.map_err(database_fault)?;
    // The semaphore is never closed.
    let Ok(_turn) = timeout_at(until, hub.searching.acquire()).await else { return Ok(None) };
    let client = hub.client(Use::Search).await?;
    let found = timeout_at(until, hub.search.ask(&client, &query)).await;
    if !matches!(found, Ok(Ok(_))) {
        // The statement ends, and with the connection a transaction that is still open there.
        *hub.clients[Use::Search as usize].lock().await = None;
        let _ = timeout(PATIENCE, client.cancel_token().cancel_query(NoTls)).await;
    }
    found.ok().transpose().map_err(database_fault)
}

fn with_garment(garment: Option<Value>, hits: &[HubHit]) -> Value {
    match garment {
        Some(garment) => json!({ "garment": garment, "products": hits }),
        None => json!({ "products": hits }),
    }
}
