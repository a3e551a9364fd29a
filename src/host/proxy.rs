//! The interface that an adapter implements for its proxy.

#![forbid(unsafe_code)]

use crate::control::{Answer, Fork};
use crate::fanout::NotSent;

/// The result of creating a server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// The request has a transaction.
    Present,
    /// A retransmission: the existing transaction has repeated its answer.
    Retransmission,
    /// The proxy cannot create one, for example because there is no Call-ID.
    Impossible,
}

/// Sends copies, in any process.
pub trait Sender {
    /// Sends one copy to the URI `next_hop`, whose host is an address and not a name, or to its own
    /// Request-URI if that is empty. If it succeeds, [`completed`](super::sending::completed) and
    /// [`released`](super::sending::released) are called later with its cookie, in any process, perhaps
    /// before this returns; after an error neither is.
    fn send(&mut self, fork: &Fork<'_>, next_hop: &str, cookie: u64) -> Result<(), NotSent>;
}

/// Operations on the request that the proxy is handling.
pub trait Proxy: Sender {
    /// Creates a server transaction for the request, if it has none.
    fn transaction(&mut self) -> Transaction;

    /// Whether the request is a retransmission of one that has a server transaction, which has repeated its answer then,
    /// if there is one already. The transaction that the script has made for this request does not count.
    fn is_in_transaction(&mut self) -> bool;

    /// Answers the request, within its transaction if the script or the module has made one; returns whether that
    /// succeeded.
    fn reply(&mut self, answer: &Answer) -> bool;
}
