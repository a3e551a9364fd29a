//! Audit of a whole database, for `cimfctl check`.

#![forbid(unsafe_code)]

mod addresses;
mod uri_list_services;

use super::create::foreign_owner;
use super::database::{
    ADMINISTRATOR_PATIENCE, Members, Probe, connect, damage, optional_text, require_current, text,
};
use super::edit::EditError;
use super::error::StoreError;
use super::postgres::{Purpose, WorkingCopy};
use super::schema;
use crate::config::{DbUrl, Nested};
use crate::control::Group;
use crate::control::addressing::Addressing;
use crate::sip::text::Printable;
use addresses::{Kind, check_address};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::Path;

/// How much was checked, and the number of findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The groups.
    pub groups: u64,
    /// Their members.
    pub members: u64,
    /// The services.
    pub services: u64,
    /// The findings.
    pub findings: u64,
}

/// Checks the groups of `db` and reports each finding to `found`: damage, altered tables, a wrong
/// owner, addresses of groups and services that no message can match, members that get no message
/// according to `addressing` and `nested` (domains only if it has any), groups with more than
/// `max_members` members, and rulesets that are malformed or never hold.
///
/// # Errors
///
/// A file that cannot be read at all, is not a database of cimf, or is of another version.
pub fn audit(
    db: &DbUrl,
    addressing: &Addressing,
    nested: Nested,
    max_members: u32,
    found: &mut dyn FnMut(String),
) -> Result<Audit, EditError> {
    let mut audit = Audit::default();
    let mut report = |finding: String| {
        audit.findings += 1;
        found(finding);
    };
    let content = |connection: &Connection, report: &mut dyn FnMut(String)| {
        check_content(connection, addressing, nested, max_members, report)
    };
    let counted = match db {
        DbUrl::Sqlite(path) => check_file(path, content, &mut report)?,
        DbUrl::Postgres(url) => {
            WorkingCopy::open(url)?.transact(None, Purpose::Read, |copy, shown| {
                let counted = content(copy, &mut report);
                counted.map_err(|error| EditError::Store(StoreError::sqlite(shown, &error)))
            })?
        }
    };
    (audit.groups, audit.members, audit.services) = counted;
    Ok(audit)
}

/// Groups, members and services.
type Counted = (u64, u64, u64);

/// Checks a file, and then what is in it.
fn check_file(
    path: &Path,
    content: impl FnOnce(&Connection, &mut dyn FnMut(String)) -> rusqlite::Result<Counted>,
    report: &mut dyn FnMut(String),
) -> Result<Counted, StoreError> {
    let connection = connect(path, ADMINISTRATOR_PATIENCE)?;
    require_current(path, &connection)?;
    check_owner(path, report)?;
    let look = || -> rusqlite::Result<Counted> {
        let snapshot = connection.unchecked_transaction()?;
        if let Some(damage) = damage(&snapshot, "PRAGMA integrity_check(1)")? {
            report(format!("the database is damaged, restore it: {damage}"));
        }
        check_schema(&snapshot, report)?;
        check_orphans(&snapshot, report)?;
        uri_list_services::check_orphans(&snapshot, report)?;
        content(&snapshot, report)
    };
    look().map_err(|error| StoreError::sqlite(path, &error))
}

/// Checks groups and services; gives how many there are.
fn check_content(
    connection: &Connection,
    addressing: &Addressing,
    nested: Nested,
    max_members: u32,
    report: &mut dyn FnMut(String),
) -> rusqlite::Result<Counted> {
    let services = uri_list_services::check_services(connection, addressing, report)?;
    let (groups, members) = check_groups(connection, addressing, nested, max_members, report)?;
    Ok((groups, members, services))
}

fn check_owner(path: &Path, report: &mut dyn FnMut(String)) -> Result<(), StoreError> {
    let owner = foreign_owner(path).map_err(|error| StoreError::system(path, &error))?;
    if let Some(owner) = owner {
        report(format!("{}: {owner}", path.display()));
    }
    Ok(())
}

