//! Rows of the tables: messages as they are read, and what is deleted once it is old.

use super::batch::States;
use super::cluster_error::ClusterError;
use super::recipient_lists::without;
use super::worker::{Failure, Worker};
use crate::config::PostgresUrl;
use crate::ledger::entry::OutcomeRecord;
use crate::ledger::recipient_text::Recipients;
use crate::ledger::states;
use crate::ledger::stored::{Kept, StoredMessage, Unfinished};
use std::collections::{BTreeMap, HashMap};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row};

/// The columns of [`message`], of a table named `message`.
pub(super) const COLUMNS: &str = "message.id, accepted_at, expires_at, anonymous, originator, group_uri, from_header,
    headers, charging, needs_stream, send_window, most_at_once, entry_at, seed, body, message.recipients, message.list,
    omitted, finished";

/// A message, without its outcomes. `lists` has the lists by their hashes.
pub(super) fn message(
    url: &PostgresUrl,
    row: &Row,
    lists: &HashMap<Vec<u8>, Vec<u8>>,
) -> Result<Unfinished, ClusterError> {
    let id = number(row, 0);
    let altered = |what: &str| ClusterError::altered(url, format!("{what} of message {id}"));
    let bytes = |column| row.get::<_, &[u8]>(column).to_vec();
    let small = |column| u32::try_from(row.get::<_, i64>(column)).map_err(|_| altered("a number"));
    let most_at_once = row.get::<_, Option<i64>>(11);
    let most_at_once = most_at_once.map(u32::try_from).transpose();
    let message = StoredMessage {
        id,
        promised: true,
        accepted_at: number(row, 1),
        expires_at: number(row, 2),
        // When it was is not known any more.
        finished_at: row.get::<_, bool>(18).then(|| number(row, 1)),
        anonymous: row.get(3),
        originator: bytes(4),
        group: bytes(5),
        from: bytes(6),
        headers: bytes(7),
        charging: bytes(8),
        needs_stream: row.get(9),
        window: small(10)?,
        most_at_once: most_at_once.map_err(|_| altered("a number"))?,
        entry_at: small(12)?,
        seed: row
            .get::<_, &[u8]>(13)
            .try_into()
            .map_err(|_| altered("the seed"))?,
        body: bytes(14),
    };
    let of_list;
    let text = match (
        row.get::<_, Option<&[u8]>>(15),
        row.get::<_, Option<&[u8]>>(16),
    ) {
        (Some(text), _) => text,
        (None, Some(hash)) => {
            let list = lists.get(hash).ok_or_else(|| altered("the list"))?;
            of_list = without(list, row.get(17));
            &of_list
        }
        (None, None) => b"",
    };
    Ok(Unfinished {
        message,
        recipients: Recipients::parse(text).ok_or_else(|| altered("the recipients"))?,
        outcomes: Vec::new(),
    })
}

