//! Kamailio, loaded without its headers: the versions that `version` names.
//!
//! `exports` has what it reads of the module, `abi` the layout of its structures, `core` and `tm` its functions. An
//! unknown version, a missing function or a layout that differs stops the start.

mod abi;
#[cfg(test)]
mod abi_tests;
mod answered_header;
mod commands;
mod copies;
mod core;
mod environment;
mod event_callback;
mod events;
mod exports;
mod kemi;
mod lifecycle;
mod listeners;
mod log;
mod memory;
mod message;
mod module;
mod process;
mod request;
mod rpc;
mod script;
mod script_functions;
mod statistics;
mod tm;
mod variables;
mod version;

pub use exports::{become_module, is_host};
