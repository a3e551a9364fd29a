//! An open database: the right file, the right version, and the queries of a worker.

#![forbid(unsafe_code)]

use super::error::{Problem, StoreError};
use super::file::{FileId, beside};
use super::schema::{self, Kind, VERSION};
use super::wal_index::{Head, Watched};
use crate::sip::uri::{Form, SipUri};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Statement, Transaction};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a worker waits for a lock: waiting longer would delay its other messages.
pub const WORKER_PATIENCE: Duration = Duration::from_millis(100);
/// How long whoever changes something waits for another writer.
pub const ADMINISTRATOR_PATIENCE: Duration = Duration::from_secs(5);

/// A connection, with what is needed to detect that the file at its path was replaced.
pub struct Database {
    pub(super) connection: Watched,
    path: PathBuf,
    file: FileId,
    logs: Logs,
    /// The head of the index before SQLite was asked last, and what it has said.
    seen: Option<(Head, i64)>,
}

/// The result of checking the path.
pub enum Standing {
    /// It is still the open file.
    Same,
    /// It is another file.
    Replaced,
    /// It is the open file, but its log was replaced or removed: writes of other processes would not be
    /// seen.
    LogTaken,
}

/// The files that SQLite keeps beside a database: `-wal` and `-shm`.
type Logs = [Option<FileId>; 2];

fn logs(path: &Path) -> Logs {
    ["-wal", "-shm"].map(|suffix| FileId::at(&beside(path, suffix)).ok())
}

/// The row of an address.
pub struct TargetRow {
    pub id: i64,
    pub revision: i64,
    pub pager_mode: bool,
    pub is: TargetKind,
}

/// What an address stands for.
pub enum TargetKind {
    /// A group, with its ruleset.
    Group(Option<String>),
    /// A service.
    UriListService,
}

/// Opens the file at `path` for reading and writing; it is not created.
pub fn connect(path: &Path, patience: Duration) -> Result<Connection, StoreError> {
    let system = |error| StoreError::system(path, &error);
    let sqlite = |error| StoreError::sqlite(path, &error);
    // SQLite would parse a name that starts with "file:" as a URI.
    let absolute = std::path::absolute(path).map_err(system)?;
    if !std::fs::metadata(&absolute).map_err(system)?.is_file() {
        return Err(StoreError::new(path, Problem::NotAFile));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(absolute, flags).map_err(sqlite)?;
    connection.busy_timeout(patience).map_err(sqlite)?;
    Ok(connection)
}

/// Refuses a database of another program or another version.
pub fn require_current(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let kind = schema::kind(connection).map_err(|error| StoreError::sqlite(path, &error))?;
    let problem = match kind {
        Kind::Ours(VERSION) => return Ok(()),
        Kind::Ours(version) if version > VERSION => Problem::Newer(version),
        Kind::Ours(version) => Problem::Older(version),
        Kind::Empty => Problem::Empty,
        Kind::Foreign => Problem::Foreign,
    };
    Err(StoreError::new(path, problem))
}

/// The first damage that the check `pragma` finds, if any.
pub fn damage(connection: &Connection, pragma: &str) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row(pragma, [], |row| row.get(0))?;
    Ok((found != "ok").then(|| found.replace('\n', " ")))
}

/// Makes a connection read-only even when it is closed: SQLite would checkpoint the log and remove the
/// file of that name, which may have been replaced meanwhile.
fn only_reads(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "query_only", true)?;
    let no_checkpoint = DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(no_checkpoint, true).map(drop)
}

