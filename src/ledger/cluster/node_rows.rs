//! What PostgreSQL knows of the nodes.

use super::rows::number;
use std::time::Duration;
use tokio_postgres::{Client, Error};

/// What PostgreSQL knows of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// Which start of it.
    pub run: u64,
    /// For how long its lease holds; nothing once it has run out.
    pub lease: Option<Duration>,
    /// Whether it was stopped in good order.
    pub has_left: bool,
    /// Whether it takes no new messages.
    pub drains: bool,
    /// Its messages that are not finished.
    pub unfinished: u64,
}

/// The nodes that hold a lease, have messages left, or had a lease within the last hour.
pub(super) async fn all_nodes(client: &Client) -> Result<Vec<NodeState>, Error> {
    let sql = "SELECT run, name, drains, left_over.count,
          CASE WHEN lease_until > clock_timestamp()
            THEN (EXTRACT(epoch FROM lease_until - clock_timestamp()) * 1000)::bigint ELSE 0 END,
          lease_until = '-infinity'
        FROM cimf_ledger.node,
          LATERAL (SELECT count(*) FROM cimf_ledger.message WHERE message.run = node.run AND NOT finished) left_over
        WHERE left_over.count > 0 OR lease_until > clock_timestamp() OR run > 0
          AND (lease_until > clock_timestamp() - interval '1 hour'
            OR started_at > clock_timestamp() - interval '1 hour')
          AND NOT EXISTS (SELECT FROM cimf_ledger.node later WHERE later.name = node.name AND later.run > node.run)
        ORDER BY lease_until > clock_timestamp() DESC, name, run";
    let rows = client.query_typed(sql, &[]).await?;
    let nodes = rows.iter().map(|row| {
        let held = u64::try_from(row.get::<_, i64>(4)).ok();
        NodeState {
            run: number(row, 0),
            name: row.get(1),
            drains: row.get(2),
            unfinished: number(row, 3),
            has_left: row.get(5),
            lease: held.filter(|&held| held > 0).map(Duration::from_millis),
        }
    });
    Ok(nodes.collect())
}
