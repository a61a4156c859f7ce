//! What operators see: the fleet as a page, as JSON and as metrics, and where Prometheus finds the mirrors.

use super::{Hub, Use, answer, failed};
use crate::fault::Result;
use crate::hub::database::database_fault;
use crate::hub::mirrors::explain;
use crate::hub::status::{MIRRORS, MirrorStatus, SHOPS, ShopStatus, mirror_status, shop_status};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use html_escape::encode_text;
use serde_json::json;
use std::fmt::Write;

/// The port of a mirror's page, where Prometheus asks.
const MIRROR_PORT: u16 = 8080;
/// A mirror that was seen longer ago is away, seconds.
const AWAY: f64 = 300.0;

type Fleet = (Vec<ShopStatus>, Vec<MirrorStatus>);

pub fn routes() -> Router<Hub> {
    Router::new()
        .route("/", get(page))
        .route("/status.json", get(status_json))
        .route("/metrics", get(metrics))
        .route("/targets.json", get(targets))
}

async fn read(hub: &Hub) -> Result<Fleet> {
    let client = hub.client(Use::Short).await?;
    let shops = client.query(SHOPS, &[]).await.map_err(database_fault)?;
    let mirrors = client.query(MIRRORS, &[]).await.map_err(database_fault)?;
    let mut shops: Vec<ShopStatus> = shops.iter().map(shop_status).collect();
    let mirrors: Vec<MirrorStatus> = mirrors.iter().map(mirror_status).collect();
    explain(&mut shops, &mirrors);
    Ok((shops, mirrors))
}

async fn status_json(State(hub): State<Hub>) -> Response {
    match read(&hub).await {
        Ok((shops, mirrors)) => answer(StatusCode::OK, &json!({ "shops": shops, "mirrors": mirrors })),
        Err(fault) => failed(&fault),
    }
}

/// Prometheus's `http_sd_configs`.
async fn targets(State(hub): State<Hub>) -> Response {
    let mirrors = match read(&hub).await {
        Ok((_, mirrors)) => mirrors,
        Err(fault) => return failed(&fault),
    };
    let target = |mirror: MirrorStatus| {
        let address = mirror.address.filter(|_| !mirror.revoked)?;
        let host = if address.contains(':') { format!("[{address}]") } else { address };
        let target = format!("{host}:{MIRROR_PORT}");
        Some(json!({ "targets": [target], "labels": { "mirror": mirror.mirror, "shop": mirror.shop } }))
    };
    answer(StatusCode::OK, &mirrors.into_iter().filter_map(target).collect())
}

async fn metrics(State(hub): State<Hub>) -> Response {
    let (shops, mirrors) = match read(&hub).await {
        Ok(fleet) => fleet,
        Err(fault) => return failed(&fault),
    };
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics_text(&shops, &mirrors)).into_response()
}

