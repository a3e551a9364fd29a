//! What a command of `cimfctl` reads and changes of PostgreSQL: the rows that it needs, in a SQLite database in memory,
//! so that one piece of code edits both.
//!
//! ```text
//! PostgreSQL ──BEGIN, rows──► memory ──the command──► rows touched ──► PostgreSQL COMMIT
//!                               └── given up in any case
//! ```
//!
//! Whoever changes something holds the row of `cimf.revision` from before the first look, so that nobody else's change
//! comes between.

#![forbid(unsafe_code)]

use super::copy::{load, put_triggers, take_triggers};
use super::error::SourceError;
use super::failures::Failures;
use super::schema::connect_to_tables;
use crate::config::PostgresUrl;
use crate::postgres::Connection;
use crate::store::schema;
use rusqlite::{Connection as Memory, OptionalExtension, Transaction as Change};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Transaction};

/// Ids from here on are of groups and services that PostgreSQL does not have yet.
const FIRST_NEW_ID: i64 = 1 << 60;

/// Notes every row that a command touches.
const NOTES: &str = include_str!("touched.sql");

/// Nobody else changes anything from here on; and whoever is cut off does not keep others from it for long.
const BEGIN_CHANGE: &str =
    "SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '10min';
    SELECT 1 FROM cimf.revision FOR UPDATE";

/// What errors of PostgreSQL say was being done.
const ACTION: &str = "cannot change the groups";

/// A connection to PostgreSQL, and memory for what is read from it.
pub struct WorkingCopy {
    url: PostgresUrl,
    /// What stands for the file in messages.
    shown: PathBuf,
    runtime: Runtime,
    connection: Connection,
    memory: Memory,
}

/// Whether a command changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It only reads: any server will do.
    Read,
    /// It changes what it has read.
    Change,
    /// It does the same, and all is given up in the end.
    Rehearse,
}

impl WorkingCopy {
    /// Connects to PostgreSQL.
    ///
    /// # Errors
    ///
    /// It cannot be reached, or has no tables of this version.
    pub fn open(url: &PostgresUrl) -> Result<Self, SourceError> {
        let shown = PathBuf::from(url.to_string());
        let failed = Failures { url, path: &shown };
        let runtime = super::runtime()?;
        let connection = runtime.block_on(connect_to_tables(url))?;
        let memory = failed.local(Memory::open_in_memory())?;
        failed.local(schema::migrate(&memory, 0))?;
        Ok(Self {
            url: url.clone(),
            runtime,
            connection,
            memory,
            shown,
        })
    }

    /// Runs `work` on all groups and services, or on those with these addresses, in one transaction, which is committed
    /// only if it succeeds.
    pub fn transact<T, E: From<SourceError>>(
        &mut self,
        addresses: Option<&[String]>,
        purpose: Purpose,
        work: impl FnOnce(&Change<'_>, &Path) -> Result<T, E>,
    ) -> Result<T, E> {
        let failed = Failures {
            url: &self.url,
            path: &self.shown,
        };
        // Given up at the end, so that the memory is as empty as before.
        let change = failed.local(self.memory.transaction())?;
        let client = &mut self.connection.client;
        self.runtime.block_on(async {
            let transaction = client.build_transaction();
            let transaction = match purpose {
                Purpose::Change | Purpose::Rehearse => transaction.read_only(false),
                Purpose::Read => transaction
                    .isolation_level(IsolationLevel::RepeatableRead)
                    .read_only(true),
            };
            let remote = failed.answer(ACTION, transaction.start()).await?;
            if purpose != Purpose::Read {
                let locked = remote.batch_execute(BEGIN_CHANGE);
                failed.answer(ACTION, locked).await?;
            }
            let triggers = failed.local(take_triggers(&change))?;
            load(&remote, &change, addresses, &failed).await?;
            failed.local(watch(&change, &triggers))?;
            let done = work(&change, &self.shown)?;
            if purpose != Purpose::Read {
                let writing = Writing {
                    remote: &remote,
                    change: &change,
                    failed: &failed,
                };
                writing.all().await?;
            }
            match purpose {
                Purpose::Rehearse => failed.answer(ACTION, remote.rollback()).await?,
                Purpose::Change | Purpose::Read => failed.answer(ACTION, remote.commit()).await?,
            }
            Ok(done)
        })
    }
}

/// Puts the triggers back, and has all notes taken.
fn watch(change: &Change<'_>, triggers: &[String]) -> rusqlite::Result<()> {
    put_triggers(change, triggers)?;
    for table in ["im_group", "service"] {
        let sql = "INSERT OR REPLACE INTO sqlite_sequence (name, seq) VALUES (?1, ?2)";
        change.execute("DELETE FROM sqlite_sequence WHERE name = ?1", [table])?;
        change.execute(sql, (table, FIRST_NEW_ID))?;
    }
    change.execute_batch(NOTES)
}

/// Writes what was touched.
struct Writing<'a> {
    remote: &'a Transaction<'a>,
    change: &'a Change<'a>,
    failed: &'a Failures<'a>,
}

