//! The fleet: enrolment by one-time codes, keys of mirrors, releases that are given to some mirrors first and to more while those
//! stay well.

use super::database::{Database, SqlResult, database_fault};
use super::publish::PublishReport;
use super::status::{MIRRORS, MirrorStatus, ShopStatus, mirror_status};
use crate::fault::{Fault, Kind, Result};
use crate::sync::source::is_shop_name;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// A share of mirrors that stays well becomes the next of these, percent.
const STEPS: [i32; 2] = [50, 100];
/// A mirror that was silent for so long is not well.
const SILENT: f64 = 600.0;
/// More unwell mirrors of those that have the release stop it: one in ten.
const TOLERATED: f64 = 0.1;
/// More of them that do not have it yet are too many to tell by the others.
const UNTRIED: f64 = 0.2;
/// A release that all mirrors of its shop may have.
const FOR_ALL: &str = "share = 100 and stopped is null";

/// A one-time code for the mirror, whose name is free.
///
/// # Errors
/// [`Kind::Usage`] where there is no such shop, or a mirror of this name has joined.
pub async fn invite(client: &Client, shop: &str, mirror: &str, hours: u16, actor: &str) -> Result<String> {
    if !is_shop_name(mirror) {
        return Err(Fault::new(Kind::Usage, format!("{mirror:?} is no name of a mirror"))
            .cure("use letters, digits, hyphens and dots"));
    }
    let code = random_hex::<8>()?;
    let query = "with made as (insert into enrolment select $1, name, $3, now() + make_interval(hours => $4)
                   from shop where name = $2 and not exists (select 1 from mirror where name = $3 and revoked is null)
                   returning 1),
                 noted as (insert into audit (actor, action, detail) select $5, 'enrol', $3 || ' of ' || $2 from made)
                 select count(*) from made";
    let made = client.query_one(query, &[&hash(&code), &shop, &mirror, &i32::from(hours), &actor]).await;
    match made.map_err(database_fault)?.get::<_, i64>(0) {
        0 => Err(Fault::new(
            Kind::Usage,
            format!("there is no shop {shop:?}, or a mirror {mirror:?} has joined already"),
        )
        .cure("import a feed for the shop first; revoke the mirror's key before it joins anew")),
        _ => Ok(code),
    }
}

