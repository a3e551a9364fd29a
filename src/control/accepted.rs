//! A message that has passed the checks, on its way to the recipients.

use super::fork::{Fork, Shared};
use super::group::Group;
use super::identifiers::{CALL_ID_LENGTH, Identifiers, TAG_LENGTH, Token};
use super::own_content::OwnContent;
use super::recent_requests::Receipt;
use super::refusal::{Reason, Refusal};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::SystemTime;

/// A message on its way to the members of a group.
#[derive(Debug)]
pub struct Accepted {
    /// The group.
    pub group: Arc<Group>,
    /// The originator's first asserted address, for the log (S-2).
    pub originator: Vec<u8>,
    /// Whether the originator stays anonymous.
    pub anonymous: bool,
    /// Members that get no message although they could: the originator.
    pub excluded: SmallVec<[u32; 2]>,
    /// From without its tag: a name-addr and its other parameters (U-4).
    pub from: Vec<u8>,
    /// The header fields that all forks share, each with its CRLF.
    pub headers: Vec<u8>,
    /// What follows the charging identifier of each fork, with its CRLF; empty if they have none of
    /// their own (N-4).
    pub charging: Vec<u8>,
    /// Whether some fork has more than 1300 bytes, so that all go by TCP or TLS (M-2).
    pub needs_stream: bool,
    /// The most copies that may wait for their final responses at once (U-6).
    pub window: u32,
    /// The most copies without final response at once, those included that have been silent for longer than `patience`,
    /// where Max-Breadth bounds them (U-6).
    pub most_at_once: Option<u32>,
    /// When the message is no longer of interest, if ever (M-4).
    pub expires_at: Option<SystemTime>,
    /// The body that all forks share, byte for byte.
    pub body: Vec<u8>,
    /// What single forks have besides.
    pub own: OwnContent,
    /// Where the request is remembered, to be marked once it is answered.
    pub receipt: Receipt,
}

/// One of those who get the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient<'a> {
    /// Their number among the members of the group.
    pub number: u32,
    /// Their address.
    pub address: &'a [u8],
}

impl Accepted {
    /// How many recipients there are.
    pub fn count(&self) -> usize {
        self.group.recipients() - self.excluded.len()
    }

    /// The numbers of the recipients among the members of the group.
    pub fn recipient_numbers(&self) -> impl Iterator<Item = u32> {
        self.recipients().map(|recipient| recipient.number)
    }

    /// The recipients in the order of the group.
    pub fn recipients(&self) -> impl Iterator<Item = Recipient<'_>> {
        let recipients = self.group.numbered_recipients();
        recipients
            .filter(|(number, _)| !self.excluded.contains(number))
            .map(|(number, address)| Recipient { number, address })
    }

    /// The recipient with this number, as [`Accepted::recipient_numbers`] gives it.
    pub fn recipient(&self, number: u32) -> Option<Recipient<'_>> {
        let address = self.group.recipient(number)?;
        Some(Recipient { number, address })
    }

    /// The new request to one recipient, with identifiers of its own.
    pub fn fork<'a>(
        &'a self,
        recipient: Recipient<'a>,
        identifiers: &mut impl Identifiers,
    ) -> Fork<'a> {
        self.fork_with(recipient, identifiers.call_id(), identifiers.tag())
    }

    /// The new request to one recipient, with these identifiers.
    pub fn fork_with<'a>(
        &'a self,
        recipient: Recipient<'a>,
        call_id: Token<CALL_ID_LENGTH>,
        from_tag: Token<TAG_LENGTH>,
    ) -> Fork<'a> {
        Fork {
            recipient: recipient.address,
            call_id,
            from_tag,
            shared: Shared {
                from: &self.from,
                headers: &self.headers,
                charging: &self.charging,
                body: &self.body,
                entry_at: self.own.entry_at.unwrap_or_default(),
                needs_stream: self.needs_stream,
            },
            own_headers: self.own.headers.of(recipient.number),
            has_entry: self.own.has_entry(recipient.number),
        }
    }
}

impl Refusal {
    /// The refusal of a message that had passed all checks, for what is not its own fault; the client
    /// may try again after `retry_after` seconds.
    pub fn after_all(
        reason: Reason,
        detail: String,
        accepted: &Accepted,
        retry_after: u32,
    ) -> Self {
        Self {
            reason,
            detail,
            named: Vec::new(),
            originator: Some(accepted.originator.clone()),
            claimed: Vec::new(),
            group: accepted.group.uri().as_bytes().to_vec(),
            retry_after,
        }
    }
}
