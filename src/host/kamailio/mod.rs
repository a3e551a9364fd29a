//! Kamailio 5.4 to 6.1, loaded without its headers.
//!
//! What it reads of us stands in `exports`, what we know of its structures in `abi`, its functions
//! in `core` and `tm`. A function that is missing or a layout that does not hold stops the start.

mod abi;
mod core;
mod events;
mod exports;
mod log;
mod message;
mod module;
mod process;
mod rpc;
mod script;
mod statistics;
mod tm;
mod variables;

pub use exports::{become_module, is_host};
