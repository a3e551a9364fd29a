//! The proxies that load the library: thin adapters, and what they have in common.
//!
//! A proxy reads the symbol `exports`, and Kamailio also `module_version` and `module_flags`, after it
//! has loaded the file. None of its own functions is linked: they are found by name when the module
//! starts, so that one file fits every version, and a program that is no proxy can load it too.

mod abi;
pub mod away;
pub mod background;
mod core_socket;
pub mod describe;
mod exports;
mod failures;
mod guard;
pub mod handle;
mod kamailio;
pub mod kept;
pub mod ledger;
mod life;
mod listeners;
mod local_addresses;
mod log;
mod message;
mod names;
mod opensips;
pub mod overview;
mod parameters;
mod script;
mod statistics;
mod symbol;
pub mod told;
pub mod verdict;

pub use handle::{Proxy, ScriptResult, Transaction, check, fork, handle, reply};
pub use verdict::{Fact, Value, Verdict};
