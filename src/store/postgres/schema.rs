//! The tables in PostgreSQL, and the steps from each version to the next.

#![forbid(unsafe_code)]

use super::connect::{Connection, connect};
use super::error::SourceError;
use crate::config::PostgresUrl;
use crate::store::Tables;
use tokio_postgres::Client;

/// The step at index n migrates version n to version n + 1. A released step is never edited.
const STEPS: [&str; 1] = [include_str!("schema_1.sql")];

/// The version of current tables.
const VERSION: i32 = STEPS.len() as i32;

/// The version of the tables; nothing where there are none.
async fn version(url: &PostgresUrl, client: &Client) -> Result<Option<i32>, SourceError> {
    let failed = SourceError::doing(url, "cannot read the version of the tables");
    let there = client.query_one("SELECT to_regclass('cimf.version') IS NOT NULL", &[]);
    if !there.await.map_err(&failed)?.get::<_, bool>(0) {
        return Ok(None);
    }
    let found = client.query_one("SELECT number FROM cimf.version", &[]);
    found.await.map(|row| Some(row.get(0))).map_err(failed)
}

/// Connects to PostgreSQL with tables of this version.
pub async fn connect_to_tables(url: &PostgresUrl) -> Result<Connection, SourceError> {
    let connection = connect(url).await?;
    match version(url, &connection.client).await? {
        Some(VERSION) => Ok(connection),
        Some(found) => Err(SourceError::Version {
            url: url.to_string(),
            found,
            expected: VERSION,
        }),
        None => Err(SourceError::NoTables {
            url: url.to_string(),
        }),
    }
}

/// Makes the tables, or brings older ones up to date, in one transaction.
///
/// # Errors
///
/// PostgreSQL cannot be reached, does not allow it, or has tables of a later version.
pub async fn init(url: &PostgresUrl) -> Result<Tables, SourceError> {
    let failed = SourceError::doing(url, "cannot make the tables");
    let mut connection = connect(url).await?;
    let transaction = connection.client.transaction().await.map_err(&failed)?;
    // Another `init` may be at it: one after the other.
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('cimf init', 0))";
    transaction.batch_execute(lock).await.map_err(&failed)?;
    let found = version(url, transaction.client()).await?;
    let from = found.unwrap_or_default();
    if from > VERSION {
        return Err(SourceError::Version {
            url: url.to_string(),
            found: from,
            expected: VERSION,
        });
    }
    for step in STEPS.iter().skip(usize::try_from(from).unwrap_or_default()) {
        transaction.batch_execute(step).await.map_err(&failed)?;
    }
    transaction.commit().await.map_err(&failed)?;
    Ok(match found {
        Some(VERSION) => Tables::Current,
        Some(from) => Tables::Migrated(from),
        None => Tables::Created,
    })
}
