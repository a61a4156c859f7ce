//! The page for staff, also on a phone: a product is enrolled by wearing it before the mirror, and it is said whether the last answers
//! were right. What changes something wants the password, and comes from the page.

use super::answers::json_response;
use super::api::parse;
use super::blur::blurred;
use super::client::ClientAddress;
use super::view::QUALITY;
use super::{App, LiveView, in_turn, texts};
use crate::audit::AuditAction;
use crate::catalogue::correction::Judgement;
use crate::catalogue::{Catalogue, Product, WornProduct};
use crate::fault::{Fault, Kind, Result};
use crate::live::enrol_desk::{EnrolOrder, EnrolPhase};
use crate::pipeline::enrol::{CONSENT, EnrolTarget, WornAt, scan};
use crate::sync::other_shops;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

/// A request's body is no longer.
const MOST_BYTES: usize = 16 << 10;
/// Products that a search finds.
const MOST_PRODUCTS: usize = 20;
/// What a worn view that came from a confirmed answer says of its camera.
const CONFIRMED: &str = "confirmed answer";

/// The routes of the page for staff.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/staff", get(page))
        .route("/staff.js", get(script))
        .route("/staff/products.json", get(products))
        .route("/staff/scan.json", get(scanned))
        .route("/staff/enrol.json", get(state))
        .route("/staff/enrol", post(ask))
        .route("/staff/agree", post(agree))
        .route("/staff/cancel", post(cancel))
        .route("/staff/undo", post(undo))
        .route("/staff/answers.json", get(answers))
        .route("/staff/crop.jpg", get(crop))
        .route("/staff/judge", post(judge))
        .route("/staff/take-back", post(take_back))
        .route("/staff/other-shops", post(elsewhere))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
}

#[derive(Deserialize)]
struct ProductSearch {
    #[serde(default)]
    q: String,
}

/// The products that are worn.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "the worn products' ids, such as {\"products\": [\"TEE-M\"]}")]
struct WornNow {
    products: Vec<String>,
    /// The part of the body of some of them, where the catalogue says it wrong or not at all.
    #[serde(default)]
    regions: WornAt,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an enrolment's number, such as {\"number\": 3}")]
struct UndoEnrolment {
    number: i64,
}

/// An answer whose crop is wanted, whose judgement is taken back, or that other shops are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an answer's number, such as {\"number\": 3}")]
struct AnswerNumber {
    number: u64,
}

/// A judgement of an answer.
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "what is said of an answer, such as {\"number\": 3, \"judgement\": \"right\"}"
)]
struct JudgeAnswer {
    number: u64,
    #[serde(flatten)]
    judgement: Judgement,
    /// The view becomes a worn view of the product that it was.
    #[serde(default)]
    keep: bool,
}

async fn page(State(app): State<App>, headers: HeaderMap) -> Response {
    texts::page(&app, &headers, include_str!("staff.html"))
}

async fn script() -> Response {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("staff.js")).into_response()
}

/// Products whose id, title or GTIN contains every word, with their worn views; those without any first.
async fn products(State(app): State<App>, Query(search): Query<ProductSearch>) -> Response {
    let path = app.catalogue();
    let find = move || -> Result<Value> {
        let catalogue = Catalogue::open(&path)?;
        let worn = catalogue.worn_views()?;
        let words: Vec<String> = search.q.split_whitespace().map(str::to_lowercase).collect();
        let mut found: Vec<Value> = Vec::new();
        let mut products = catalogue.list()?;
        let has = |product: &Product, word: &String| {
            product.id.to_lowercase().contains(word)
                || product.title.to_lowercase().contains(word)
                || product.gtin.as_ref().is_some_and(|gtin| gtin.contains(word))
                || product.has_code(word)
        };
        products.retain(|(product, _)| words.iter().all(|word| has(product, word)));
        products.sort_by_key(|(product, _)| worn.get(&product.id).copied().unwrap_or(0) > 0);
        for (product, _) in products.iter().take(MOST_PRODUCTS) {
            let views = worn.get(&product.id).copied().unwrap_or(0);
            found.push(json!({
                "id": product.id, "title": product.title, "color": product.color, "region": product.region(),
                "worn_views": views,
            }));
        }
        Ok(json!({ "found": products.len(), "products": found }))
    };
    answer(in_turn(&app.reading, find).await)
}

