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

use super::batch::States;
use super::cluster_error::ClusterError;
use super::cluster_writer::{ClusterLedger, Run};
use super::node_rows::{NodeState, all_nodes};
use super::rows::{COLUMNS, lists, load_states, message, number, outcomes};
use super::worker::{Failure, Worker};
use crate::ledger::Ledger;
use crate::ledger::entry::{CommitMode, Entry};
use crate::ledger::stored::Unfinished;
use crate::postgres::PostgresError;
use std::time::{Duration, Instant};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

/// Which of the messages that were asked about are not this node's any more, by their places in the question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    /// Others have taken these over.
    pub taken: Vec<usize>,
    /// PostgreSQL does not know these: it has lost its last transactions, or was made anew.
    pub unknown: Vec<usize>,
}

/// What was taken over from a run.
#[derive(Debug, Default)]
pub struct TakenOver {
    /// The name of its node; empty for what was nobody's.
    pub node: String,
    /// The messages, oldest first.
    pub messages: Vec<Unfinished>,
}

/// What has become of a lease that was to be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It holds, and has held since it was renewed before.
    Held,
    /// It holds again, and others may have taken over messages in between.
    RanOut,
    /// It holds, as that of another start: PostgreSQL did not know this one, nor perhaps its messages.
    Anew,
}

impl ClusterLedger {
    /// Begins a start: with a number, which it gives, and a lease of its own.
    pub fn begin(&mut self) -> Result<Run, ClusterError> {
        let (name, lease) = (self.place.node.clone(), milliseconds(self.place.lease));
        let mut token = [0; 8];
        getrandom::fill(&mut token).map_err(|error| PostgresError::System(error.into()))?;
        let token = u64::from_le_bytes(token);
        let number = self.link.with("cannot begin a lease", async |worker| {
            let sql = "INSERT INTO cimf_ledger.node (run, name, token, lease_until)
                VALUES (nextval('cimf_ledger.run'), $1, $2, clock_timestamp() + $3 * interval '1 millisecond')
                RETURNING run";
            let rows = worker
                .client
                .query_typed(
                    sql,
                    &[
                        (&name, Type::TEXT),
                        (&token.cast_signed(), Type::INT8),
                        (&lease, Type::FLOAT8),
                    ],
                )
                .await?;
            let number = rows.first().map(|row| number(row, 0));
            Ok(number.ok_or_else(|| ClusterError::altered(worker.url, "the table node"))?)
        })?;
        let run = Run { number, token };
        self.run = Some(run);
        self.states.clear();
        self.compared = None;
        Ok(run)
    }

