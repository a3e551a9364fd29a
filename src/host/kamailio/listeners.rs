//! The sockets on which Kamailio listens.

use super::abi::SocketInfo;
use crate::config;
use crate::control::Transport;
use crate::host::abi::Str;
use crate::host::core_socket::CoreSocket;
use crate::host::listeners::Listener;
use crate::host::symbol::function;
use std::ffi::c_ushort;

/// `PROTO_UDP` and its kin.
const PROTOCOLS: [(c_ushort, Transport); 4] = [
    (1, Transport::Udp),
    (2, Transport::Tcp),
    (3, Transport::Tls),
    (4, Transport::Other),
];

/// All of them; `None` where they cannot be read. To be called once Kamailio has resolved their addresses.
pub fn listeners() -> Option<Vec<Listener>> {
    type GetList = unsafe extern "C" fn(c_ushort) -> *const *const SocketInfo;
    // SAFETY: the function has this signature in all versions.
    let list = unsafe { function::<GetList>(c"get_sock_info_list") }.ok()?;
    let mut found = Vec::new();
    for (number, transport) in PROTOCOLS {
        // SAFETY: the function gives the variable that points to the first socket of a protocol, or nothing for one
        // that Kamailio was built without. Each socket points to the next one or to nothing.
        unsafe {
            let first = list(number).as_ref().copied();
            let mut next = first.and_then(|first| first.as_ref());
            while let Some(socket) = next {
                // A transport that is switched off keeps its lines of the script, without addresses.
                if let Some(address) = socket.address.read() {
                    let place = (address, socket.port).into();
                    let (address, port) = (socket.address_text.bytes(), socket.port_text.bytes());
                    found.push(Listener::agreed(transport, place, address, port)?);
                }
                next = socket.next.as_ref();
            }
        }
    }
    Some(found)
}

/// The listener from which copies are to leave.
pub fn core_socket(wanted: Option<&config::CoreSocket>) -> Result<Option<CoreSocket>, String> {
    type GrepSockInfo = unsafe extern "C" fn(*const Str, c_ushort, c_ushort) -> *const SocketInfo;
    CoreSocket::find(wanted, |socket, protocol| {
        let address = Str::of(socket.address.as_bytes());
        // SAFETY: the function has this signature in all versions; the text lives until it returns, and the
        // listeners have been made before modules start.
        unsafe {
            let grep = function::<GrepSockInfo>(c"grep_sock_info");
            grep.map_or(0, |grep| grep(&address, socket.port, protocol) as usize)
        }
    })
}
