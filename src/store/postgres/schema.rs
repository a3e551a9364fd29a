//! The tables in PostgreSQL, and the steps from each version to the next.

#![forbid(unsafe_code)]

use super::error::SourceError;
use crate::config::PostgresUrl;
use crate::postgres::{Connection, answered, connect, migrate};
use crate::store::Tables;
use tokio_postgres::Client;
use tokio_postgres::types::FromSql;

/// The step at index n migrates version n to version n + 1. A released step is never edited.
const STEPS: [&str; 1] = [include_str!("schema_1.sql")];

/// The version of current tables.
const VERSION: i32 = STEPS.len() as i32;

/// Its triggers, without which changes go unnoticed.
const TRIGGERS: i64 = 33;

/// What errors of PostgreSQL say was being done.
const LOOKING: &str = "cannot read the version of the tables";

/// The version of the tables; nothing where there are none.
async fn version(url: &PostgresUrl, client: &Client) -> Result<Option<i32>, SourceError> {
    let there = "SELECT to_regclass('cimf.version') IS NOT NULL";
    if number::<bool>(url, client, there).await? != Some(true) {
        return Ok(None);
    }
    number(url, client, "SELECT number FROM cimf.version").await
}

/// The one value that a query finds. The query has no name, so that it passes poolers.
async fn number<T: for<'a> FromSql<'a>>(
    url: &PostgresUrl,
    client: &Client,
    sql: &str,
) -> Result<Option<T>, SourceError> {
    let rows = answered(url, LOOKING, client.query_typed(sql, &[])).await?;
    Ok(rows.first().map(|row| row.get(0)))
}

/// Connects to PostgreSQL with tables of this version, all of whose changes are noted.
pub async fn connect_to_tables(url: &PostgresUrl) -> Result<Connection, SourceError> {
    let connection = connect(url).await?;
    match version(url, &connection.client).await? {
        Some(VERSION) => {}
        Some(found) => {
            return Err(SourceError::Version {
                url: url.to_string(),
                found,
                expected: VERSION,
            });
        }
        None => {
            return Err(SourceError::NoTables {
                url: url.to_string(),
            });
        }
    }
    let sql = "SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = 'cimf'::regnamespace AND NOT t.tgisinternal AND t.tgenabled <> 'D'";
    match number(url, &connection.client, sql).await? {
        Some(TRIGGERS) => Ok(connection),
        found => Err(SourceError::NoTriggers {
            url: url.to_string(),
            found: found.unwrap_or_default(),
            expected: TRIGGERS,
        }),
    }
}

/// Makes the tables, or brings older ones up to date, in one transaction.
///
/// # Errors
///
/// PostgreSQL cannot be reached, does not allow it, or has tables of a later version.
pub async fn init(url: &PostgresUrl) -> Result<Tables, SourceError> {
    let read = async |client: &Client| version(url, client).await;
    let later = |found| SourceError::Version {
        url: url.to_string(),
        found,
        expected: VERSION,
    };
    let found = migrate(url, "cannot make the tables", &STEPS, read, later).await?;
    Ok(match found {
        Some(VERSION) => Tables::Current,
        Some(from) => Tables::Migrated(from),
        None => Tables::Created,
    })
}
