//! What is written to the ledger.

use crate::control::Own;
use crate::control::recent_requests::RequestKey;
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

/// One thing that is written. All times are milliseconds of Unix time.
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
    /// Each recipient of a message has an outcome or a kept copy: nothing is left of it but those copies.
    Finished {
        /// The message.
        id: u64,
    },
    /// A message is not answered 202 after all, or an administrator drops it: it goes with all its copies, and
    /// its retransmissions are new.
    Withdrawn {
        /// The message.
        id: u64,
    },
    /// A copy is kept for a member who is away. Its message is in the ledger already, or before it in the same
    /// commit. The recipient has an outcome as well, which is an entry of its own.
    Kept(KeptCopy<'a>),
    /// A copy is not kept any longer: it was delivered, or it has expired, or it was pushed out.
    KeptEnded {
        /// The kept copy.
        kept: i64,
    },
}

/// An accepted message.
#[derive(Clone, Debug)]
pub struct Promise<'a> {
    /// The message, unique over all runs: at most 63 bits, and greater than those of messages accepted before.
    pub id: u64,
    /// Whether its recipients are sent to after a restart (`durability=journal`). If not, it is in the ledger for
    /// its kept copies alone.
    pub promised: bool,
    /// Whether its sender wants to stay anonymous: the ledger then keeps a keyed hash in place of the originator.
    pub anonymous: bool,
    /// What all copies share.
    pub submission: Submission<'a>,
    /// The recipients in the order of their numbers.
    pub recipients: Vec<Own<'a>>,
    /// The request that it came in.
    pub request: Option<RequestRecord<'a>>,
}

/// A request that was answered 202.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRecord<'a> {
    /// What makes it the same request, and the same transaction.
    pub key: RequestKey<'a>,
    /// A keyed hash of authenticated originator, Request-URI and body as they came.
    pub content: [u8; 16],
}

/// How it ended with one recipient, as [`crate::fanout::Outcome::to_bytes`] gives it.
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
    /// What is the same for all spellings of the address.
    pub address_hash: u64,
    /// The address as the copy had it.
    pub address: &'a [u8],
    /// The code for which it is kept.
    pub code: u16,
    /// Since when.
    pub kept_at: u64,
    /// Until when.
    pub expires_at: u64,
}