/// The product whose QR code the camera sees now.
async fn scanned(State(app): State<App>) -> Response {
    let (path, links) = (app.catalogue(), app.links.clone());
    let read = move || -> Result<Value> {
        let Some(picture) = links.status.newest_picture.get() else {
            return Err(Fault::new(Kind::Unavailable, "there is no picture").cure("see whether the camera is there"));
        };
        let codes = scan::codes(&picture);
        let catalogue = Catalogue::open(&path)?;
        for code in &codes {
            if let Some(product) = scan::product(&catalogue, code)? {
                return Ok(json!({ "product": { "id": product.id, "title": product.title } }));
            }
        }
        Ok(json!({ "product": null, "codes": codes.len() }))
    };
    answer(in_turn(&app.encoding, read).await)
}

async fn state(State(app): State<App>) -> Response {
    let mut value = json!(app.links.enrol.state.get());
    value["consent"] = json!(CONSENT);
    value["may_change"] = json!(app.guard.has_password());
    json_response(StatusCode::OK, &value)
}

async fn ask(State(app): State<App>, who: Extension<ClientAddress>, headers: HeaderMap, body: Bytes) -> Response {
    let links = app.links.clone();
    change(&app, (&headers, who.0), AuditAction::Enrol, move |catalogue| {
        let worn: WornNow = parse(&body)?;
        if !links.enrol.state.get().is_free() {
            return Err(Fault::new(Kind::Busy, "an enrolment is under way").cure("wait for its end, or cancel it"));
        }
        let targets = EnrolTarget::find(catalogue, &worn.products, &links.enrol.regions.get(), &worn.regions)?;
        let asked: Vec<String> = targets.iter().map(|target| target.id.clone()).collect();
        links.enrol.orders.put(EnrolOrder::Ask(targets));
        Ok((format!("asked: {}", asked.join(", ")), json!({ "asked": asked })))
    })
    .await
}

async fn agree(State(app): State<App>, Extension(client): Extension<ClientAddress>, headers: HeaderMap) -> Response {
    if !app.guard.may_serve(&headers) {
        return forbidden(&app, &headers);
    }
    // Only somebody who was asked agrees: a consent without a line in the log must not be.
    if app.links.enrol.state.get().phase != EnrolPhase::Asking {
        let error = "nobody is asked at this moment: wait until the phase is \"asking\"";
        return json_response(StatusCode::CONFLICT, &json!({ "error": error }));
    }
    let (audit, links, role) = (app.audit.clone(), app.links.clone(), app.guard.role(&headers));
    let agree = move || {
        audit.write(client, role, AuditAction::Enrol, "agreed");
        links.enrol.orders.put(EnrolOrder::Agree);
        Ok(json!({}))
    };
    answer(in_turn(&app.reading, agree).await)
}

async fn cancel(State(app): State<App>, headers: HeaderMap) -> Response {
    if !app.guard.may_serve(&headers) {
        return forbidden(&app, &headers);
    }
    app.links.enrol.orders.put(EnrolOrder::Cancel);
    json_response(StatusCode::OK, &json!({}))
}

async fn undo(State(app): State<App>, who: Extension<ClientAddress>, headers: HeaderMap, body: Bytes) -> Response {
    change(&app, (&headers, who.0), AuditAction::UndoEnrol, move |catalogue| {
        let wanted: UndoEnrolment = parse(&body)?;
        let undone = catalogue.undo_enrolment(Some(wanted.number))?;
        log::info!("enrolment {} was undone on the page", undone.number);
        let detail = format!("enrolment {} undone: {}", undone.number, undone.views_text());
        Ok((detail, json!({ "undone": undone })))
    })
    .await
}

async fn answers(State(app): State<App>) -> Response {
    let now = app.links.clock.now();
    json_response(StatusCode::OK, &json!({ "answers": app.links.answers.list(now), "other_shops": app.other_shops }))
}

/// What the camera saw of an answer's garment: blurred as the live picture is, unless that may be seen in full. Nothing that the browser
/// may keep: [`super::guard::check`] says so of every answer.
async fn crop(
    State(app): State<App>,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
    Query(wanted): Query<AnswerNumber>,
) -> Response {
    let Some(crop) = app.links.answers.crop(wanted.number, app.links.clock.now()) else {
        return (StatusCode::NOT_FOUND, "there is no picture of this answer\n").into_response();
    };
    let is_full = app.live_view == LiveView::Full;
    let encode = move || if is_full { crop.jpeg(QUALITY) } else { blurred(&crop).jpeg(QUALITY) };
    let Some(jpeg) = in_turn(&app.encoding, encode).await.flatten() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    app.audit.seldom(client, app.guard.role(&headers), AuditAction::StaffCrop);
    ([(CONTENT_TYPE, "image/jpeg")], jpeg).into_response()
}

