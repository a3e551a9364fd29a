//! What has changed in PostgreSQL since a revision, into the replica, row by row.

#![forbid(unsafe_code)]

use super::error::SourceError;
use super::failures::Failures;
use super::replica::{Cursor, set_cursor};
use rusqlite::{Params, Transaction as Change};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Transaction as Snapshot};

/// What all errors here say was being done.
const ACTION: &str = "cannot read what has changed";

/// Takes over all changes after revision `since`; gives how many addresses of groups and services they are of.
///
/// The order matters: groups and services come and go first, then who belongs to those that were there before, and who
/// belongs to new ones.
pub async fn take_over(
    source: &Snapshot<'_>,
    change: &Change<'_>,
    since: i64,
    latest: &Cursor,
    failed: &Failures<'_>,
) -> Result<u64, SourceError> {
    let taking = Taking {
        source,
        change,
        failed,
    };
    let addresses = taking.addresses(since).await?;
    taking.members(since, &addresses.new_groups).await?;
    taking.rule_lists(&addresses.lists).await?;
    taking.consents(since, &addresses.new_services).await?;
    taking.copy_mark().await?;
    failed.local(set_cursor(change, latest))?;
    Ok(addresses.count)
}

/// What has changed of the set of groups and services, and of their own rows.
#[derive(Default)]
struct Addresses {
    count: u64,
    /// Groups that the replica did not have, whose members are all to be read.
    new_groups: Vec<i64>,
    /// Groups whose lists are to be read.
    lists: Vec<i64>,
    /// Services that the replica did not have.
    new_services: Vec<i64>,
}

/// One address that has changed, with the group or service that has it now.
struct Address {
    uri: String,
    has_new_lists: bool,
    group: Option<Group>,
    service: Option<(i64, bool)>,
}

struct Group {
    id: i64,
    display_name: Option<String>,
    pager_mode: bool,
    ruleset: Option<String>,
    max_participant_count: Option<i32>,
    invite_members: Option<bool>,
}

impl Address {
    fn of(row: &Row) -> Self {
        let group = row.get::<_, Option<i64>>(2).map(|id| Group {
            id,
            display_name: row.get(3),
            pager_mode: row.get(4),
            ruleset: row.get(5),
            max_participant_count: row.get(6),
            invite_members: row.get(7),
        });
        let service = row.get::<_, Option<i64>>(8);
        Self {
            uri: row.get(0),
            has_new_lists: row.get(1),
            group,
            service: service.map(|id| (id, row.get(9))),
        }
    }
}

struct Taking<'a> {
    source: &'a Snapshot<'a>,
    change: &'a Change<'a>,
    failed: &'a Failures<'a>,
}

