//! The tables, and the migration steps from each version to the next.

#![forbid(unsafe_code)]

use rusqlite::Connection;

/// `PRAGMA application_id` of cimf's databases: "CIMF". It distinguishes them from those of other
/// programs.
pub const APPLICATION_ID: i32 = 0x4349_4D46;

/// The step at index n migrates version n to version n + 1. A released step is never edited: deployed
/// databases have been migrated with it.
const STEPS: [&str; 3] = [
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
];

/// `PRAGMA user_version` of a current database.
pub const VERSION: i32 = STEPS.len() as i32;

/// The kind of a database, as seen by this version of cimf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A database without tables, new or never completed.
    Empty,
    /// A database of cimf, of this version.
    Ours(i32),
    /// A database of another program.
    Foreign,
}

/// Determines the kind of a database.
pub fn kind(connection: &Connection) -> rusqlite::Result<Kind> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i32>(0));
    let (application, version) = (
        number("PRAGMA application_id")?,
        number("PRAGMA user_version")?,
    );
    if application == APPLICATION_ID {
        return Ok(Kind::Ours(version));
    }
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    Ok(match (application, version, tables) {
        (0, 0, 0) => Kind::Empty,
        _ => Kind::Foreign,
    })
}

/// Migrates from `version` to the current one. The caller holds a transaction.
pub fn migrate(connection: &Connection, version: i32) -> rusqlite::Result<()> {
    let taken = usize::try_from(version).unwrap_or_default();
    for step in STEPS.iter().skip(taken) {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", VERSION)
}
