//! The ledger under real processes: killed at any moment, with the power cut on top, none of what it said is
//! safe is lost; and whatever makes a promise impossible is an error that says so.

// A test fails by panicking, and one that measures or cannot run says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod crashes;
mod holders;
mod messages;
mod power;
mod processes;
mod room;
#[path = "../support/sample.rs"]
mod sample;
