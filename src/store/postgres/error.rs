//! What may fail with PostgreSQL and with the replica of it.

#![forbid(unsafe_code)]

use crate::postgres::PostgresError;
use crate::store::StoreError;
use std::error::Error;
use std::fmt;
use tokio_postgres::error::SqlState;

/// Why groups in PostgreSQL cannot be read or followed.
#[derive(Debug)]
pub enum SourceError {
    /// The connection, or what was asked for.
    Postgres(PostgresError),
    /// PostgreSQL has no tables of cimf.
    NoTables {
        /// The URL without its password.
        url: String,
    },
    /// Some of its triggers are missing or switched off.
    NoTriggers {
        /// The URL without its password.
        url: String,
        /// How many were found.
        found: i64,
        /// How many were expected.
        expected: i64,
    },
    /// Its tables are of another version.
    Version {
        /// The URL without its password.
        url: String,
        /// The version that was found.
        found: i32,
        /// The version that was expected.
        expected: i32,
    },
    /// The replica cannot be written.
    Replica(StoreError),
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(error) if error.state() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                write!(
                    f,
                    "{error}: another transaction has been changing groups for 10 s; pg_stat_activity shows which; try again"
                )
            }
            Self::Postgres(error) => error.fmt(f),
            Self::NoTriggers {
                url,
                found,
                expected,
            } => write!(
                f,
                "{url}: expected {expected} enabled triggers in the schema cimf, found {found}: is a backup being restored? Changes would go unnoticed, so nothing is read"
            ),
            Self::NoTables { url } => write!(
                f,
                "{url}: there are no tables of cimf; make them with `cimfctl --db postgres://… init`"
            ),
            Self::Version {
                url,
                found,
                expected,
            } if found > expected => write!(
                f,
                "{url}: expected tables of version {expected}, found version {found}: upgrade cimf on this node"
            ),
            Self::Version {
                url,
                found,
                expected,
            } => write!(
                f,
                "{url}: expected tables of version {expected}, found version {found}: run `cimfctl --db postgres://… init`"
            ),
            Self::Replica(error) => write!(f, "replica: {error}"),
        }
    }
}

impl Error for SourceError {}

impl From<StoreError> for SourceError {
    fn from(error: StoreError) -> Self {
        Self::Replica(error)
    }
}

impl From<PostgresError> for SourceError {
    fn from(error: PostgresError) -> Self {
        Self::Postgres(error)
    }
}
