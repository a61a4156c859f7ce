//! Operators, who ask `hub serve` over HTTP: tokens with a name and a role. The tables hold a token's hash only.
//!
//! Commands need none: who has the database's address may do everything.

use super::database::{SqlResult, database_fault};
use super::mirrors::{hash, random_hex};
use crate::fault::{Fault, Kind, Result};
use crate::sync::source::is_shop_name;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;
use tokio_postgres::Client;

/// What an operator may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OperatorRole {
    /// See the fleet and search.
    Reader,
    /// Change prices.
    Publisher,
    /// Enrol mirrors, take their keys, steer roll-outs.
    Admin,
}

impl OperatorRole {
    pub const ALL: [OperatorRole; 3] = [OperatorRole::Reader, OperatorRole::Publisher, OperatorRole::Admin];

    /// As the tables and the command line write it.
    pub fn name(self) -> &'static str {
        match self {
            OperatorRole::Reader => "reader",
            OperatorRole::Publisher => "publisher",
            OperatorRole::Admin => "admin",
        }
    }
}

impl fmt::Display for OperatorRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for OperatorRole {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let found = OperatorRole::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| format!("{text:?} is not one of reader, publisher, admin"))
    }
}

/// A token, without what it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperatorToken {
    pub name: String,
    pub role: String,
    pub made_seconds: f64,
    /// `None`: never.
    pub last_used_seconds: Option<f64>,
}

/// Makes a token; it is said this once.
///
/// # Errors
/// [`Kind::Usage`] where there is one of this name.
pub async fn add(client: &Client, name: &str, role: OperatorRole, actor: &str) -> Result<String> {
    if !is_shop_name(name) {
        return Err(Fault::new(Kind::Usage, format!("{name:?} is no name of a token"))
            .cure("use letters, digits, hyphens and dots"));
    }
    let token = random_hex::<32>()?;
    let query = "with made as (insert into operator (name, role, token_sha256) values ($1, $2, $3)
                   on conflict do nothing returning name, role),
                 noted as (insert into audit (actor, action, detail)
                   select $4, 'token add', name || ', ' || role from made)
                 select count(*) from made";
    let made = client.query_one(query, &[&name, &role.name(), &hash(&token), &actor]).await.map_err(database_fault)?;
    match made.get::<_, i64>(0) {
        0 => Err(Fault::new(Kind::Usage, format!("there is a token {name:?} already"))
            .cure("remove it first, or choose another name")),
        _ => Ok(token),
    }
}

/// Removes a token: it opens nothing from then on.
///
/// # Errors
/// [`Kind::Usage`] where there is none of this name.
pub async fn remove(client: &Client, name: &str, actor: &str) -> Result<()> {
    let query = "with gone as (delete from operator where name = $1 returning name),
                 noted as (insert into audit (actor, action, detail) select $2, 'token remove', name from gone)
                 select count(*) from gone";
    let gone = client.query_one(query, &[&name, &actor]).await.map_err(database_fault)?;
    match gone.get::<_, i64>(0) {
        0 => Err(Fault::new(Kind::Usage, format!("there is no token {name:?}")).cure("see `vetrina hub token list`")),
        _ => Ok(()),
    }
}

/// All tokens, in the order of their names.
pub async fn list(client: &Client) -> SqlResult<Vec<OperatorToken>> {
    let query = "select name, role, extract(epoch from now() - made)::float8,
                 extract(epoch from now() - last_used)::float8 from operator order by name";
    let token = |row: &tokio_postgres::Row| OperatorToken {
        name: row.get(0),
        role: row.get(1),
        made_seconds: row.get(2),
        last_used_seconds: row.get(3),
    };
    Ok(client.query(query, &[]).await?.iter().map(token).collect())
}

/// Whose token this is: name and role. Notes that it was used.
pub async fn owner(client: &Client, token: &str) -> SqlResult<Option<(String, OperatorRole)>> {
    let query = "with used as (update operator set last_used = now() where token_sha256 = $1
                   and (last_used is null or last_used < now() - interval '1 minute'))
                 select name, role from operator where token_sha256 = $1";
    let row = client.query_opt(query, &[&hash(token)]).await?;
    Ok(row.and_then(|row| Some((row.get(0), row.get::<_, &str>(1).parse().ok()?))))
}

/// Whether there is any token.
pub async fn are_there(client: &Client) -> SqlResult<bool> {
    client.query_one("select exists (select 1 from operator)", &[]).await.map(|row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_those_before_it_may() {
        let [reader, publisher, admin] = OperatorRole::ALL;
        assert!(reader < publisher && publisher < admin);
        assert_eq!(OperatorRole::ALL.map(|role| role.name().parse()), OperatorRole::ALL.map(Ok));
        assert!("root".parse::<OperatorRole>().is_err());
    }
}
