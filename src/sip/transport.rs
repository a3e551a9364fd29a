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
        match name.to_ascii_lowercase().as_slice() {
            b"udp" => Self::Udp,
            b"tcp" => Self::Tcp,
            b"tls" => Self::Tls,
            _ => Self::Other,
        }
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
