//! Where copies go: an address that the proxy is given, or a name that is resolved before it gets any
//! (RFC 3263 §4). Route and Request-URI of a copy stay as they are.

#![forbid(unsafe_code)]

use crate::config::Settings;
use crate::control::size::by_stream;
use crate::fanout::LONGEST_NAME;
use crate::sip::{SipUri, Uri};
use std::borrow::Cow;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};

/// The next hop of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The URI for the proxy; empty for the Request-URI.
    uri: String,
    /// The name in it, if there is one: [`HopName`] as text.
    name: Option<String>,
}

impl NextHop {
    /// The Request-URI, whose host is an address.
    const REQUEST_URI: Self = Self {
        uri: String::new(),
        name: None,
    };

    /// The next hop that a URI names; nothing for one that nobody can send to.
    pub fn of(uri: &str) -> Option<Self> {
        let Ok(Uri::Sip(sip)) = Uri::parse(uri.as_bytes()) else {
            return None;
        };
        let (name, has_target) = target(&sip)?;
        Some(Self {
            uri: match (&name, has_target) {
                // The proxy is not to find out by itself which of the two it is.
                (None, true) => at(&sip, &maddr(&sip)?, sip.port),
                _ => uri.to_owned(),
            },
            name,
        })
    }

    /// The name that is to be resolved, if there is one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The URI for the proxy, where there is no name.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The URI for the proxy, with the address to which the name leads.
    pub fn uri_at(&self, address: SocketAddr) -> String {
        let Ok(Uri::Sip(sip)) = Uri::parse(self.uri.as_bytes()) else {
            return String::new();
        };
        let host = match address {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        at(&sip, &host, Some(address.port()).filter(|&port| port != 0))
    }
}

/// A URI of an address, for the same transport.
fn at(sip: &SipUri<'_>, host: &str, port: Option<u16>) -> String {
    let mut uri = String::with_capacity(64);
    uri.push_str(if sip.secure { "sips:" } else { "sip:" });
    uri.push_str(host);
    if let Some(port) = port {
        let _ = write!(uri, ":{port}");
    }
    if let Some(Some(transport)) = sip.parameter(b"transport") {
        uri.push_str(";transport=");
        uri.push_str(&String::from_utf8_lossy(transport));
    }
    uri
}

fn maddr(sip: &SipUri<'_>) -> Option<String> {
    let maddr = sip.parameter(b"maddr").flatten()?;
    Some(String::from_utf8_lossy(maddr).into_owned())
}

/// The name of the target, if it is none of an address, and whether it is that of `maddr`; nothing if it is
/// too long.
fn target(sip: &SipUri<'_>) -> Option<(Option<String>, bool)> {
    let maddr = maddr(sip);
    let has_maddr = maddr.is_some();
    let host = maddr.map_or_else(|| String::from_utf8_lossy(sip.host), Cow::Owned);
    let is_address = host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok();
    if is_address {
        return Some((None, has_maddr));
    }
    let transport = sip.parameter(b"transport").flatten();
    let transport = transport.map(<[u8]>::to_ascii_lowercase);
    let transport = match transport.as_deref() {
        Some(web @ (b"ws" | b"wss")) => web,
        _ if sip.secure => b"tls",
        transport => transport.unwrap_or(b"udp"),
    };
    let name = HopName {
        transport: &String::from_utf8_lossy(transport),
        port: sip.port.unwrap_or(0),
        host: &host.to_ascii_lowercase(),
    };
    let name = name.to_string();
    (name.len() <= LONGEST_NAME).then_some((Some(name), has_maddr))
}

/// A name of a next hop, and what of its URI says where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HopName<'a> {
    /// The transport: `udp`, `tcp`, `tls`, or another one.
    pub transport: &'a str,
    /// The port; 0 if none is written.
    pub port: u16,
    /// The name, in lower case.
    pub host: &'a str,
}

impl std::fmt::Display for HopName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            transport,
            port,
            host,
        } = self;
        write!(f, "{transport}:{port}:{host}")
    }
}

impl<'a> HopName<'a> {
    /// Reads what [`NextHop::name`] gave.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        Some(Self {
            transport: parts.next()?,
            port: parts.next()?.parse().ok()?,
            host: parts.next()?,
        })
    }
}

/// Where copies go: to the core, or straight to their Request-URIs.
#[derive(Debug)]
pub struct NextHops {
    /// The parameters.
    settings: Settings,
    core: Option<NextHop>,
    /// The core by a transport that avoids congestion (M-2).
    stream_core: Option<NextHop>,
}

