//! The runtime of whoever waits for PostgreSQL and has nothing else to do.

#![forbid(unsafe_code)]

use super::error::SourceError;
use tokio::runtime::{Builder, Runtime};

/// It works in the calling thread only, and in one more while the system is asked for the address of a name.
pub fn new() -> Result<Runtime, SourceError> {
    let mut runtime = Builder::new_current_thread();
    runtime.enable_all().build().map_err(SourceError::System)
}
