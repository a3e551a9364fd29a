//! Where a message came from, as far as identities that it asserts are believed: I-1, RFC 3325 §3.

use crate::sip::Transport;
use std::fmt;
use std::net::IpAddr;

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
