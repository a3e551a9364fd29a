//! Why the tables of `imc` cannot be read.

use crate::postgres::PostgresError;
use crate::store::StoreError;
use std::fmt;

/// Why the tables of `imc` cannot be read.
#[derive(Debug)]
pub enum ImcError {
    /// The text of a dump is not understood.
    Dump {
        /// Its line, from 1 on.
        line: usize,
        /// What was expected, and what was found.
        problem: String,
    },
    /// A table has no rows, although there are no rooms without members and no members without rooms.
    NoRows(&'static str),
    /// The SQLite file.
    Sqlite(StoreError),
    /// PostgreSQL.
    Postgres(PostgresError),
}

impl ImcError {
    pub(super) fn dump(line: usize, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self::Dump { line, problem }
    }
}

impl fmt::Display for ImcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dump { line, problem } => write!(f, "line {line}: {problem}"),
            Self::NoRows(table) => write!(
                f,
                "expected rows of imc_rooms and imc_members, found none of {table}; a dump of both is made by `mysqldump DATABASE imc_rooms imc_members`, `pg_dump -t imc_rooms -t imc_members DATABASE` or `sqlite3 FILE .dump`"
            ),
            Self::Sqlite(error) => error.fmt(f),
            Self::Postgres(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ImcError {}

impl From<PostgresError> for ImcError {
    fn from(error: PostgresError) -> Self {
        Self::Postgres(error)
    }
}
