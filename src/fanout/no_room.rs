//! Why a message that was accepted finds no room in the queue.

#![forbid(unsafe_code)]

use crate::control::{Accepted, Reason, Refusal};

/// Why there is no room for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// The reason for the answer.
    pub reason: Reason,
    /// Seconds after which the client may try again.
    pub retry_after: u32,
}

impl NoRoom {
    /// The refusal of a message that was accepted but for this.
    pub fn refusal(self, accepted: &Accepted) -> Refusal {
        let detail = format!("{} recipients", accepted.count());
        Refusal::after_all(self.reason, detail, accepted, self.retry_after)
    }
}
