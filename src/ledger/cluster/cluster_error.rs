//! Why the ledger of a cluster cannot be used.

use crate::config::PostgresUrl;
use crate::postgres::PostgresError;
use std::fmt;

/// One line that says what is wrong and what to do.
#[derive(Debug)]
pub enum ClusterError {
    /// The connection, or what was asked for.
    Postgres(PostgresError),
    /// There are no tables of the ledger.
    NoTables {
        /// The URL without its password.
        url: String,
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
    /// A row does not have what this version has written.
    Altered {
        /// The URL without its password.
        url: String,
        /// Which row, and what of it.
        what: String,
    },
}

impl ClusterError {
    pub(super) fn altered(url: &PostgresUrl, what: impl Into<String>) -> Self {
        Self::Altered {
            url: url.to_string(),
            what: what.into(),
        }
    }
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(error) => error.fmt(f),
            Self::NoTables { url } => write!(
                f,
                "{url}: there are no tables of the ledger (schema cimf_ledger); make them with `cimfctl --db postgres://… init`"
            ),
            Self::Version {
                url,
                found,
                expected,
            } if found > expected => write!(
                f,
                "{url}: expected a ledger of version {expected}, found version {found}: upgrade cimf on this node"
            ),
            Self::Version {
                url,
                found,
                expected,
            } => write!(
                f,
                "{url}: expected a ledger of version {expected}, found version {found}: run `cimfctl --db postgres://… init`"
            ),
            Self::Altered { url, what } => {
                write!(f, "{url}: {what} was altered in the schema cimf_ledger")
            }
        }
    }
}

impl std::error::Error for ClusterError {}

impl From<PostgresError> for ClusterError {
    fn from(error: PostgresError) -> Self {
        Self::Postgres(error)
    }
}
