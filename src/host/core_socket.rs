//! The proxy's own listener from which copies leave, once it has been found: `core_socket`.

#![forbid(unsafe_code)]

use crate::config;
use crate::control::{Fork, Transport};

/// Where the proxy keeps the listener, which stays for as long as it runs.
#[derive(Clone, Copy, Debug)]
pub struct CoreSocket {
    place: usize,
    transport: Transport,
}

impl CoreSocket {
    /// Looks for the listener with `find`, which is given the number that the proxies have for its transport and
    /// gives where it is, or 0.
    pub fn find(
        wanted: Option<&config::CoreSocket>,
        find: impl FnOnce(&config::CoreSocket, u16) -> usize,
    ) -> Result<Option<Self>, String> {
        let Some(wanted) = wanted else {
            return Ok(None);
        };
        let (transport, name, number) = match wanted.transport {
            Transport::Udp => (Transport::Udp, "udp", 1),
            Transport::Tcp => (Transport::Tcp, "tcp", 2),
            _ => (Transport::Tls, "tls", 3),
        };
        match find(wanted, number) {
            0 => Err(format!(
                "parameter core_socket: expected an address on which this proxy listens, found \
                 {name}:{}:{}; add it to the listeners, or name one of those",
                wanted.address, wanted.port
            )),
            place => Ok(Some(Self { place, transport })),
        }
    }

    /// Where the listener is from which a fork leaves; 0 where the proxy chooses, as it does for a fork that
    /// has to go by another transport than the listener's (M-2).
    pub fn of(this: Option<Self>, fork: &Fork<'_>) -> usize {
        let fits = |socket: &Self| !fork.needs_stream() || socket.transport != Transport::Udp;
        this.filter(fits).map_or(0, |socket| socket.place)
    }
}
