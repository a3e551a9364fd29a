//! Reasons why the ledger is unusable: each text names the file, the problem and the remedy.

use super::schema::VERSION;
use rusqlite::ErrorCode;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An unusable ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerError {
    /// The file.
    pub file: PathBuf,
    /// The problem.
    pub problem: Problem,
}

/// A problem of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Its path is not absolute.
    Relative,
    /// The folder is missing and cannot be created; the text is the system's.
    NoFolder(String),
    /// There is no such file.
    Missing,
    /// There is no such file, but its write-ahead log exists.
    LogAlone,
    /// It is not a regular file.
    NotAFile,
    /// It has no tables.
    Empty,
    /// It is a database of another program, or not a database.
    Foreign,
    /// A ledger of an earlier version.
    Older(i32),
    /// A ledger of a later version.
    Newer(i32),
    /// A proxy is using it.
    InUse,
    /// Another process keeps it locked.
    Locked,
    /// It is damaged; the text describes the damage.
    Corrupt(String),
    /// Permission to read or write it is missing, or it is read-only; the text is SQLite's or the
    /// system's.
    Denied(String),
    /// It cannot have a write-ahead log; the text is its journal mode.
    NoLog(String),
    /// The file was moved or deleted while it was in use.
    Gone,
    /// The file at its path is not the one in use.
    Replaced,
    /// Its write-ahead log was deleted or moved while it was in use.
    LogGone,
    /// The write-ahead log beside it is not the one in use.
    LogReplaced,
    /// The disk is full.
    Full,
    /// The disk or its file system fails; the text is SQLite's.
    Failing(String),
    /// A message with this id is in the ledger already.
    Twice,
    /// Any other error of SQLite or the system.
    Other(String),
}

impl LedgerError {
    pub(super) fn new(file: &Path, problem: Problem) -> Self {
        Self {
            file: file.to_owned(),
            problem,
        }
    }

    pub(super) fn sqlite(file: &Path, error: &rusqlite::Error) -> Self {
        Self::new(file, Problem::from_sqlite(error))
    }

    pub(super) fn system(file: &Path, error: &io::Error) -> Self {
        let problem = match error.kind() {
            io::ErrorKind::NotFound => Problem::Missing,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Problem::Denied(error.to_string())
            }
            io::ErrorKind::StorageFull => Problem::Full,
            _ => Problem::Other(error.to_string()),
        };
        Self::new(file, problem)
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
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::SystemIoFailure) => Self::Failing(text),
            _ => Self::Other(text),
        }
    }

    /// Whether the file and the connection are unaffected.
    pub(super) fn spares_the_connection(&self) -> bool {
        matches!(self, Self::Locked | Self::Full | Self::Twice)
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        write!(f, "{file}: ")?;
        match &self.problem {
            Problem::Relative => f.write_str(
                "expected an absolute path, such as /var/lib/cimf/ledger.db: a relative one depends on where the proxy is started",
            ),
            Problem::NoFolder(text) => write!(
                f,
                "its folder is missing and cannot be created ({text}); create it, and make the proxy's user its owner with `chown`"
            ),
            Problem::Missing => f.write_str("there is no such file; check the path, or restore it"),
            Problem::LogAlone => write!(
                f,
                "there is no such file, but its log {file}-wal exists and may hold messages that were promised; put the file back beside it, or remove {file}-wal and {file}-shm to start empty"
            ),
            Problem::NotAFile => write!(f, "expected a SQLite file, found a folder or a device"),
            Problem::Empty => {
                f.write_str("expected a ledger, found a file without tables; check the path")
            }
            Problem::Foreign => f.write_str(
                "expected a ledger made by cimf, found the file of another program, or not a SQLite file; check the path, or move that file away",
            ),
            Problem::Older(found) => write!(
                f,
                "expected version {VERSION} of the tables, found {found}; the next start of the proxy brings it up to date"
            ),
            Problem::Newer(found) => write!(
                f,
                "expected version {VERSION} of the tables, found {found}; it was made by a later version of cimf, install that version"
            ),
            Problem::InUse => write!(
                f,
                "another proxy, or a process left over from one, is using it (`fuser {file}` names it); stop that one, or give this proxy a ledger of its own"
            ),
            Problem::Locked => write!(
                f,
                "another process keeps it locked; find it with `fuser {file}` and stop it"
            ),
            Problem::Corrupt(text) => write!(
                f,
                "it is damaged ({text}), and messages that were promised may be in it; with the proxy stopped, copy {file} and {file}-wal to a safe place, and run `sqlite3 COPY .recover | sqlite3 NEW`, or move them away to start empty"
            ),
            Problem::Denied(text) => write!(
                f,
                "{text}; the proxy's user must be able to write the file, {file}-wal, {file}-shm and their folder, on a file system that is not read-only"
            ),
            Problem::NoLog(found) => write!(
                f,
                "expected journal mode wal, found {found}; keep the file on a local file system, which has shared memory"
            ),
            Problem::Gone => f.write_str(
                "the file was moved or deleted while the proxy was using it; put it back, or restart the proxy",
            ),
            Problem::Replaced => f.write_str(
                "another file was put in its place while the proxy was using it; put the original back, or restart the proxy",
            ),
            Problem::LogGone => write!(
                f,
                "{file}-wal or {file}-shm was moved or deleted while the proxy was using it; leave both alone as long as a proxy runs"
            ),
            Problem::LogReplaced => write!(
                f,
                "another {file}-wal or {file}-shm was put in place of the one that the proxy was using; restart the proxy, and leave both alone as long as it runs"
            ),
            Problem::Full => f.write_str(
                "no space is left on the disk (or within the quota of the proxy's user); free some, and the proxy continues by itself",
            ),
            Problem::Failing(text) => write!(
                f,
                "{text}; see what the kernel reports about the disk (`dmesg`), and whether it is full or read-only"
            ),
            Problem::Twice => f.write_str("expected a new message, found one with its id already"),
            Problem::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for LedgerError {}
