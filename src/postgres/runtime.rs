//! The runtime of whoever waits for PostgreSQL and has nothing else to do.

#![forbid(unsafe_code)]

use super::postgres_error::PostgresError;
use tokio::runtime::{Builder, Runtime};

/// It works in the calling thread only, and in one more while the system is asked for the address of a name; `in_thread` is
/// done first in that one.
pub fn single_threaded(in_thread: fn()) -> Result<Runtime, PostgresError> {
    let mut runtime = Builder::new_current_thread();
    runtime.enable_all().on_thread_start(in_thread);
    runtime.build().map_err(PostgresError::System)
}
