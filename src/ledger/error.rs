//! Why the ledger cannot be used: each text names the file, what is wrong and what to do.

use super::schema::VERSION;
use rusqlite::ErrorCode;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A ledger that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Its path is not absolute.
    Relative,
    /// The folder is not there and cannot be made; the text is the system's.
    NoFolder(String),
    /// There is no such file.
    Missing,
    /// There is no such file, but its write-ahead log is there.
    LogAlone,
    /// It is no regular file.
    NotAFile,
    /// It has no tables.
    Empty,
    /// It is a database of some other program, or no database.
    Foreign,
    /// A ledger of an earlier version.
    Older(i32),
    /// A ledger of a later version.
    Newer(i32),
    /// A proxy has it.
    InUse,
    /// Somebody else keeps it locked.
    Locked,
    /// It is damaged; the text says where.
    Corrupt(String),
    /// It may not be read or written by this user, or not by anybody; the text is SQLite's or the system's.
    Denied(String),
    /// It cannot have a write-ahead log; the text is the journal mode that it has.
    NoLog(String),
    /// The file was moved or deleted while it was in use.
    Gone,
    /// Another file is at its path than the one in use.
    Replaced,
    /// Its write-ahead log was deleted or moved while it was in use.
    LogGone,
    /// Another write-ahead log is there than the one in use.
    LogReplaced,
    /// No room is left on the disk.
    Full,
    /// The disk or its file system fails; the text is SQLite's.
    Failing(String),
    /// A message with this id is in the ledger already.
    Twice,
    /// Anything else that SQLite or the system said.
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

    /// Whether the file and what SQLite knows of it are as good as before.
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
                "expected an absolute path, such as /var/lib/cimf/ledger.db: a relative one would lead to another file wherever the proxy is started",
            ),
            Problem::NoFolder(text) => write!(
                f,
                "its folder is not there and cannot be made ({text}); make it, and give it to the proxy's user with `chown`"
            ),
            Problem::Missing => f.write_str("there is no such file; check the path, or restore it"),
            Problem::LogAlone => write!(
                f,
                "there is no such file, but its log {file}-wal is there and may hold messages that were promised; put the file back beside it, or remove {file}-wal and {file}-shm to begin with nothing"
            ),
            Problem::NotAFile => write!(f, "expected a SQLite file, found a folder or a device"),
            Problem::Empty => {
                f.write_str("expected a ledger, found a file without tables; check the path")
            }
            Problem::Foreign => f.write_str(
                "expected a ledger made by cimf, found another program's file or none of SQLite's; check the path, or move that file away",
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
                "another proxy, or a process that one has left behind, is using it (`fuser {file}` names it); stop that one, or give this proxy a ledger of its own"
            ),
            Problem::Locked => write!(
                f,
                "another process keeps it locked; find it with `fuser {file}` and stop it"
            ),
            Problem::Corrupt(text) => write!(
                f,
                "it is damaged ({text}), and messages that were promised may be in it; with the proxy stopped, copy {file} and {file}-wal to a safe place, and run `sqlite3 COPY .recover | sqlite3 NEW`, or move them away to begin with nothing"
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
                "the file was moved or deleted while the proxy was using it; put it back, or start the proxy anew",
            ),
            Problem::Replaced => f.write_str(
                "another file was put in its place while the proxy was using it; put the first one back, or start the proxy anew",
            ),
            Problem::LogGone => write!(
                f,
                "{file}-wal or {file}-shm was moved or deleted while the proxy was using it; leave both alone as long as a proxy runs"
            ),
            Problem::LogReplaced => write!(
                f,
                "another {file}-wal or {file}-shm was put in place of the one that the proxy was using; start the proxy anew, and leave both alone as long as it runs"
            ),
            Problem::Full => f.write_str(
                "no room is left on the disk (or within the quota of the proxy's user); make room, and it goes on by itself",
            ),
            Problem::Failing(text) => write!(
                f,
                "{text}; see what the kernel says of the disk (`dmesg`), and whether it is full or read-only"
            ),
            Problem::Twice => f.write_str("expected a new message, found one with its id already"),
            Problem::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for LedgerError {}
