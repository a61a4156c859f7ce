//! The connection to PostgreSQL: opening it, its schema, its faults. All of the hub's work on tables runs through here, on one thread.

use crate::catalogue::ModelStamp;
use crate::fault::{Fault, Kind, Result};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

/// Step n takes a database from schema n to n + 1. Steps are only ever added.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema.sql"),
    include_str!("schema-2.sql"),
    include_str!("schema-3.sql"),
    include_str!("schema-4.sql"),
];
/// The heads' names in the tables, in the order of the worker's weights.
pub const HEADS: [&str; 2] = ["match", "aggregation"];
/// The regions of the body in the tables: '' where it is not known.
pub const BODIES: [&str; 4] = ["", "upper", "lower", "dress"];
/// Names the lock under which the schema changes.
const SCHEMA_LOCK: i64 = 0x5654_5241;
const CONNECT: Duration = Duration::from_secs(10);
/// A worker that is gone without a word holds what it has locked no longer. An approximate search looks at 200 neighbours: more than the
/// most descriptors that it asks for make it exact again, fewer lose products.
const OPTIONS: &str = "-c idle_in_transaction_session_timeout=600000 -c hnsw.ef_search=200";

/// PostgreSQL's own result.
pub type SqlResult<T> = std::result::Result<T, tokio_postgres::Error>;

/// An open database, brought to this vetrina's schema.
pub struct Database {
    runtime: Runtime,
    client: Client,
}

impl Database {
    /// Connects to `postgres://user@host/name` and refuses a database that is not a hub's.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] where it cannot be reached; [`Kind::Usage`] where it is no hub's, or a newer one's.
    pub fn open(address: &str) -> Result<Self> {
        let mut database = Database::connect(address)?;
        let known = MIGRATIONS.len() as i32;
        match database.version()? {
            0 => Err(Fault::new(Kind::Usage, "the database is no hub's").cure("run `vetrina hub init`")),
            version if version < known => Err(Fault::new(Kind::Usage, format!("the hub has schema {version}"))
                .cure("run `vetrina hub init`, which brings it up to date")),
            version if version > known => {
                Err(Fault::new(Kind::Usage, format!("the hub has schema {version}, this vetrina knows up to {known}"))
                    .cure("update vetrina"))
            }
            _ => Ok(database),
        }
    }

    /// As [`Database::open`], but makes the tables, or brings them up to date.
    pub fn init(address: &str) -> Result<Self> {
        let mut database = Database::connect(address)?;
        let version = database.version()?;
        if version > MIGRATIONS.len() as i32 {
            return Database::open(address);
        }
        database.run(async |client| {
            let transaction = client.transaction().await?;
            transaction.execute("select pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK]).await?;
            transaction.batch_execute("create table if not exists hub_schema (version integer not null)").await?;
            let row = transaction.query_opt("select version from hub_schema", &[]).await?;
            let version: i32 = row.map_or(0, |row| row.get(0));
            for step in MIGRATIONS.iter().skip(version.max(0) as usize) {
                transaction.batch_execute(step).await?;
            }
            transaction.batch_execute("delete from hub_schema").await?;
            let version = MIGRATIONS.len() as i32;
            transaction.execute("insert into hub_schema values ($1)", &[&version]).await?;
            transaction.commit().await
        })?;
        Ok(database)
    }

    fn connect(address: &str) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Fault::new(Kind::Unavailable, "cannot start a runtime").cause(error))?;
        let client = runtime.block_on(connect_client(address))?;
        Ok(Database { runtime, client })
    }

    /// Runs `work` to its end.
    pub fn run<T>(&mut self, work: impl AsyncFnOnce(&mut Client) -> SqlResult<T>) -> Result<T> {
        let client = &mut self.client;
        self.runtime.block_on(work(client)).map_err(database_fault)
    }

    /// As [`Database::run`], for work that a server does too.
    pub fn block_on<T>(&mut self, work: impl AsyncFnOnce(&Client) -> Result<T>) -> Result<T> {
        self.runtime.block_on(work(&self.client))
    }

    /// For a server: the runtime, and a client that it may share.
    pub fn into_parts(self) -> (Runtime, Client) {
        (self.runtime, self.client)
    }

    fn version(&mut self) -> Result<i32> {
        self.run(async |client| {
            let row = client.query_one("select to_regclass('hub_schema') is not null", &[]).await?;
            if !row.get::<_, bool>(0) {
                return Ok(0);
            }
            let row = client.query_opt("select version from hub_schema", &[]).await?;
            Ok(row.map_or(0, |row| row.get(0)))
        })
    }

    /// The model whose descriptors are published; `None` before one is named.
    pub fn model(&mut self) -> Result<Option<ModelStamp>> {
        self.run(async |client| {
            let row = client.query_opt("select name, hash, embedding from model where is_current", &[]).await?;
            Ok(row.map(|row| ModelStamp {
                name: row.get(0),
                descriptor_hash: row.get(1),
                embedding: usize::try_from(row.get::<_, i32>(2)).unwrap_or(0),
            }))
        })
    }

    /// As [`Database::model`]; a hub without one is not ready.
    pub fn require_model(&mut self) -> Result<ModelStamp> {
        self.model()?.ok_or_else(|| {
            Fault::new(Kind::Usage, "the hub has no model yet").cure("run `vetrina hub init` with --model")
        })
    }

    /// Makes `stamp` the model that pictures are embedded by and that is published from now on.
    pub fn set_model(&mut self, stamp: &ModelStamp) -> Result<()> {
        let embedding = stamp.embedding as i32;
        let table = model_table(&stamp.descriptor_hash);
        self.run(async |client| {
            let transaction = client.transaction().await?;
            transaction.execute("select pg_advisory_xact_lock($1)", &[&SCHEMA_LOCK]).await?;
            transaction.execute("update model set is_current = false where is_current", &[]).await?;
            transaction
                .execute(
                    "insert into model values ($1, $2, $3, true)
                     on conflict (hash) do update set name = $2, is_current = true",
                    &[&stamp.descriptor_hash, &stamp.name, &embedding],
                )
                .await?;
            note(transaction.client(), &actor(), "init", &format!("model {}", stamp.name)).await?;
            let literal = stamp.descriptor_hash.replace('\'', "''");
            let made = transaction.query_one("select to_regclass($1) is not null", &[&table]).await?;
            if made.get::<_, bool>(0) {
                return transaction.commit().await;
            }
            let mut tables =
                format!("create table {table} partition of view for values in ('{literal}') partition by list (body);");
            for body in BODIES {
                let name = body_name(body);
                let part = format!("{table}_{name}");
                tables += &format!(
                    "create table {part} partition of {table} for values in ('{body}') partition by list (head);"
                );
                // A search asks one head: it reads no row of the other.
                for head in HEADS {
                    tables += &format!("create table {part}_{head} partition of {part} for values in ('{head}');");
                }
            }
            transaction.batch_execute(&tables).await?;
            transaction.commit().await
        })
    }
}

