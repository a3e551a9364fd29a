//! What is written to the ledger.

use crate::control::Own;
use crate::control::request_memory::RequestKey;
use crate::fanout::Submission;
use std::borrow::Cow;

/// When an entry is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitMode {
    /// When the commit returns.
    Synced,
    /// With the next synced commit, or a few seconds later.
    Soon,
}

/// One change to the ledger. All times are milliseconds of Unix time.
#[derive(Clone, Debug)]
pub enum Entry<'a> {
    /// A message is accepted.
    Promise(Box<Promise<'a>>),
    /// Some recipients of a message have an outcome.
    Outcomes {
        /// The message.
        id: u64,
        /// The outcomes.
        outcomes: Cow<'a, [OutcomeRecord]>,
    },
    /// Each recipient of a message has an outcome or a kept copy: only the kept copies remain of it.
    Finished {
        /// The message.
        id: u64,
    },
    /// A message is not answered 202 after all, or an administrator drops it: it is deleted with all
    /// its copies, and its retransmissions are treated as new.
    Withdrawn {
        /// The message.
        id: u64,
    },
    /// A copy is kept for a member who is away. Its message is in the ledger already, or precedes it in
    /// the same commit. The outcome of the recipient is a separate entry.
    Kept(KeptCopy<'a>),
    /// A copy is no longer kept: it was delivered, has expired, or was displaced by newer ones.
    KeptEnded {
        /// The kept copy.
        kept: i64,
    },
}

/// An accepted message.
#[derive(Clone, Debug)]
pub struct Promise<'a> {
    /// The id of the message, unique over all runs: at most 63 bits, and greater than those of all
    /// earlier messages.
    pub id: u64,
    /// Whether it is sent after a restart (`durability=journal`). If not, it is in the ledger only for
    /// its kept copies.
    pub promised: bool,
    /// Whether its originator asked for anonymity: the ledger then stores a keyed hash instead of the
    /// originator.
    pub anonymous: bool,
    /// The content that all copies share.
    pub submission: Submission<'a>,
    /// The recipients in the order of their numbers.
    pub recipients: Vec<Own<'a>>,
    /// The request that it came in.
    pub request: Option<RequestRecord<'a>>,
}

/// A request that was answered 202.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRecord<'a> {
    /// What identifies the request and its transaction.
    pub key: RequestKey<'a>,
    /// A keyed hash of the authenticated originator, the Request-URI and the body as received.
    pub content: [u8; 16],
}

/// The outcome of one recipient, as encoded by [`crate::fanout::Outcome::to_bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutcomeRecord {
    /// The number of the recipient.
    pub recipient: u32,
    /// The fan-out's own byte; never 0.
    pub outcome: u8,
    /// The SIP status code, 0 if there is none.
    pub code: u16,
}

/// A copy for a member who is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptCopy<'a> {
    /// The message.
    pub message: u64,
    /// The number of the recipient.
    pub recipient: u32,
    /// A hash that is the same for all spellings of the address.
    pub address_hash: u64,
    /// The address of the copy.
    pub address: &'a [u8],
    /// The status code because of which it is kept.
    pub code: u16,
    /// When it was kept.
    pub kept_at: u64,
    /// When it expires.
    pub expires_at: u64,
}
