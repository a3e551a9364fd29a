//! The listener from which copies leave: `core_socket`.

use crate::config::SettingError;
use crate::control::Transport;

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
    /// Reads `udp:ADDRESS:PORT`; nothing where the text is empty.
    pub fn parse(text: &str) -> Result<Option<Self>, SettingError> {
        if text.is_empty() {
            return Ok(None);
        }
        let socket = read(text);
        socket.map(Some).ok_or_else(|| {
            let expected = "udp, tcp or tls, an address and a port, such as udp:127.0.0.1:5062";
            SettingError::new("core_socket", text, expected)
        })
    }
}

fn read(text: &str) -> Option<CoreSocket> {
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
    is_address.then_some(CoreSocket {
        transport,
        address: address.to_owned(),
        port: port?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_a_transport_an_address_and_a_port() {
        let read = |text: &str| CoreSocket::parse(text).map(|socket| socket.map(|it| it.address));
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("udp:127.0.0.1:5062"), Ok(Some("127.0.0.1".to_owned())));
        assert_eq!(read("tls:[::1]:5061"), Ok(Some("[::1]".to_owned())));
        for wrong in [
            "127.0.0.1:5062",
            "udp:127.0.0.1",
            "udp:localhost:5062",
            "udp:127.0.0.1:0",
            "sctp:127.0.0.1:5062",
            "tcp:::1:5060",
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(
                error.contains("core_socket") && error.contains(wrong),
                "{error}"
            );
        }
    }
}
