//! The OMA Controlling IM Function for pager-mode SIP MESSAGE, as one shared library.
//!
//! A message flows one way through the modules, from bytes to decision to queue to proxy:
//! [`sip`] reads it, [`control`] decides with the groups that [`store`] keeps, [`fanout`] remembers
//! what all workers must know, [`ledger`] keeps on disk what was promised, [`server`] puts these
//! together for one worker, and [`host`] (a proxy) or [`capi`] (a C program) carries the decision out.

pub mod capi;
pub mod config;
pub mod control;
pub mod fanout;
pub mod host;
pub mod ledger;
pub mod postgres;
pub mod server;
pub mod sip;
pub mod store;

// Files of the tests that unit tests include speak of this crate from outside.
#[cfg(test)]
extern crate self as cimf;
#[cfg(test)]
#[path = "../tests/support/sample.rs"]
mod sample;
