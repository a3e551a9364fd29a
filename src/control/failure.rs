//! A check that did not hold.

use super::check_reasons::Reason;
use crate::sip::Malformed;

/// A refusal before it is told of the message: the reason, and what exactly.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub reason: Reason,
    pub detail: String,
    pub named: Vec<u8>,
}

impl Failure {
    pub fn new(reason: Reason, detail: impl ToString) -> Self {
        Self {
            reason,
            detail: detail.to_string(),
            named: Vec::new(),
        }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self::new(reason, "")
    }
}

/// The message breaks RFC 3261.
pub(super) fn malformed(error: Malformed) -> Failure {
    Failure::new(Reason::Malformed, error)
}
