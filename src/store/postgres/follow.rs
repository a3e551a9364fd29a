//! A replica follows PostgreSQL: each round takes over what has changed since the last, or everything.
//!
//! ```text
//!                       ┌────────── connection lost, PostgreSQL away ──────────┐
//!                       ▼                                                      │
//!   no connection ── connected ── source and history say where the replica is ─┤
//!                                    │              │               │          │
//!                            at the latest     some behind     first copy, other tables,
//!                            revision: wait    row by row      restored backup, too old: all
//! ```
//!
//! A round is one snapshot of PostgreSQL and one change of the replica, so that workers see whole transactions only.

#![forbid(unsafe_code)]

use super::changes::take_over;
use super::copy::{Copied, copy};
use super::error::SourceError;
use super::failures::Failures;
use super::replica::{Cursor, Replica};
use super::schema::connect_to_tables;
use crate::config::PostgresUrl;
use crate::postgres::Connection;
use crate::store::init;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{IsolationLevel, Transaction};

/// How often PostgreSQL is asked where it wakes whoever waits.
const WITH_NOTIFICATIONS: Duration = Duration::from_secs(1);
/// How often it is asked where it does not: a standby, or a pooler in between.
const WITHOUT_NOTIFICATIONS: Duration = Duration::from_millis(50);

/// Why a replica gets everything anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyReason {
    /// It has nothing yet.
    First,
    /// It is of other tables: these were made anew, or `db_url` leads elsewhere.
    OtherSource,
    /// It has changes that PostgreSQL has not: this was restored from a backup, or lost its last transactions.
    Behind,
    /// It was away for longer than PostgreSQL remembers single changes.
    TooOld,
    /// What has changed did not fit what it has.
    Damaged,
}

impl fmt::Display for CopyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "the replica is new",
            Self::OtherSource => "the replica is of other tables than these",
            Self::Behind => {
                "PostgreSQL lacks changes that the replica has: was it restored from a backup?"
            }
            Self::TooOld => "the replica is older than the changes that PostgreSQL remembers",
            Self::Damaged => "what has changed did not fit what the replica has",
        })
    }
}

/// What a round has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Nothing: the replica has everything.
    Unchanged,
    /// Nothing: this is a standby that does not have yet what the replica has.
    Ahead,
    /// So many groups and services were taken over.
    Changed(u64),
    /// Everything was copied: why, and how many groups and memberships.
    Copied(CopyReason, u64, u64),
}

/// A replica and the PostgreSQL that it follows.
pub struct Follower {
    url: PostgresUrl,
    path: PathBuf,
    replica: Option<Replica>,
    connection: Option<Connection>,
    /// Whether notifications come.
    is_notified: bool,
    /// Whether one has come since the last round.
    is_woken: bool,
    /// The longest time between two rounds.
    longest_pause: Duration,
    /// Whether everything is to be copied, as a change could not be taken over.
    is_damaged: bool,
    /// Whether the last round has changed anything.
    has_changed: bool,
}

impl Follower {
    /// Opens nothing yet.
    pub fn new(url: PostgresUrl, path: &Path) -> Self {
        Self {
            url,
            path: path.to_owned(),
            replica: None,
            connection: None,
            is_notified: false,
            is_woken: false,
            longest_pause: WITH_NOTIFICATIONS,
            is_damaged: false,
            has_changed: false,
        }
    }

