//! The whole of PostgreSQL's groups and services into the replica, in one change.

#![forbid(unsafe_code)]

use super::error::SourceError;
use super::failures::Failures;
use super::replica::{Cursor, set_cursor};
use rusqlite::{Params, Transaction as Change};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Transaction as Snapshot};

/// What errors of PostgreSQL say was being done.
const ACTION: &str = "cannot copy the groups";

/// The tables, each before those that refer to it.
const TABLES: [&str; 6] = [
    "im_group",
    "member",
    "member_name",
    "rule_list",
    "service",
    "consent",
];

/// How many groups and memberships a copy has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub groups: u64,
    pub memberships: u64,
}

/// Replaces all rows of the replica. Its triggers, which would take longer than all the rest, are put back in the same
/// change.
pub async fn copy(
    source: &Snapshot<'_>,
    change: &Change<'_>,
    cursor: &Cursor,
    failed: &Failures<'_>,
) -> Result<Copied, SourceError> {
    let triggers = failed.local(take_triggers(change))?;
    for table in TABLES {
        failed.local(change.execute(&format!("DELETE FROM {table}"), []))?;
    }
    let copied = load(source, change, None, failed).await?;
    failed.local(finish(change, &triggers))?;
    failed.local(set_cursor(change, cursor))?;
    Ok(copied)
}

/// Reads all groups and services, or those with these addresses, into tables without triggers and rows.
pub async fn load(
    source: &Snapshot<'_>,
    change: &Change<'_>,
    addresses: Option<&[String]>,
    failed: &Failures<'_>,
) -> Result<Copied, SourceError> {
    let rows = Rows {
        source,
        change,
        addresses,
        failed,
    };
    let groups = rows.copy(
        "SELECT g.id, g.uri, g.display_name, g.pager_mode, g.ruleset, g.max_participant_count, g.invite_members,
           coalesce(c.revision, 1)
         FROM cimf.im_group g LEFT JOIN cimf.changed_address c ON c.uri = g.uri
         WHERE $1::text[] IS NULL OR g.uri = ANY ($1) ORDER BY g.id",
        "INSERT INTO im_group
           (id, uri, display_name, pager_mode, ruleset, max_participant_count, invite_members, revision)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        |row| {
            (
                row.get::<_, i64>(0),
                row.get::<_, String>(1),
                row.get::<_, Option<String>>(2),
                row.get::<_, bool>(3),
                row.get::<_, Option<String>>(4),
                row.get::<_, Option<i32>>(5),
                row.get::<_, Option<bool>>(6),
                row.get::<_, i64>(7),
            )
        },
    );
    let groups = groups.await?;
    let memberships = rows.copy(
        "SELECT group_id, uri FROM cimf.member
         WHERE $1::text[] IS NULL OR group_id IN (SELECT id FROM cimf.im_group WHERE uri = ANY ($1))
         ORDER BY group_id, uri",
        "INSERT INTO member (group_id, uri) VALUES (?1, ?2)",
        two,
    );
    let memberships = memberships.await?;
    rows.copy(
        "SELECT group_id, uri, display_name FROM cimf.member_name
         WHERE $1::text[] IS NULL OR group_id IN (SELECT id FROM cimf.im_group WHERE uri = ANY ($1))
         ORDER BY group_id, uri",
        "INSERT INTO member_name (group_id, uri, display_name) VALUES (?1, ?2, ?3)",
        three,
    )
    .await?;
    rows.copy(
        "SELECT group_id, anchor, uri FROM cimf.rule_list
         WHERE $1::text[] IS NULL OR group_id IN (SELECT id FROM cimf.im_group WHERE uri = ANY ($1))
         ORDER BY group_id, anchor, uri",
        "INSERT INTO rule_list (group_id, anchor, uri) VALUES (?1, ?2, ?3)",
        three,
    )
    .await?;
    rows.copy(
        "SELECT s.id, s.uri, s.pager_mode, coalesce(c.revision, 1)
         FROM cimf.service s LEFT JOIN cimf.changed_address c ON c.uri = s.uri
         WHERE $1::text[] IS NULL OR s.uri = ANY ($1) ORDER BY s.id",
        "INSERT INTO service (id, uri, pager_mode, revision) VALUES (?1, ?2, ?3, ?4)",
        |row| {
            (
                row.get::<_, i64>(0),
                row.get::<_, String>(1),
                row.get::<_, bool>(2),
                row.get::<_, i64>(3),
            )
        },
    )
    .await?;
    rows.copy(
        "SELECT service_id, uri FROM cimf.consent
         WHERE $1::text[] IS NULL OR service_id IN (SELECT id FROM cimf.service WHERE uri = ANY ($1))
         ORDER BY service_id, uri",
        "INSERT INTO consent (service_id, uri) VALUES (?1, ?2)",
        two,
    )
    .await?;
    let mark = source
        .query_one("SELECT mark FROM cimf.copy_mark", &[])
        .await;
    let mark: String = mark.map_err(failed.remote(ACTION))?.get(0);
    failed.local(change.execute("UPDATE copy_mark SET mark = ?1", [mark]))?;
    Ok(Copied {
        groups,
        memberships,
    })
}

/// Whose row it is, and an address.
fn two(row: &Row) -> (i64, String) {
    (row.get(0), row.get(1))
}

/// Whose row it is, and two texts.
fn three(row: &Row) -> (i64, String, String) {
    (row.get(0), row.get(1), row.get(2))
}

/// Drops all triggers, and gives what makes them again.
pub fn take_triggers(change: &Change<'_>) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'";
    let mut statement = change.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let triggers = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    for (name, _) in &triggers {
        change.execute_batch(&format!("DROP TRIGGER \"{name}\""))?;
    }
    Ok(triggers.into_iter().map(|(_, sql)| sql).collect())
}

/// Gives all groups and services a new revision, and puts the triggers back.
fn finish(change: &Change<'_>, triggers: &[String]) -> rusqlite::Result<()> {
    change.execute_batch(
        "UPDATE revision SET latest = (SELECT number FROM next_revision);
         UPDATE revision SET directory = latest;
         UPDATE im_group SET revision = (SELECT latest FROM revision);
         UPDATE service SET revision = (SELECT latest FROM revision);",
    )?;
    put_triggers(change, triggers)
}

/// Makes the triggers again that [`take_triggers`] has dropped.
pub fn put_triggers(change: &Change<'_>, triggers: &[String]) -> rusqlite::Result<()> {
    triggers
        .iter()
        .try_for_each(|trigger| change.execute_batch(trigger))
}

/// The rows of one table after the other.
struct Rows<'a> {
    source: &'a Snapshot<'a>,
    change: &'a Change<'a>,
    /// Which groups and services; nothing for all.
    addresses: Option<&'a [String]>,
    failed: &'a Failures<'a>,
}

impl Rows<'_> {
    /// Inserts what a query finds; gives how many rows that were.
    async fn copy<P: Params>(
        &self,
        query: &str,
        insert: &str,
        values: impl Fn(&Row) -> P,
    ) -> Result<u64, SourceError> {
        let mut insert = self.failed.local(self.change.prepare(insert))?;
        let mut count = 0;
        let take = |row: &Row| {
            count += 1;
            insert.execute(values(row)).map(drop)
        };
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&self.addresses, Type::TEXT_ARRAY)];
        let each = self
            .failed
            .each(ACTION, self.source, query, &parameters, take);
        each.await?;
        Ok(count)
    }
}
