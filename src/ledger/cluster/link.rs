//! The connection of a writer: made when it is needed, bounded in all that it waits for, and given up after a failure.

use super::cluster_error::ClusterError;
use super::tables::connect_to_ledger;
use super::worker::{Failure, Worker};
use crate::config::PostgresUrl;
use crate::postgres::{Connection, PostgresError, single_threaded};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// The bounds of how long PostgreSQL may take for what is asked at once.
const LEAST_PATIENCE: Duration = Duration::from_millis(500);
const MOST_PATIENCE: Duration = Duration::from_secs(3);

/// What PostgreSQL ends by itself, so that nobody waits for a node that was lost in the middle: longer than anybody here
/// waits, as a commit that it gives up while it waits for a standby is one all the same.
const BOUNDS: &str = "SET idle_in_transaction_session_timeout = '5s'; SET lock_timeout = '5s';
    SET statement_timeout = '10s'; SET tcp_user_timeout = '10s'";

#[derive(Debug)]
pub(super) struct Link {
    url: PostgresUrl,
    runtime: Runtime,
    connection: Option<Connection>,
    /// The key of hashes, once connected.
    key: [u8; 16],
    patience: Duration,
    /// How many connections there were.
    age: u64,
}

impl Link {
    /// One that has not connected yet. What it asks takes at most a part of the lease, so that this is renewed in time.
    pub(super) fn new(
        url: &PostgresUrl,
        node: &str,
        lease: Duration,
        in_thread: fn(),
    ) -> Result<Self, ClusterError> {
        Ok(Self {
            // A host that is dark is passed over before anybody gives up on all, and so is a standby.
            url: url.clone().for_writing(node),
            runtime: single_threaded(in_thread)?,
            connection: None,
            key: [0; 16],
            patience: (lease / 4).clamp(LEAST_PATIENCE, MOST_PATIENCE),
            age: 0,
        })
    }

    /// Which connection there is, if there is one.
    pub(super) fn age(&self) -> Option<u64> {
        let open = self.connection.as_ref();
        open.filter(|open| !open.client.is_closed())
            .map(|_| self.age)
    }

    /// Does `task` with a connection, for a bounded time. After a failure the next call connects anew.
    pub(super) fn with<T>(
        &mut self,
        action: &'static str,
        task: impl AsyncFnOnce(&Worker<'_>) -> Result<T, Failure>,
    ) -> Result<T, ClusterError> {
        let Self {
            url,
            runtime,
            connection,
            key,
            patience,
            age,
        } = self;
        runtime.block_on(async {
            let open = match connection.take() {
                Some(open) if !open.client.is_closed() => open,
                _ => {
                    let (open, found) = connect_to_ledger(url).await?;
                    let bounded = open.client.batch_execute(BOUNDS);
                    let bounded = timeout(*patience, bounded).await;
                    bounded
                        .map_err(|_| silent(url, action, *patience))?
                        .map_err(PostgresError::doing(url, action))?;
                    *key = found;
                    *age += 1;
                    open
                }
            };
            let worker = Worker {
                client: &open.client,
                key: *key,
                url,
                age: *age,
            };
            let done = timeout(*patience, task(&worker)).await;
            let done = done.map_err(|_| silent(url, action, *patience))?;
            match done {
                Ok(done) => {
                    *connection = Some(open);
                    Ok(done)
                }
                Err(Failure::Postgres(error)) => {
                    Err(PostgresError::doing(url, action)(error).into())
                }
                Err(Failure::Ledger(error)) => {
                    // PostgreSQL has done what it was asked for; but what was begun may be open.
                    let rolled_back = timeout(*patience, worker.client.batch_execute("ROLLBACK"));
                    if matches!(rolled_back.await, Ok(Ok(()))) {
                        *connection = Some(open);
                    }
                    Err(error)
                }
            }
        })
    }
}

fn silent(url: &PostgresUrl, action: &'static str, patience: Duration) -> ClusterError {
    ClusterError::Postgres(PostgresError::Silent {
        url: url.to_string(),
        action,
        patience,
    })
}