    /// With no more time than this between two rounds.
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.longest_pause = pause.min(WITH_NOTIFICATIONS);
        self
    }

    /// Brings the replica to where PostgreSQL is. To be called within a runtime, and again after a failure, which
    /// leaves the replica as it was.
    ///
    /// # Errors
    ///
    /// PostgreSQL cannot be reached or has no tables of this version, or the replica cannot be written.
    pub async fn round(&mut self) -> Result<Round, SourceError> {
        let done = self.try_round().await;
        if done.is_err() {
            // Whatever has failed, the next round begins anew.
            self.connection = None;
            self.replica = None;
        }
        done
    }

    /// Waits until PostgreSQL tells of a change, or is to be asked.
    pub async fn wait(&mut self) {
        if self.has_changed {
            // Whoever commits all the time is followed twenty times a second.
            tokio::time::sleep(WITHOUT_NOTIFICATIONS).await;
        }
        let pause = match self.is_notified {
            true => self.longest_pause,
            false => WITHOUT_NOTIFICATIONS,
        };
        let Some(connection) = &mut self.connection else {
            return tokio::time::sleep(pause).await;
        };
        match timeout(pause, connection.notified.changed()).await {
            Ok(Ok(())) => (self.is_notified, self.is_woken) = (true, true),
            // A connection that is lost is found out by the next round.
            Ok(Err(_)) => tokio::time::sleep(WITHOUT_NOTIFICATIONS).await,
            Err(_) => {}
        }
    }

    async fn try_round(&mut self) -> Result<Round, SourceError> {
        // First, so that a file of an earlier version is usable though PostgreSQL is away.
        let replica = match &mut self.replica {
            Some(replica) if replica.is_at_its_place() => replica,
            other => {
                init(&self.path)?;
                other.insert(Replica::open(&self.path)?)
            }
        };
        let failed = Failures {
            url: &self.url,
            path: &self.path,
        };
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connection = connect_to_tables(&self.url).await?;
                // Before the first look, so that no change comes between. A standby refuses it.
                let listens = connection.client.batch_execute("LISTEN cimf");
                self.is_notified = failed.answer(READING, listens).await.is_ok();
                none.insert(connection)
            }
        };
        let snapshot = connection.client.build_transaction();
        let snapshot = snapshot
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start();
        let snapshot = failed.answer(READING, snapshot).await?;
        let cursor = replica.cursor()?;
        let (latest, stand) = stand(&snapshot, cursor.as_ref(), &failed).await?;
        let reason = match stand {
            Stand::Copy(reason) => Some(reason),
            _ if self.is_damaged => Some(CopyReason::Damaged),
            Stand::Behind | Stand::Same | Stand::Ahead => None,
        };
        let round = match (reason, cursor) {
            (None, Some(_)) if stand == Stand::Same => {
                replica.note_confirmed()?;
                Round::Unchanged
            }
            (None, Some(_)) if stand == Stand::Ahead => Round::Ahead,
            (None, Some(cursor)) => {
                let change = replica.begin()?;
                let taken = take_over(&snapshot, &change, cursor.revision, &latest, &failed).await;
                self.is_damaged = matches!(taken, Err(SourceError::Replica(_)));
                let count = taken?;
                failed.local(change.commit())?;
                // What was found by asking alone says that notifications may not come through.
                let has_come = connection.notified.has_changed().unwrap_or_default();
                self.is_notified &= self.is_woken || has_come;
                Round::Changed(count)
            }
            (reason, _) => {
                let change = replica.begin()?;
                let Copied {
                    groups,
                    memberships,
                } = copy(&snapshot, &change, &latest, &failed).await?;
                failed.local(change.commit())?;
                replica.checkpoint()?;
                self.is_damaged = false;
                Round::Copied(reason.unwrap_or(CopyReason::First), groups, memberships)
            }
        };
        failed.answer(READING, snapshot.rollback()).await?;
        self.is_woken = false;
        self.has_changed = !matches!(round, Round::Unchanged | Round::Ahead);
        Ok(round)
    }
}

/// What errors of PostgreSQL say was being done.
const READING: &str = "cannot read the groups";

/// Where a replica stands beside PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// It has everything.
    Same,
    /// It lacks what has changed since its revision.
    Behind,
    /// It has more than this standby.
    Ahead,
    /// It needs everything.
    Copy(CopyReason),
}

/// Where PostgreSQL stands, and the replica beside it.
async fn stand(
    snapshot: &Transaction<'_>,
    cursor: Option<&Cursor>,
    failed: &Failures<'_>,
) -> Result<(Cursor, Stand), SourceError> {
    let sql = "SELECT source::text, latest, pruned,
        EXISTS (SELECT 1 FROM cimf.history WHERE revision = $1), pg_is_in_recovery() FROM cimf.revision";
    let at = cursor.map_or(0, |cursor| cursor.revision);
    let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&at, Type::INT8)];
    let rows = snapshot.query_typed(sql, &parameters);
    let rows = failed.answer(READING, rows).await?;
    let row = rows.first().ok_or_else(|| SourceError::NoTables {
        url: failed.url.to_string(),
    })?;
    let latest = Cursor {
        source: row.get(0),
        revision: row.get(1),
    };
    let (pruned, is_known, is_standby): (i64, bool, bool) = (row.get(2), row.get(3), row.get(4));
    let stand = match cursor {
        None => Stand::Copy(CopyReason::First),
        Some(cursor) if cursor.source != latest.source => Stand::Copy(CopyReason::OtherSource),
        // A standby that lags gets there; a primary that lacks something has lost it.
        Some(cursor) if cursor.revision > latest.revision && is_standby => Stand::Ahead,
        Some(cursor) if cursor.revision > latest.revision => Stand::Copy(CopyReason::Behind),
        Some(cursor) if cursor.revision < pruned => Stand::Copy(CopyReason::TooOld),
        Some(_) if !is_known => Stand::Copy(CopyReason::Behind),
        Some(cursor) if *cursor == latest => Stand::Same,
        Some(_) => Stand::Behind,
    };
    Ok((latest, stand))
}