/// A row of a group or service that was touched: whose, a list's address, and an address.
type Touched = (i64, String, String);

impl Writing<'_> {
    async fn all(&self) -> Result<(), SourceError> {
        let groups = self.groups().await?;
        let services = self.services().await?;
        self.members(&groups).await?;
        self.names(&groups).await?;
        self.rule_lists(&groups).await?;
        self.consents(&services).await
    }

    async fn execute(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<u64, SourceError> {
        let done = self.remote.execute(sql, values).await;
        done.map_err(self.failed.remote(ACTION))
    }

    /// What was touched of a table: the rows that are there now, and those that are not.
    fn touched(
        &self,
        table: &str,
        is_there: &str,
        ids: &HashMap<i64, i64>,
    ) -> Result<[Vec<Touched>; 2], SourceError> {
        let sql =
            format!("SELECT owner, anchor, uri, EXISTS ({is_there}) FROM touched WHERE kind = ?1");
        let mut there = Vec::new();
        let mut gone = Vec::new();
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.change.prepare(&sql)?;
            let mut rows = statement.query([table])?;
            while let Some(row) = rows.next()? {
                let owner: i64 = row.get(0)?;
                let owner = ids.get(&owner).copied().unwrap_or(owner);
                let touched = (owner, row.get(1)?, row.get(2)?);
                match row.get(3)? {
                    true => there.push(touched),
                    // A new group or service that is gone again was never there.
                    false if owner < FIRST_NEW_ID => gone.push(touched),
                    false => {}
                }
            }
            Ok(())
        };
        self.failed.local(read())?;
        Ok([there, gone])
    }

    /// Writes groups; gives the ids of new ones by those that they have here.
    async fn groups(&self) -> Result<HashMap<i64, i64>, SourceError> {
        let [there, gone] = self.touched(
            "im_group",
            "SELECT 1 FROM im_group WHERE id = owner",
            &HashMap::new(),
        )?;
        let gone: Vec<i64> = gone.iter().map(|touched| touched.0).collect();
        self.execute("DELETE FROM cimf.im_group WHERE id = ANY ($1)", &[&gone])
            .await?;
        let mut ids = HashMap::new();
        for (id, ..) in there {
            let row = self.failed.local(self.group(id))?;
            let Some((uri, display_name, pager_mode, ruleset, most, invite)) = row else {
                continue;
            };
            let values: [&(dyn ToSql + Sync); 6] =
                [&uri, &display_name, &pager_mode, &ruleset, &most, &invite];
            if id < FIRST_NEW_ID {
                let sql = "UPDATE cimf.im_group SET uri = $1, display_name = $2, pager_mode = $3, ruleset = $4,
                      max_participant_count = $5, invite_members = $6
                    WHERE id = $7 AND (uri, display_name, pager_mode, ruleset, max_participant_count,
                      invite_members) IS DISTINCT FROM ($1, $2, $3, $4, $5, $6)";
                let values = [&values[..], &[&id]].concat();
                self.execute(sql, &values).await?;
            } else {
                let sql = "INSERT INTO cimf.im_group
                      (uri, display_name, pager_mode, ruleset, max_participant_count, invite_members)
                    VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
                let row = self.remote.query_one(sql, &values).await;
                ids.insert(id, row.map_err(self.failed.remote(ACTION))?.get(0));
            }
        }
        Ok(ids)
    }

    /// The columns of a group.
    fn group(&self, id: i64) -> rusqlite::Result<Option<GroupColumns>> {
        let sql =
            "SELECT uri, display_name, pager_mode, ruleset, max_participant_count, invite_members
            FROM im_group WHERE id = ?1";
        let row = self.change.query_row(sql, [id], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
            ))
        });
        row.optional()
    }

    async fn services(&self) -> Result<HashMap<i64, i64>, SourceError> {
        let is_there = "SELECT 1 FROM service WHERE id = owner";
        let [there, gone] = self.touched("service", is_there, &HashMap::new())?;
        let gone: Vec<i64> = gone.iter().map(|touched| touched.0).collect();
        self.execute("DELETE FROM cimf.service WHERE id = ANY ($1)", &[&gone])
            .await?;
        let mut ids = HashMap::new();
        for (id, ..) in there {
            let sql = "SELECT uri, pager_mode FROM service WHERE id = ?1";
            let row = self.change.query_row(sql, [id], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
            });
            let (uri, pager_mode) = self.failed.local(row)?;
            if id < FIRST_NEW_ID {
                let sql = "UPDATE cimf.service SET uri = $1, pager_mode = $2 WHERE id = $3";
                self.execute(sql, &[&uri, &pager_mode, &id]).await?;
            } else {
                let sql = "INSERT INTO cimf.service (uri, pager_mode) VALUES ($1, $2) RETURNING id";
                let row = self.remote.query_one(sql, &[&uri, &pager_mode]).await;
                ids.insert(id, row.map_err(self.failed.remote(ACTION))?.get(0));
            }
        }
        Ok(ids)
    }

    /// Writes rows that are nothing but whose they are and texts: those that are gone, then those that are there.
    async fn plain_rows(
        &self,
        table: &str,
        ids: &HashMap<i64, i64>,
        is_there: &str,
        delete: &str,
        insert: &str,
    ) -> Result<(), SourceError> {
        let [there, gone] = self.touched(table, is_there, ids)?;
        self.rows(gone, delete).await?;
        self.rows(there, insert).await
    }

    async fn members(&self, groups: &HashMap<i64, i64>) -> Result<(), SourceError> {
        self.plain_rows(
            "member",
            groups,
            "SELECT 1 FROM member m WHERE m.group_id = owner AND m.uri = touched.uri",
            "DELETE FROM cimf.member m USING unnest($1::bigint[], $2::text[], $3::text[]) AS d (id, anchor, uri)
             WHERE m.group_id = d.id AND m.uri = d.uri",
            "INSERT INTO cimf.member (group_id, uri)
             SELECT id, uri FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n (id, anchor, uri)
             ON CONFLICT DO NOTHING",
        )
        .await
    }

    async fn names(&self, groups: &HashMap<i64, i64>) -> Result<(), SourceError> {
        // A name that is gone is none that an empty text could be.
        let sql = "SELECT t.owner, coalesce(n.display_name, ''), t.uri FROM touched t
            LEFT JOIN member_name n ON n.group_id = t.owner AND n.uri = t.uri WHERE t.kind = 'member_name'";
        let read = || -> rusqlite::Result<Vec<Touched>> {
            let mut statement = self.change.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let owner: i64 = row.get(0)?;
                let owner = groups.get(&owner).copied().unwrap_or(owner);
                Ok((owner, row.get(1)?, row.get(2)?))
            })?;
            rows.collect()
        };
        let all = self.failed.local(read())?;
        let (gone, there): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, name, _)| name.is_empty());
        self.rows(
            gone,
            "DELETE FROM cimf.member_name m USING unnest($1::bigint[], $2::text[], $3::text[]) AS d (id, name, uri)
             WHERE m.group_id = d.id AND m.uri = d.uri",
        )
        .await?;
        self.rows(
            there,
            "INSERT INTO cimf.member_name AS m (group_id, uri, display_name)
             SELECT id, uri, name FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n (id, name, uri)
             ON CONFLICT (group_id, uri) DO UPDATE SET display_name = excluded.display_name
               WHERE m.display_name <> excluded.display_name",
        )
        .await
    }

    async fn rule_lists(&self, groups: &HashMap<i64, i64>) -> Result<(), SourceError> {
        self.plain_rows(
            "rule_list",
            groups,
            "SELECT 1 FROM rule_list r
             WHERE r.group_id = owner AND r.anchor = touched.anchor AND r.uri = touched.uri",
            "DELETE FROM cimf.rule_list r USING unnest($1::bigint[], $2::text[], $3::text[]) AS d (id, anchor, uri)
             WHERE r.group_id = d.id AND r.anchor = d.anchor AND r.uri = d.uri",
            "INSERT INTO cimf.rule_list (group_id, anchor, uri)
             SELECT id, anchor, uri FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n (id, anchor, uri)
             ON CONFLICT DO NOTHING",
        )
        .await
    }

    async fn consents(&self, services: &HashMap<i64, i64>) -> Result<(), SourceError> {
        self.plain_rows(
            "consent",
            services,
            "SELECT 1 FROM consent c WHERE c.service_id = owner AND c.uri = touched.uri",
            "DELETE FROM cimf.consent c USING unnest($1::bigint[], $2::text[], $3::text[]) AS d (id, anchor, uri)
             WHERE c.service_id = d.id AND c.uri = d.uri",
            "INSERT INTO cimf.consent (service_id, uri)
             SELECT id, uri FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n (id, anchor, uri)
             ON CONFLICT DO NOTHING",
        )
        .await
    }

    /// Runs a statement on rows, all at once: $1 whose they are, $2 and $3 their texts.
    async fn rows(&self, rows: Vec<Touched>, sql: &str) -> Result<(), SourceError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut columns = (Vec::new(), Vec::new(), Vec::new());
        for (owner, second, third) in rows {
            columns.0.push(owner);
            columns.1.push(second);
            columns.2.push(third);
        }
        self.execute(sql, &[&columns.0, &columns.1, &columns.2])
            .await
            .map(drop)
    }
}

/// Address, display name, pager mode, ruleset, most participants, invitation.
type GroupColumns = (
    String,
    Option<String>,
    bool,
    Option<String>,
    Option<i32>,
    Option<bool>,
);
