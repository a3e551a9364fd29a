//! Copies as OpenSIPS's tm sends them, and tm's callbacks about each.

use super::abi::{DLG_CONFIRMED, Dlg, DlgSeq, TMCB_LOCAL_COMPLETED, TmcbParams};
use super::module::{Module, module};
use super::tm::Transactions;
use crate::control::Fork;
use crate::fanout::NotSent;
use crate::host::abi::{E_OUT_OF_MEM, FAKED_REPLY, Str};
use crate::host::core_socket::CoreSocket;
use crate::host::guard::guarded;
use crate::host::proxy::Sender;
use crate::host::sending::{completed, released};
use std::borrow::Cow;
use std::ffi::{c_int, c_void};
use std::ptr::{null, null_mut};

/// OpenSIPS as the client that sends forks.
pub struct Uac<'a> {
    pub transactions: &'a Transactions,
    /// The listener from which copies leave, where the administrator names one.
    pub core_socket: Option<CoreSocket>,
}

impl<'m> Uac<'m> {
    /// That of the module.
    pub fn of(module: &'m Module) -> Self {
        Self {
            transactions: &module.transactions,
            core_socket: module.core_socket,
        }
    }
}

impl Sender for Uac<'_> {
    fn send(&mut self, fork: &Fork<'_>, next_hop: &str, cookie: u64) -> Result<(), NotSent> {
        let from = fork.from();
        let tag = [fork.from_tag.as_bytes(), from.parameters()].concat();
        let headers = fork.headers();
        let (hops, headers) = max_forwards(&headers);
        let body = fork.body();
        let (method, headers, body) = (Str::of(b"MESSAGE"), Str::of(&headers), Str::of(&body));
        let request = |dialog: *mut c_void| {
            // tm calls neither function for what it refuses.
            // SAFETY: all texts live until the call returns, and tm keeps copies.
            unsafe {
                let cookie = cookie as usize as *mut c_void;
                let request = self.transactions.request;
                let set_avp_list = self.transactions.set_avp_list;
                // Where memory ends between transaction and request, tm frees the transaction and
                // leaves its AVPs to the script; the script's own are put back here.
                let mut none = null_mut();
                let own = set_avp_list(&mut none);
                let result = request(
                    &method, &headers, &body, dialog, progressed, cookie, given_back,
                );
                set_avp_list(own);
                result
            }
        };
        let result = if self.transactions.has_two_sockets {
            let mut dialog = dialog::<2>(fork, &tag, next_hop, hops);
            dialog.sockets[0] = CoreSocket::of(self.core_socket, fork);
            request((&raw mut dialog).cast())
        } else {
            let mut dialog = dialog::<1>(fork, &tag, next_hop, hops);
            dialog.sockets[0] = CoreSocket::of(self.core_socket, fork);
            request((&raw mut dialog).cast())
        };
        match result {
            1.. => Ok(()),
            E_OUT_OF_MEM => Err(NotSent::OutOfMemory),
            _ => Err(NotSent::Failed),
        }
    }
}

/// The number of hops among the header fields, and all others: tm writes a Max-Forwards of its own.
fn max_forwards(headers: &[u8]) -> (Option<u16>, Cow<'_, [u8]>) {
    const NAME: &[u8] = b"Max-Forwards: ";
    let mut start = 0;
    for line in headers.split_inclusive(|&byte| byte == b'\n') {
        let end = start + line.len();
        if let Some(value) = line.strip_prefix(NAME) {
            let hops = std::str::from_utf8(value.trim_ascii());
            let hops = hops.ok().and_then(|hops| hops.parse().ok());
            return (hops, [&headers[..start], &headers[end..]].concat().into());
        }
        start = end;
    }
    (None, headers.into())
}

/// Not a real dialog: it tells tm what to write into the request, and is not kept. `tag` is the tag of From with its
/// other parameters behind it, as tm writes them.
fn dialog<const SOCKETS: usize>(
    fork: &Fork<'_>,
    tag: &[u8],
    next_hop: &str,
    hops: Option<u16>,
) -> Dlg<[usize; SOCKETS]> {
    Dlg {
        call_id: Str::of(fork.call_id.as_bytes()),
        rem_tag: Str::NONE,
        loc_tag: Str::of(tag),
        // tm counts to 1 before it writes the number.
        loc_seq: DlgSeq {
            value: 0,
            is_set: 1,
        },
        rem_seq: DlgSeq {
            value: 0,
            is_set: 0,
        },
        loc_uri: Str::of(fork.from().uri()),
        rem_uri: Str::of(fork.recipient),
        obp: match next_hop {
            "" => Str::NONE,
            next_hop => Str::of(next_hop.as_bytes()),
        },
        forced_to_su: [0; 7],
        rem_target: Str::of(fork.recipient),
        loc_dname: Str::of(fork.from().display_name()),
        rem_dname: Str::NONE,
        t_flags: 0,
        state: DLG_CONFIRMED,
        route_set: null_mut(),
        ru: Str::NONE,
        nh: Str::NONE,
        request_uri: null(),
        next_hop: null(),
        routes: [null_mut(); 2],
        sockets: [0; SOCKETS],
        mf_enforced: hops.is_some().into(),
        mf_value: hops.unwrap_or_default(),
        rest: [0; 16],
    }
}

/// Called by tm, in whichever process it likes, when a fork has its final response or none in time.
///
/// # Safety
/// tm calls it with its own parameters; the parameter is the cookie of the fork.
unsafe extern "C" fn progressed(_cell: *mut c_void, kind: c_int, params: *mut TmcbParams) {
    guarded((), || {
        let Some(module) = module().filter(|_| kind & TMCB_LOCAL_COMPLETED != 0) else {
            return;
        };
        // SAFETY: tm passes its parameters, valid during the call.
        let Some(params) = (unsafe { params.as_ref() }) else {
            return;
        };
        // SAFETY: the parameter points to the word that `send` gave, if to anything.
        let Some(&cookie) = (unsafe { params.param.as_ref() }) else {
            return;
        };
        let cookie = cookie as usize as u64;
        let code = u16::try_from(params.code).unwrap_or_default();
        if params.rpl == FAKED_REPLY {
            module.server.outbox().engine().next_hop_failed(cookie);
        }
        if module.core.has_routes() {
            completed(module.server, &mut Uac::of(module), cookie, code);
        } else {
            // tm cannot send here; the module's own process can.
            module.server.outbox().engine().completed(cookie, code);
        }
    });
}

/// Called by tm, in whichever process it likes, when it gives back the memory of a fork's transaction.
///
/// # Safety
/// tm calls it with the cookie of the fork.
unsafe extern "C" fn given_back(cookie: *mut c_void) {
    guarded((), || {
        if let Some(module) = module() {
            released(module.server, cookie as usize as u64);
        }
    });
}
