//! The replica: a SQLite file with the tables that workers read, and where in PostgreSQL's changes it stands.

#![forbid(unsafe_code)]

use crate::store::database::{ADMINISTRATOR_PATIENCE, connect, require_current};
use crate::store::{Problem, StoreError};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};

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
}

/// The one table that only a replica has.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS replica (
  only_row INTEGER PRIMARY KEY CONSTRAINT \"replica has one row\" CHECK (only_row = 1),
  -- The column source of PostgreSQL's table cimf.revision.
  source TEXT NOT NULL,
  -- Its revision up to which everything is here.
  revision INTEGER NOT NULL
)";

/// Whether a database is a replica: its groups are changed elsewhere.
pub fn is_replica(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'replica'";
    connection.query_row(sql, [], |row| row.get(0))
}

/// Whether there is a replica at `path` that has been filled.
pub fn has_groups(path: &Path) -> bool {
    if !path.exists() {
        return false;
    }
    let cursor = Replica::open(path).and_then(|replica| replica.cursor());
    matches!(cursor, Ok(Some(_)))
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
    let sql = "INSERT OR REPLACE INTO replica (only_row, source, revision) VALUES (1, ?1, ?2)";
    transaction
        .execute(sql, (&cursor.source, cursor.revision))
        .map(drop)
}