/// The lists of messages in rows of [`COLUMNS`], by their hashes.
pub(super) async fn lists(
    client: &Client,
    rows: &[Row],
) -> Result<HashMap<Vec<u8>, Vec<u8>>, Error> {
    let mut hashes: Vec<&[u8]> = rows.iter().filter_map(|row| row.get(16)).collect();
    hashes.sort_unstable();
    hashes.dedup();
    if hashes.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT hash, recipients FROM cimf_ledger.list WHERE hash = ANY ($1)";
    let found = client
        .query_typed(sql, &[(&hashes, Type::BYTEA_ARRAY)])
        .await;
    let found = found?;
    Ok(found.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The outcomes of messages, each of which has an entry.
pub(super) async fn load_states(worker: &Worker<'_>, messages: &[i64]) -> Result<States, Failure> {
    let mut states = States::new();
    for &message in messages {
        states.insert(message.cast_unsigned(), BTreeMap::new());
    }
    let sql =
        "SELECT message, chunk, states FROM cimf_ledger.recipient_state WHERE message = ANY ($1)";
    let rows = worker
        .client
        .query_typed(sql, &[(&messages, Type::INT8_ARRAY)])
        .await?;
    for row in rows {
        let chunk = u32::try_from(row.get::<_, i64>(1));
        let chunk = chunk.map_err(|_| {
            ClusterError::altered(
                worker.url,
                format!("a state of message {}", number(&row, 0)),
            )
        })?;
        let chunks = states.entry(number(&row, 0)).or_default();
        chunks.insert(chunk, row.get(2));
    }
    Ok(states)
}

/// A kept copy of a message, in a row of its id, recipient, hash, address, code, and its times.
pub(super) fn kept_copy(row: &Row, message: i64) -> Kept {
    let small = |column| u32::try_from(row.get::<_, i64>(column)).unwrap_or_default();
    Kept {
        id: row.get(0),
        message: message.cast_unsigned(),
        recipient: small(1),
        address_hash: number(row, 2),
        address: row.get(3),
        code: u16::try_from(small(4)).unwrap_or_default(),
        kept_at: number(row, 5),
        expires_at: number(row, 6),
    }
}

/// The outcomes in these chunks.
pub(super) fn outcomes(chunks: &BTreeMap<u32, Vec<u8>>) -> Vec<OutcomeRecord> {
    let each = chunks.iter();
    each.flat_map(|(&chunk, states)| states::outcomes(chunk, states))
        .collect()
}

/// Deletes what nobody needs any more: requests after minutes, lists after hours, nodes after a day. Each kind is a
/// transaction of its own, so that nobody waits for two of them.
pub(super) async fn sweep(worker: &Worker<'_>) -> Result<(), Failure> {
    for sql in [
        "DELETE FROM cimf_ledger.request WHERE key IN (SELECT key FROM cimf_ledger.request
          WHERE answered_at < clock_timestamp() - interval '5 minutes'
          ORDER BY answered_at LIMIT 20000 FOR UPDATE SKIP LOCKED)",
        "DELETE FROM cimf_ledger.list WHERE hash IN (SELECT hash FROM cimf_ledger.list
          WHERE used_at < clock_timestamp() - interval '2 hours'
          AND NOT EXISTS (SELECT FROM cimf_ledger.message WHERE message.list = list.hash)
          LIMIT 100 FOR UPDATE SKIP LOCKED)",
        "DELETE FROM cimf_ledger.message WHERE id IN (SELECT id FROM cimf_ledger.message
          WHERE finished AND NOT EXISTS (SELECT FROM cimf_ledger.kept WHERE kept.message = message.id)
          LIMIT 1000 FOR UPDATE SKIP LOCKED)",
        "WITH old AS (DELETE FROM cimf_ledger.kept_gone
          WHERE gone_at < clock_timestamp() - interval '1 day' RETURNING revision)
        UPDATE cimf_ledger.kept_latest SET forgotten = greatest(forgotten, (SELECT max(revision) FROM old))
          WHERE EXISTS (SELECT FROM old)",
        "DELETE FROM cimf_ledger.moved WHERE moved_at < clock_timestamp() - interval '1 day'",
        "DELETE FROM cimf_ledger.node WHERE run IN (SELECT run FROM cimf_ledger.node
          WHERE run > 0 AND started_at < clock_timestamp() - interval '1 day'
          AND lease_until < clock_timestamp() - interval '1 day'
          AND NOT EXISTS (SELECT FROM cimf_ledger.message WHERE message.run = node.run)
          FOR UPDATE SKIP LOCKED)",
    ] {
        // Nobody waits for the disk.
        let sql = format!("BEGIN; SET LOCAL synchronous_commit TO off; {sql}; COMMIT");
        worker.client.batch_execute(&sql).await?;
    }
    Ok(())
}

/// An unsigned number, which PostgreSQL stores as a signed one with the same bits.
pub(super) fn number(row: &Row, column: usize) -> u64 {
    row.get::<_, i64>(column).cast_unsigned()
}