impl Database {
    /// Opens the database for a worker, which only reads.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // The path must lead to the same file before and after opening. Losing that race once or twice
        // can happen; three times means that the file is being replaced all the time.
        for _ in 0..3 {
            let before = FileId::at(path).map_err(|error| StoreError::system(path, &error))?;
            let connection = connect(path, WORKER_PATIENCE)?;
            require_current(path, &connection)?;
            let reads = only_reads(&connection);
            reads.map_err(|error| StoreError::sqlite(path, &error))?;
            let logs = logs(path);
            if FileId::at(path).is_ok_and(|after| after == before) {
                return Ok(Self {
                    connection: Watched::new(connection),
                    path: path.to_owned(),
                    file: before,
                    logs,
                    seen: None,
                });
            }
        }
        Err(StoreError::new(path, Problem::Unstable))
    }

    /// Whether the path still leads to the file that is open.
    ///
    /// A new file under the old one's log is refused: SQLite would apply that log to it. The log stays
    /// open here, so its inode number cannot be reused for a later log.
    pub fn standing(&self) -> Result<Standing, StoreError> {
        let found =
            FileId::at(&self.path).map_err(|error| StoreError::system(&self.path, &error))?;
        let logs = logs(&self.path);
        match (found == self.file, logs == self.logs) {
            (true, true) => Ok(Standing::Same),
            (true, false) => Ok(Standing::LogTaken),
            (false, _) if logs[0].is_some() && logs[0] == self.logs[0] => {
                Err(StoreError::new(&self.path, Problem::StaleLog))
            }
            (false, _) => Ok(Standing::Replaced),
        }
    }

    /// Whether nobody has written to the database since SQLite was asked last, as far as that shows without asking it.
    pub fn is_untouched(&self) -> bool {
        let head = self.connection.head();
        matches!((head, self.seen), (Some(head), Some((seen, _))) if head == seen)
    }

    /// Whether the database has changed since the last call; true at the first call.
    pub fn changed(&mut self) -> Result<bool, StoreError> {
        // Before the question, so that a commit behind it is noticed.
        let head = self.connection.head().unwrap_or_default();
        // Prepared each time: rusqlite's statement cache would save only 0.3 of 1.9 microseconds.
        let version = self
            .connection
            .query_row("PRAGMA data_version", [], |row| row.get(0))
            .map_err(|error| StoreError::sqlite(&self.path, &error))?;
        let is_known = self.seen.is_some_and(|(_, known)| known == version);
        if !is_known {
            // A newer cimfctl may have migrated the tables meanwhile.
            require_current(&self.path, &self.connection)?;
        }
        self.seen = Some((head, version));
        Ok(!is_known)
    }

    /// Runs `work` on one snapshot of the database, isolated from concurrent writes.
    pub fn snapshot<T>(
        &self,
        work: impl FnOnce(&Snapshot<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let transaction = self.connection.unchecked_transaction();
        transaction
            .and_then(|transaction| work(&Snapshot(transaction)))
            .map_err(|error| StoreError::sqlite(&self.path, &error))
    }
}

/// Queries on one snapshot of the database.
pub struct Snapshot<'a>(Transaction<'a>);

