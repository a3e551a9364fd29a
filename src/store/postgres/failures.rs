//! What fails on either side of a copy, with its place.

#![forbid(unsafe_code)]

use super::error::SourceError;
use crate::config::PostgresUrl;
use crate::store::StoreError;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// How long PostgreSQL may take for one answer, or for the next row: it may have to sort all of them first.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes errors of either side.
pub struct Failures<'a> {
    pub url: &'a PostgresUrl,
    /// The SQLite database, or what stands for it.
    pub path: &'a Path,
}

impl Failures<'_> {
    pub fn remote(&self, action: &'static str) -> impl Fn(tokio_postgres::Error) -> SourceError {
        SourceError::doing(self.url, action)
    }

    /// What PostgreSQL answers, unless it says nothing for long.
    pub async fn answer<T>(
        &self,
        action: &'static str,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, SourceError> {
        match timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(self.remote(action)),
            Err(_) => Err(SourceError::Stuck {
                url: self.url.to_string(),
                action,
                patience: PATIENCE,
            }),
        }
    }

    pub fn local<T>(&self, result: rusqlite::Result<T>) -> Result<T, SourceError> {
        result.map_err(|error| SourceError::Replica(StoreError::sqlite(self.path, &error)))
    }
}
