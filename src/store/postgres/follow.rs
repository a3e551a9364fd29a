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
use super::connect::Connection;
use super::copy::{Copied, copy};
use super::error::SourceError;
use super::failures::Failures;
use super::replica::{Cursor, Replica};
use super::schema::connect_to_tables;
use crate::config::PostgresUrl;
use crate::store::init;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;
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
        })
    }
}

/// What a round has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Nothing: the replica has everything.
    Unchanged,
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
    /// How long a round waits for a notification.
    pause: Duration,
}

impl Follower {
    /// Opens nothing yet.
    pub fn new(url: PostgresUrl, path: &Path) -> Self {
        Self {
            url,
            path: path.to_owned(),
            replica: None,
            connection: None,
            pause: WITHOUT_NOTIFICATIONS,
        }
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
        let Some(connection) = &mut self.connection else {
            return tokio::time::sleep(self.pause).await;
        };
        // A connection that is lost is found out by the next round.
        if let Ok(Err(_)) = timeout(self.pause, connection.notified.changed()).await {
            tokio::time::sleep(WITHOUT_NOTIFICATIONS).await;
        }
    }

    async fn try_round(&mut self) -> Result<Round, SourceError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let connection = connect_to_tables(&self.url).await?;
                // Before the first look, so that no change comes between. A standby refuses it.
                let listens = connection.client.batch_execute("LISTEN cimf").await.is_ok();
                self.pause = match listens {
                    true => WITH_NOTIFICATIONS,
                    false => WITHOUT_NOTIFICATIONS,
                };
                none.insert(connection)
            }
        };
        let replica = match &mut self.replica {
            Some(replica) => replica,
            none => {
                init(&self.path)?;
                none.insert(Replica::open(&self.path)?)
            }
        };
        let failed = Failures {
            url: &self.url,
            path: &self.path,
        };
        let snapshot = connection.client.build_transaction();
        let snapshot = snapshot
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(failed.remote("cannot read the groups"))?;
        let cursor = replica.cursor()?;
        let (latest, reason) = stand(&snapshot, cursor.as_ref(), &failed).await?;
        let round = match (reason, cursor) {
            (None, Some(cursor)) if cursor == latest => Round::Unchanged,
            (None, Some(cursor)) => {
                let change = replica.begin()?;
                let count =
                    take_over(&snapshot, &change, cursor.revision, &latest, &failed).await?;
                failed.local(change.commit())?;
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
                Round::Copied(reason.unwrap_or(CopyReason::First), groups, memberships)
            }
        };
        let ended = snapshot.rollback().await;
        ended.map_err(failed.remote("cannot read the groups"))?;
        Ok(round)
    }
}

/// Where PostgreSQL stands, and why everything has to be copied from it, if it has.
async fn stand(
    snapshot: &Transaction<'_>,
    cursor: Option<&Cursor>,
    failed: &Failures<'_>,
) -> Result<(Cursor, Option<CopyReason>), SourceError> {
    let sql = "SELECT source::text, latest, pruned,
        EXISTS (SELECT 1 FROM cimf.history WHERE revision = $1) FROM cimf.revision";
    let at = cursor.map_or(0, |cursor| cursor.revision);
    let row = snapshot.query_one(sql, &[&at]).await;
    let row = row.map_err(failed.remote("cannot read the revision of the groups"))?;
    let latest = Cursor {
        source: row.get(0),
        revision: row.get(1),
    };
    let (pruned, is_known): (i64, bool) = (row.get(2), row.get(3));
    let reason = match cursor {
        None => Some(CopyReason::First),
        Some(cursor) if cursor.source != latest.source => Some(CopyReason::OtherSource),
        Some(cursor) if cursor.revision > latest.revision => Some(CopyReason::Behind),
        Some(cursor) if cursor.revision < pruned => Some(CopyReason::TooOld),
        Some(_) if !is_known => Some(CopyReason::Behind),
        Some(_) => None,
    };
    Ok((latest, reason))
}
