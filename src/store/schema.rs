//! The tables, and the steps that lead from each version of them to the next.

use rusqlite::Connection;

/// `PRAGMA application_id` of our databases: "CIMF". It tells them from everybody else's.
pub const APPLICATION_ID: i32 = 0x4349_4D46;

/// The step at index n leads from version n to version n + 1. A step that was ever released is
/// never edited: databases out there have taken it.
const STEPS: [&str; 3] = [
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
];

/// `PRAGMA user_version` of a current database.
pub const VERSION: i32 = STEPS.len() as i32;

/// What a file is to this version of cimf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A database without any table, fresh or never finished.
    Empty,
    /// Ours, with this version.
    Ours(i32),
    /// Somebody else's.
    Foreign,
}

/// Finds out what the database is.
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

/// Takes the steps from `version` to the current one. The caller holds a transaction.
pub fn migrate(connection: &Connection, version: i32) -> rusqlite::Result<()> {
    let taken = usize::try_from(version).unwrap_or_default();
    for step in STEPS.iter().skip(taken) {
        connection.execute_batch(step)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", VERSION)
}
