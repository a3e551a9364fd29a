//! Checks whether `trusted_peers` includes an address on which the proxy itself listens. A request that
//! the proxy relays to itself comes from there: anybody who gets a request relayed would be trusted
//! like a peer.

#![forbid(unsafe_code)]

use crate::config::TrustedPeer;
use crate::control::{Policy, Transport};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A socket on which the proxy listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    pub transport: Transport,
    pub place: SocketAddr,
}

impl Listener {
    /// Cross-checks what a proxy's structure holds twice; `None` if the values differ, which means that
    /// the layout is unknown.
    pub fn agreed(
        transport: Transport,
        place: SocketAddr,
        address: &[u8],
        port: &[u8],
    ) -> Option<Self> {
        let address = std::str::from_utf8(address).ok()?;
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        let port: u16 = std::str::from_utf8(port).ok()?.parse().ok()?;
        (address == place.ip() && port == place.port()).then_some(Self { transport, place })
    }

    /// Whether requests that the proxy sends to itself by this transport may come from an address of
    /// `peer`. A wildcard listener counts as one on each of `local`.
    fn is_included(&self, peer: &TrustedPeer, transport: Transport, local: &[IpAddr]) -> bool {
        let address = self.place.ip();
        let is_included = |address| peer.includes(address, transport);
        if !address.is_unspecified() {
            return is_included(address);
        }
        let mut local = local.iter().copied();
        local.any(|own| own.is_ipv4() == address.is_ipv4() && is_included(own))
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Udp => "udp:",
            Transport::Tcp => "tcp:",
            Transport::Tls => "tls:",
            Transport::Other => "sctp:",
        };
        write!(f, "{transport}{}", self.place)
    }
}

/// Logs one warning for each item of `trusted_peers` that includes a listener; `local` are the
/// addresses of this machine. Loopback is no exception: the proxy reaches itself there as well, and so
/// does every program on the machine.
pub fn warn_of_own_addresses(policy: &Policy, listeners: &[Listener], local: &[IpAddr]) {
    for peer in &policy.settings.trusted_peers {
        if let Some(warning) = warning(peer, listeners, local) {
            log::warn!("{warning}");
        }
    }
}

fn warning(peer: &TrustedPeer, listeners: &[Listener], local: &[IpAddr]) -> Option<String> {
    let included = |transport| {
        listeners.iter().filter(move |listener| {
            listener.transport == transport && listener.is_included(peer, transport, local)
        })
    };
    let transports = [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Other,
    ];
    let own: Vec<_> = transports.into_iter().flat_map(included).collect();
    let named: Vec<String> = own.iter().take(3).map(ToString::to_string).collect();
    let more = match own.len().saturating_sub(named.len()) {
        _ if own.is_empty() => return None,
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "trusted_peers: {peer} includes {}{more}, where this proxy itself listens. What a stranger gets your script to \
         relay there comes back from a trusted peer, and so does what any program of this machine sends from there: \
         it may name anybody as its sender. Take this address out of trusted_peers; if it stands for a network or for \
         peers on this machine, name the peers one by one, with a transport by which the proxy does not listen there",
        named.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(transport: Transport, place: &str) -> Listener {
        let place = place.parse().unwrap();
        Listener { transport, place }
    }

    fn warns(peer: &str, listeners: &[Listener]) -> Option<String> {
        let local = ["127.0.0.1", "10.0.0.7", "::1", "2001:db8::7"].map(|ip| ip.parse().unwrap());
        warning(&TrustedPeer::parse(peer).unwrap(), listeners, &local)
    }

    #[test]
    fn an_item_that_includes_a_listener_is_named_with_it() {
        // I-1.
        let listeners = [
            listener(Transport::Udp, "10.0.0.7:5060"),
            listener(Transport::Tcp, "10.0.0.7:5062"),
            listener(Transport::Tls, "[2001:db8::7]:5061"),
        ];
        for (peer, named) in [
            (
                "10.0.0.7",
                "10.0.0.7 includes udp:10.0.0.7:5060, tcp:10.0.0.7:5062,",
            ),
            (
                "10.0.0.0/8",
                "10.0.0.0/8 includes udp:10.0.0.7:5060, tcp:10.0.0.7:5062,",
            ),
            ("tcp:10.0.0.7", "tcp:10.0.0.7 includes tcp:10.0.0.7:5062,"),
            ("::ffff:10.0.0.7", "10.0.0.7 includes udp:10.0.0.7:5060,"),
            (
                "tls:2001:db8::/32",
                "tls:2001:db8::/32 includes tls:[2001:db8::7]:5061,",
            ),
        ] {
            let warning = warns(peer, &listeners).unwrap_or_default();
            assert!(warning.contains(named), "{peer}: {warning}");
        }
        for peer in [
            "10.0.0.8",
            "127.0.0.1",
            "tls:10.0.0.7",
            "tcp:2001:db8::7",
            "::1",
        ] {
            assert_eq!(warns(peer, &listeners), None, "{peer}");
        }
    }

    #[test]
    fn a_wildcard_listener_listens_on_each_address() {
        // I-1.
        let four = [listener(Transport::Udp, "0.0.0.0:5060")];
        let six = [listener(Transport::Tcp, "[::]:5060")];
        for peer in ["127.0.0.1", "udp:10.0.0.7", "10.0.0.0/8"] {
            let warning = warns(peer, &four).unwrap_or_default();
            assert!(
                warning.contains("includes udp:0.0.0.0:5060,"),
                "{peer}: {warning}"
            );
            assert_eq!(warns(peer, &six), None, "{peer}");
        }
        assert!(warns("::1", &six).is_some());
        for peer in ["10.0.0.8", "tcp:127.0.0.1", "::1"] {
            assert_eq!(warns(peer, &four), None, "{peer}");
        }
    }

    #[test]
    fn a_contradictory_structure_is_rejected() {
        let place = "10.0.0.7:5060".parse().unwrap();
        let agreed = |address, port| Listener::agreed(Transport::Udp, place, address, port);
        assert!(agreed(b"10.0.0.7", b"5060").is_some());
        for (address, port) in [
            (&b"10.0.0.8"[..], &b"5060"[..]),
            (b"10.0.0.7", b"5061"),
            (b"", b"5060"),
            (b"10.0.0.7", b"\xff"),
        ] {
            assert_eq!(agreed(address, port), None);
        }
    }
}
