//! Transports, as a Via names them (RFC 3261 §20.42).

/// The transport of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
    /// SCTP, WebSocket or any other.
    Other,
}

impl Transport {
    /// Recognises a transport by its name in a Via, in any case.
    pub fn of(name: &[u8]) -> Self {
        let mut known = [
            (&b"udp"[..], Self::Udp),
            (b"tcp", Self::Tcp),
            (b"tls", Self::Tls),
        ]
        .into_iter();
        let found = known.find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map_or(Self::Other, |(_, transport)| transport)
    }

    /// The prefix of an address that applies to this transport only.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Udp => "udp:",
            Self::Tcp => "tcp:",
            Self::Tls => "tls:",
            Self::Other => "",
        }
    }
}