/// Gives a mirror its key for a code; the mirror's name. `None` for a code that is unknown, used or expired, and for one whose mirror has
/// joined by another: its key stays its own.
pub async fn join(client: &Client, code: &str, token: &str) -> SqlResult<Option<String>> {
    let query =
        "with used as (delete from enrolment where code_sha256 = $1 and expires > now() returning shop, mirror),
                 joined as (insert into mirror (name, shop, token_sha256) select mirror, shop, $2 from used
                   on conflict (name) do update set shop = excluded.shop, token_sha256 = excluded.token_sha256,
                   joined = now(), revoked = null, last_seen = null, heartbeat = null
                   where mirror.revoked is not null returning name),
                 noted as (insert into audit (actor, action, detail) select name, 'join', '' from joined)
                 select name from joined";
    let row = client.query_opt(query, &[&hash(code), &hash(token)]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Takes the mirror's key from it, and the codes by which it could join.
///
/// # Errors
/// [`Kind::Usage`] where no such mirror has any.
pub async fn revoke(client: &Client, mirror: &str, actor: &str) -> Result<()> {
    let query = "with taken as (update mirror set revoked = now() where name = $1 and revoked is null returning 1),
                 unused as (delete from enrolment where mirror = $1 returning 1),
                 gone as (select 1 from taken union select 1 from unused),
                 noted as (insert into audit (actor, action, detail) select $2, 'revoke', $1 from gone)
                 select count(*) from gone";
    match client.query_one(query, &[&mirror, &actor]).await.map_err(database_fault)?.get::<_, i64>(0) {
        0 => Err(Fault::new(Kind::Usage, format!("no mirror {mirror:?} has a key or a code"))
            .cure("see `vetrina hub status`")),
        _ => Ok(()),
    }
}

/// Whose key this is: the mirror's name and shop.
pub async fn owner(client: &Client, token: &str) -> SqlResult<Option<(String, String)>> {
    let query = "select name, shop from mirror where token_sha256 = $1 and revoked is null";
    let row = client.query_opt(query, &[&hash(token)]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

/// Makes this connection the only one that publishes the shop, until it ends: another folder's publication would give the same number to other
/// content, and mirrors refuse one of the two.
///
/// # Errors
/// [`Kind::Busy`] while another one publishes it.
pub fn lock_publication(database: &mut Database, shop: &str) -> Result<()> {
    let is_ours = database.run(async |client| {
        // One that was killed may hold it for the length of its last statement.
        client.batch_execute("set lock_timeout = '3s'").await?;
        let locked = client.execute("select pg_advisory_lock(hashtextextended($1, 2))", &[&shop]).await;
        client.batch_execute("set lock_timeout = 0").await?;
        match locked {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => Ok(false),
            locked => locked.map(|_| true),
        }
    })?;
    if is_ours {
        return Ok(());
    }
    Err(Fault::new(Kind::Busy, format!("another program publishes {shop}")).cure("wait until it has finished"))
}

/// The number of the newest release of a shop; 0 before the first.
pub fn newest_release(database: &mut Database, shop: &str) -> Result<u64> {
    newest(database, shop, "true")
}

/// The newest release of a shop that all of its mirrors may have; 0 before the first.
pub fn newest_for_all(database: &mut Database, shop: &str) -> Result<u64> {
    newest(database, shop, FOR_ALL)
}

fn newest(database: &mut Database, shop: &str, which: &str) -> Result<u64> {
    let newest = database.run(async |client| {
        let query = format!("select coalesce(max(number), 0) from release where shop = $1 and {which}");
        client.query_one(&query, &[&shop]).await.map(|row| row.get::<_, i64>(0))
    })?;
    Ok(u64::try_from(newest).unwrap_or(0))
}

/// Notes a release, and to which share of the shop's mirrors it is given.
pub fn note_release(database: &mut Database, report: &PublishReport, share: i32, actor: &str) -> Result<()> {
    let (number, products) = (report.release as i64, report.products as i64);
    database.run(async |client| {
        let query = "with made as (insert into release (shop, number, state, products, share)
                       values ($1, $2, $3, $4, $5) on conflict do nothing returning 1),
                     noted as (insert into audit (actor, action, detail)
                       select $6, 'publish', $1 || ' ' || $2::text || ', ' || $5::text || ' percent' from made)
                     select 1";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&report.shop, &number, &report.state, &products, &share, &actor];
        client.execute(query, &values).await.map(drop)
    })
}

/// Refuses a release that not all mirrors of its shop may have: whoever follows a store would get it.
///
/// # Errors
/// [`Kind::Usage`] where it is one.
pub fn require_for_all(database: &mut Database, report: &PublishReport) -> Result<()> {
    let number = report.release as i64;
    let row = database.run(async |client| {
        let query = "select share, stopped from release where shop = $1 and number = $2";
        client.query_opt(query, &[&report.shop, &number]).await
    })?;
    let why = match row.map(|row| (row.get::<_, i32>(0), row.get::<_, Option<String>>(1))) {
        Some((_, Some(why))) => format!("was stopped ({why})"),
        Some((share, None)) if share < 100 => format!("is given to {share} % of its mirrors only"),
        _ => return Ok(()),
    };
    let PublishReport { shop, release, .. } = report;
    Err(Fault::new(Kind::Usage, format!("release {release} of {shop} {why}: it was not copied to the store"))
        .cure(format!("give it to all with `vetrina hub roll-out {shop} --share 100`, or publish another one")))
}

/// Which release of its shop a mirror is given: the newest that is not stopped, where it is among those that get it, else the newest that
/// all get. One that it has already, `has` or by its report, stays: mirrors refuse a lower number. `None` before the first.
pub async fn release_for(client: &Client, shop: &str, mirror: &str, has: i64) -> SqlResult<Option<i64>> {
    // The names of all mirrors are read only where a release goes to some of them.
    let query = format!(
        "with had as (select greatest($3::bigint,
                   (select (heartbeat::json->>'release')::bigint from mirror where name = $2)) as number)
                 select release.number, share, stopped is null, release.number <= had.number,
                 case when share < 100 and stopped is null
                   then (select array_agg(name) from mirror where shop = $1 and revoked is null) end
                 from release, had where shop = $1 and release.number >= coalesce(
                   (select max(number) from release where shop = $1 and {FOR_ALL}), 0)
                 order by release.number desc"
    );
    let rows = client.query(&query, &[&shop, &mirror, &has]).await?;
    let is_given = |row: &&tokio_postgres::Row| {
        let all = row.get::<_, Option<Vec<String>>>(4).unwrap_or_default();
        row.get(3) || (row.get(2) && is_among(mirror, row.get(1), all.iter().map(String::as_str)))
    };
    Ok(rows.iter().find(is_given).map(|row| row.get(0)))
}

/// Whether a mirror of a shop, of which these are `all`, gets what a share of them gets, percent: those whose place is below it, and the
/// first of them in any case. None gets what is given to no percent.
fn is_among<'a>(mirror: &str, share: i32, mut all: impl Iterator<Item = &'a str>) -> bool {
    let place = |name: &str| (bucket(name), name.to_owned());
    share > 0 && (bucket(mirror) < share || all.all(|other| place(mirror) <= place(other)))
}

