//! A SQLite file of another program, read as it is.
//!
//! With a write-ahead log SQLite makes two files beside it even to read, which it cannot where nothing may be written: a
//! backup on a read-only disk, or another user's file. Such a file is read as one that nobody changes (`immutable=1`), if
//! its log has nothing to add; that nobody has changed it meanwhile is checked afterwards.

use super::imc_error::ImcError;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Does `work` with a connection that only reads.
pub(super) fn read<T>(
    path: &Path,
    mut work: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
) -> Result<T, ImcError> {
    let system = |error: io::Error| {
        ImcError::Sqlite(match error.kind() {
            io::ErrorKind::NotFound => "there is no such file; check the path".to_owned(),
            _ => error.to_string(),
        })
    };
    let absolute = std::path::absolute(path).map_err(system)?;
    let before = absolute.metadata().map_err(system)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // SQLite would parse a name that starts with "file:" as a URI.
    let read = Connection::open_with_flags(&absolute, flags).and_then(|mut it| work(&mut it));
    let error = match read {
        Ok(done) => return Ok(done),
        Err(error) => error,
    };
    let needs_writing = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    );
    if !needs_writing {
        return Err(ImcError::Sqlite(problem(&error)));
    }
    check_log(&absolute)?;
    let uri = format!(
        "file:{}?immutable=1",
        percent_encode(absolute.as_os_str().as_bytes(), NON_ALPHANUMERIC)
    );
    let read = Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
        .and_then(|mut it| work(&mut it));
    check_log(&absolute)?;
    let after = absolute.metadata().map_err(system)?;
    if stamp(&before) != stamp(&after) {
        return Err(ImcError::Sqlite(
            "it was changed while it was being read; stop whoever writes it, or give a copy of it"
                .to_owned(),
        ));
    }
    read.map_err(|error| ImcError::Sqlite(problem(&error)))
}

/// Checks that the log of a file has nothing that is missing in the file.
fn check_log(path: &Path) -> Result<(), ImcError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let bytes = PathBuf::from(&log).metadata().map_or(0, |log| log.len());
    if bytes == 0 {
        return Ok(());
    }
    let (file, log) = (path.display(), log.display());
    Err(ImcError::Sqlite(format!(
        "expected a file whose changes are all in it, found {bytes} bytes of them in {log}, which can be read only where files can be made; copy both into a folder of yours (`cp {file} {log} FOLDER`) and give that copy"
    )))
}

/// What is another one after a change.
fn stamp(file: &Metadata) -> (u64, i64, i64) {
    (file.len(), file.mtime(), file.mtime_nsec())
}

/// What SQLite says, and what to do.
fn problem(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            "expected a SQLite file, found another or an encrypted one; check the path".to_owned()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process keeps it locked; try again, or give a copy of it".to_owned()
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            format!("it is damaged ({error}); see what `sqlite3 FILE .recover` saves of it")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            format!("{error}; may the user who runs this read it?")
        }
        _ => error.to_string(),
    }
}
