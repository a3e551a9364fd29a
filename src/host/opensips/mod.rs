//! OpenSIPS 3.2 to 4.0, loaded without its headers.
//!
//! What it reads of us stands in `exports`, what we know of its structures in `abi`, its functions
//! in `core` and `tm`. A version that is not known, a function that is missing or a layout that does
//! not hold stops the start.

mod abi;
#[cfg(test)]
mod abi_tests;
mod commands;
mod copies;
mod core;
mod events;
mod exports;
mod lifecycle;
mod listeners;
mod log;
mod memory;
mod message;
mod mi;
mod module;
mod process;
mod request;
mod script;
mod statistics;
mod tm;
mod variables;
mod version;

pub use exports::{become_module, is_host};
