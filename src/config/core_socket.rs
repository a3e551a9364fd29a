//! The listener from which copies leave: `core_socket`.

use crate::sip::Transport;

/// A listener of the proxy, as the administrator names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreSocket {
    /// By which transport.
    pub transport: Transport,
    /// Its address, IPv6 in brackets.
    pub address: String,
    /// Its port.
    pub port: u16,
}

impl CoreSocket {
    /// Reads `udp:ADDRESS:PORT`.
    pub fn parse(text: &str) -> Option<Self> {
        let (transport, rest) = text.split_once(':')?;
        let transport = match transport {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            _ => return None,
        };
        let (address, port) = rest.rsplit_once(':')?;
        let bare = address
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix(']'));
        let is_address = match bare {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
            None => address.parse::<std::net::Ipv4Addr>().is_ok(),
        };
        let port = port.parse().ok().filter(|&port| port != 0);
        is_address.then_some(Self {
            transport,
            address: address.to_owned(),
            port: port?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_a_transport_an_address_and_a_port() {
        let address = |text: &str| CoreSocket::parse(text).map(|socket| socket.address);
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(address("udp:127.0.0.1:5062"), is("127.0.0.1"));
        assert_eq!(address("tls:[::1]:5061"), is("[::1]"));
        for wrong in [
            "127.0.0.1:5062",
            "udp:127.0.0.1",
            "udp:localhost:5062",
            "udp:127.0.0.1:0",
            "sctp:127.0.0.1:5062",
            "tcp:::1:5060",
        ] {
            assert_eq!(CoreSocket::parse(wrong), None, "{wrong}");
        }
    }
}
