//! Work on the ledger within one connection, and how it fails.

use super::cluster_error::ClusterError;
use crate::config::PostgresUrl;
use tokio_postgres::Error;

/// What work on the ledger needs.
pub(super) struct Worker<'a> {
    pub client: &'a tokio_postgres::Client,
    /// The key of hashes.
    pub key: [u8; 16],
    pub url: &'a PostgresUrl,
    /// Which connection it is: a new one may lead to another server, which lacks the last transactions.
    pub age: u64,
}

/// Why work on the ledger has failed.
pub(super) enum Failure {
    Postgres(Error),
    Ledger(ClusterError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        Self::Ledger(error)
    }
}
