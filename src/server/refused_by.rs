//! Who refuses a message, and why: the tables of the checks, of the queue and of the ledger joined in one.

use crate::control::{Reason, Refusal, RefusalReason, Row};
use crate::fanout::{MOST_REASONS, NoRoomReason};
use crate::ledger::LedgerReason;

/// The reason of a refusal, by who refuses. [`Refusal`]s of each can be turned into one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedBy {
    /// The checks of table A.1.
    Checks(Reason),
    /// The queue, which has no room for the message (S-5; A.1, row 13).
    Queue(NoRoomReason),
    /// The ledger, which does not promise it (A.1, row 13).
    Ledger(LedgerReason),
}

/// How many reasons come before those of the queue, and of the ledger.
const BEFORE_QUEUE: usize = Reason::ALL.len();
const BEFORE_LEDGER: usize = BEFORE_QUEUE + NoRoomReason::ALL.len();
const _: () = assert!(BEFORE_LEDGER + LedgerReason::ALL.len() <= MOST_REASONS);

impl RefusedBy {
    /// The whole table of answers.
    pub fn all() -> impl Iterator<Item = Self> {
        let checks = Reason::ALL.iter().copied().map(Self::Checks);
        let queue = NoRoomReason::ALL.iter().copied().map(Self::Queue);
        let ledger = LedgerReason::ALL.iter().copied().map(Self::Ledger);
        checks.chain(queue).chain(ledger)
    }

    /// The number of the reason in the table.
    pub fn number(self) -> usize {
        match self {
            Self::Checks(reason) => reason as usize,
            Self::Queue(reason) => BEFORE_QUEUE + reason as usize,
            Self::Ledger(reason) => BEFORE_LEDGER + reason as usize,
        }
    }

    /// How loud the log says so: what an administrator has to mend is louder than what a client has done wrong.
    pub(super) fn log_level(self) -> log::Level {
        match self {
            Self::Checks(Reason::Unavailable) | Self::Ledger(_) => log::Level::Error,
            Self::Checks(_)
            | Self::Queue(
                NoRoomReason::OriginatorQuota | NoRoomReason::GroupQuota | NoRoomReason::Draining,
            ) => log::Level::Info,
            Self::Queue(_) => log::Level::Warn,
        }
    }
}

impl RefusalReason for RefusedBy {
    fn row(self) -> Row {
        match self {
            Self::Checks(reason) => reason.row(),
            Self::Queue(reason) => reason.row(),
            Self::Ledger(reason) => reason.row(),
        }
    }

    fn headers(self) -> &'static [u8] {
        match self {
            Self::Checks(reason) => reason.headers(),
            Self::Queue(reason) => reason.headers(),
            Self::Ledger(reason) => reason.headers(),
        }
    }

    fn header_of_named(self) -> &'static [u8] {
        match self {
            Self::Checks(reason) => reason.header_of_named(),
            Self::Queue(reason) => reason.header_of_named(),
            Self::Ledger(reason) => reason.header_of_named(),
        }
    }
}

impl From<Refusal<NoRoomReason>> for Refusal<RefusedBy> {
    fn from(refusal: Refusal<NoRoomReason>) -> Self {
        refusal.map(RefusedBy::Queue)
    }
}

impl From<Refusal<LedgerReason>> for Refusal<RefusedBy> {
    fn from(refusal: Refusal<LedgerReason>) -> Self {
        refusal.map(RefusedBy::Ledger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::reason_table::phrase;
    use std::collections::HashSet;

    #[test]
    fn each_reason_has_a_number_and_a_name_of_its_own() {
        let numbers: Vec<_> = RefusedBy::all().map(RefusedBy::number).collect();
        assert!(numbers.iter().copied().eq(0..numbers.len()));
        let names: HashSet<_> = RefusedBy::all().map(|reason| reason.row().name).collect();
        assert_eq!(names.len(), numbers.len());
    }

    #[test]
    fn every_code_has_the_phrase_of_its_rfc() {
        let found = |code: u16| RefusedBy::all().any(|reason| reason.code() == code);
        for (code, expected) in [
            (400, "Bad Request"),
            (403, "Forbidden"),
            (404, "Not Found"),
            (413, "Request Entity Too Large"),
            (415, "Unsupported Media Type"),
            (416, "Unsupported URI Scheme"),
            (420, "Bad Extension"),
            (421, "Extension Required"),
            // RFC 5393 §5.
            (440, "Max-Breadth Exceeded"),
            // RFC 5360 §5.9.
            (470, "Consent Needed"),
            (480, "Temporarily Unavailable"),
            (481, "Call/Transaction Does Not Exist"),
            (482, "Loop Detected"),
            (483, "Too Many Hops"),
            (500, "Server Internal Error"),
            (503, "Service Unavailable"),
        ] {
            assert!(found(code), "no reason has {code}");
            assert_eq!(phrase(code), expected);
        }
    }
}
