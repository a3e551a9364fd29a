//! The proxy's listener from which copies are sent: `core_socket`.

#![forbid(unsafe_code)]

use crate::config;
use crate::control::{Fork, Transport};

/// The address of the proxy's listener structure, which exists as long as the proxy runs.
#[derive(Clone, Copy, Debug)]
pub struct CoreSocket {
    place: usize,
    transport: Transport,
}

impl CoreSocket {
    /// Finds the listener with `find`, which gets the proxies' number of its transport and returns its
    /// address, or 0.
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

    /// The address of the listener for a copy; 0 lets the proxy choose, also for a copy that needs
    /// another transport than the listener's (M-2).
    pub fn of(this: Option<Self>, fork: &Fork<'_>) -> usize {
        let fits = |socket: &Self| !fork.needs_stream() || socket.transport != Transport::Udp;
        this.filter(fits).map_or(0, |socket| socket.place)
    }
}
