//! The source of a message, as given on the command line.

use cimf::control::Transport;
use std::net::{IpAddr, SocketAddr};

/// The address and the transport of a peer; its port is ignored.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub address: IpAddr,
    pub transport: Transport,
}

impl Peer {
    /// Reads `[udp:|tcp:|tls:]ADDRESS[:PORT]`; an IPv6 address with a port stands in brackets.
    pub fn parse(text: &str) -> Result<Self, String> {
        let prefix = text.split_once(':');
        let prefix = prefix.map(|(name, rest)| (Transport::of(name.as_bytes()), rest));
        let (transport, rest) = match prefix {
            Some((transport, rest)) if transport != Transport::Other => (transport, rest),
            _ => (Transport::Udp, text),
        };
        let bare = rest
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let address = bare.unwrap_or(rest).parse::<IpAddr>().ok();
        let socket = || rest.parse::<SocketAddr>().ok().map(|socket| socket.ip());
        let address = address.or_else(socket);
        let expected = "expected [udp:|tcp:|tls:]ADDRESS[:PORT], such as tcp:10.0.0.7:5060";
        let address = address.ok_or_else(|| expected.to_owned())?;
        Ok(Self { address, transport })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_peer_are_read() {
        for (text, address, transport) in [
            ("10.0.0.7", "10.0.0.7", Transport::Udp),
            ("TCP:10.0.0.7", "10.0.0.7", Transport::Tcp),
            ("tls:10.0.0.7:5061", "10.0.0.7", Transport::Tls),
            ("2001:db8::1", "2001:db8::1", Transport::Udp),
            ("tcp:2001:db8::1", "2001:db8::1", Transport::Tcp),
            ("tcp:[2001:db8::1]:5060", "2001:db8::1", Transport::Tcp),
            ("[::1]", "::1", Transport::Udp),
        ] {
            let peer = Peer::parse(text).unwrap();
            assert_eq!(peer.address, address.parse::<IpAddr>().unwrap(), "{text}");
            assert_eq!(peer.transport, transport, "{text}");
        }
        for bad in [
            "",
            "tcp",
            "tcp:",
            "icscf.home1.net",
            "10.0.0.7:x",
            "sctp:10.0.0.7",
        ] {
            assert!(Peer::parse(bad).is_err(), "{bad}");
        }
    }
}