impl NextHops {
    /// As the settings say.
    pub fn of(settings: &Settings) -> Self {
        let stream_core = match Uri::parse(settings.core_route.as_bytes()) {
            Ok(Uri::Sip(route)) => NextHop::of(&by_stream(&route)),
            _ => None,
        };
        Self {
            core: NextHop::of(&settings.core_route),
            stream_core,
            settings: settings.clone(),
        }
    }

    /// Whether copies may go to a name, so that somebody has to resolve it.
    pub fn have_names(&self) -> bool {
        self.settings.direct || self.core.as_ref().is_some_and(|core| core.name().is_some())
    }

    /// The name servers that are asked instead of those of the system; none for those.
    pub fn name_servers(&self) -> &[SocketAddr] {
        &self.settings.name_servers
    }

    /// Where the copy to a recipient goes; nothing for an address that nobody can send to, as that of a telephone
    /// without a core.
    pub fn hop(&self, recipient: &[u8], needs_stream: bool) -> Option<Cow<'_, NextHop>> {
        let core = match needs_stream {
            false => &self.core,
            true => &self.stream_core,
        };
        if !self.settings.direct {
            return core.as_ref().map(Cow::Borrowed);
        }
        let Ok(Uri::Sip(address)) = Uri::parse(recipient) else {
            return None;
        };
        if needs_stream {
            return NextHop::of(&by_stream(&address)).map(Cow::Owned);
        }
        // A member's address needs no text of its own.
        match target(&address)? {
            (None, false) => Some(Cow::Owned(NextHop::REQUEST_URI)),
            _ => NextHop::of(std::str::from_utf8(recipient).ok()?).map(Cow::Owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(uri: &str) -> (String, NextHop) {
        let hop = NextHop::of(uri).unwrap();
        (hop.name().unwrap_or_default().to_owned(), hop)
    }

    #[test]
    fn a_name_is_known_by_its_transport_and_its_port() {
        // RFC 3263 §4.
        for (uri, name) in [
            ("sip:bob@Home1.NET", "udp:0:home1.net"),
            ("sip:home1.net:5070", "udp:5070:home1.net"),
            ("sip:home1.net;transport=TCP;lr", "tcp:0:home1.net"),
            ("sip:home1.net;transport=tls", "tls:0:home1.net"),
            ("sips:home1.net", "tls:0:home1.net"),
            ("sips:home1.net;transport=tcp", "tls:0:home1.net"),
            ("sip:home1.net;transport=ws", "ws:0:home1.net"),
            ("sip:home1.net;maddr=core.net", "udp:0:core.net"),
            ("sip:192.0.2.1;maddr=core.net", "udp:0:core.net"),
            ("sip:192.0.2.1", ""),
            ("sip:[2001:db8::1]:5080", ""),
        ] {
            assert_eq!(named(uri).0, name, "{uri}");
        }
        assert_eq!(NextHop::of("tel:+15551230003"), None);
        assert_eq!(NextHop::of(&format!("sip:{}", "x.".repeat(200))), None);
    }

    #[test]
    fn the_proxy_gets_an_address_for_the_same_transport() {
        let v4 = SocketAddr::from(([192, 0, 2, 7], 5070));
        let v6: SocketAddr = "[2001:db8::1]:0".parse().unwrap();
        for (uri, v4_uri, v6_uri) in [
            (
                "sip:bob@home1.net",
                "sip:192.0.2.7:5070",
                "sip:[2001:db8::1]",
            ),
            (
                "sips:home1.net;lr",
                "sips:192.0.2.7:5070",
                "sips:[2001:db8::1]",
            ),
            (
                "sip:home1.net:5070;transport=tcp;lr",
                "sip:192.0.2.7:5070;transport=tcp",
                "sip:[2001:db8::1];transport=tcp",
            ),
        ] {
            let hop = named(uri).1;
            assert_eq!(hop.uri_at(v4), v4_uri);
            assert_eq!(hop.uri_at(v6), v6_uri);
        }
        let hop = NextHop::of("sip:home1.net:5080;maddr=192.0.2.9;transport=tcp").unwrap();
        assert_eq!(hop.uri(), "sip:192.0.2.9:5080;transport=tcp");
    }

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let name = HopName {
            transport: "tcp",
            port: 5070,
            host: "home1.net",
        };
        assert_eq!(HopName::read(&name.to_string()), Some(name));
        assert_eq!(HopName::read("tcp"), None);
    }
}