/// A mirror's place among a hundred, by its name.
fn bucket(mirror: &str) -> i32 {
    let hash = Sha256::digest(mirror.as_bytes());
    i32::from(u16::from_le_bytes([hash[0], hash[1]]) % 100)
}

/// The next step of a release that not all mirrors have yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolloutVerdict {
    /// Not all of its mirrors have it, or not for long enough.
    Wait,
    /// To this share, percent.
    Widen(i32),
    /// It goes to no more: why.
    Stop(String),
}

/// The mirrors of a shop that get what this share of them gets. `mirrors` are all of them.
fn among(share: i32, mirrors: &[MirrorStatus]) -> Vec<&MirrorStatus> {
    let joined = || mirrors.iter().filter(|mirror| !mirror.revoked);
    let all = || joined().map(|mirror| mirror.mirror.as_str());
    joined().filter(|mirror| is_among(&mirror.mirror, share, all())).collect()
}

/// Judges by the mirrors that get the release. `age` is how long they have been given it.
pub fn judge(release: i64, share: i32, age: Duration, soak: Duration, mirrors: &[MirrorStatus]) -> RolloutVerdict {
    let mine = among(share, mirrors);
    let is_unwell = |mirror: &&&MirrorStatus| {
        let silent = mirror.last_seen_seconds.is_some_and(|age| age > SILENT);
        mirror.release == Some(release) && (silent || !mirror.reasons.is_empty())
    };
    let unwell: Vec<&str> = mine.iter().filter(is_unwell).map(|mirror| mirror.mirror.as_str()).collect();
    if unwell.len() as f64 > TOLERATED * mine.len() as f64 {
        return RolloutVerdict::Stop(format!(
            "{} of {} mirrors are not well: {}",
            unwell.len(),
            mine.len(),
            first_names(&unwell)
        ));
    }
    if age < soak || missing(release, share, mirrors).is_some() {
        return RolloutVerdict::Wait;
    }
    RolloutVerdict::Widen(STEPS.into_iter().find(|step| *step > share).unwrap_or(100))
}

/// Why a release goes to no more mirrors, whether they are well or not: too few have it to tell. `None` where enough have it.
fn missing(release: i64, share: i32, mirrors: &[MirrorStatus]) -> Option<String> {
    let mine = among(share, mirrors);
    let lacks = |mirror: &&&MirrorStatus| mirror.release.is_none_or(|number| number < release);
    let lacking: Vec<&str> = mine.iter().filter(lacks).map(|mirror| mirror.mirror.as_str()).collect();
    match (mine.len(), lacking.len()) {
        (0, _) => Some("no mirror that could try it has joined".into()),
        (all, lacking_some) if lacking_some as f64 > UNTRIED * all as f64 => {
            Some(format!("{lacking_some} of {all} mirrors do not have it yet: {}", first_names(&lacking)))
        }
        _ => None,
    }
}

