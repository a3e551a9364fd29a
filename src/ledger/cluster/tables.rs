//! The tables, and the steps from each version to the next.

use super::cluster_error::ClusterError;
use crate::config::PostgresUrl;
use crate::postgres::{Connection, answered, connect, migrate, single_threaded};
use tokio_postgres::Client;

/// The step at index n migrates version n to version n + 1. A released step is never edited.
const STEPS: [&str; 1] = [include_str!("cluster_1.sql")];

/// The version of current tables.
pub const VERSION: i32 = STEPS.len() as i32;

/// The key of hashes, and the version of the tables; nothing where there are none.
async fn meta(url: &PostgresUrl, client: &Client) -> Result<Option<(i32, [u8; 16])>, ClusterError> {
    let action = "cannot read the ledger's version";
    let there = "SELECT to_regclass('cimf_ledger.meta') IS NOT NULL";
    let rows = answered(url, action, client.query_typed(there, &[])).await?;
    if !rows.first().is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    let sql = "SELECT version, key FROM cimf_ledger.meta";
    let rows = answered(url, action, client.query_typed(sql, &[])).await?;
    let row = rows.first();
    let row = row.ok_or_else(|| ClusterError::altered(url, "the row of meta"))?;
    let key = row.get::<_, &[u8]>(1).try_into();
    let key = key.map_err(|_| ClusterError::altered(url, "the key in meta"))?;
    Ok(Some((row.get(0), key)))
}

/// Connects to PostgreSQL with tables of this version; gives the key of hashes.
pub(super) async fn connect_to_ledger(
    url: &PostgresUrl,
) -> Result<(Connection, [u8; 16]), ClusterError> {
    let connection = connect(url).await?;
    let url_shown = || url.to_string();
    match meta(url, &connection.client).await? {
        Some((VERSION, key)) => Ok((connection, key)),
        Some((found, _)) => Err(ClusterError::Version {
            url: url_shown(),
            found,
            expected: VERSION,
        }),
        None => Err(ClusterError::NoTables { url: url_shown() }),
    }
}

/// Makes the tables, or brings older ones up to date, in one transaction; gives the version that there was, if any.
///
/// # Errors
///
/// PostgreSQL cannot be reached, does not allow it, or has tables of a later version.
pub fn init(url: &PostgresUrl) -> Result<Option<i32>, ClusterError> {
    let version = async |client: &Client| {
        let found = meta(url, client).await?;
        Ok(found.map(|(version, _)| version))
    };
    let later = |found| ClusterError::Version {
        url: url.to_string(),
        found,
        expected: VERSION,
    };
    let action = "cannot make the tables of the ledger";
    single_threaded(|| {})?.block_on(migrate(url, action, &STEPS, version, later))
}
