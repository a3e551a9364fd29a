//! Why the tables of `imc` cannot be read.

use crate::postgres::PostgresError;
use std::fmt;

/// How many tables of a file are named that has not those of `imc`.
const NAMED: usize = 10;

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
    /// What was expected to be a dump is something else: what, and what to do.
    NoDump(&'static str),
    /// A table has no rows, although there are no rooms without members and no members without rooms.
    NoRows(&'static str),
    /// The SQLite file does not have both tables, but these.
    NoTables(Vec<String>),
    /// The SQLite file cannot be read: why, and what to do.
    Sqlite(String),
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
            Self::NoDump(found) => write!(f, "expected a dump as text, found {found}"),
            Self::NoRows(table) => write!(
                f,
                "expected rows of imc_rooms and imc_members, found none of {table}; a dump of both is made by `mysqldump DATABASE imc_rooms imc_members`, `pg_dump -t imc_rooms -t imc_members DATABASE` or `sqlite3 FILE .dump`"
            ),
            Self::NoTables(found) => {
                let named = found.get(..NAMED).unwrap_or(found).join(", ");
                let found = match (found.len(), found.len().saturating_sub(NAMED)) {
                    (0, _) => "no table".to_owned(),
                    (_, 0) => named,
                    (_, more) => format!("{named} and {more} more"),
                };
                write!(
                    f,
                    "expected the tables imc_rooms and imc_members, found {found}; check that it is the database that db_url of the module imc names"
                )
            }
            Self::Sqlite(problem) => f.write_str(problem),
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