fn metrics_text(shops: &[ShopStatus], mirrors: &[MirrorStatus]) -> String {
    let mut text = String::new();
    let mut family = |name: &str, help: &str, lines: Vec<(String, f64)>| {
        let _ = writeln!(text, "# HELP vetrina_hub_{name} {help}\n# TYPE vetrina_hub_{name} gauge");
        for (labels, value) in lines {
            let _ = writeln!(text, "vetrina_hub_{name}{{{labels}}} {value}");
        }
    };
    let shop = |of: fn(&ShopStatus) -> Option<f64>| -> Vec<(String, f64)> {
        shops.iter().filter_map(|shop| Some((format!("shop=\"{}\"", shop.shop), of(shop)?))).collect()
    };
    family("shop_products", "Products that a shop sells.", shop(|shop| Some(shop.products as f64)));
    family("shop_release", "Number of the newest release.", shop(|shop| shop.release.map(|number| number as f64)));
    family("shop_release_age_seconds", "Age of the newest release.", shop(|shop| shop.release_age_seconds));
    family("shop_release_share", "Percent of the mirrors that get it.", shop(|shop| shop.share.map(f64::from)));
    family(
        "shop_release_stopped",
        "1 where a roll-out was stopped.",
        shop(|shop| Some(f64::from(u8::from(shop.stopped.is_some())))),
    );
    let of = |value: fn(&MirrorStatus) -> Option<f64>| -> Vec<(String, f64)> {
        let there = mirrors.iter().filter(|mirror| !mirror.revoked);
        let labels = |one: &MirrorStatus| format!("mirror=\"{}\",shop=\"{}\"", one.mirror, one.shop);
        there.filter_map(|mirror| Some((labels(mirror), value(mirror)?))).collect()
    };
    family(
        "mirror_up",
        "1 where a mirror was seen lately and is well.",
        of(|mirror| Some(f64::from(u8::from(is_well(mirror))))),
    );
    family("mirror_last_seen_seconds", "Time since a mirror was seen.", of(|mirror| mirror.last_seen_seconds));
    family("mirror_release", "The release that it shows.", of(|mirror| mirror.release.map(|number| number as f64)));
    family("mirror_frames_per_second", "Frames that it recognizes.", of(|mirror| mirror.frames_per_second));
    family(
        "mirror_judged_answers",
        "Answers of the last 28 days that staff judged.",
        of(|mirror| Some(mirror.judged as f64)),
    );
    family("mirror_right_answers", "Those of them that were right.", of(|mirror| Some(mirror.judged_right as f64)));
    family("mirror_temperature_celsius", "Its hottest sensor.", of(|mirror| mirror.temperature_celsius));
    text
}

fn is_well(mirror: &MirrorStatus) -> bool {
    mirror.last_seen_seconds.is_some_and(|age| age < AWAY) && mirror.reasons.is_empty()
}

async fn page(State(hub): State<Hub>) -> Response {
    let (shops, mirrors) = match read(&hub).await {
        Ok(fleet) => fleet,
        Err(fault) => return failed(&fault),
    };
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'self'"),
    ];
    (headers, page_text(&shops, &mirrors)).into_response()
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>
<meta http-equiv=refresh content=10><title>Fleet</title><link rel=stylesheet href=/page.css><h1>Fleet</h1>";
const STYLE: &str = "body{font:16px system-ui;margin:1.5rem;color:#222;background:#fff}
table{border-collapse:collapse;margin:1rem 0}th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ddd}
.bad{background:#fde8e8}";

/// The page's style.
pub async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

fn page_text(shops: &[ShopStatus], mirrors: &[MirrorStatus]) -> String {
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.0}"));
    let mut text = HEAD.to_owned();
    text += "<table><tr><th>shop<th>products<th>release<th>age, s<th>share, %<th>";
    for shop in shops {
        let class = if shop.stopped.is_some() { " class=bad" } else { "" };
        let _ = write!(
            text,
            "<tr{class}><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
            encode_text(&shop.shop),
            shop.products,
            number(shop.release.map(|number| number as f64)),
            number(shop.release_age_seconds),
            number(shop.share.map(f64::from)),
            encode_text(shop.why_not_all())
        );
    }
    text += "</table><table><tr><th>mirror<th>shop<th>seen, s ago<th>version<th>release<th>frames/s<th>°C<th>answers<th>right<th>";
    for mirror in mirrors {
        let class = if is_well(mirror) { "" } else { " class=bad" };
        let wrong = if mirror.revoked { "revoked".to_owned() } else { mirror.reasons.join("; ") };
        let _ = write!(
            text,
            "<tr{class}><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
            encode_text(&mirror.mirror),
            encode_text(&mirror.shop),
            number(mirror.last_seen_seconds),
            encode_text(mirror.version.as_deref().unwrap_or("–")),
            number(mirror.release.map(|number| number as f64)),
            number(mirror.frames_per_second),
            number(mirror.temperature_celsius),
            number(mirror.answers.map(|answers| answers as f64)),
            mirror.confirmed(),
            encode_text(&wrong)
        );
    }
    text + "</table>"
}
