//! The ledger: promises at rest. It holds accepted messages that are not finished, the requests that
//! were answered 202 in the last 64·T1, and copies kept for members who are away.
//!
//! [`Ledger`] is the interface of the one process that writes, [`Reader`] that of all others. For one node the
//! engine is SQLite: one file, readable with `sqlite3` (the tables are in `schema_1.sql`). Nodes that share what they
//! promise have it in PostgreSQL ([`cluster`]).
//! [`LedgerFile::open`] creates, locks and migrates it before the proxy forks; each process then opens
//! its own connection.
//!
//! A power failure loses nothing that was committed with [`CommitMode::Synced`]. What was committed
//! with [`CommitMode::Soon`] may be lost until the next synced commit; such a recipient is sent the
//! copy again, with the same Call-ID.
//!
//! Not here: whether a copy without an outcome is sent again, and how a copy is made, is decided by the
//! fan-out.

#![forbid(unsafe_code)]

pub mod cluster;
mod connect;
mod entry;
mod error;
mod ledger_reasons;
mod open;
mod pseudonym;
mod reader;
mod recipient_text;
mod schema;
mod states;
mod stored;
#[cfg(test)]
mod tests;
mod transaction;
mod watch;
mod writer;

pub use entry::{CommitMode, Entry, KeptCopy, OutcomeRecord, Promise, RequestRecord};
pub use error::{LedgerError, Problem};
pub use ledger_reasons::{LedgerReason, not_promised};
pub use open::LedgerFile;
pub use reader::SqliteReader;
pub use recipient_text::Recipients;
pub use stored::{Kept, KeptMessage, Listed, Shown, StoredMessage, StoredRequest, Unfinished};
pub use writer::SqliteLedger;

use std::fmt;

/// The writer of the ledger: one process for the whole proxy.
pub trait Ledger {
    /// Why the ledger cannot be used.
    type Error: fmt::Display;

    /// Writes all entries in order, or none of them.
    ///
    /// With [`CommitMode::Synced`] they are on disk when this returns, in the file that is still at its
    /// path.
    ///
    /// Gives those promises, by their ids, that it has not written, as the same request was answered by another node that
    /// shares the ledger: they are answered 202 and not sent.
    ///
    /// After an error none of them is valid. Messages that they promised must not be answered 202; the
    /// engine withdraws these with its next commit, which may be a [`Ledger::probe`]. Only a crash
    /// before that may bring them back, so the caller records such promises elsewhere and withdraws
    /// them after the next start. All other entries may be written again: they are idempotent.
    fn commit(&mut self, entries: &[Entry<'_>], how: CommitMode) -> Result<Vec<u64>, Self::Error>;

    /// Tests whether a synced commit succeeds now, by one that changes nothing of importance.
    fn probe(&mut self) -> Result<(), Self::Error>;

    /// Periodic maintenance, best done when nothing waits: deletes requests that were answered longer
    /// than 64·T1 ago, and keeps the files small. `now` is in milliseconds of Unix time.
    fn tend(&mut self, now: u64) -> Result<Figures, Self::Error>;

    /// The figures of the ledger, without disk access.
    fn figures(&self) -> Figures;
}

/// A reader of the ledger, in any process. Each call sees one committed state.
pub trait Reader {
    /// All promised messages that are not finished, in the order of acceptance. Unreadable ones are
    /// logged and skipped.
    fn unfinished(&mut self, each: &mut dyn FnMut(Unfinished)) -> Result<(), LedgerError>;

    /// The greatest lower half of all message ids, 0 if there are no messages.
    fn last_number(&mut self) -> Result<u64, LedgerError>;

    /// The requests that were answered 202 since `since` (milliseconds of Unix time), oldest first.
    fn requests(&mut self, since: u64) -> Result<Vec<StoredRequest>, LedgerError>;

    /// Whether a copy is kept for an address. Takes about 10 µs.
    fn is_kept(&mut self, address_hash: u64) -> Result<bool, LedgerError>;

    /// The copies kept for an address, those of the oldest message first.
    fn kept_of(&mut self, address_hash: u64, limit: usize) -> Result<Vec<Kept>, LedgerError>;

    /// The number of copies kept for an address.
    fn count_kept_of(&mut self, address_hash: u64) -> Result<u64, LedgerError>;

    /// The message of a kept copy, ready to be sent; `None` if the copy is no longer kept, or if its
    /// message was deleted or altered by hand.
    fn kept_message(&mut self, kept: i64) -> Result<Option<KeptMessage>, LedgerError>;

    /// Kept copies, those of the oldest message first, which are dropped first when there are too many.
    fn oldest_kept(&mut self, limit: usize) -> Result<Vec<Kept>, LedgerError>;

    /// Kept copies that have expired, in the order of expiry. `now` is in milliseconds of Unix time.
    fn expired(&mut self, now: u64, limit: usize) -> Result<Vec<Kept>, LedgerError>;

    /// The figures of the ledger. Reads much of the file: for the start, and for administrators.
    fn figures(&mut self) -> Result<Figures, LedgerError>;

    /// One line for each message, oldest first.
    fn list(&mut self) -> Result<Vec<Listed>, LedgerError>;

    /// Everything known about a message.
    fn show(&mut self, id: u64) -> Result<Option<Shown>, LedgerError>;
}

/// The size of the ledger's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages that are promised and not finished.
    pub unfinished: u64,
    /// Kept copies.
    pub kept: u64,
    /// Bytes used by kept copies; a message counts once, however many of its copies are kept.
    pub kept_bytes: u64,
    /// Bytes of the ledger's files.
    pub file_bytes: u64,
}
