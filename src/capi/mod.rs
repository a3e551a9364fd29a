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

use error::{Failure, Status};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work` for a C caller: its failure or panic becomes a status, with the text kept for
/// `cimf_last_error`.
fn boundary(work: impl FnOnce() -> Result<(), Failure>) -> Status {
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let outcome = outcome.unwrap_or_else(|_| {
        let text = "internal error, please report it".to_owned();
        Err(Failure::new(Status::InternalError, text))
    });
    error::keep(outcome)
}

/// Runs `work`, which cannot fail but for a panic, for a C caller.
fn guarded<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(otherwise)
}