/// Says of each shop why its newest release goes to no more mirrors for now.
pub fn explain(shops: &mut [ShopStatus], mirrors: &[MirrorStatus]) {
    for shop in shops {
        let (Some(release), Some(share @ ..100), None) = (shop.release, shop.share, &shop.stopped) else { continue };
        let own: Vec<MirrorStatus> = mirrors.iter().filter(|mirror| mirror.shop == shop.shop).cloned().collect();
        shop.waits = Some(match share {
            0 => format!("it is held back until `vetrina hub roll-out {} --share`", shop.shop),
            _ => missing(release, share, &own).unwrap_or_else(|| "its mirrors must be well for a while".into()),
        });
    }
}

/// So many names that a line has room for.
fn first_names(names: &[&str]) -> String {
    let more = if names.len() > 5 { ", ..." } else { "" };
    names[..names.len().min(5)].join(", ") + more
}

/// What an operator makes of a roll-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolloutChange {
    /// To so many percent of the mirrors, also where it was stopped. Mirrors that have the release keep it.
    Share(u8),
    /// It goes to no more: why.
    Stop(String),
}

/// Changes the roll-out of the newest release of a shop.
///
/// # Errors
/// [`Kind::Usage`] where the shop has no release.
pub async fn change_roll_out(client: &Client, shop: &str, change: &RolloutChange, actor: &str) -> Result<()> {
    let (share, why) = match change {
        RolloutChange::Share(share) => (Some(i32::from(*share)), None),
        RolloutChange::Stop(why) => (None, Some(why)),
    };
    let query = "with changed as (update release set share = coalesce($2::integer, share), share_since = now(),
                   stopped = $3::text where shop = $1 and number = (select max(number) from release where shop = $1)
                   returning number),
                 noted as (insert into audit (actor, action, detail) select $4, 'roll-out',
                   $1 || ' ' || number::text || ': ' || coalesce('stopped: ' || $3, $2::text || ' percent') from changed)
                 select count(*) from changed";
    match client.query_one(query, &[&shop, &share, &why, &actor]).await.map_err(database_fault)?.get::<_, i64>(0) {
        0 => Err(Fault::new(Kind::Usage, format!("the shop {shop:?} has no release")).cure("publish one first")),
        _ => Ok(()),
    }
}

/// Widens or stops the releases that are being rolled out.
pub async fn advance(client: &Client, soak: Duration) -> SqlResult<()> {
    let query = "select shop, number, share, extract(epoch from now() - share_since)::float8 from release as newest
                 where share < 100 and stopped is null
                 and number = (select max(number) from release where shop = newest.shop)";
    let rows = client.query(query, &[]).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let mirrors: Vec<MirrorStatus> = client.query(MIRRORS, &[]).await?.iter().map(mirror_status).collect();
    for row in rows {
        let (shop, number, share): (String, i64, i32) = (row.get(0), row.get(1), row.get(2));
        let age = Duration::from_secs_f64(row.get::<_, f64>(3).max(0.0));
        let of_shop: Vec<MirrorStatus> = mirrors.iter().filter(|mirror| mirror.shop == shop).cloned().collect();
        let (next, stopped) = match judge(number, share, age, soak, &of_shop) {
            RolloutVerdict::Wait => continue,
            RolloutVerdict::Widen(share) => (share, None),
            RolloutVerdict::Stop(why) => (share, Some(why)),
        };
        // Another hub on the same database judges as well: each step is taken once, and a stop counts whatever the other has done.
        let query = "with changed as (update release set share = $3, share_since = now(), stopped = $4
                       where shop = $1 and number = $2 and stopped is null and (share = $5 or $4::text is not null) returning 1)
                     insert into audit (actor, action, detail) select 'hub serve', 'roll-out',
                       $1 || ' ' || $2::text || ': ' || coalesce('stopped: ' || $4, $3::text || ' percent') from changed";
        client.execute(query, &[&shop, &number, &next, &stopped, &share]).await?;
    }
    Ok(())
}

