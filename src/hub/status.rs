//! What stands in the hub, for people and for programs.

use super::database::Database;
use crate::fault::Result;
use serde::Serialize;

/// The whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HubStatus {
    pub model: Option<String>,
    pub products: i64,
    pub pictures: i64,
    /// Pictures that wait for a worker.
    pub queued: i64,
    /// Pictures in which no garment was found.
    pub refused: i64,
    pub shops: Vec<ShopStatus>,
    pub mirrors: Vec<MirrorStatus>,
}

/// A shop.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShopStatus {
    pub shop: String,
    pub products: i64,
    /// The newest release; `None` before the first.
    pub release: Option<i64>,
    pub release_age_seconds: Option<f64>,
    /// The share of its mirrors that the newest release is given to, percent.
    pub share: Option<i32>,
    /// Why it is not given to more.
    pub stopped: Option<String>,
    /// Why it is not given to more yet: [`super::mirrors::explain`].
    pub waits: Option<String>,
}

impl ShopStatus {
    /// Why the newest release is not given to all; empty where it is.
    pub fn why_not_all(&self) -> &str {
        self.stopped.as_ref().or(self.waits.as_ref()).map_or("", String::as_str)
    }
}

/// A mirror, as of its last heartbeat.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MirrorStatus {
    pub mirror: String,
    pub shop: String,
    pub revoked: bool,
    pub last_seen_seconds: Option<f64>,
    pub version: Option<String>,
    pub release: Option<i64>,
    pub reasons: Vec<String>,
    pub frames_per_second: Option<f64>,
    pub temperature_celsius: Option<f64>,
    pub answers: Option<i64>,
    pub address: Option<String>,
    /// Answers of the last 28 days that staff judged, and how many of them were right.
    pub judged: i64,
    pub judged_right: i64,
}

impl MirrorStatus {
    /// "12 of 15, 80 %"; empty where nothing was judged.
    pub fn confirmed(&self) -> String {
        let (right, all) = (self.judged_right, self.judged);
        if all == 0 { String::new() } else { format!("{right} of {all}, {:.0} %", 100.0 * right as f64 / all as f64) }
    }
}

/// The shops, in the order of their names.
pub const SHOPS: &str = "
  select shop.name, (select count(*) from offer where offer.shop = shop.name), newest.number,
    extract(epoch from now() - newest.made)::float8, newest.share, newest.stopped
  from shop left join lateral (
    select * from release where release.shop = shop.name order by number desc limit 1
  ) as newest on true order by shop.name";

/// The mirrors, in the order of their names.
pub const MIRRORS: &str = "
  select name, shop, revoked is not null, extract(epoch from now() - last_seen)::float8, heartbeat, address, judged, right_ones
  from mirror left join lateral (
    select count(*) as judged, count(*) filter (where judgement = 'right') as right_ones from correction
    where correction.mirror = mirror.name
    and hour >= to_char((now() - interval '28 days') at time zone 'utc', 'YYYY-MM-DD\"T\"HH24')
  ) as said on true order by shop, name";

/// A row of [`SHOPS`].
pub fn shop_status(row: &tokio_postgres::Row) -> ShopStatus {
    ShopStatus {
        shop: row.get(0),
        products: row.get(1),
        release: row.get(2),
        release_age_seconds: row.get(3),
        share: row.get(4),
        stopped: row.get(5),
        waits: None,
    }
}

/// A row of [`MIRRORS`], the heartbeat as text.
pub fn mirror_status(row: &tokio_postgres::Row) -> MirrorStatus {
    let heartbeat: Option<String> = row.get(4);
    let said: serde_json::Value =
        heartbeat.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(serde_json::Value::Null);
    let reasons = said["reasons"].as_array().into_iter().flatten();
    MirrorStatus {
        mirror: row.get(0),
        shop: row.get(1),
        revoked: row.get(2),
        last_seen_seconds: row.get(3),
        version: said["version"].as_str().map(str::to_owned),
        release: said["release"].as_i64(),
        reasons: reasons.filter_map(|reason| reason.as_str().map(str::to_owned)).collect(),
        frames_per_second: said["frames_per_second"].as_f64(),
        temperature_celsius: said["temperature_celsius"].as_f64(),
        answers: said["answers"].as_i64(),
        address: row.get(5),
        judged: row.get(6),
        judged_right: row.get(7),
    }
}

/// Everything.
pub fn status(database: &mut Database) -> Result<HubStatus> {
    let model = database.model()?.map(|model| model.name);
    database.run(async |client| {
        let query = "select (select count(*) from product), (select count(*) from content),
                     (select count(*) from job), (select count(*) from refusal)";
        let counts = client.query_one(query, &[]).await?;
        let shops = client.query(SHOPS, &[]).await?.iter().map(shop_status).collect();
        let mirrors = client.query(MIRRORS, &[]).await?.iter().map(mirror_status).collect();
        Ok(HubStatus {
            model,
            products: counts.get(0),
            pictures: counts.get(1),
            queued: counts.get(2),
            refused: counts.get(3),
            shops,
            mirrors,
        })
    })
}
