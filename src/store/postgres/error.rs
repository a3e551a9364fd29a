//! What may fail with PostgreSQL and with the replica of it.

#![forbid(unsafe_code)]

use crate::config::PostgresUrl;
use crate::store::StoreError;
use std::error::Error;
use std::fmt;
use std::time::Duration;
use tokio_postgres::error::SqlState;

/// Why groups in PostgreSQL cannot be read or followed.
#[derive(Debug)]
pub enum SourceError {
    /// PostgreSQL says no, or nothing at all: what was done, and the error.
    Postgres {
        /// The URL without its password.
        url: String,
        /// What was being done.
        action: &'static str,
        /// The error.
        error: tokio_postgres::Error,
    },
    /// Nobody answers, or not any more.
    Silent {
        /// The URL without its password.
        url: String,
        /// What was being done.
        action: &'static str,
        /// How long was waited.
        patience: Duration,
    },
    /// The file with the password cannot be used: the file, and why.
    PasswordFile {
        /// The file and what is wrong with it.
        text: String,
    },
    /// The file with the certificates of authorities cannot be used.
    RootCertificate {
        /// The file and what is wrong with it.
        text: String,
    },
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
    /// The system has no room for a connection.
    System(std::io::Error),
    /// The replica cannot be written.
    Replica(StoreError),
}

impl SourceError {
    /// Makes errors of what is being done.
    pub(super) fn doing(
        url: &PostgresUrl,
        action: &'static str,
    ) -> impl Fn(tokio_postgres::Error) -> Self {
        let url = url.to_string();
        move |error| Self::Postgres {
            url: url.clone(),
            action,
            error,
        }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres { url, action, error } => {
                write!(f, "{url}: {action}: ")?;
                match error.as_db_error() {
                    Some(said) if said.code() == &SqlState::LOCK_NOT_AVAILABLE => f.write_str(
                        "another transaction has been changing groups for 10 s; pg_stat_activity shows which; try again",
                    ),
                    Some(said) => write!(f, "PostgreSQL says: {}", said.message()),
                    None => write_chain(f, error),
                }
            }
            Self::Silent {
                url,
                action,
                patience,
            } => write!(
                f,
                "{url}: {action}: no answer within {} s",
                patience.as_secs()
            ),
            Self::PasswordFile { text } => write!(f, "passfile: {text}"),
            Self::NoTriggers {
                url,
                found,
                expected,
            } => write!(
                f,
                "{url}: expected {expected} enabled triggers in the schema cimf, found {found}: is a backup being restored? Changes would go unnoticed, so nothing is read"
            ),
            Self::RootCertificate { text } => write!(f, "sslrootcert: {text}"),
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
            Self::System(error) => write!(f, "cannot connect to PostgreSQL: {error}"),
            Self::Replica(error) => write!(f, "replica: {error}"),
        }
    }
}

/// The error with all its causes, each of which says a part.
fn write_chain(f: &mut fmt::Formatter<'_>, error: &dyn Error) -> fmt::Result {
    write!(f, "{error}")?;
    let mut shown = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !shown.contains(&text) {
            write!(f, ": {text}")?;
        }
        shown = text;
        cause = error.source();
    }
    Ok(())
}

impl Error for SourceError {}

impl From<StoreError> for SourceError {
    fn from(error: StoreError) -> Self {
        Self::Replica(error)
    }
}
