//! What fails on either side of a copy, with its place.

#![forbid(unsafe_code)]

use super::error::SourceError;
use crate::config::PostgresUrl;
use crate::store::StoreError;
use std::path::Path;

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

    pub fn local<T>(&self, result: rusqlite::Result<T>) -> Result<T, SourceError> {
        result.map_err(|error| SourceError::Replica(StoreError::sqlite(self.path, &error)))
    }
}
