//! Groups in PostgreSQL: its tables, connections to it, and the replica of it that workers read.
//!
//! Nothing here is for SIP workers, which never wait for a network: a process of the module follows PostgreSQL into a
//! SQLite file, and `cimfctl` makes the tables.

#![forbid(unsafe_code)]

mod changes;
mod copy;
mod error;
mod failures;
mod follow;
mod replica;
mod schema;
mod working_copy;

use crate::config::PostgresUrl;
use crate::postgres::{PostgresError, single_threaded};
use crate::store::Tables;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::timeout;

pub use error::SourceError;
pub use follow::{CopyReason, Follower, Round};
pub use replica::{age, is_replica};
pub(super) use working_copy::{Purpose, WorkingCopy};

/// Makes the tables in PostgreSQL, or brings older ones up to date.
///
/// # Errors
///
/// PostgreSQL cannot be reached, does not allow it, or has tables of a later version.
pub fn init(url: &PostgresUrl) -> Result<Tables, SourceError> {
    runtime()?.block_on(schema::init(url))
}

/// Brings a replica to where PostgreSQL is, once; it is made if there is none.
///
/// # Errors
///
/// As for [`Follower::round`].
pub fn replicate(url: &PostgresUrl, path: &Path) -> Result<Round, SourceError> {
    let mut follower = Follower::new(url.clone(), path);
    runtime()?.block_on(follower.round())
}

/// The same, unless it takes longer than `patience`, which is an error.
///
/// # Errors
///
/// As for [`Follower::round`].
pub fn replicate_within(
    url: &PostgresUrl,
    path: &Path,
    patience: Duration,
) -> Result<Round, SourceError> {
    let mut follower = Follower::new(url.clone(), path);
    let done = runtime()?.block_on(async { timeout(patience, follower.round()).await });
    done.unwrap_or_else(|_| {
        Err(SourceError::Postgres(PostgresError::Silent {
            url: url.to_string(),
            action: "cannot copy the groups",
            patience,
        }))
    })
}

/// For a process that has no signals of its own to keep from threads.
fn runtime() -> Result<Runtime, PostgresError> {
    single_threaded(|| {})
}
