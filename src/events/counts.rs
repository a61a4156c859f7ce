//! The counts by hour: an SQLite file of its own beside the catalogue. A count is a number of events of one kind in one hour; no
//! event is kept, and no person.

use crate::clock::UtcTime;
use crate::fault::{Fault, Kind, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// "VTRC": says that an SQLite file is ours.
const APPLICATION_ID: i32 = 0x5654_5243;
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
const HOUR: i64 = 3600;

/// Where they are kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountSettings {
    pub file: PathBuf,
    /// Days after which a count is deleted.
    pub days: u32,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CountKind {
    People,
    /// Milliseconds that people stayed who left in this hour.
    Dwell,
    /// By product.
    Matched,
    Refused,
    /// By product.
    Shown,
    StaffCalls,
}

impl CountKind {
    const ALL: [CountKind; 6] = [
        CountKind::People,
        CountKind::Dwell,
        CountKind::Matched,
        CountKind::Refused,
        CountKind::Shown,
        CountKind::StaffCalls,
    ];

    /// In the file.
    fn name(self) -> &'static str {
        match self {
            CountKind::People => "people",
            CountKind::Dwell => "dwell_ms",
            CountKind::Matched => "matched",
            CountKind::Refused => "refused",
            CountKind::Shown => "shown",
            CountKind::StaffCalls => "staff_calls",
        }
    }
}

/// CountReport that are not written yet, by hour (since 1970, UTC), kind and product ("" where it has none).
pub type PendingCounts = BTreeMap<(i64, CountKind, String), u64>;

/// The hour of a time.
pub fn hour_of(time: UtcTime) -> i64 {
    time.second().div_euclid(HOUR)
}

/// One hour's counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct HourCounts {
    /// The hour's beginning.
    pub hour: UtcTime,
    /// People who came.
    pub people: u64,
    /// How long people stayed who left in this hour, all together.
    pub dwell_seconds: f64,
    /// Garments with a product that is good enough to be shown, one for each of them.
    pub matched: u64,
    /// Garments that the catalogue has nothing like.
    pub refused: u64,
    /// Products that were on the screen for a second, each garment by itself.
    pub shown: u64,
    pub staff_calls: u64,
}

/// One product's counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProductCounts {
    /// The group of the product's variants, or its id where it has none.
    pub product: String,
    pub shown: u64,
    pub matched: u64,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CountReport {
    /// Hours in which something happened, the oldest first.
    pub hours: Vec<HourCounts>,
    /// The most often shown first.
    pub products: Vec<ProductCounts>,
}

/// The open file.
pub struct CountStore {
    connection: Connection,
    path: PathBuf,
}

impl CountStore {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    /// [`Kind::Storage`]: it cannot be written, or is something else.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|error| Fault::io(Kind::Storage, "make the folder", folder, error))?;
        }
        let fail = |error| sql_fault(path, "open", error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(fail)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
        let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(fail)?;
        let tables: i64 =
            connection.query_row("select count(*) from sqlite_schema", [], |row| row.get(0)).map_err(fail)?;
        if id != APPLICATION_ID && (id != 0 || tables > 0) {
            let text = format!("{} is no file of counts", path.display());
            return Err(Fault::new(Kind::Storage, text).cure("name another file in stats.file"));
        }
        let text = format!(
            "pragma trusted_schema = off; pragma journal_mode = wal; pragma synchronous = normal;
             pragma application_id = {APPLICATION_ID};
             create table if not exists counts(
               hour integer not null, what text not null, product text not null, count integer not null,
               primary key (hour, what, product)) strict, without rowid;"
        );
        connection.execute_batch(&text).map_err(fail)?;
        Ok(CountStore { connection, path: path.into() })
    }

    /// Opens a file that is there, to read it; `None` where there is none yet.
    pub fn open_existing(path: &Path) -> Result<Option<Self>> {
        if path.exists() { CountStore::open(path).map(Some) } else { Ok(None) }
    }

    /// Adds what is pending, in one transaction: all of it or none.
    pub fn add(&mut self, pending: &PendingCounts) -> Result<()> {
        let path = self.path.clone();
        let fail = |error| sql_fault(&path, "write", error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        {
            let text = "insert into counts(hour, what, product, count) values (?1, ?2, ?3, ?4)
                        on conflict do update set count = count + excluded.count";
            let mut statement = transaction.prepare(text).map_err(fail)?;
            for ((hour, kind, product), count) in pending {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                statement.execute((hour, kind.name(), product, count)).map_err(fail)?;
            }
        }
        transaction.commit().map_err(fail)
    }

    /// Deletes what is older than `days` at the time `now`.
    pub fn forget(&mut self, now: UtcTime, days: u32) -> Result<()> {
        let before = hour_of(now) - 24 * i64::from(days);
        let deleted = self.connection.execute("delete from counts where hour < ?1", [before]);
        deleted.map(|_| ()).map_err(|error| sql_fault(&self.path, "write", error))
    }

    /// What was counted in the last `days` days before `now`.
    pub fn read(&self, now: UtcTime, days: u32) -> Result<CountReport> {
        let fail = |error| sql_fault(&self.path, "read", error);
        let since = hour_of(now) - 24 * i64::from(days) + 1;
        let text = "select hour, what, product, count from counts where hour >= ?1 order by hour";
        let mut statement = self.connection.prepare(text).map_err(fail)?;
        let rows = statement
            .query_map([since], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, i64>(3)?.max(0) as u64,
                ))
            })
            .map_err(fail)?;
        let mut hours: BTreeMap<i64, HourCounts> = BTreeMap::new();
        let mut products: BTreeMap<String, ProductCounts> = BTreeMap::new();
        for row in rows {
            let (hour, what, product, count) = row.map_err(fail)?;
            let Some(kind) = CountKind::ALL.into_iter().find(|kind| kind.name() == what) else { continue };
            let of_hour = hours.entry(hour).or_insert_with(|| HourCounts {
                hour: UtcTime::from_second(hour.saturating_mul(HOUR)),
                ..HourCounts::default()
            });
            of_hour.count(kind, count);
            if !product.is_empty() {
                let empty = || ProductCounts { product: product.clone(), shown: 0, matched: 0 };
                products.entry(product.clone()).or_insert_with(empty).count(kind, count);
            }
        }
        let mut products: Vec<ProductCounts> = products.into_values().collect();
        products.sort_by_key(|one| std::cmp::Reverse((one.shown, one.matched)));
        Ok(CountReport { hours: hours.into_values().collect(), products })
    }
}

