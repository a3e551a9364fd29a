//! What cimf needs of a proxy, the same for both.

#![forbid(unsafe_code)]

use crate::control::{Answer, Fork};
use crate::fanout::NotSent;

/// What became of the attempt to make a server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// The request has a transaction.
    Present,
    /// The request belongs to a transaction that has answered it again.
    Retransmission,
    /// The proxy cannot make one, as for a request without Call-ID.
    Impossible,
}

/// What sends forks, in whichever process.
pub trait Sender {
    /// Sends one fork to the URI `next_hop`, whose host is an address and no name, or to its own Request-URI
    /// if that is empty; or says why not. Of one that it took, the proxy tells [`completed`](super::sending::completed) and
    /// [`released`](super::sending::released) with its cookie, in whichever process, perhaps before this returns; of others,
    /// neither.
    fn send(&mut self, fork: &Fork<'_>, next_hop: &str, cookie: u64) -> Result<(), NotSent>;
}

/// What the controlling function needs of a proxy while it handles one request.
pub trait Proxy: Sender {
    /// Makes a server transaction of the request, if it has none.
    fn transaction(&mut self) -> Transaction;

    /// Answers the request, within its transaction if it has one; says whether that worked.
    fn reply(&mut self, answer: &Answer, transaction: Transaction) -> bool;
}
