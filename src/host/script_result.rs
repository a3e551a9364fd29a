//! What the script functions return.

#![forbid(unsafe_code)]

/// What a script gets from `cimf_handle()` and from each of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ScriptResult {
    /// Answered 202, and sent to the members; from a check: to be accepted.
    Accepted = 1,
    /// Refused, and answered; from a check: to be refused.
    Refused = 2,
    /// No message, but an OPTIONS about a group or service, and answered.
    Described = 3,
    /// A retransmission: the proxy has answered it again, and the script ends.
    Stop = 0,
    /// Not ours: nothing was answered.
    NotOurs = -1,
    /// An internal error, or a step that is not the next one: nothing was answered or sent.
    InternalError = -2,
}
