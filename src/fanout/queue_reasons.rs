//! Why a message that was accepted finds no room in the queue.

#![forbid(unsafe_code)]

use crate::control::{Refusal, RefusalReason, Row, Summary, refusal_reasons};

refusal_reasons! {
    /// Why the queue has no room for a message, in the order in which it takes budgets and memory.
    NoRoomReason;

    /// The originator has sent as many messages as they may for now.
    OriginatorQuota: 480, "S-5", "Too many messages from this originator";
    /// The group has got as many messages as it may for now.
    GroupQuota: 480, "S-5", "Too many messages to this group";
    /// The server has accepted as many messages as it may for now.
    Rate: 503, "S-5", "Too many messages";
    /// The queue has as many messages as it may.
    QueueFull: 503, "S-5", "Too many messages wait";
    /// There is no memory for the copies of the message.
    QueueMemory: 503, "A.1 row 13", "No memory for this message now";
    /// A process that is stopped, as by a debugger, keeps the lock of the queue from all others.
    QueueBlocked: 503, "A.1 row 13", "Queue blocked now";
    /// An administrator is about to stop the server (`cimf.drain`).
    Draining: 503, "A.1 row 13", "Server is about to stop";
}

impl RefusalReason for NoRoomReason {
    fn row(self) -> Row {
        self.table_row()
    }
}

/// Why there is no room for a message, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// The reason for the answer.
    pub reason: NoRoomReason,
    /// Seconds after which the client may try again.
    pub retry_after: u32,
}

impl NoRoom {
    /// The refusal of a message that has passed the checks.
    pub fn refusal(self, accepted: &Summary) -> Refusal<NoRoomReason> {
        let detail = format!("{} recipients", accepted.count);
        Refusal::after_checks(self.reason, detail, accepted, self.retry_after)
    }
}
