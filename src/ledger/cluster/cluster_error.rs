//! Why the ledger of a cluster cannot be used.

use crate::config::PostgresUrl;
use crate::ledger::error::LedgerError;
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
    /// This node has no lease yet.
    NoLease {
        /// The URL without its password.
        url: String,
    },
    /// It is not known yet what a PostgreSQL that was just reached has lost.
    NotCompared {
        /// The URL without its password.
        url: String,
    },
    /// The file with what is kept cannot be written.
    Mirror(LedgerError),
    /// A row does not have what this version has written.
    Altered {
        /// The URL without its password.
        url: String,
        /// Which row, and what of it.
        what: String,
    },
}

impl ClusterError {
    /// Whether PostgreSQL has said no, or was not asked: then nothing was done.
    pub(super) fn is_refusal(&self) -> bool {
        match self {
            Self::Postgres(error) => error.state().is_some(),
            _ => true,
        }
    }

    /// Whether it may go well later without anybody's doing: PostgreSQL is away, is starting or has no room.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Postgres(error) => error.may_pass(),
            _ => false,
        }
    }

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
            Self::Mirror(error) => write!(f, "what nodes keep for members who are away: {error}"),
            Self::NoLease { url } => write!(f, "{url}: this node has no lease yet"),
            Self::NotCompared { url } => write!(
                f,
                "{url}: it was just reached again, and is asked first whether it has lost anything"
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
