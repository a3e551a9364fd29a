//! Why a message that was accepted is not promised.

#![forbid(unsafe_code)]

use crate::control::{Refusal, RefusalReason, Row, Summary, refusal_reasons};
use crate::fanout::NotCommitted;

/// Seconds after which a client may try again when the ledger could not be written.
const RETRY_AFTER: u32 = 30;

refusal_reasons! {
    /// Why the ledger does not promise a message.
    LedgerReason;

    /// The message could not be written to the ledger, or not in time.
    Ledger: 503, "A.1 row 13", "Message cannot be stored now";
}

impl RefusalReason for LedgerReason {
    fn row(self) -> Row {
        self.table_row()
    }
}

/// The refusal of a message that has passed the checks and could not be committed.
pub fn not_promised(accepted: &Summary, why: NotCommitted) -> Refusal<LedgerReason> {
    Refusal::after_checks(LedgerReason::Ledger, why.to_string(), accepted, RETRY_AFTER)
}
