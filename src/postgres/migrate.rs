//! Tables are made, or brought up to date, step by step.

#![forbid(unsafe_code)]

use super::connect::connect;
use super::postgres_error::PostgresError;
use crate::config::PostgresUrl;
use tokio_postgres::Client;

/// Takes the steps that tables lack, in one transaction: the step at index n migrates version n to version n + 1. `version`
/// reads the version that there is, and `later` is the error of one that is later than all steps. Gives the version that
/// there was, if any.
///
/// # Errors
///
/// PostgreSQL cannot be reached, does not allow it, or has tables of a later version.
pub async fn migrate<E: From<PostgresError>>(
    url: &PostgresUrl,
    action: &'static str,
    steps: &[&str],
    version: impl AsyncFnOnce(&Client) -> Result<Option<i32>, E>,
    later: impl FnOnce(i32) -> E,
) -> Result<Option<i32>, E> {
    let failed = PostgresError::doing(url, action);
    let mut connection = connect(url).await?;
    let transaction = connection.client.transaction().await.map_err(&failed)?;
    // Another `init` may be at it: one after the other.
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('cimf init', 0))";
    transaction.batch_execute(lock).await.map_err(&failed)?;
    let found = version(transaction.client()).await?;
    let taken = usize::try_from(found.unwrap_or_default()).unwrap_or_default();
    if taken > steps.len() {
        return Err(later(found.unwrap_or_default()));
    }
    for step in steps.iter().skip(taken) {
        transaction.batch_execute(step).await.map_err(&failed)?;
    }
    transaction.commit().await.map_err(&failed)?;
    Ok(found)
}
