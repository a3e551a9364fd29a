//! What the checks are told from outside: where the message came from, the groups, the requests of the last
//! 32 seconds, the time.

use crate::sip::Transport;
use std::fmt;
use std::net::IpAddr;
use std::time::SystemTime;

/// Where a message came from, as the proxy saw it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'s> {
    /// The address of the peer.
    pub address: IpAddr,
    /// The transport.
    pub transport: Transport,
    /// The user whose credentials the proxy has checked, as a URI or a name-addr.
    pub identity: Option<&'s [u8]>,
}

/// As `trusted_peers` would name it.
impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.transport.prefix(), self.address)
    }
}

/// What the checks need from outside.
pub struct World<'w, D, R> {
    /// The stored groups.
    pub groups: &'w mut D,
    /// The requests of the last 32 seconds.
    pub recent: &'w R,
    /// The time of arrival.
    pub now: SystemTime,
    /// Whether the request has a server transaction, or its sender needs none: then the transaction knows a
    /// retransmission of what is refused, or of what is being decided.
    pub has_transaction: bool,
}
