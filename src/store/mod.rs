//! Groups and services at rest: a SQLite file that `cimfctl`, `sqlite3` and the proxy's workers share.
//!
//! [`Store`] is for a worker's lookups, [`edit`] for `cimfctl`; [`document`] reads and writes group
//! documents; [`imc`] reads the tables of the proxies' own rooms; cimf's tables are in `schema_*.sql`. Nothing here depends on messages or a proxy.

mod audit;
mod cache;
mod create;
mod database;
mod directory;
pub mod document;
pub mod edit;
mod error;
mod file;
pub mod imc;
mod load;
pub mod postgres;
mod schema;
#[cfg(test)]
mod tests;
mod unions;
mod wal_index;

pub use audit::{Audit, audit};
pub use create::{ForeignOwner, Initialised, Tables, init};
pub use directory::{Statistics, Store};
pub use error::{Problem, StoreError};