/// Compares the tables, indexes and triggers with those that `init` creates.
fn check_schema(connection: &Connection, report: &mut dyn FnMut(String)) -> rusqlite::Result<()> {
    let fresh = Connection::open_in_memory()?;
    schema::migrate(&fresh, 0)?;
    let (here, wanted) = (schema_of(connection)?, schema_of(&fresh)?);
    for (name, _) in wanted.difference(&here) {
        report(format!(
            "{name} is missing or was altered: changes may go unnoticed; make a new database with `cimfctl init` and copy the rows"
        ));
    }
    let rows = connection.query_row("SELECT count(*) FROM revision", [], |row| row.get(0));
    if rows == Ok(0) {
        report("the row of the table revision is missing, and no group is found; put it back with `INSERT INTO revision VALUES (1, 1, 1)` in sqlite3".to_owned());
    }
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    if mode != "wal" {
        report(format!(
            "expected journal_mode wal, found {mode}: writers hold up the proxy; run `PRAGMA journal_mode = WAL` in sqlite3"
        ));
    }
    Ok(())
}

fn schema_of(connection: &Connection) -> rusqlite::Result<BTreeSet<(String, String)>> {
    let sql = "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

/// `REPLACE INTO im_group` deletes the old row without firing a trigger, so its members remain.
fn check_orphans(connection: &Connection, report: &mut dyn FnMut(String)) -> rusqlite::Result<()> {
    let sql = "SELECT group_id, count(*) FROM member
        WHERE group_id NOT IN (SELECT id FROM im_group) GROUP BY group_id";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (group, count): (i64, i64) = (row.get(0)?, row.get(1)?);
        report(format!(
            "{count} members of group_id {group}, which is not a group; remove them with `DELETE FROM member WHERE group_id = {group}` in sqlite3"
        ));
    }
    Ok(())
}

fn check_groups(
    connection: &Connection,
    addressing: &Addressing,
    nested: Nested,
    max_members: u32,
    report: &mut dyn FnMut(String),
) -> rusqlite::Result<(u64, u64)> {
    let mut groups =
        connection.prepare("SELECT id, uri, pager_mode, ruleset FROM im_group ORDER BY uri")?;
    let mut select =
        connection.prepare("SELECT uri FROM member WHERE group_id = ?1 ORDER BY uri")?;
    let mut probe = Probe::new(connection)?;
    let (mut group_count, mut member_count) = (0, 0);
    let mut rows = groups.query([])?;
    while let Some(row) = rows.next()? {
        let uri = text(row, 1)?.into_owned();
        check_address(
            connection,
            Kind::Group,
            row.get(0)?,
            &uri,
            addressing,
            report,
        )?;
        let mut members = Members::default();
        let mut member_rows = select.query([row.get::<_, i64>(0)?])?;
        while let Some(row) = member_rows.next()? {
            members.push(&text(row, 0)?);
        }
        group_count += 1;
        member_count += members.len() as u64;
        let shown = Printable(uri.as_bytes()).to_string();
        if members.len() > max_members as usize {
            let count = members.len();
            report(format!(
                "group {shown}: {count} members, and {max_members} are allowed: its messages are refused"
            ));
        }
        let mut failure = None;
        let group = Group::compile(uri, row.get(2)?, members.iter(), addressing, |sip| {
            probe.is_ours(sip).unwrap_or_else(|error| {
                failure = Some(error);
                false
            })
        });
        if let Some(error) = failure {
            return Err(error);
        }
        if let Some(ruleset) = optional_text(row, 3)? {
            uri_list_services::check_ruleset(connection, row.get(0)?, &shown, &ruleset, report)?;
        }
        let group = match nested {
            Nested::Skip => group,
            Nested::Expand => group.for_expansion(),
        };
        for member in group.skipped() {
            let (uri, reason) = (Printable(member.uri.as_bytes()), &member.reason);
            report(format!(
                "group {shown}: member {uri} gets no message: {reason}"
            ));
        }
    }
    Ok((group_count, member_count))
}
