//! Connections to the file, and reading and writing bytes in columns.

use super::error::{LedgerError, Problem};
use super::schema::{self, Kind, VERSION};
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, Row, ToSql};
use std::path::Path;
use std::time::Duration;

/// How long to wait for a lock: that of an administrator with `sqlite3`, or of readers that recover the
/// log after a crash. Shorter than any wait for a commit.
const PATIENCE: Duration = Duration::from_millis(300);

/// Capacity of a connection's cache of prepared statements: enough for all of them.
const STATEMENTS: usize = 48;

/// Opens the file at `path` for reading and writing; it is not created.
pub(super) fn connect(path: &Path) -> Result<Connection, LedgerError> {
    let sqlite = |error| LedgerError::sqlite(path, &error);
    let found = std::fs::metadata(path).map_err(|error| LedgerError::system(path, &error))?;
    if !found.is_file() {
        return Err(LedgerError::new(path, Problem::NotAFile));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(PATIENCE).map_err(sqlite)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Leaves file and log unchanged when the connection is closed: other files may have taken their place.
pub(super) fn leave_log(connection: &Connection) -> rusqlite::Result<()> {
    let no_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(no_checkpoint, true).map(drop)
}

/// Refuses a file that is not a ledger or of another version.
pub(super) fn require_current(path: &Path, connection: &Connection) -> Result<(), LedgerError> {
    let kind = schema::kind(connection).map_err(|error| LedgerError::sqlite(path, &error))?;
    let problem = match kind {
        Kind::Ours(VERSION) => return Ok(()),
        Kind::Ours(version) if version > VERSION => Problem::Newer(version),
        Kind::Ours(version) => Problem::Older(version),
        Kind::Empty => Problem::Empty,
        Kind::Foreign => Problem::Foreign,
    };
    Err(LedgerError::new(path, problem))
}

/// Bytes stored as readable text if they are UTF-8, otherwise as a BLOB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a>(pub &'a [u8]);

impl ToSql for Text<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        // `sqlite3` would show text only up to a NUL.
        let is_text = memchr::memchr(0, self.0).is_none() && std::str::from_utf8(self.0).is_ok();
        Ok(ToSqlOutput::Borrowed(match is_text {
            true => ValueRef::Text(self.0),
            false => ValueRef::Blob(self.0),
        }))
    }
}

/// The bytes of a column, text or not.
pub(super) fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<u8>> {
    Ok(row.get_ref(column)?.as_bytes()?.to_vec())
}

/// An unsigned number, which SQLite stores as a signed one with the same bits.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// Sixteen bytes of a column; zeros if the column was altered.
pub(super) fn sixteen(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; 16]> {
    let found = row.get_ref(column)?.as_bytes()?;
    Ok(found.try_into().unwrap_or_default())
}
