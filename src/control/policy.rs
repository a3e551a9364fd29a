//! What the administrator has decided, ready for use.

use super::access::Access;
use super::group::Addressing;
use super::trust::{Source, TrustedPeer};

/// The rules of one server.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The name in Warning headers.
    pub server_name: String,
    /// How addresses are told apart and sent to.
    pub addressing: Addressing,
    /// Whether pager mode is supported at all.
    pub pager_mode: bool,
    /// Whether an unknown group is answered as one that the originator may not use (A.1).
    pub hide_groups: bool,
    /// Whether the originator of a message to a stored group is left out.
    pub skip_originator: bool,
    /// Who may assert identities (I-1).
    pub trusted_peers: Vec<TrustedPeer>,
    /// Whether the next hop belongs to the trust domain (I-3).
    pub trusted_next_hop: bool,
    /// The Route header field with its CRLF; empty for a server that sends directly.
    pub route_header: Vec<u8>,
    /// Names of further header fields to copy (H-1).
    pub copy_headers: Vec<String>,
    /// Who may send, and to whom.
    pub access: Access,
}

impl Policy {
    /// Whether identities that `source` asserts are believed.
    pub fn trusts(&self, source: &Source) -> bool {
        self.trusted_peers.iter().any(|peer| peer.includes(source))
    }
}
