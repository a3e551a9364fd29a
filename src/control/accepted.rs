//! A message that has passed the checks, on its way to the recipients.

use super::copy_identifiers::CopyIdentifiers;
use super::fork::{Copies, Own, Shared};
use super::from_header::{FromHeader, UriPlace};
use super::group::Group;
use super::own_content::OwnContent;
use super::refusal::Refusal;
use super::request_memory::Receipt;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

/// A message on its way to the members of a group; its body may be that of the request, in which it came.
#[derive(Debug)]
pub struct Accepted<'m> {
    /// The group.
    pub group: Arc<Group>,
    /// The originator's first asserted address, for the log (S-2).
    pub originator: Vec<u8>,
    /// Whether the originator stays anonymous.
    pub anonymous: bool,
    /// Members that get no message although they could: the originator.
    pub excluded: SmallVec<[u32; 2]>,
    /// From without its tag (U-4), and where its URI stands.
    pub from: Vec<u8>,
    /// See [`FromHeader::uri_place`].
    pub from_uri: UriPlace,
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
    pub body: Cow<'m, [u8]>,
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

/// What is told of an accepted message once its content is on its way.
#[derive(Debug)]
pub struct Summary {
    /// The group.
    pub group: Arc<Group>,
    /// The originator's first asserted address, for the log (S-2).
    pub originator: Vec<u8>,
    /// How many recipients there are.
    pub count: usize,
    /// Where the request is remembered, to be marked once it is answered.
    pub receipt: Receipt,
}

impl Accepted<'_> {
    /// What is told of it.
    pub fn summary(&self) -> Summary {
        Summary {
            group: self.group.clone(),
            originator: self.originator.clone(),
            count: self.count(),
            receipt: self.receipt,
        }
    }

    /// The same, with nothing else left of it.
    pub fn into_summary(self) -> Summary {
        Summary {
            count: self.count(),
            group: self.group,
            originator: self.originator,
            receipt: self.receipt,
        }
    }

    /// The same message with a body of its own.
    pub fn into_owned(self) -> Accepted<'static> {
        Accepted {
            body: Cow::Owned(self.body.into_owned()),
            ..self
        }
    }

    /// How many recipients there are.
    pub fn count(&self) -> usize {
        self.group.recipients() - self.excluded.len()
    }

    /// The recipients in the order of the group.
    pub fn recipients(&self) -> impl Iterator<Item = Recipient<'_>> {
        let recipients = self.group.numbered_recipients();
        recipients
            .filter(|(number, _)| !self.excluded.contains(number))
            .map(|(number, address)| Recipient { number, address })
    }

    /// What the recipient with this number among the members of the group has of their own.
    pub fn own_of(&self, number: u32) -> Option<Own<'_>> {
        let address = self.group.recipient(number)?;
        Some(self.content_of(Recipient { number, address }))
    }

    /// What each recipient has of their own, in the order of the group.
    pub fn owns(&self) -> impl Iterator<Item = Own<'_>> {
        self.recipients()
            .map(|recipient| self.content_of(recipient))
    }

    fn content_of<'a>(&'a self, recipient: Recipient<'a>) -> Own<'a> {
        Own {
            address: recipient.address,
            headers: self.own.headers.of(recipient.number),
            has_entry: self.own.has_entry(recipient.number),
        }
    }

    /// What the copies are made from, with identifiers that are made from these random bytes.
    pub fn copies(&self, seed: [u8; 16]) -> Copies<'_> {
        self.copies_with(CopyIdentifiers::of(seed))
    }

    /// The same, with these identifiers.
    pub fn copies_with(&self, identifiers: CopyIdentifiers) -> Copies<'_> {
        Copies {
            shared: Shared {
                from: FromHeader::with_place(&self.from, self.from_uri),
                headers: &self.headers,
                charging: &self.charging,
                body: &self.body,
                entry_at: self.own.entry_at.unwrap_or_default(),
                needs_stream: self.needs_stream,
            },
            identifiers,
        }
    }
}

impl<R> Refusal<R> {
    /// The refusal of a message that has passed the checks, by what comes after them; the client may try again after
    /// `retry_after` seconds.
    pub fn after_checks(reason: R, detail: String, accepted: &Summary, retry_after: u32) -> Self {
        Self {
            reason,
            detail,
            named: Vec::new(),
            originator: Some(accepted.originator.clone()),
            receipt: Some(accepted.receipt),
            claimed: Vec::new(),
            group: accepted.group.uri().as_bytes().to_vec(),
            retry_after,
        }
    }
}
