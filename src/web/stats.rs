//! The counts by hour: as JSON and CSV, and a page with charts.

use super::answers::json_response;
use super::{App, in_turn, texts};
use crate::catalogue::Catalogue;
use crate::catalogue::correction::{ConfirmedWeek, weeks_csv};
use crate::clock::UtcTime;
use crate::events::counts::{CountReport, CountStore, ProductCounts};
use crate::fault::Result;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;

/// The page with the charts.
pub async fn page(State(app): State<App>, headers: HeaderMap) -> Response {
    texts::page(&app, &headers, include_str!("stats.html"))
}

/// Its style.
pub async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("stats.css")).into_response()
}

/// Its script.
pub async fn script() -> Response {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("stats.js")).into_response()
}

/// The query of a request.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StatsQuery {
    /// Number of days until now.
    days: u32,
    format: StatsFormat,
    /// What a line of CSV is of.
    by: StatsRow,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum StatsFormat {
    #[default]
    Json,
    Csv,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum StatsRow {
    #[default]
    Hour,
    Product,
    /// And part of the body: how often the mirror was right, as staff confirmed.
    Week,
}

impl Default for StatsQuery {
    fn default() -> Self {
        StatsQuery { days: 7, format: StatsFormat::Json, by: StatsRow::Hour }
    }
}

/// What is read of the files.
struct StatsReading {
    counts: CountReport,
    titles: HashMap<String, String>,
    confirmed: Vec<ConfirmedWeek>,
}

impl StatsReading {
    fn read(file: &Path, catalogue: &Path, days: u32) -> Result<Self> {
        let now = UtcTime::now();
        let store = CountStore::open_existing(file)?;
        let counts = store.map_or(Ok(CountReport::default()), |store| store.read(now, days))?;
        // The counts are worth showing without what the catalogue has.
        let catalogue = Catalogue::open(catalogue);
        let catalogue = catalogue.as_ref().ok();
        let titles = catalogue.and_then(|catalogue| catalogue.titles().ok()).unwrap_or_default();
        let confirmed = catalogue.and_then(|catalogue| catalogue.confirmed_within(days, now).ok()).unwrap_or_default();
        Ok(StatsReading { counts, titles, confirmed })
    }
}

/// The counts, as JSON or CSV.
pub async fn counts(State(app): State<App>, Query(asked): Query<StatsQuery>) -> Response {
    let Some(settings) = app.counts.clone() else {
        return json_response(StatusCode::NOT_FOUND, &json!({ "error": "nothing is counted: set stats.days" }));
    };
    let days = asked.days.clamp(1, settings.days);
    let catalogue = app.catalogue();
    let read = move || StatsReading::read(&settings.file, &catalogue, days);
    let StatsReading { counts, titles, confirmed } = match in_turn(&app.reading, read).await {
        Some(Ok(read)) => read,
        Some(Err(fault)) => {
            return json_response(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": fault.to_string() }));
        }
        None => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let csv = |name: &str, text: String| {
        let as_file = format!("attachment; filename=\"{name}.csv\"");
        ([(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, as_file)], text).into_response()
    };
    match (asked.format, asked.by) {
        (StatsFormat::Csv, StatsRow::Hour) => csv("hours", counts.hours_csv()),
        (StatsFormat::Csv, StatsRow::Product) => csv("products", counts.products_csv()),
        (StatsFormat::Csv, StatsRow::Week) => csv("confirmed", weeks_csv(&confirmed)),
        (StatsFormat::Json, _) => {
            let kept = app.counts.as_ref().map_or(0, |settings| settings.days);
            let product = |one: &ProductCounts| json!({ "product": one.product, "title": titles.get(&one.product), "shown": one.shown, "matched": one.matched });
            let products: Value = counts.products.iter().map(product).collect();
            let value = json!({
                "days": days, "kept_days": kept, "hours": counts.hours, "products": products, "confirmed": confirmed,
            });
            json_response(StatusCode::OK, &value)
        }
    }
}
