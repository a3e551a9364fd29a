//! The requests that the run before has answered 202, for the rest of their time (H-3). A retransmission is answered
//! again. The same request on another branch comes from an upstream that gave up on us when we died: it is answered
//! too and not sent again, if it asks for the same thing and comes from the same authenticated originator.

#![forbid(unsafe_code)]

use crate::control::request_memory::{Arrival, Receipt, RequestContent};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::collections::HashMap;
use std::hash::Hasher;

/// The requests, read before the workers are forked.
#[derive(Debug, Default)]
pub struct PreviousRequests {
    /// The key of the hashes of contents, the same in each run.
    pub key: [u8; 16],
    /// By where the request is remembered, apart from its transaction.
    requests: HashMap<(u64, u64), PreviousRequest>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub struct PreviousRequest {
    /// The keyed hash of its content.
    pub content: [u8; 16],
    /// The transaction that it came in.
    pub transaction: u32,
    /// The second up to which it is remembered.
    pub until: u32,
}

impl PreviousRequests {
    /// None yet; with the key of their contents.
    pub fn new(key: [u8; 16]) -> Self {
        Self {
            key,
            requests: HashMap::new(),
        }
    }

    /// What is kept of a content.
    pub fn hash(key: &[u8; 16], content: &RequestContent<'_>) -> [u8; 16] {
        let mut hasher = SipHasher13::new_with_key(key);
        for part in [content.originator, content.request_uri, content.body] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish128().as_bytes()
    }

    pub(super) fn insert(&mut self, receipt: Receipt, former: PreviousRequest) {
        let place = (receipt.place, receipt.fingerprint);
        self.requests.insert(place, former);
    }

    fn find(&self, receipt: Receipt, now: u32) -> Option<&PreviousRequest> {
        let former = self.requests.get(&(receipt.place, receipt.fingerprint));
        former.filter(|former| former.until > now)
    }

    /// Whether a request is the retransmission of one of them.
    pub(super) fn is_repeated(&self, receipt: Receipt, now: u32) -> bool {
        let former = self.find(receipt, now);
        former.is_some_and(|former| former.transaction == receipt.transaction)
    }

    /// What a request is that is no retransmission; nothing if it is none of them.
    pub(super) fn arrival(
        &self,
        receipt: Receipt,
        content: &RequestContent<'_>,
        now: u32,
    ) -> Option<Arrival> {
        let former = self.find(receipt, now)?;
        let is_same = former.content == Self::hash(&self.key, content);
        Some(match is_same {
            true => Arrival::Retransmission,
            false => Arrival::Merged,
        })
    }
}
