//! A port of one's own on loopback.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// A port that no other rig of this machine takes: whoever holds it on 127.0.0.3 may use it on 127.0.0.1.
/// Proxies share UDP ports with anyone (SO_REUSEADDR), so their own bind would not notice.
pub struct Port {
    pub number: u16,
    _held: UdpSocket,
}

impl Port {
    pub fn reserve() -> Port {
        let taken = |_| {
            // Below the range that the system hands out to outgoing connections.
            let random = u16::from_ne_bytes(random());
            let number = 10_000 + random % 20_000;
            let held = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 3), number)).ok()?;
            UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
            Some(Port {
                number,
                _held: held,
            })
        };
        (0..1000).find_map(taken).expect("a free port")
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("random bytes");
    bytes
}