impl Snapshot<'_> {
    /// The revision of the set of groups and services, and the row with the address `uri`.
    pub fn target(&self, uri: &str) -> rusqlite::Result<(i64, Option<TargetRow>)> {
        let sql = "SELECT directory, im_group.id, im_group.revision, im_group.pager_mode, ruleset,
                 service.id, service.revision, service.pager_mode
             FROM revision LEFT JOIN im_group ON im_group.uri = ?1
                 LEFT JOIN service ON service.uri = ?1
             WHERE only_row = 1";
        self.0.query_row(sql, [uri], |row| {
            let mut target = None;
            for (column, is_group) in [(5, false), (1, true)] {
                if let Some(id) = row.get(column)? {
                    target = Some(TargetRow {
                        id,
                        revision: row.get(column + 1)?,
                        pager_mode: row.get(column + 2)?,
                        is: match is_group {
                            true => TargetKind::Group(optional_text(row, 4)?),
                            false => TargetKind::UriListService,
                        },
                    });
                }
            }
            Ok((row.get(0)?, target))
        })
    }

    /// The addresses that have consented to receive messages from a service.
    pub fn consents(&self, service: i64) -> rusqlite::Result<Members> {
        let sql = "SELECT uri FROM consent WHERE service_id = ?1 ORDER BY uri";
        self.addresses(sql, service)
    }

    /// The lists that the rules of a group refer to, by anchor, with their entries.
    pub fn rule_lists(&self, group: i64) -> rusqlite::Result<HashMap<String, Members>> {
        rule_lists(&self.0, group)
    }

    fn addresses(&self, sql: &str, id: i64) -> rusqlite::Result<Members> {
        let mut statement = self.0.prepare(sql)?;
        let mut rows = statement.query([id])?;
        let mut members = Members::default();
        while let Some(row) = rows.next()? {
            members.push(&text(row, 0)?);
        }
        Ok(members)
    }

    /// A query whether an address is a group or a service.
    pub fn probe(&self) -> rusqlite::Result<Probe<'_>> {
        Probe::new(&self.0)
    }

    /// Whether `found` is true for the address of any group or service that has changed since
    /// `revision`.
    pub fn any_changed_since(
        &self,
        revision: i64,
        mut found: impl FnMut(&str) -> bool,
    ) -> rusqlite::Result<bool> {
        let mut statement = self.0.prepare(
            "SELECT uri FROM im_group WHERE revision > ?1
             UNION ALL SELECT uri FROM service WHERE revision > ?1",
        )?;
        let mut rows = statement.query([revision])?;
        while let Some(row) = rows.next()? {
            if found(&text(row, 0)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The members of a group in their order, unless there are more than `limit`.
    pub fn members(&self, group: i64, limit: u32) -> rusqlite::Result<Option<Members>> {
        let mut statement = self
            .0
            .prepare("SELECT uri FROM member WHERE group_id = ?1 ORDER BY uri")?;
        let mut rows = statement.query([group])?;
        let mut members = Members::default();
        while let Some(row) = rows.next()? {
            if members.len() >= limit as usize {
                return Ok(None);
            }
            members.push(&text(row, 0)?);
        }
        Ok(Some(members))
    }

    /// The mark by which copies that loop back to the proxy are recognised.
    pub fn copy_mark(&self) -> rusqlite::Result<String> {
        let sql = "SELECT mark FROM copy_mark";
        self.0
            .query_row(sql, [], |row| Ok(text(row, 0)?.into_owned()))
    }

    /// The address and display name of each member that has a name.
    pub fn member_names(&self, group: i64) -> rusqlite::Result<Vec<(String, String)>> {
        let sql = "SELECT uri, display_name FROM member_name WHERE group_id = ?1";
        let mut statement = self.0.prepare(sql)?;
        let names = statement.query_map([group], |row| {
            Ok((text(row, 0)?.into_owned(), text(row, 1)?.into_owned()))
        })?;
        names.collect()
    }

    /// How many members a group has.
    pub fn member_count(&self, group: i64) -> rusqlite::Result<u64> {
        let sql = "SELECT count(*) FROM member WHERE group_id = ?1";
        let count = self.0.query_row(sql, [group], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs)
    }
}

/// The lists that the rules of a group refer to, by anchor, with their entries.
pub fn rule_lists(
    connection: &Connection,
    group: i64,
) -> rusqlite::Result<HashMap<String, Members>> {
    let sql = "SELECT anchor, uri FROM rule_list WHERE group_id = ?1 ORDER BY anchor, uri";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([group])?;
    let mut lists = HashMap::<String, Members>::new();
    while let Some(row) = rows.next()? {
        let list = lists.entry(text(row, 0)?.into_owned()).or_default();
        list.push(&text(row, 1)?);
    }
    Ok(lists)
}

/// A prepared statement that finds out with one indexed query whether an address is a group or a
/// service.
pub struct Probe<'a>(Statement<'a>);

impl<'a> Probe<'a> {
    /// Needs a connection that is in a transaction already.
    pub fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT 1 FROM im_group WHERE uri = ?1
            UNION ALL SELECT 1 FROM service WHERE uri = ?1";
        connection.prepare(sql).map(Self)
    }

    /// Whether `uri`, in any spelling, is the address of a group or a service.
    pub fn is_ours(&mut self, uri: &SipUri<'_>) -> rusqlite::Result<bool> {
        let mut printed = Vec::new();
        uri.write(Form::Provisioned, &mut printed);
        self.0.exists([String::from_utf8_lossy(&printed)])
    }
}

/// Text as it is stored. Invalid UTF-8 gets replacement characters, which makes it an invalid URI.
pub fn text<'a>(row: &'a rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Cow<'a, str>> {
    let bytes = row.get_ref(column)?.as_bytes()?;
    Ok(String::from_utf8_lossy(bytes))
}

/// Text that may be missing.
pub fn optional_text(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => text(row, column).map(|text| Some(text.into_owned())),
    }
}

/// The addresses of members, concatenated.
#[derive(Default)]
pub struct Members {
    text: String,
    ends: Vec<usize>,
}

impl Members {
    /// Appends an address.
    pub fn push(&mut self, member: &str) {
        self.text.push_str(member);
        self.ends.push(self.text.len());
    }

    /// The number of addresses.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The addresses in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().filter_map(move |&end| {
            let member = self.text.get(start..end);
            start = end;
            member
        })
    }
}
