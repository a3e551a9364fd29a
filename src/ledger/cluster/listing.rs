//! What administrators ask the ledger of a cluster.

use super::cluster_error::ClusterError;
use super::node_rows::{NodeState, all_nodes};
use super::rows::{COLUMNS, kept_copy, lists, message, number};
use super::tables::connect_to_ledger;
use crate::config::PostgresUrl;
use crate::ledger::entry::OutcomeRecord;
use crate::ledger::states;
use crate::ledger::stored::{Kept, Listed, Shown};
use crate::postgres::{answered, single_threaded};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

/// Does `work` with a connection of its own.
fn ask<T>(
    url: &PostgresUrl,
    work: impl AsyncFnOnce(&Client) -> Result<T, Error>,
) -> Result<T, ClusterError> {
    single_threaded(|| {})?.block_on(async {
        let (connection, _) = connect_to_ledger(url).await?;
        let done = answered(url, "cannot read the ledger", work(&connection.client));
        Ok(done.await?)
    })
}

/// The nodes that hold a lease, have messages left, or had a lease within the last hour.
///
/// # Errors
///
/// PostgreSQL cannot be reached, or has no ledger of this version.
pub fn nodes(url: &PostgresUrl) -> Result<Vec<NodeState>, ClusterError> {
    ask(url, async |client| all_nodes(client).await)
}

/// Deletes a message of a node whose lease has run out; says whether there is one.
///
/// # Errors
///
/// As for [`nodes`].
pub fn drop_message(url: &PostgresUrl, id: u64) -> Result<bool, ClusterError> {
    ask(url, async |client| {
        // What is kept of it ends with it.
        let sql = "WITH revision AS (UPDATE cimf_ledger.kept_latest SET latest = latest + 1 RETURNING latest),
              gone AS (DELETE FROM cimf_ledger.kept USING cimf_ledger.message, (
                SELECT run FROM cimf_ledger.node WHERE lease_until < clock_timestamp() FOR SHARE) lost
                WHERE kept.message = $1 AND message.id = $1 AND message.run = lost.run RETURNING kept.id)
            INSERT INTO cimf_ledger.kept_gone (id, revision) SELECT id, latest FROM gone, revision";
        let signed = id.cast_signed();
        client.query_typed(sql, &[(&signed, Type::INT8)]).await?;
        // Its node, if it comes back, lets it go.
        let sql = "WITH gone AS (
              DELETE FROM cimf_ledger.message USING (
                SELECT run FROM cimf_ledger.node WHERE lease_until < clock_timestamp() FOR SHARE) lost
              WHERE lost.run = message.run AND id = $1 RETURNING id, message.run)
            INSERT INTO cimf_ledger.moved (message, from_run, to_run) SELECT id, run, 0 FROM gone
            ON CONFLICT (message, from_run) DO UPDATE SET to_run = 0, moved_at = clock_timestamp() RETURNING message";
        let id = id.cast_signed();
        let rows = client.query_typed(sql, &[(&id, Type::INT8)]).await?;
        Ok(!rows.is_empty())
    })
}

/// One line for each message that is not finished, oldest first, and the name of its node.
///
/// # Errors
///
/// As for [`nodes`].
pub fn list(url: &PostgresUrl) -> Result<Vec<(Listed, String)>, ClusterError> {
    ask(url, async |client| {
        let sql = "SELECT id, accepted_at, anonymous, originator, group_uri, recipient_count,
              length(body)::bigint, coalesce(name, ''),
              (SELECT array_agg(states) FROM cimf_ledger.recipient_state WHERE message = id), finished,
              (SELECT count(*) FROM cimf_ledger.kept WHERE kept.message = message.id)
            FROM cimf_ledger.message LEFT JOIN cimf_ledger.node USING (run) ORDER BY accepted_at, id";
        let rows = client.query_typed(sql, &[]).await?;
        let listed = rows.iter().map(|row| {
            let chunks = row.get::<_, Option<Vec<&[u8]>>>(8).unwrap_or_default();
            let ended = chunks
                .iter()
                .map(|chunk| states::outcomes(0, chunk).count() as u64);
            let listed = Listed {
                id: number(row, 0),
                accepted_at: number(row, 1),
                originator: match row.get(2) {
                    true => b"anonymous".to_vec(),
                    false => row.get(3),
                },
                group: row.get(4),
                recipients: number(row, 5),
                open: match row.get(9) {
                    true => 0,
                    false => number(row, 5).saturating_sub(ended.sum()),
                },
                kept: number(row, 10),
                body_bytes: number(row, 6),
            };
            (listed, row.get(7))
        });
        Ok(listed.collect())
    })
}

/// Everything known about a message.
///
/// # Errors
///
/// As for [`nodes`], or the message was altered.
pub fn show(url: &PostgresUrl, id: u64) -> Result<Option<Shown>, ClusterError> {
    let found = ask(url, async |client| {
        let sql = format!("SELECT {COLUMNS} FROM cimf_ledger.message WHERE id = $1");
        let id = id.cast_signed();
        let rows = client.query_typed(&sql, &[(&id, Type::INT8)]).await?;
        let lists = lists(client, &rows).await?;
        let sql = "SELECT chunk, states FROM cimf_ledger.recipient_state WHERE message = $1 ORDER BY chunk";
        let chunks = client.query_typed(sql, &[(&id, Type::INT8)]).await?;
        let sql = "SELECT id, recipient, address_hash, address, code, kept_at, expires_at
            FROM cimf_ledger.kept WHERE message = $1 ORDER BY recipient";
        let kept = client.query_typed(sql, &[(&id, Type::INT8)]).await?;
        let kept: Vec<Kept> = kept.iter().map(|row| kept_copy(row, id)).collect();
        let mut outcomes: Vec<OutcomeRecord> = Vec::new();
        for row in &chunks {
            let chunk = u32::try_from(row.get::<_, i64>(0)).unwrap_or_default();
            outcomes.extend(states::outcomes(chunk, row.get(1)));
        }
        Ok((rows, lists, outcomes, kept))
    })?;
    let (rows, lists, outcomes, kept) = found;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let unfinished = message(url, row, &lists)?;
    let mut message = unfinished.message;
    message.originator = message.originator_shown().to_vec();
    Ok(Some(Shown {
        message,
        recipients: unfinished.recipients,
        outcomes,
        kept,
    }))
}