impl HourCounts {
    fn count(&mut self, kind: CountKind, count: u64) {
        match kind {
            CountKind::People => self.people += count,
            CountKind::Dwell => self.dwell_seconds += count as f64 / 1e3,
            CountKind::Matched => self.matched += count,
            CountKind::Refused => self.refused += count,
            CountKind::Shown => self.shown += count,
            CountKind::StaffCalls => self.staff_calls += count,
        }
    }
}

impl ProductCounts {
    fn count(&mut self, kind: CountKind, count: u64) {
        match kind {
            CountKind::Shown => self.shown += count,
            CountKind::Matched => self.matched += count,
            _ => {}
        }
    }
}

impl CountReport {
    /// The hours as a table: comma-separated, one line each, with a head.
    pub fn hours_csv(&self) -> String {
        let mut text = "hour,people,dwell_seconds,matched,refused,shown,staff_calls\n".to_owned();
        for one in &self.hours {
            let HourCounts { hour, people, dwell_seconds, matched, refused, shown, staff_calls } = one;
            text += &format!("{hour},{people},{dwell_seconds},{matched},{refused},{shown},{staff_calls}\n");
        }
        text
    }

    /// The same for products.
    pub fn products_csv(&self) -> String {
        let mut text = "product,shown,matched\n".to_owned();
        for ProductCounts { product, shown, matched } in &self.products {
            text += &format!("{},{shown},{matched}\n", field(product));
        }
        text
    }
}

/// A text as a field of CSV. What a spreadsheet would take for a formula is kept from being one.
fn field(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

fn sql_fault(path: &Path, verb: &str, error: rusqlite::Error) -> Fault {
    let busy = matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
    let kind = if busy { Kind::Busy } else { Kind::Storage };
    let fault = Fault::new(kind, format!("cannot {verb} the counts in {}", path.display())).cause(error.to_string());
    if busy {
        fault.cure("try again")
    } else {
        fault.cure(
            "give this user access to the file and its folder, and check that the disk is neither full nor read-only",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UtcTime {
        text.parse().unwrap()
    }

    #[test]
    fn counts_add_up_by_hour_and_product_and_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/counts.db");
        let now = at("2026-11-27T18:59:59Z");
        let hour = hour_of(now);
        let mut store = CountStore::open(&path).unwrap();
        let pending = |hour| {
            PendingCounts::from([
                ((hour, CountKind::People, String::new()), 2),
                ((hour, CountKind::Dwell, String::new()), 12_500),
                ((hour, CountKind::Matched, "TEE".into()), 3),
                ((hour, CountKind::Shown, "a,b".into()), 4),
                ((hour, CountKind::Shown, "TEE".into()), 1),
            ])
        };
        store.add(&pending(hour)).unwrap();
        store.add(&pending(hour)).unwrap();
        store.add(&pending(hour - 24 * 90)).unwrap();
        store.add(&pending(hour - 24 * 90 - 1)).unwrap();
        drop(store);
        let mut store = CountStore::open(&path).unwrap();
        let today = store.read(now, 1).unwrap();
        let expected = HourCounts {
            hour: at("2026-11-27T18:00:00Z"),
            people: 4,
            dwell_seconds: 25.0,
            matched: 6,
            shown: 10,
            ..HourCounts::default()
        };
        assert_eq!(today.hours, [expected]);
        assert_eq!(today.products_csv(), "product,shown,matched\n\"a,b\",8,0\nTEE,2,6\n");
        assert!(today.hours_csv().ends_with("\n2026-11-27T18:00:00Z,4,25,6,0,10,0\n"), "{}", today.hours_csv());
        store.forget(now, 90).unwrap();
        assert_eq!(store.read(now, 1000).unwrap().hours.len(), 2, "ninety days are kept");
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("notes.txt");
        std::fs::write(&text, "no database at all, but long enough to have a head ".repeat(20)).unwrap();
        let before = std::fs::read(&text).unwrap();
        assert_eq!(CountStore::open(&text).err().unwrap().kind(), Kind::Storage);
        assert_eq!(std::fs::read(&text).unwrap(), before);
        let other = folder.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("create table a(b)").unwrap();
        assert!(CountStore::open(&other).err().unwrap().to_string().contains("stats.file"));
        assert!(CountStore::open_existing(&folder.path().join("none.db")).unwrap().is_none());
    }

    #[test]
    fn a_product_named_as_a_formula_is_a_text() {
        assert_eq!(field("=1+1"), "'=1+1");
        assert_eq!(field("a \"b\""), "\"a \"\"b\"\"\"");
    }
}
