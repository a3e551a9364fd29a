//! What the live tests share: a proxy with cimf in it, a SIP core that plays the members, clients that
//! send bytes from an address of their choice, and a SIP reader that owes nothing to the product's own.

#![allow(dead_code)]

pub mod built;
pub mod certificates;
pub mod child;
pub mod client;
pub mod core;
mod fifo;
pub mod flow;
mod kamailio;
pub mod name_server;
mod opensips;
mod opensips_settings;
pub mod port;
pub mod postgres;
pub mod proxy;
pub mod rig;
pub mod setup;
pub mod sip;

use std::time::Duration;

/// How long anything that should happen may take. Generous, because a busy machine is no failure, and
/// free, because every wait ends as soon as the thing has happened.
pub const PATIENCE: Duration = Duration::from_secs(20);
