//! The nodes: each start has a lease in PostgreSQL's time, and takes over messages of starts whose lease has run out.
//!
//! ```text
//!   begins ──► holds ──► ran out ──► holds again: what others have taken meanwhile is theirs
//!                │           │
//!                │           └──► messages taken over by others, oldest first, each by one
//!                └──► left (an orderly stop): as if it had run out
//! ```
//!
//! Who takes over has the row of the lost node locked against renewal, so that both agree on whose each message is.

use super::cluster_error::ClusterError;
use super::cluster_writer::ClusterLedger;
use super::node_rows::{NodeState, all_nodes};
use super::rows::{COLUMNS, lists, load_states, message, number, outcomes};
use crate::ledger::stored::Unfinished;
use std::collections::HashSet;
use std::time::Duration;
use tokio_postgres::types::Type;

/// What has become of a lease that was to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It holds, and has held since it was renewed before.
    Held,
    /// It holds again, and others may have taken over messages in between.
    RanOut,
    /// It holds, as that of a start that PostgreSQL did not know: all messages of before are others'.
    Anew,
}

impl ClusterLedger {
    /// Begins a start: with a number, which it gives, and a lease of its own.
    pub fn begin(&mut self) -> Result<u64, ClusterError> {
        let (name, lease) = (self.place.node.clone(), milliseconds(self.place.lease));
        let run = self.with("cannot begin a lease", async |worker| {
            let sql = "INSERT INTO cimf_ledger.node (run, name, lease_until)
                VALUES (nextval('cimf_ledger.run'), $1, clock_timestamp() + $2 * interval '1 millisecond')
                RETURNING run";
            let begun = worker
                .client
                .query_typed(sql, &[(&name, Type::TEXT), (&lease, Type::FLOAT8)]).await;
            let rows = begun?;
            let run = rows.first().map(|row| number(row, 0));
            Ok(run.ok_or_else(|| ClusterError::altered(worker.url, "the table node"))?)
        })?;
        self.run = Some(run);
        Ok(run)
    }

    /// Renews the lease, which holds for its whole length from some time on after this was called.
    pub fn renew(&mut self, drains: bool) -> Result<Renewal, ClusterError> {
        let Some(run) = self.run else {
            self.begin()?;
            return Ok(Renewal::Anew);
        };
        let (run, lease) = (run.cast_signed(), milliseconds(self.place.lease));
        let had_run_out = self.with("cannot renew the lease", async |worker| {
            let sql = "WITH before AS (
                  SELECT lease_until < clock_timestamp() AS had_run_out FROM cimf_ledger.node
                  WHERE run = $1 FOR NO KEY UPDATE)
                UPDATE cimf_ledger.node
                SET lease_until = clock_timestamp() + $2 * interval '1 millisecond', drains = $3
                FROM before WHERE run = $1 RETURNING had_run_out";
            let renewed = worker
                .client
                .query_typed(
                    sql,
                    &[
                        (&run, Type::INT8),
                        (&lease, Type::FLOAT8),
                        (&drains, Type::BOOL),
                    ],
                )
                .await;
            let rows = renewed?;
            Ok(rows.first().map(|row| row.get::<_, bool>(0)))
        })?;
        match had_run_out {
            Some(false) => Ok(Renewal::Held),
            Some(true) => Ok(Renewal::RanOut),
            None => {
                // It was away for so long that it was forgotten.
                self.states.clear();
                self.begin()?;
                Ok(Renewal::Anew)
            }
        }
    }

    /// Ends the lease: others take over what is left.
    pub fn leave(&mut self) -> Result<(), ClusterError> {
        let Some(run) = self.run.map(u64::cast_signed) else {
            return Ok(());
        };
        self.with("cannot end the lease", async |worker| {
            let sql = "UPDATE cimf_ledger.node SET lease_until = clock_timestamp() WHERE run = $1";
            let left = worker.client.query_typed(sql, &[(&run, Type::INT8)]).await;
            Ok(left.map(drop)?)
        })
    }

    /// The messages that are this run's, accepted at this millisecond of Unix time or before.
    pub fn own(&mut self, accepted_until: u64) -> Result<HashSet<u64>, ClusterError> {
        let run = self.run()?.cast_signed();
        let until = accepted_until.min(i64::MAX as u64).cast_signed();
        let own = self.with("cannot read what is this node's", async |worker| {
            let sql = "SELECT id FROM cimf_ledger.message WHERE run = $1 AND accepted_at <= $2";
            let rows = worker
                .client
                .query_typed(sql, &[(&run, Type::INT8), (&until, Type::INT8)])
                .await;
            let rows = rows?;
            Ok(rows
                .iter()
                .map(|row| number(row, 0))
                .collect::<HashSet<_>>())
        })?;
        self.states.retain(|id, _| {
            // What is newer was not looked for.
            own.contains(id) || accepted_until != u64::MAX
        });
        Ok(own)
    }

    /// Takes over messages of runs whose lease has run out, oldest first, `most` at a time.
    pub fn take_over(&mut self, most: usize) -> Result<Vec<Unfinished>, ClusterError> {
        let run = self.run()?.cast_signed();
        let most = most as i64;
        let mut states = std::mem::take(&mut self.states);
        let taken = self.with("cannot take over messages", async |worker| {
            let client = worker.client;
            let sql = format!(
                "WITH left_behind AS (
                  SELECT left_one.id FROM cimf_ledger.message left_one JOIN cimf_ledger.node lost USING (run)
                  WHERE lost.lease_until < clock_timestamp() AND run <> $1
                  ORDER BY left_one.accepted_at, left_one.id LIMIT $2
                  FOR UPDATE OF left_one SKIP LOCKED FOR SHARE OF lost SKIP LOCKED)
                UPDATE cimf_ledger.message SET run = $1 FROM left_behind
                WHERE message.id = left_behind.id RETURNING {COLUMNS}"
            );
            let rows = client.query_typed(&sql, &[(&run, Type::INT8), (&most, Type::INT8)]).await;
            let rows = rows?;
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            let lists = lists(client, &rows).await?;
            let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
            load_states(worker, &ids, &mut states).await?;
            let mut messages = Vec::with_capacity(rows.len());
            for row in &rows {
                match message(worker.url, row, &lists) {
                    Ok(mut unfinished) => {
                        let chunks = states.get(&unfinished.message.id);
                        unfinished.outcomes = chunks.map(outcomes).unwrap_or_default();
                        messages.push(unfinished);
                    }
                    Err(error) => log::error!("ledger: {error}; that message is not sent"),
                }
            }
            messages.sort_by_key(|unfinished| {
                (unfinished.message.accepted_at, unfinished.message.id)
            });
            Ok(messages)
        });
        self.states = states;
        taken
    }

    /// The nodes that hold a lease, have messages left, or had a lease within the last hour.
    pub fn nodes(&mut self) -> Result<Vec<NodeState>, ClusterError> {
        self.with("cannot read the nodes", async |worker| {
            Ok(all_nodes(worker.client).await?)
        })
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