/// SHA-256 of a code or a key: what the tables hold of it.
pub(super) fn hash(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// Random bytes in hexadecimal, for a code or a key.
pub fn random_hex<const BYTES: usize>() -> Result<String> {
    let mut bytes = [0u8; BYTES];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| Fault::new(Kind::Unavailable, "the system gives no random numbers").cause(error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(name: &str, release: i64, reasons: &[&str], seen: f64) -> MirrorStatus {
        MirrorStatus {
            mirror: name.into(),
            shop: "berlin".into(),
            revoked: false,
            last_seen_seconds: Some(seen),
            version: None,
            release: Some(release),
            reasons: reasons.iter().map(|reason| (*reason).to_owned()).collect(),
            frames_per_second: None,
            temperature_celsius: None,
            answers: None,
            address: None,
            judged: 0,
            judged_right: 0,
        }
    }

    #[test]
    fn a_release_widens_while_its_mirrors_are_well_and_stops_when_they_are_not() {
        let names: Vec<String> = (0..100).map(|number| format!("mirror-{number}")).collect();
        let first = names.iter().filter(|name| bucket(name) < 5).count();
        assert!((1..15).contains(&first), "{first}");
        let with = |release: i64, reasons: &[&str], seen: f64| -> Vec<MirrorStatus> {
            names.iter().map(|name| mirror(name, if bucket(name) < 5 { release } else { 1 }, reasons, seen)).collect()
        };
        let (soak, long) = (Duration::from_secs(600), Duration::from_secs(700));
        let judged = |share, age, mirrors: &[MirrorStatus]| judge(2, share, age, soak, mirrors);
        assert_eq!(judged(5, Duration::from_secs(60), &with(2, &[], 5.0)), RolloutVerdict::Wait);
        assert_eq!(judged(5, long, &with(1, &[], 5.0)), RolloutVerdict::Wait, "nobody has it");
        assert_eq!(judged(5, long, &with(2, &[], 5.0)), RolloutVerdict::Widen(50));
        assert!(matches!(judged(5, Duration::ZERO, &with(2, &["camera"], 5.0)), RolloutVerdict::Stop(_)));
        assert!(matches!(judged(5, long, &with(2, &[], 1e4)), RolloutVerdict::Stop(_)), "they are silent");
        assert_eq!(judged(5, long, &with(1, &["camera"], 5.0)), RolloutVerdict::Wait, "that was so before it");
        let all: Vec<MirrorStatus> = names.iter().map(|name| mirror(name, 2, &[], 5.0)).collect();
        assert_eq!(judged(50, long, &all), RolloutVerdict::Widen(100));
        assert_eq!(judged(5, long, &[]), RolloutVerdict::Wait, "nobody is there to try it");
        // Few mirrors, none of which is below the share: the first one tries it.
        let few = |release: i64| ["mirror-0", "mirror-1", "mirror-2"].map(|name| mirror(name, release, &[], 5.0));
        assert!(few(1).iter().all(|mirror| bucket(&mirror.mirror) > 1));
        assert_eq!(among(1, &few(1)).len(), 1);
        assert_eq!(
            [judged(1, long, &few(1)), judged(1, long, &few(2))],
            [RolloutVerdict::Wait, RolloutVerdict::Widen(50)]
        );
        let first = among(1, &few(1))[0].mirror.clone();
        let without: Vec<MirrorStatus> = few(1).into_iter().filter(|mirror| mirror.mirror != first).collect();
        assert_eq!(among(1, &without).len(), 1, "another one takes its place");
        assert!(among(0, &few(1)).is_empty());
        assert_eq!(judged(0, long, &all), RolloutVerdict::Wait, "it is given to none");
    }
}
