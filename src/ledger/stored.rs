//! Types of what is read from the ledger. All times are milliseconds of Unix time.

use super::entry::OutcomeRecord;
use super::recipient_text::Recipients;
use crate::control::FromHeader;
use crate::control::request_memory::RequestKey;
use crate::fanout::Submission;

/// A promised message that is not finished.
#[derive(Clone, Debug)]
pub struct Unfinished {
    /// The message.
    pub message: StoredMessage,
    /// All its recipients.
    pub recipients: Recipients,
    /// The known outcomes, by ascending number of the recipient.
    pub outcomes: Vec<OutcomeRecord>,
}

/// A message in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredMessage {
    /// The message.
    pub id: u64,
    /// Whether it is sent after a restart.
    pub promised: bool,
    /// Whether its originator asked for anonymity; `originator` is a hash then.
    pub anonymous: bool,
    /// When the last recipient got an outcome or a kept copy; `None` until then.
    pub finished_at: Option<u64>,
    /// See [`Submission::originator`].
    pub originator: Vec<u8>,
    /// See [`Submission::group`].
    pub group: Vec<u8>,
    /// See [`Submission::from`].
    pub from: Vec<u8>,
    /// See [`Submission::headers`].
    pub headers: Vec<u8>,
    /// See [`Submission::charging`].
    pub charging: Vec<u8>,
    /// See [`Submission::body`].
    pub body: Vec<u8>,
    /// See [`Submission::entry_at`].
    pub entry_at: u32,
    /// See [`Submission::needs_stream`].
    pub needs_stream: bool,
    /// See [`Submission::window`].
    pub window: u32,
    /// See [`Submission::most_at_once`].
    pub most_at_once: Option<u32>,
    /// See [`Submission::accepted_at`].
    pub accepted_at: u64,
    /// See [`Submission::expires_at`].
    pub expires_at: u64,
    /// See [`Submission::seed`].
    pub seed: [u8; 16],
}

impl StoredMessage {
    /// The message for the fan-out.
    pub fn submission(&self) -> Submission<'_> {
        Submission {
            originator: &self.originator,
            group: &self.group,
            from: FromHeader::of(&self.from),
            headers: &self.headers,
            charging: &self.charging,
            body: &self.body,
            entry_at: self.entry_at,
            needs_stream: self.needs_stream,
            window: self.window,
            most_at_once: self.most_at_once,
            accepted_at: self.accepted_at,
            expires_at: self.expires_at,
            seed: self.seed,
            anonymous: self.anonymous,
            request: b"",
        }
    }

    /// The originator as shown to administrators: the address, or `anonymous`.
    pub fn originator_shown(&self) -> &[u8] {
        if self.anonymous {
            b"anonymous"
        } else {
            &self.originator
        }
    }
}

/// A request that was answered 202.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRequest {
    /// When it was answered.
    pub accepted_at: u64,
    /// The message that it carried.
    pub message: u64,
    /// See [`RequestKey::from_tag`].
    pub from_tag: Vec<u8>,
    /// See [`RequestKey::call_id`].
    pub call_id: Vec<u8>,
    /// See [`RequestKey::cseq`].
    pub cseq: u32,
    /// See [`RequestKey::via`].
    pub via: Vec<u8>,
    /// See [`super::RequestRecord::content`].
    pub content: [u8; 16],
}

impl StoredRequest {
    /// What identifies the request and its transaction.
    pub fn key(&self) -> RequestKey<'_> {
        RequestKey {
            from_tag: &self.from_tag,
            call_id: &self.call_id,
            cseq: self.cseq,
            via: &self.via,
        }
    }
}

/// A kept copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number, which is never reused.
    pub id: i64,
    /// The message.
    pub message: u64,
    /// The number of the recipient.
    pub recipient: u32,
    /// A hash that is the same for all spellings of the address.
    pub address_hash: u64,
    /// The address of the copy.
    pub address: Vec<u8>,
    /// The status code because of which it is kept.
    pub code: u16,
    /// When it was kept.
    pub kept_at: u64,
    /// When it expires.
    pub expires_at: u64,
}

/// Everything needed to send a kept copy.
#[derive(Clone, Debug)]
pub struct KeptMessage {
    /// The copy.
    pub kept: Kept,
    /// The message.
    pub message: StoredMessage,
    /// Its recipient.
    pub recipient: Recipients,
}

/// A message in the list for administrators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The message.
    pub id: u64,
    /// When it was accepted.
    pub accepted_at: u64,
    /// The originator, or `anonymous`.
    pub originator: Vec<u8>,
    /// The URI of the group or service.
    pub group: Vec<u8>,
    /// The number of recipients.
    pub recipients: u64,
    /// The number of recipients without an outcome; 0 when it is finished.
    pub open: u64,
    /// The number of kept copies.
    pub kept: u64,
    /// Bytes of the body.
    pub body_bytes: u64,
}

/// A message for administrators, with everything known about it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The message, with the originator as shown to administrators.
    pub message: StoredMessage,
    /// All its recipients.
    pub recipients: Recipients,
    /// The known outcomes, by ascending number of the recipient.
    pub outcomes: Vec<OutcomeRecord>,
    /// The kept copies, by ascending number of the recipient.
    pub kept: Vec<Kept>,
}
