//! Connections to PostgreSQL: passwords, TLS, and how long anybody waits. What is in its tables is known to those who use
//! them.
//!
//! Nothing here is for SIP workers, which never wait for a network.

#![forbid(unsafe_code)]

mod connect;
mod migrate;
mod password;
mod postgres_error;
mod runtime;
mod tls;

pub use connect::{Connection, answered, connect};
pub use migrate::migrate;
pub use postgres_error::PostgresError;
pub use runtime::single_threaded;