    /// Renews the lease, which holds for its whole length from some time on after this was called.
    pub fn renew(&mut self, drains: bool) -> Result<Renewal, ClusterError> {
        let Some(Run { number, token }) = self.run else {
            self.begin()?;
            return Ok(Renewal::Anew);
        };
        let (number, token) = (number.cast_signed(), token.cast_signed());
        let lease = milliseconds(self.place.lease);
        let had_run_out = self.link.with("cannot renew the lease", async |worker| {
            // What was before is compared after the wait for whoever has the row.
            let sql = "WITH before AS (
                  SELECT lease_until FROM cimf_ledger.node WHERE run = $1 AND token = $2
                  FOR NO KEY UPDATE)
                UPDATE cimf_ledger.node
                SET lease_until = clock_timestamp() + $3 * interval '1 millisecond', drains = $4
                FROM before WHERE run = $1 AND token = $2
                RETURNING before.lease_until < clock_timestamp()";
            let rows = worker
                .client
                .query_typed(
                    sql,
                    &[
                        (&number, Type::INT8),
                        (&token, Type::INT8),
                        (&lease, Type::FLOAT8),
                        (&drains, Type::BOOL),
                    ],
                )
                .await?;
            Ok(rows.first().map(|row| row.get::<_, bool>(0)))
        })?;
        match had_run_out {
            Some(false) => Ok(Renewal::Held),
            Some(true) => Ok(Renewal::RanOut),
            None => {
                // It was away for so long that it was forgotten, or PostgreSQL was.
                self.begin()?;
                Ok(Renewal::Anew)
            }
        }
    }

    /// Ends the lease: others take over at once what is left.
    pub fn leave(&mut self) -> Result<(), ClusterError> {
        let Some(run) = self.run else {
            return Ok(());
        };
        let number = run.number.cast_signed();
        self.link.with("cannot end the lease", async |worker| {
            let sql = "UPDATE cimf_ledger.node SET lease_until = '-infinity' WHERE run = $1";
            let left = worker
                .client
                .query_typed(sql, &[(&number, Type::INT8)])
                .await;
            Ok(left.map(drop)?)
        })
    }

    /// What has become of messages that this node has in its queue, each with its number and its seed: a number may have been
    /// given again where all was restored.
    pub fn whose(&mut self, messages: &[(u64, [u8; 16])]) -> Result<Whose, ClusterError> {
        let run = self.run()?.number.cast_signed();
        let ids: Vec<i64> = messages.iter().map(|(id, _)| id.cast_signed()).collect();
        let seeds: Vec<&[u8]> = messages.iter().map(|(_, seed)| &seed[..]).collect();
        let Self { link, states, .. } = self;
        let mut age = None;
        let whose = link.with("cannot read what is this node's", async |worker| {
            age = Some(worker.age);
            // What is finished is there for its kept copies alone, and nobody's.
            let sql = "SELECT asked.place, message.run = $3 OR finished,
                  EXISTS (SELECT FROM cimf_ledger.moved WHERE moved.message = asked.id)
                FROM unnest($1::bigint[], $2::bytea[]) WITH ORDINALITY AS asked (id, seed, place)
                LEFT JOIN cimf_ledger.message USING (id, seed)";
            let parameters: [(&(dyn ToSql + Sync), Type); 3] = [
                (&ids, Type::INT8_ARRAY),
                (&seeds, Type::BYTEA_ARRAY),
                (&run, Type::INT8),
            ];
            let rows = worker.client.query_typed(sql, &parameters).await?;
            let (mut whose, mut found) = (Whose::default(), Vec::new());
            for row in rows {
                let place = row.get::<_, i64>(0) as usize - 1;
                let (id, _) = messages[place];
                match (row.get::<_, Option<bool>>(1), row.get(2)) {
                    // Written by a transaction whose answer was missing.
                    (Some(true), _) if !states.contains_key(&id) => found.push(id.cast_signed()),
                    (Some(true), _) => {}
                    (Some(false), _) | (None, true) => whose.taken.push(place),
                    (None, false) => whose.unknown.push(place),
                }
            }
            if !found.is_empty() {
                states.extend(load_states(worker, &found).await?);
            }
            Ok(whose)
        })?;
        for &place in whose.taken.iter().chain(&whose.unknown) {
            let (id, _) = messages[place];
            self.states.remove(&id);
        }
        if self.compared != age {
            if self.compared.is_some() {
                // It may also have lost that messages had ended.
                self.failed.get_or_insert_with(Instant::now);
            }
            self.compared = age;
        }
        Ok(whose)
    }

    /// Takes over messages of a run whose lease has run out, oldest first, `most` at a time; with `only_left` only of one
    /// that has left.
    pub fn take_over(&mut self, most: usize, only_left: bool) -> Result<TakenOver, ClusterError> {
        let run = self.run()?.number.cast_signed();
        let most = most as i64;
        let Self { link, states, .. } = self;
        let taken = link.with("cannot take over messages", async |worker| {
            let client = worker.client;
            // Who renews waits for this transaction, and a row that is being renewed is passed over.
            client.batch_execute("BEGIN").await?;
            let sql = "SELECT run, name FROM cimf_ledger.node
                WHERE run <> $1 AND (lease_until = '-infinity' OR NOT $2 AND lease_until < clock_timestamp())
                AND EXISTS (SELECT FROM cimf_ledger.message WHERE message.run = node.run AND NOT finished)
                ORDER BY (SELECT min(accepted_at) FROM cimf_ledger.message
                  WHERE message.run = node.run AND NOT finished)
                LIMIT 1 FOR SHARE SKIP LOCKED";
            let lost = client
                .query_typed(sql, &[(&run, Type::INT8), (&only_left, Type::BOOL)])
                .await?;
            let Some(row) = lost.first() else {
                client.batch_execute("COMMIT").await?;
                return Ok(TakenOver::default());
            };
            let (lost, node): (i64, String) = (row.get(0), row.get(1));
            let sql = format!(
                "WITH left_behind AS (
                  SELECT id FROM cimf_ledger.message WHERE run = $3 AND NOT finished
                  ORDER BY accepted_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
                ), noted AS (
                  INSERT INTO cimf_ledger.moved (message, from_run, to_run) SELECT id, $3, $1 FROM left_behind
                  ON CONFLICT (message, from_run) DO UPDATE SET to_run = $1, moved_at = clock_timestamp())
                UPDATE cimf_ledger.message SET run = $1 FROM left_behind
                WHERE message.id = left_behind.id RETURNING {COLUMNS}"
            );
            let parameters = [(&run, Type::INT8), (&most, Type::INT8), (&lost, Type::INT8)];
            let parameters = parameters.map(|(value, kind)| (value as &(dyn ToSql + Sync), kind));
            let rows = client.query_typed(&sql, &parameters).await?;
            let (messages, outcomes) = read(worker, &rows).await?;
            client.batch_execute("COMMIT").await?;
            states.extend(outcomes);
            Ok(TakenOver { node, messages })
        });
        if let Err(error) = &taken {
            self.may_have_done(error);
        }
        taken
    }

    /// Some time after a failure: withdraws what has come to light that nobody was promised, ends what has ended, and gives
    /// what this run has taken over without getting an answer.
    pub fn recall(&mut self) -> Result<Vec<Unfinished>, ClusterError> {
        let run = self.run()?.number.cast_signed();
        let known: Vec<i64> = self.states.keys().map(|id| id.cast_signed()).collect();
        let given_up: Vec<i64> = self.given_up.iter().map(|id| id.cast_signed()).collect();
        let sql = "SELECT id FROM cimf_ledger.message WHERE id = ANY ($1) AND run = id >> 32";
        let strays = self.link.with("cannot look for strays", async |worker| {
            let rows = worker
                .client
                .query_typed(sql, &[(&given_up, Type::INT8_ARRAY)])
                .await?;
            Ok(rows.iter().map(|row| number(row, 0)).collect::<Vec<_>>())
        })?;
        if !strays.is_empty() {
            self.withdraw(&strays);
            self.commit(&[], CommitMode::Synced)?;
        }
        let Self { link, states, .. } = self;
        let found = link.with("cannot look for strays", async |worker| {
            let sql = format!(
                "SELECT {COLUMNS} FROM cimf_ledger.message WHERE run = $1 AND NOT id = ANY ($2)
                ORDER BY accepted_at, id"
            );
            let rows = worker
                .client
                .query_typed(&sql, &[(&run, Type::INT8), (&known, Type::INT8_ARRAY)])
                .await?;
            let (found, outcomes) = read(worker, &rows).await?;
            states.extend(outcomes);
            Ok(found)
        })?;
        self.has_recalled();
        // What this start has promised itself it knows until it has ended: PostgreSQL has lost that end.
        let (own, taken): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|found| found.message.id >> 32 == run.cast_unsigned());
        let ended = own.iter().map(|own| Entry::Finished { id: own.message.id });
        let ended: Vec<_> = ended.collect();
        if !ended.is_empty() {
            self.commit(&ended, CommitMode::Soon)?;
        }
        Ok(taken)
    }

    /// Reads the outcomes of all messages of this run, for a writer that goes on where another one has ended.
    pub fn remember(&mut self) -> Result<(), ClusterError> {
        let run = self.run()?.number.cast_signed();
        let Self {
            link,
            states,
            compared,
            ..
        } = self;
        link.with("cannot read what is this node's", async |worker| {
            let sql = "SELECT id FROM cimf_ledger.message WHERE run = $1";
            let rows = worker
                .client
                .query_typed(sql, &[(&run, Type::INT8)])
                .await?;
            let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
            *states = load_states(worker, &ids).await?;
            *compared = Some(worker.age);
            Ok(())
        })
    }

    /// The nodes that hold a lease, have messages left, or had a lease within the last hour.
    pub fn nodes(&mut self) -> Result<Vec<NodeState>, ClusterError> {
        self.link.with("cannot read the nodes", async |worker| {
            Ok(all_nodes(worker.client).await?)
        })
    }
}

/// The messages in rows of [`COLUMNS`] with their outcomes, oldest first; and the outcomes by message, also of what cannot
/// be read and stays where it is.
async fn read(worker: &Worker<'_>, rows: &[Row]) -> Result<(Vec<Unfinished>, States), Failure> {
    let lists = lists(worker.client, rows).await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let states = load_states(worker, &ids).await?;
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        match message(worker.url, row, &lists) {
            Ok(mut unfinished) => {
                let chunks = states.get(&unfinished.message.id);
                unfinished.outcomes = chunks.map(outcomes).unwrap_or_default();
                messages.push(unfinished);
            }
            Err(error) => log::error!("ledger: {error}; that message is not sent"),
        }
    }
    messages.sort_by_key(|unfinished| (unfinished.message.accepted_at, unfinished.message.id));
    Ok((messages, states))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