/// Writes a line of the audit log; by the client of a transaction, with what it is about or not at all.
pub async fn note(client: &Client, actor: &str, action: &str, detail: &str) -> SqlResult<()> {
    let query = "insert into audit (actor, action, detail) values ($1, $2, $3)";
    client.execute(query, &[&actor, &action, &detail]).await.map(drop)
}

/// The partition of a model's descriptors. Names of tables are short.
fn model_table(descriptor_hash: &str) -> String {
    let short: String = descriptor_hash.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    format!("view_{short}")
}

fn body_name(body: &str) -> &str {
    if body.is_empty() { "unknown" } else { body }
}

/// A table that has descriptors of one region of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewTable {
    pub name: String,
    /// It has those of the other head too: a hub whose model was named by an older vetrina.
    pub has_both_heads: bool,
}

/// The tables of a model's descriptors by one head, for some of [`BODIES`]. A statement that names them compares no column at each row, as
/// it must in their parent.
pub async fn view_tables(
    client: &Client,
    descriptor_hash: &str,
    bodies: &[&str],
    head: &str,
) -> SqlResult<Vec<ViewTable>> {
    let parts: Vec<String> =
        bodies.iter().map(|body| format!("{}_{}", model_table(descriptor_hash), body_name(body))).collect();
    let query = "select part, to_regclass(part || '_' || $2) is null from unnest($1::text[]) as named (part)
                 where to_regclass(part) is not null";
    let rows = client.query(query, &[&parts, &head]).await?;
    let table = |row: &tokio_postgres::Row| {
        let (part, has_both_heads): (String, bool) = (row.get(0), row.get(1));
        let name = if has_both_heads { part } else { format!("{part}_{head}") };
        ViewTable { name, has_both_heads }
    };
    Ok(rows.iter().map(table).collect())
}

/// A connection of its own, on the runtime that this is called on.
///
/// # Errors
/// [`Kind::Unavailable`] where the database cannot be reached.
pub async fn connect_client(address: &str) -> Result<Client> {
    let mut config: Config = address.parse().map_err(|error: tokio_postgres::Error| {
        Fault::new(Kind::Usage, "the database's address cannot be read")
            .cause(error)
            .cure("write postgres://user:password@host/name")
    })?;
    config.connect_timeout(CONNECT).application_name("vetrina").options(OPTIONS);
    let (client, connection) = config.connect(NoTls).await.map_err(|error| {
        Fault::new(Kind::Unavailable, "cannot connect to the database")
            .cause(error)
            .cure("check that PostgreSQL runs there and lets this user in")
    })?;
    // What ends it is seen by whoever asks next.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// Who runs this command, for the audit log.
pub fn actor() -> String {
    std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "a command".into())
}

/// What an error of PostgreSQL means to the one who runs the program.
pub fn database_fault(error: tokio_postgres::Error) -> Fault {
    let (kind, text, cure) = match error.code() {
        Some(&SqlState::DISK_FULL) => {
            (Kind::Storage, "the database's disk is full", Some("free some space on that disk"))
        }
        Some(
            &SqlState::T_R_DEADLOCK_DETECTED | &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::LOCK_NOT_AVAILABLE,
        ) => (Kind::Busy, "another program changes the same rows", Some("run the command again")),
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            (Kind::Usage, "the database refuses this user", Some("give it the right to the hub's tables"))
        }
        Some(&SqlState::UNDEFINED_FILE | &SqlState::FEATURE_NOT_SUPPORTED) => {
            (Kind::Unavailable, "the database lacks something", Some("install PostgreSQL's extension pgvector"))
        }
        // Class 22: a zero in a text, a number out of range.
        Some(code) if code.code().starts_with("22") => (Kind::Input, "the database cannot hold a value", None),
        Some(_) => (Kind::Internal, "the database refused a command", None),
        None if error.is_closed() => (Kind::Unavailable, "the connection to the database ended", None),
        None => (Kind::Unavailable, "the database does not answer as it should", None),
    };
    let fault = Fault::new(kind, text).cause(error);
    match cure {
        Some(cure) => fault.cure(cure),
        None => fault,
    }
}
