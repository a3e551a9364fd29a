//! Return values of the script functions.

#![forbid(unsafe_code)]

/// The return value of `cimf_handle()` and of each of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ScriptResult {
    /// Answered 202 and being sent to the members; from `cimf_check()`: would be accepted.
    Accepted = 1,
    /// Refused and answered; from `cimf_check()`: would be refused.
    Refused = 2,
    /// An OPTIONS to a group or service, which was answered.
    Described = 3,
    /// A retransmission: the proxy has repeated its answer, and the script ends.
    Stop = 0,
    /// Not a message for cimf: nothing was answered.
    NotOurs = -1,
    /// An internal error, or a step out of order: nothing was answered or sent.
    InternalError = -2,
}
