//! The replica: a SQLite file with the tables that workers read, and where in PostgreSQL's changes it stands.

#![forbid(unsafe_code)]

use crate::store::database::{ADMINISTRATOR_PATIENCE, connect, require_current};
use crate::store::file::FileId;
use crate::store::{Problem, StoreError};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where a replica stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Which tables it is of: each has another `source` wherever it is made anew.
    pub source: String,
    /// The revision up to which it has everything.
    pub revision: i64,
}

/// A replica opened for changes.
pub struct Replica {
    path: PathBuf,
    connection: Connection,
    file: FileId,
    confirmed: Option<Instant>,
}

/// The one table that only a replica has.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS replica (
  only_row INTEGER PRIMARY KEY CONSTRAINT \"replica has one row\" CHECK (only_row = 1),
  -- The column source of PostgreSQL's table cimf.revision.
  source TEXT NOT NULL,
  -- Its revision up to which everything is here.
  revision INTEGER NOT NULL,
  -- When this was last found to be so, in seconds since 1970: to the minute.
  confirmed INTEGER NOT NULL DEFAULT 0
)";

/// How often the time of the last confirmation is written: each write makes workers look for changes.
const CONFIRM: Duration = Duration::from_secs(60);

/// Whether a database is a replica: its groups are changed elsewhere.
pub fn is_replica(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'replica'";
    connection.query_row(sql, [], |row| row.get(0))
}

/// How old the groups of the replica at `path` are: the time since they were last known to be what PostgreSQL has. Nothing
/// if there is no replica of this version that has been filled.
pub fn age(path: &Path) -> Option<Duration> {
    let connection = connect(path, ADMINISTRATOR_PATIENCE).ok()?;
    require_current(path, &connection).ok()?;
    let sql = "SELECT confirmed FROM replica";
    let confirmed: i64 = connection.query_row(sql, [], |row| row.get(0)).ok()?;
    let confirmed = Duration::from_secs(confirmed.try_into().ok()?);
    Some(since_1970().saturating_sub(confirmed))
}

/// The time in seconds since 1970.
fn now() -> i64 {
    i64::try_from(since_1970().as_secs()).unwrap_or_default()
}

fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

impl Replica {
    /// Opens the file at `path`, which has been made.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = connect(path, ADMINISTRATOR_PATIENCE)?;
        require_current(path, &connection)?;
        let sql =
            "SELECT count(*) FROM (SELECT 1 FROM im_group UNION ALL SELECT 1 FROM service LIMIT 1)";
        let has_own = || -> rusqlite::Result<bool> {
            let found: bool = connection.query_row(sql, [], |row| row.get(0))?;
            Ok(found && !is_replica(&connection)?)
        };
        match has_own() {
            Ok(false) => {}
            Ok(true) => return Err(StoreError::new(path, Problem::NotAReplica)),
            Err(error) => return Err(StoreError::sqlite(path, &error)),
        }
        let replica = Self {
            path: path.to_owned(),
            connection,
            file: FileId::at(path).map_err(|error| StoreError::system(path, &error))?,
            confirmed: None,
        };
        replica.done(replica.connection.execute_batch(TABLE))?;
        // What a crash of the machine takes from it is followed again.
        replica.done(
            replica
                .connection
                .pragma_update(None, "synchronous", "NORMAL"),
        )?;
        Ok(replica)
    }

    /// Where it stands; nothing where it has never been filled.
    pub fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        let sql = "SELECT source, revision FROM replica";
        let row = self.connection.query_row(sql, [], |row| {
            Ok(Cursor {
                source: row.get(0)?,
                revision: row.get(1)?,
            })
        });
        self.done(row.optional())
    }

    /// Whether its path still leads to it.
    pub fn is_at_its_place(&self) -> bool {
        FileId::at(&self.path).is_ok_and(|file| file == self.file)
    }

    /// Notes each minute that it is still what PostgreSQL has.
    pub fn note_confirmed(&mut self) -> Result<(), StoreError> {
        if self.confirmed.is_some_and(|last| last.elapsed() < CONFIRM) {
            return Ok(());
        }
        self.confirmed = Some(Instant::now());
        let sql = "UPDATE replica SET confirmed = ?1";
        self.done(self.connection.execute(sql, [now()])).map(drop)
    }

    /// Begins a change, which readers see as a whole once it is committed.
    pub fn begin(&mut self) -> Result<Transaction<'_>, StoreError> {
        let begun = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate);
        begun.map_err(|error| StoreError::sqlite(&self.path, &error))
    }

    /// Brings a large change from the log into the file.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.done(self.connection.query_row(sql, [], |_| Ok(())))
    }

    /// What a change has come to.
    pub fn done<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| StoreError::sqlite(&self.path, &error))
    }
}

/// Notes where the replica stands after a change.
pub fn set_cursor(transaction: &Transaction<'_>, cursor: &Cursor) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO replica (only_row, source, revision, confirmed) VALUES (1, ?1, ?2, ?3)";
    let values = (&cursor.source, cursor.revision, now());
    transaction.execute(sql, values).map(drop)
}
