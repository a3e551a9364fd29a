//! The ledger: what was promised, at rest. Accepted messages that are not finished, the requests that were
//! answered 202 in the last 64·T1, and copies kept for members who are away.
//!
//! [`Ledger`] is what the one process asks that writes, [`Reader`] what everybody else asks. The engine is
//! SQLite: one file, readable with `sqlite3` (the tables are in `schema_1.sql`). [`LedgerFile::open`] makes,
//! locks and migrates it before the proxy forks; each process then opens a connection of its own.
//!
//! What is lost when the power fails: nothing that was committed with [`CommitMode::Synced`]. What was
//! committed with [`CommitMode::Soon`] may be lost until the next synced commit; such a recipient is sent to
//! again, with the same Call-ID.
//!
//! Left out: whether a recipient without an outcome is sent to again, and how a copy is made, is the fan-out's.

#![forbid(unsafe_code)]

mod connect;
mod entry;
mod error;
mod open;
mod reader;
mod recipients;
mod refusal;
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
pub use open::LedgerFile;
pub use reader::SqliteReader;
pub use recipients::Recipients;
pub use refusal::{LedgerReason, not_promised};
pub use stored::{Kept, KeptMessage, Listed, Shown, StoredMessage, StoredRequest, Unfinished};
pub use writer::SqliteLedger;

/// Who writes to the ledger: one process for the whole proxy.
pub trait Ledger {
    /// Writes all entries, in their order, or none of them.
    ///
    /// [`CommitMode::Synced`]: they are on disk when this returns, in the file that is still at its path.
    ///
    /// After an error none of them counts. What they promised must not be answered 202; the engine itself
    /// sees to it that it does not come back (it withdraws it with the next commit, and [`Ledger::probe`] is
    /// one). Only a crash before that may bring it back: the caller remembers such promises elsewhere and
    /// withdraws them after the next start. All other entries may be written again: to write one twice is the
    /// same as once.
    fn commit(&mut self, entries: &[Entry<'_>], how: CommitMode) -> Result<(), LedgerError>;

    /// Whether a synced commit would succeed now: makes one that changes nothing of importance.
    fn probe(&mut self) -> Result<(), LedgerError>;

    /// What has to be done now and then, best when nothing waits: forgets requests that were answered longer
    /// ago than 64·T1, and keeps the files small. `now` in milliseconds of Unix time.
    fn tend(&mut self, now: u64) -> Result<Figures, LedgerError>;

    /// How much the ledger holds, without asking the disk.
    fn figures(&self) -> Figures;
}

/// Who reads the ledger. Any process may; what is being written meanwhile is not seen.
pub trait Reader {
    /// All promised messages that are not finished, in the order in which they were accepted. One that cannot
    /// be read is named in the log and left out.
    fn unfinished(&mut self, each: &mut dyn FnMut(Unfinished)) -> Result<(), LedgerError>;

    /// The greatest lower half of the ids of all messages, 0 if there are none.
    fn last_number(&mut self) -> Result<u64, LedgerError>;

    /// The requests that were answered 202 since `since` (milliseconds of Unix time), oldest first.
    fn requests(&mut self, since: u64) -> Result<Vec<StoredRequest>, LedgerError>;

    /// Whether a copy is kept for an address. Takes about 10 µs.
    fn is_kept(&mut self, address_hash: u64) -> Result<bool, LedgerError>;

    /// The copies kept for an address, oldest message first.
    fn kept_of(&mut self, address_hash: u64, limit: usize) -> Result<Vec<Kept>, LedgerError>;

    /// How many copies are kept for an address.
    fn count_kept_of(&mut self, address_hash: u64) -> Result<u64, LedgerError>;

    /// The message of a kept copy, as it is to be sent; nothing if the copy is no longer kept, or if somebody has
    /// deleted or altered its message.
    fn kept_message(&mut self, kept: i64) -> Result<Option<KeptMessage>, LedgerError>;

    /// Kept copies, oldest message first: who has to go when there are too many.
    fn oldest_kept(&mut self, limit: usize) -> Result<Vec<Kept>, LedgerError>;

    /// Kept copies that have expired, the first to expire first. `now` in milliseconds of Unix time.
    fn expired(&mut self, now: u64, limit: usize) -> Result<Vec<Kept>, LedgerError>;

    /// How much the ledger holds. Reads much of the file: for the start, and for people.
    fn figures(&mut self) -> Result<Figures, LedgerError>;

    /// One line for each message, oldest first.
    fn list(&mut self) -> Result<Vec<Listed>, LedgerError>;

    /// All that is known of a message.
    fn show(&mut self, id: u64) -> Result<Option<Shown>, LedgerError>;
}

/// How much the ledger holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages that are promised and not finished.
    pub unfinished: u64,
    /// Kept copies.
    pub kept: u64,
    /// Bytes that would be free if no copy were kept: each message once, however many of its copies are kept.
    pub kept_bytes: u64,
    /// Bytes of the ledger's files.
    pub file_bytes: u64,
}
