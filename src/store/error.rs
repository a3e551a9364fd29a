//! Reasons why the database is unusable: each text names the file, the problem and the remedy.

#![forbid(unsafe_code)]

use super::schema::VERSION;
use rusqlite::ErrorCode;
use std::fmt;
use std::path::{Path, PathBuf};

/// An unusable database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    /// The database file.
    pub file: PathBuf,
    /// The problem.
    pub problem: Problem,
}

/// A problem of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is no such file.
    Missing,
    /// It has no tables yet.
    Empty,
    /// It is not a regular file.
    NotAFile,
    /// It is a database of another program, or not a database.
    Foreign,
    /// A database of cimf, of an earlier version.
    Older(i32),
    /// A database of cimf, of a later version.
    Newer(i32),
    /// Another process keeps it locked.
    Locked,
    /// It is damaged; the text describes the damage.
    Corrupt(String),
    /// This user may not read or write it; the text is SQLite's.
    Denied(String),
    /// A new file was moved in while the write-ahead log of the old one is still there.
    StaleLog,
    /// It cannot have a write-ahead log; the text is its journal mode.
    NoLog(String),
    /// It was replaced repeatedly while it was being opened.
    Unstable,
    /// A group has more members than the limit.
    TooManyMembers {
        /// The group.
        group: String,
        /// How many it has.
        count: u64,
        /// How many it may have.
        limit: u32,
    },
    /// It has groups of its own, which following PostgreSQL would overwrite.
    NotAReplica,
    /// Any other error of SQLite or the system.
    Other(String),
}

impl StoreError {
    pub(super) fn new(file: &Path, problem: Problem) -> Self {
        Self {
            file: file.to_owned(),
            problem,
        }
    }

    pub(super) fn sqlite(file: &Path, error: &rusqlite::Error) -> Self {
        Self::new(file, Problem::from_sqlite(error))
    }

    pub(super) fn system(file: &Path, error: &std::io::Error) -> Self {
        let problem = match error.kind() {
            std::io::ErrorKind::NotFound => Problem::Missing,
            std::io::ErrorKind::PermissionDenied => Problem::Denied(error.to_string()),
            _ => Problem::Other(error.to_string()),
        };
        Self::new(file, problem)
    }

    /// Whether the connection is unaffected and can be used again.
    pub(super) fn spares_the_connection(&self) -> bool {
        matches!(
            self.problem,
            Problem::Locked | Problem::StaleLog | Problem::Missing | Problem::TooManyMembers { .. }
        )
    }
}

impl Problem {
    fn from_sqlite(error: &rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt(text),
            Some(ErrorCode::NotADatabase) => Self::Foreign,
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::Denied(text)
            }
            _ => Self::Other(text),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        write!(f, "{file}: ")?;
        match &self.problem {
            Problem::Missing => write!(
                f,
                "there is no such file; create it with `cimfctl --db {file} init` or restore it"
            ),
            Problem::Empty => write!(
                f,
                "the database has no tables yet; create them with `cimfctl --db {file} init`"
            ),
            Problem::NotAReplica => write!(
                f,
                "expected a replica of PostgreSQL, or no file yet, found a database with groups of its own; name another file with the parameter replica"
            ),
            Problem::NotAFile => write!(f, "expected a SQLite file, found a folder or a device"),
            Problem::Foreign => write!(
                f,
                "expected a database made by `cimfctl init`, found that of another program, or not a database; check the path"
            ),
            Problem::Older(found) => write!(
                f,
                "expected version {VERSION} of the tables, found {found}; bring it up to date with `cimfctl --db {file} init`"
            ),
            Problem::Newer(found) => write!(
                f,
                "expected version {VERSION} of the tables, found {found}; it was made by a later version of cimf, install that version"
            ),
            Problem::Locked => write!(
                f,
                "another process keeps the database locked; find it with `fuser {file}` and stop it"
            ),
            Problem::Corrupt(text) => write!(
                f,
                "the database is damaged ({text}); restore it from a copy, or see what `cimfctl --db {file} check` finds"
            ),
            Problem::Denied(text) => write!(
                f,
                "{text}; the user who runs this must be able to write the file, {file}-wal, {file}-shm and their folder"
            ),
            Problem::StaleLog => write!(
                f,
                "a new file was moved in over the log of the old one, which would be mixed into it; remove {file}-wal and {file}-shm, and next time do so before moving a file in"
            ),
            Problem::NoLog(found) => write!(
                f,
                "expected journal mode wal, found {found}; keep the file on a local file system, which has shared memory"
            ),
            Problem::Unstable => write!(
                f,
                "the file is being replaced repeatedly; move one file in and leave it"
            ),
            Problem::TooManyMembers {
                group,
                count,
                limit,
            } => write!(
                f,
                "the group {group} has {count} members, and max_members allows {limit}; delete members or raise max_members"
            ),
            Problem::Other(text) => write!(f, "{text}; see what `cimfctl --db {file} check` finds"),
        }
    }
}

impl std::error::Error for StoreError {}
