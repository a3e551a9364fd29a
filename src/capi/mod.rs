//! The C interface of `include/cimf.h`, for programs that are no proxy.
//!
//! Every function is guarded: a panic never reaches the caller. Outputs are written on success
//! only. Text from outside enters through [`text::bytes`] alone.

pub mod decision;
pub mod error;
pub mod log;
pub mod server;
pub mod text;
pub mod version;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`, which cannot fail but for a panic, for a C caller.
fn guarded<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(otherwise)
}