impl Taking<'_> {
    /// Passes the rows that a query finds to `take`.
    async fn each(
        &self,
        query: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
        take: impl FnMut(&Row) -> rusqlite::Result<()>,
    ) -> Result<(), SourceError> {
        let each = self
            .failed
            .each(ACTION, self.source, query, parameters, take);
        each.await
    }

    /// Changes rows of the replica by a statement that is prepared once.
    fn execute(&self, sql: &str, values: impl Params) -> rusqlite::Result<()> {
        let mut statement = self.change.prepare_cached(sql)?;
        statement.execute(values).map(drop)
    }

    async fn addresses(&self, since: i64) -> Result<Addresses, SourceError> {
        let sql = "SELECT c.uri, c.lists > $1, g.id, g.display_name, g.pager_mode, g.ruleset,
                g.max_participant_count, g.invite_members, s.id, s.pager_mode
            FROM cimf.changed_address c
                LEFT JOIN cimf.im_group g ON g.uri = c.uri LEFT JOIN cimf.service s ON s.uri = c.uri
            WHERE c.revision > $1";
        let mut addresses = Addresses::default();
        let take = |row: &Row| self.address(&Address::of(row), &mut addresses);
        self.each(sql, &[(&since, Type::INT8)], take).await?;
        Ok(addresses)
    }

    fn address(&self, address: &Address, addresses: &mut Addresses) -> rusqlite::Result<()> {
        addresses.count += 1;
        let uri = &address.uri;
        let group = address.group.as_ref().map_or(0, |group| group.id);
        let (service, _) = address.service.unwrap_or_default();
        // Whatever else has had this address is gone, or gets another one in its own turn.
        let gone = "DELETE FROM im_group WHERE uri = ?1 AND id <> ?2";
        self.execute(gone, (uri, group))?;
        let gone = "DELETE FROM service WHERE uri = ?1 AND id <> ?2";
        self.execute(gone, (uri, service))?;
        if let Some(group) = &address.group {
            let is_new = self.group(uri, group)?;
            if is_new {
                addresses.new_groups.push(group.id);
            }
            if is_new || address.has_new_lists {
                addresses.lists.push(group.id);
            }
        }
        if let Some((id, pager_mode)) = address.service {
            let update = "UPDATE service SET uri = ?2, pager_mode = ?3
                WHERE id = ?1 AND (uri, pager_mode) IS NOT (?2, ?3)";
            if !self.is_there("service", id)? {
                let insert = "INSERT INTO service (id, uri, pager_mode) VALUES (?1, ?2, ?3)";
                self.execute(insert, (id, uri, pager_mode))?;
                addresses.new_services.push(id);
            } else {
                self.execute(update, (id, uri, pager_mode))?;
            }
        }
        Ok(())
    }

    /// Writes the row of a group; says whether the replica did not have it.
    fn group(&self, uri: &str, group: &Group) -> rusqlite::Result<bool> {
        let is_new = !self.is_there("im_group", group.id)?;
        let sql = match is_new {
            true => {
                "INSERT INTO im_group
                   (id, uri, display_name, pager_mode, ruleset, max_participant_count, invite_members)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
            }
            // Where only members have changed, nothing here has.
            false => {
                "UPDATE im_group SET uri = ?2, display_name = ?3, pager_mode = ?4, ruleset = ?5,
                   max_participant_count = ?6, invite_members = ?7
                 WHERE id = ?1 AND (uri, display_name, pager_mode, ruleset, max_participant_count,
                   invite_members) IS NOT (?2, ?3, ?4, ?5, ?6, ?7)"
            }
        };
        let values = (
            group.id,
            uri,
            &group.display_name,
            group.pager_mode,
            &group.ruleset,
            group.max_participant_count,
            group.invite_members,
        );
        self.execute(sql, values)?;
        Ok(is_new)
    }

    fn is_there(&self, table: &str, id: i64) -> rusqlite::Result<bool> {
        let sql = format!("SELECT 1 FROM {table} WHERE id = ?1");
        let mut statement = self.change.prepare_cached(&sql)?;
        statement.exists([id])
    }

    async fn members(&self, since: i64, new_groups: &[i64]) -> Result<(), SourceError> {
        let sql = "SELECT m.group_id, m.uri, true, n.display_name
            FROM cimf.member m LEFT JOIN cimf.member_name n USING (group_id, uri)
            WHERE m.group_id = ANY ($1)
            UNION ALL
            SELECT c.group_id, c.uri, m.uri IS NOT NULL, n.display_name
            FROM cimf.changed_member c JOIN cimf.im_group g ON g.id = c.group_id
                LEFT JOIN cimf.member m ON m.group_id = c.group_id AND m.uri = c.uri
                LEFT JOIN cimf.member_name n ON n.group_id = c.group_id AND n.uri = c.uri
            WHERE c.revision > $2 AND NOT EXISTS (SELECT 1 FROM unnest($1) AS new (id) WHERE new.id = c.group_id)";
        let take = |row: &Row| self.member(row.get(0), row.get(1), row.get(2), row.get(3));
        self.each(
            sql,
            &[(&new_groups, Type::INT8_ARRAY), (&since, Type::INT8)],
            take,
        )
        .await
    }

    fn member(
        &self,
        group: i64,
        uri: &str,
        is_there: bool,
        name: Option<&str>,
    ) -> rusqlite::Result<()> {
        let execute = |sql| self.execute(sql, (group, uri));
        if !is_there {
            // Its name goes with it.
            return execute("DELETE FROM member WHERE group_id = ?1 AND uri = ?2");
        }
        execute("INSERT INTO member (group_id, uri) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
        match name {
            None => execute("DELETE FROM member_name WHERE group_id = ?1 AND uri = ?2"),
            Some(name) => {
                let sql =
                    "INSERT INTO member_name (group_id, uri, display_name) VALUES (?1, ?2, ?3)
                    ON CONFLICT DO UPDATE SET display_name = excluded.display_name";
                self.execute(sql, (group, uri, name))
            }
        }
    }

    /// Reads the lists of these groups anew.
    async fn rule_lists(&self, groups: &[i64]) -> Result<(), SourceError> {
        for group in groups {
            let gone = "DELETE FROM rule_list WHERE group_id = ?1";
            self.failed.local(self.execute(gone, [group]))?;
        }
        let sql = "SELECT group_id, anchor, uri FROM cimf.rule_list WHERE group_id = ANY ($1)";
        let insert = "INSERT INTO rule_list (group_id, anchor, uri) VALUES (?1, ?2, ?3)";
        let take = |row: &Row| {
            let (group, anchor, uri): (i64, &str, &str) = (row.get(0), row.get(1), row.get(2));
            self.execute(insert, (group, anchor, uri))
        };
        self.each(sql, &[(&groups, Type::INT8_ARRAY)], take).await
    }

    async fn consents(&self, since: i64, new_services: &[i64]) -> Result<(), SourceError> {
        let sql = "SELECT service_id, uri, true FROM cimf.consent WHERE service_id = ANY ($1)
            UNION ALL
            SELECT c.service_id, c.uri, o.uri IS NOT NULL
            FROM cimf.changed_consent c JOIN cimf.service s ON s.id = c.service_id
                LEFT JOIN cimf.consent o ON o.service_id = c.service_id AND o.uri = c.uri
            WHERE c.revision > $2 AND NOT EXISTS (SELECT 1 FROM unnest($1) AS new (id) WHERE new.id = c.service_id)";
        let take = |row: &Row| {
            let (service, uri, is_there): (i64, &str, bool) = (row.get(0), row.get(1), row.get(2));
            let sql = match is_there {
                true => {
                    "INSERT INTO consent (service_id, uri) VALUES (?1, ?2) ON CONFLICT DO NOTHING"
                }
                false => "DELETE FROM consent WHERE service_id = ?1 AND uri = ?2",
            };
            self.execute(sql, (service, uri))
        };
        self.each(
            sql,
            &[(&new_services, Type::INT8_ARRAY), (&since, Type::INT8)],
            take,
        )
        .await
    }

    /// The mark of copies, which is the same on all nodes.
    async fn copy_mark(&self) -> Result<(), SourceError> {
        let found = self
            .source
            .query_typed("SELECT mark FROM cimf.copy_mark", &[]);
        let found = self.failed.answer(ACTION, found).await?;
        let Some(mark) = found.first().map(|row| row.get::<_, &str>(0)) else {
            return Ok(());
        };
        let sql = "UPDATE copy_mark SET mark = ?1 WHERE mark <> ?1";
        self.failed.local(self.execute(sql, [mark]))
    }
}
