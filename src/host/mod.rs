//! Adapters for the proxies that load the library, and the code that they share.
//!
//! A proxy reads the symbol `exports`, and Kamailio also `module_version` and `module_flags`, after it
//! has loaded the file. None of the proxy's functions is linked: they are looked up by name when the
//! module starts, so that one file fits every version, and other programs can load it too.

mod abi;
pub mod away;
pub mod background;
pub mod commands;
mod core_socket;
mod duties;
pub mod event_values;
mod exports;
mod failures;
pub mod figures;
mod guard;
pub mod handle;
mod kamailio;
pub mod ledger;
mod lifecycle;
mod listeners;
mod load;
mod local_addresses;
mod log;
mod lost_messages;
mod message;
mod names;
mod node;
mod opensips;
pub mod options;
mod parameters;
pub mod proxy;
pub mod replica;
mod request;
mod script;
pub mod sending;
mod server_transaction;
mod signals;
mod statistics;
mod symbol;
pub mod verdict;

pub use handle::{check, fork, handle, reply};
pub use proxy::{Proxy, Transaction};
pub use verdict::{Fact, ScriptResult, Value, Verdict};
