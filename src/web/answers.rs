//! The endpoints for programs: health, metrics, status, log and catalogue, as text and JSON.

use super::{App, in_turn, metrics};
use crate::catalogue::{Catalogue, Product};
use crate::fault::{Fault, Result};
use crate::live::{Phase, Report};
use crate::machine;
use crate::sync::SyncStatus;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// The longest search, characters; the page sends no longer one.
const LONGEST_SEARCH: usize = 200;
/// Products in the answer to one search.
const MOST: usize = 50;

/// An answer in JSON, indented, for people too.
pub fn json_response(status: StatusCode, value: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], format!("{value:#}\n")).into_response()
}

/// 200 while the mirror runs, degraded or not; 503 while it starts and stops.
pub async fn health(State(app): State<App>) -> Response {
    let report = app.links.report();
    let (status, word) = health_of(&report);
    json_response(
        status,
        &json!({
            "status": word, "reasons": report.reasons,
            "network": report.network, "fallback": report.fallback, "building": report.building,
        }),
    )
}

fn health_of(report: &Report) -> (StatusCode, &'static str) {
    match report.phase {
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
        Phase::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        Phase::Running if report.reasons.is_empty() => (StatusCode::OK, "running"),
        Phase::Running => (StatusCode::OK, "degraded"),
    }
}

/// The metrics in Prometheus' text format.
pub async fn metrics(State(app): State<App>) -> Response {
    let sync = app.links.status.sync.get();
    let around = metrics::Surroundings {
        release: sync.and_then(|sync| Some((sync.release.as_ref()?.number, sync.age_seconds()?))),
        resident_memory: machine::resident_memory(),
        connections: app.connections.open(),
        refused: app.connections.refused(),
    };
    let text = metrics::text(&app.links.report(), around);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Everything that the page shows of the running mirror.
pub async fn status(State(app): State<App>) -> Response {
    let report = app.links.report();
    let mut value = json!(report);
    value["status"] = health_of(&report).1.into();
    value["live_view"] = json!(app.live_view);
    value["resident_memory_bytes"] = machine::resident_memory().into();
    let status = &app.links.status;
    let matches_by_track = status.newest_matches.get();
    let picture = status.newest_picture.get();
    value["picture"] = picture.map_or(Value::Null, |picture| json!([picture.size().width, picture.size().height]));
    value["sync"] = status.sync.get().map_or(Value::Null, |sync| sync_json(&sync));
    let tracks = app.links.tracked_now();
    let tracked = tracks.as_ref().map_or(&[][..], |tracks| &tracks.garments);
    let garments = tracked.iter().map(|garment| {
        let matches = matches_by_track.get(&garment.track).map(|found| {
            let shown = found.matches.iter().map(|found| {
                let (product, offer) = (&found.product, found.product.offer(Timestamp::now(), None));
                json!({
                    "id": product.id, "title": product.title, "price": offer.price, "price_before": offer.before,
                    "score": found.score,
                })
            });
            shown.collect::<Vec<_>>()
        });
        json!({
            "track": garment.track.to_string(), "label": garment.label, "box": garment.bounds.corners(),
            "gathered": garment.gathered, "wanted": garment.wanted, "matches": matches,
        })
    });
    value["garments"] = garments.collect();
    json_response(StatusCode::OK, &value)
}

/// Which release is searched, how old it is, and how the hub answers.
fn sync_json(sync: &SyncStatus) -> Value {
    let release = sync.release.as_ref();
    json!({
        "source": sync.source, "shop": release.map(|mark| &mark.shop), "release": release.map(|mark| mark.number),
        "made": release.map(|mark| &mark.made), "age_seconds": sync.age_seconds(),
        "contact_age_seconds": sync.contact.map(|contact| contact.elapsed().as_secs()), "fault": sync.fault,
    })
}

/// The last lines of the log.
pub async fn log(State(app): State<App>) -> Response {
    json_response(StatusCode::OK, &json!({ "lines": app.tail.lines() }))
}

/// The words to search for.
#[derive(Deserialize)]
pub struct Search {
    #[serde(default)]
    q: String,
}

/// Products that contain all words of a search.
pub async fn catalogue(State(app): State<App>, Query(search): Query<Search>) -> Response {
    if search.q.chars().count() > LONGEST_SEARCH {
        let words = format!("a search has {LONGEST_SEARCH} characters at most");
        return json_response(StatusCode::BAD_REQUEST, &json!({ "error": words }));
    }
    let path = app.catalogue();
    // SQLite may have to wait for a running import.
    match in_turn(&app.reading, move || find(&path, &search.q)).await {
        Some(Ok(value)) => json_response(StatusCode::OK, &value),
        Some(Err(fault)) => fault_response(&fault),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn fault_response(fault: &Fault) -> Response {
    json_response(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": fault.to_string() }))
}

/// The products whose id, title, brand or kind contain every word, in the feed's order.
fn find(path: &Path, text: &str) -> Result<Value> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let products = Catalogue::open(path)?.list()?;
    let fits = |product: &Product| {
        let fields = [Some(&product.id), Some(&product.title), product.brand.as_ref(), product.product_type.as_ref()];
        let text = fields.into_iter().flatten().map(|field| field.to_lowercase()).collect::<Vec<_>>().join(" ");
        words.iter().all(|word| text.contains(word))
    };
    let found: Vec<_> = products.iter().filter(|(product, _)| fits(product)).collect();
    let shown: Vec<Value> = found
        .iter()
        .take(MOST)
        .map(|(product, pictures)| {
            let offer = product.offer(Timestamp::now());
            json!({
                "id": product.id, "title": product.title, "brand": product.brand, "price": offer.price,
                "price_before": offer.before, "availability": product.availability, "pictures": pictures,
            })
        })
        .collect();
    Ok(json!({ "found": found.len(), "products": shown }))
}
