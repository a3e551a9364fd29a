//! The tables, and the migration steps from each version to the next.

use rusqlite::Connection;

/// `PRAGMA application_id` of ledgers: "CIML". It distinguishes them from other programs' files and
/// from the database of groups.
const APPLICATION_ID: i32 = 0x4349_4D4C;

/// The step at index n migrates version n to version n + 1. A released step is never edited: deployed
/// ledgers have been migrated with it.
const STEPS: [&str; 1] = [include_str!("schema_1.sql")];

/// `PRAGMA user_version` of a current ledger.
pub(super) const VERSION: i32 = STEPS.len() as i32;

/// The kind of a file, as seen by this version of cimf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A database without tables, new or never completed.
    Empty,
    /// A ledger of this version.
    Ours(i32),
    /// A database of another program.
    Foreign,
}

/// Determines the kind of a file.
pub(super) fn kind(connection: &Connection) -> rusqlite::Result<Kind> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i32>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    Ok(match (application, version, tables) {
        (APPLICATION_ID, version, _) => Kind::Ours(version),
        (0, 0, 0) => Kind::Empty,
        _ => Kind::Foreign,
    })
}

/// Migrates from `version` to the current one. The caller holds a transaction.
pub(super) fn migrate(connection: &Connection, version: i32) -> rusqlite::Result<()> {
    let taken = usize::try_from(version).unwrap_or_default();
    for step in STEPS.iter().skip(taken) {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", VERSION)
}
