//! What fails on either side of a copy, with its place.

#![forbid(unsafe_code)]

use super::error::SourceError;
use crate::config::PostgresUrl;
use crate::postgres::{PostgresError, answered};
use crate::store::StoreError;
use futures_util::{TryStreamExt, pin_mut};
use std::path::Path;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Transaction};

/// Makes errors of either side.
pub struct Failures<'a> {
    pub url: &'a PostgresUrl,
    /// The SQLite database, or what stands for it.
    pub path: &'a Path,
}

impl Failures<'_> {
    pub fn remote(&self, action: &'static str) -> impl Fn(tokio_postgres::Error) -> SourceError {
        let doing = PostgresError::doing(self.url, action);
        move |error| doing(error).into()
    }

    /// What PostgreSQL answers, unless it says nothing for long.
    pub async fn answer<T>(
        &self,
        action: &'static str,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, SourceError> {
        Ok(answered(self.url, action, answer).await?)
    }

    /// Passes the rows that a query finds to `take`, as they come. Without a name of its own the query passes poolers.
    pub async fn each(
        &self,
        action: &'static str,
        source: &Transaction<'_>,
        query: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        mut take: impl FnMut(&Row) -> rusqlite::Result<()>,
    ) -> Result<(), SourceError> {
        let found = source.query_typed_raw(query, parameters.iter().cloned());
        let found = self.answer(action, found).await?;
        pin_mut!(found);
        while let Some(row) = self.answer(action, found.try_next()).await? {
            self.local(take(&row))?;
        }
        Ok(())
    }

    pub fn local<T>(&self, result: rusqlite::Result<T>) -> Result<T, SourceError> {
        result.map_err(|error| SourceError::Replica(StoreError::sqlite(self.path, &error)))
    }
}