async fn judge(State(app): State<App>, who: Extension<ClientAddress>, headers: HeaderMap, body: Bytes) -> Response {
    let links = app.links.clone();
    change(&app, (&headers, who.0), AuditAction::Correct, move |catalogue| {
        let said: JudgeAnswer = parse(&body)?;
        let Some((judged, view)) = links.answers.get(said.number, links.clock.now()) else {
            return Err(Fault::new(
                Kind::Usage,
                "this answer is not there any more: it was replaced, or is older than ten minutes",
            ));
        };
        let (product, verdict) = match &said.judgement {
            Judgement::Right => (Some(judged.shown.clone()), "right".to_owned()),
            Judgement::Other(id) => (Some(id.clone()), format!("it was {id}")),
            Judgement::NotOurs => (None, "not ours".to_owned()),
        };
        let kept = match (product, catalogue.stamp()?) {
            (Some(id), Some(model)) if said.keep && model.descriptor_hash == judged.descriptor_hash => {
                let worn = WornProduct { id, views: vec![view] };
                catalogue.correct_and_enrol(&judged, &said.judgement, CONFIRMED, &model, worn)?
            }
            _ => catalogue.correct(&judged, &said.judgement)?,
        };
        let number = kept.enrolment.as_ref().map(|enrolment| enrolment.number);
        links.answers.mark_judged(said.number, kept);
        let kept_as = number.map_or_else(String::new, |number| format!(", kept as enrolment {number}"));
        Ok((format!("{} was shown: {verdict}{kept_as}", judged.shown), json!({ "enrolment": number })))
    })
    .await
}

async fn take_back(State(app): State<App>, who: Extension<ClientAddress>, headers: HeaderMap, body: Bytes) -> Response {
    let links = app.links.clone();
    change(&app, (&headers, who.0), AuditAction::TakeBack, move |catalogue| {
        let wanted: AnswerNumber = parse(&body)?;
        let Some(said) = links.answers.said(wanted.number, links.clock.now()) else {
            return Err(Fault::new(Kind::Usage, "nobody judged this answer, or it is older than ten minutes"));
        };
        catalogue.take_back(&said)?;
        links.answers.mark_open(wanted.number);
        let undone = said.enrolment.map_or_else(String::new, |kept| format!(", enrolment {} undone", kept.number));
        Ok((format!("{} was shown{undone}", said.answer.shown), json!({})))
    })
    .await
}

/// Which other shops sell what was seen: the hub is asked, if the configuration says so.
async fn elsewhere(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Response {
    if !app.guard.may_serve(&headers) {
        return forbidden(&app, &headers);
    }
    let (path, links, is_allowed) = (app.catalogue(), app.links.clone(), app.other_shops);
    let ask = move || -> Result<Value> {
        let wanted: AnswerNumber = parse(&body)?;
        if !is_allowed {
            return Err(Fault::new(Kind::Usage, "other shops are not asked here").cure("set sync.other_shops"));
        }
        let question = links.answers.question(wanted.number, links.clock.now());
        let question = question.ok_or_else(|| Fault::new(Kind::Usage, "this answer is not there any more"))?;
        let own = Catalogue::open(&path)?.release()?.map(|mark| mark.shop);
        Ok(json!({ "products": other_shops::ask(&path, own.as_deref(), &question)? }))
    };
    answer(in_turn(&app.asking_hub, ask).await)
}

/// Does something to the catalogue, off the thread that serves, for the page with a password. `what` says what was done, for the audit
/// log and for the page.
async fn change(
    app: &App,
    (headers, client): (&HeaderMap, ClientAddress),
    action: AuditAction,
    what: impl FnOnce(&mut Catalogue) -> Result<(String, Value)> + Send + 'static,
) -> Response {
    if !app.guard.may_serve(headers) {
        return forbidden(app, headers);
    }
    let (path, audit, role) = (app.catalogue(), app.audit.clone(), app.guard.role(headers));
    let work = move || {
        let (detail, done) = what(&mut Catalogue::open(&path)?)?;
        audit.write(client, role, action, &detail);
        Ok(done)
    };
    answer(in_turn(&app.reading, work).await)
}

fn forbidden(app: &App, headers: &HeaderMap) -> Response {
    json_response(StatusCode::FORBIDDEN, &json!({ "error": app.guard.needs_page(headers) }))
}

fn answer(done: Option<Result<Value>>) -> Response {
    let fault = match done {
        Some(Ok(value)) => return json_response(StatusCode::OK, &value),
        Some(Err(fault)) => fault,
        None => Fault::new(Kind::Internal, "it was ended"),
    };
    let status = match fault.kind() {
        Kind::Usage => StatusCode::NOT_FOUND,
        Kind::Input => StatusCode::BAD_REQUEST,
        Kind::Busy => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    json_response(status, &json!({ "error": fault.to_string() }))
}
