//! What the administrator has decided, ready for use.

use super::addressing::Addressing;
use super::service_acl::ServiceAcl;
use super::world::Source;
use crate::config::Settings;

/// The rules of one server: the parameters, and what follows from several of them together.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The parameters.
    pub settings: Settings,
    /// How addresses are told apart and sent to.
    pub addressing: Addressing,
    /// Who may use services besides local subscribers.
    pub service_acl: ServiceAcl,
    /// The Route header field with its CRLF; empty for a server that sends directly.
    pub route_header: Vec<u8>,
    /// Whether the Route asks for originating treatment, by `orig` (N-2).
    pub route_is_originating: bool,
}

impl Policy {
    /// Whether identities that `source` asserts are believed.
    pub fn trusts(&self, source: &Source<'_>) -> bool {
        let mut peers = self.settings.trusted_peers.iter();
        peers.any(|peer| peer.includes(source.address, source.transport))
    }
}

#[cfg(test)]
impl Policy {
    /// The policy of the example flows, for tests to change.
    pub(crate) fn example() -> Self {
        let mut settings = Settings::new();
        for (name, value) in [
            ("domains", "im.home1.net,home1.net"),
            ("server_name", "imas.home1.net"),
            ("ioi", "home1.net"),
            ("trusted_peers", "127.0.0.1"),
            ("trusted_next_hop", "1"),
        ] {
            settings.set(name, value).unwrap();
        }
        let addressing = Addressing {
            next_hop: super::NextHopCapabilities::Core { tls: false },
            same_number: settings.same_number(),
            tel_domain: None,
            domains: settings.domains.clone(),
        };
        Self {
            service_acl: ServiceAcl::parse(&[], &addressing).unwrap(),
            settings,
            addressing,
            route_header: Vec::new(),
            route_is_originating: false,
        }
    }
}
