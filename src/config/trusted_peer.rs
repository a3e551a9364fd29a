//! Who is believed when they assert an identity: `trusted_peers`, I-1, RFC 3325 §3.

use crate::sip::Transport;
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

/// A peer, or a network of peers, that belongs to the trust domain.
#[derive(Clone, Copy, Debug)]
pub struct TrustedPeer {
    transport: Option<Transport>,
    network: IpNet,
}

impl TrustedPeer {
    /// Reads `[udp:|tcp:|tls:]ADDRESS-or-CIDR`.
    pub fn parse(text: &str) -> Option<Self> {
        let prefix = text
            .split_once(':')
            .map(|(prefix, rest)| (Transport::of(prefix.as_bytes()), rest));
        let (transport, network) = match prefix {
            Some((transport, rest)) if transport != Transport::Other => (Some(transport), rest),
            _ => (None, text),
        };
        let address = network.parse::<IpAddr>().map(IpNet::from);
        let network = canonical(network.parse().or(address).ok()?)?;
        Some(Self { transport, network })
    }

    /// An address and a transport of such a peer, as an example.
    pub fn example(&self) -> (IpAddr, Transport) {
        let address = self.network.hosts().next();
        (
            address.unwrap_or(self.network.addr()),
            self.transport.unwrap_or(Transport::Udp),
        )
    }

    /// Whether somebody at `address` who sends by `transport` is such a peer.
    pub fn includes(&self, address: IpAddr, transport: Transport) -> bool {
        self.transport.is_none_or(|own| own == transport)
            && self.network.contains(&address.to_canonical())
    }
}

/// As `trusted_peers` names it.
impl fmt::Display for TrustedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.transport.unwrap_or(Transport::Other).prefix())?;
        match self.network.prefix_len() == self.network.max_prefix_len() {
            true => self.network.addr().fmt(f),
            false => self.network.fmt(f),
        }
    }
}

/// The IPv4 network that an IPv4-mapped one stands for: sources are compared as IPv4 too.
fn canonical(network: IpNet) -> Option<IpNet> {
    match network {
        IpNet::V6(mapped) => match mapped.addr().to_ipv4_mapped() {
            Some(address) => {
                let prefix = mapped.prefix_len().checked_sub(96)?;
                IpNet::new(address.into(), prefix).ok()
            }
            None => Some(network),
        },
        IpNet::V4(_) => Some(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn includes(peer: &str, address: &str, transport: Transport) -> bool {
        let address = address.parse().unwrap();
        let peer = TrustedPeer::parse(peer).unwrap();
        peer.includes(address, transport)
    }

    #[test]
    fn the_example_of_a_peer_is_one() {
        for peer in [
            "10.1.2.3",
            "tls:10.0.0.0/8",
            "tcp:2001:db8::/64",
            "::1",
            "::ffff:10.0.0.0/104",
        ] {
            let peer = TrustedPeer::parse(peer).unwrap();
            let (address, transport) = peer.example();
            assert!(peer.includes(address, transport), "{peer:?}");
        }
    }

    #[test]
    fn a_peer_is_named_as_the_administrator_wrote_it() {
        for peer in ["10.1.2.3", "tls:10.0.0.0/8", "tcp:2001:db8::/64", "udp:::1"] {
            assert_eq!(TrustedPeer::parse(peer).unwrap().to_string(), peer);
        }
    }

    #[test]
    fn addresses_networks_and_transports_are_compared() {
        // I-1.
        assert!(includes("10.1.2.3", "10.1.2.3", Transport::Udp));
        assert!(includes("10.0.0.0/8", "::ffff:10.1.2.3", Transport::Tls));
        assert!(!includes("10.0.0.0/8", "11.0.0.1", Transport::Udp));
        assert!(includes("TLS:2001:db8::/32", "2001:db8::1", Transport::Tls));
        assert!(!includes(
            "tls:2001:db8::/32",
            "2001:db8::1",
            Transport::Tcp
        ));
        assert!(includes("2001:db8::1", "2001:db8::1", Transport::Tcp));
        assert!(includes("::ffff:10.0.0.0/104", "10.1.2.3", Transport::Udp));
        for bad in [
            "",
            "home1.net",
            "10.0.0.0/33",
            "sctp:10.0.0.1",
            "udp:",
            "10.0.0.1:5060",
        ] {
            assert!(TrustedPeer::parse(bad).is_none(), "{bad}");
        }
    }
}
