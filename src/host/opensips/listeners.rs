//! The sockets on which OpenSIPS listens.

use super::version::Number;
use crate::config;
use crate::control::Transport;
use crate::host::abi::{IpAddress, Str};
use crate::host::core_socket::CoreSocket;
use crate::host::listeners::Listener;
use crate::host::symbol::{find, function};
use std::ffi::{c_int, c_ushort, c_void};

/// The offsets of the fields of `protos` and of the sockets of a protocol that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The size of `struct proto_info`, and where it points to its first socket.
    pub protocol: usize,
    pub first: usize,
    /// Where `struct socket_info` has its address, followed by the text of it, the port and the text of that.
    pub address: usize,
    /// Where it, or the structure around it, points to the next one.
    pub next: usize,
}

/// Where `struct proto_info` has the port of its protocol's standard.
pub const STANDARD_PORT: usize = 8;
/// How far the others are from the address.
pub const ADDRESS_TEXT: usize = 24;
pub const PORT: usize = 40;
pub const PORT_TEXT: usize = 48;

impl Layout {
    /// That of a version.
    pub fn of(version: Number) -> Self {
        let (protocol, first, address, next) = match (version.0, version.1) {
            (3, ..=4) => (128, 104, 40, 272),
            (3, 5) => (136, 112, 40, 296),
            (3, _) => (144, 120, 40, 296),
            _ => (168, 144, 56, 320),
        };
        Self {
            protocol,
            first,
            address,
            next,
        }
    }
}

/// The protocols of SIP by their numbers, with the ports of their standards.
const PROTOCOLS: [(usize, Transport, c_ushort); 4] = [
    (1, Transport::Udp, 5060),
    (2, Transport::Tcp, 5060),
    (3, Transport::Tls, 5061),
    (4, Transport::Other, 5060),
];

/// All of them; `None` where they cannot be read. To be called once OpenSIPS has resolved their addresses.
pub fn listeners(version: Number) -> Option<Vec<Listener>> {
    let layout = Layout::of(version);
    let protocols = find(c"protos")?.cast::<u8>().cast_const();
    // SAFETY: the symbol is an array with an element for each protocol, of the size that the version has.
    let element = |number: usize| unsafe { protocols.add(number * layout.protocol) };
    let holds = PROTOCOLS.into_iter().all(|(number, _, port)| {
        // SAFETY: as above.
        unsafe { element(number).add(STANDARD_PORT).cast::<c_ushort>().read() == port }
    });
    if !holds {
        return None;
    }
    let mut found = Vec::new();
    for (number, transport, _) in PROTOCOLS {
        // SAFETY: the element points to its first socket or to nothing, and each socket to the next one or to nothing;
        // the version has its members there.
        unsafe {
            let mut next = element(number).add(layout.first).cast::<*const u8>().read();
            while !next.is_null() {
                let at = next.add(layout.address);
                let address = at.cast::<IpAddress>().read().read()?;
                let port = at.add(PORT).cast::<c_ushort>().read();
                let text = |offset| at.add(offset).cast::<Str>().read().bytes();
                let place = (address, port).into();
                found.push(Listener::agreed(
                    transport,
                    place,
                    text(ADDRESS_TEXT),
                    text(PORT_TEXT),
                )?);
                next = next.add(layout.next).cast::<*const u8>().read();
            }
        }
    }
    Some(found)
}

/// The listener from which copies are to leave.
pub fn core_socket(wanted: Option<&config::CoreSocket>) -> Result<Option<CoreSocket>, String> {
    type GrepSockInfo =
        unsafe extern "C" fn(*const Str, c_ushort, c_ushort, c_int) -> *const c_void;
    CoreSocket::find(wanted, |socket, protocol| {
        let address = Str::of(socket.address.as_bytes());
        // SAFETY: the function has this signature in all versions; the text lives until it returns, and the
        // listeners have been made before modules start. With 0 it looks through all of them.
        unsafe {
            let grep = function::<GrepSockInfo>(c"grep_sock_info_ext");
            grep.map_or(0, |grep| grep(&address, socket.port, protocol, 0) as usize)
        }
    })
}
