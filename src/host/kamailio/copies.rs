//! Copies as Kamailio's tm sends them, and tm's callbacks about each.

use super::abi::{
    DLG_SEQ_VALSET, Dlg, DlgSeq, TMCB_DESTROY, TMCB_LOCAL_COMPLETED, TmcbParams, UacReq,
};
use super::module::{Module, module};
use super::tm::Transactions;
use crate::control::Fork;
use crate::fanout::NotSent;
use crate::host::abi::{E_OUT_OF_MEM, FAKED_REPLY, Str};
use crate::host::core_socket::CoreSocket;
use crate::host::guard::guarded;
use crate::host::proxy::Sender;
use crate::host::sending::{completed, released};
use smallvec::SmallVec;
use std::ffi::{c_int, c_void};
use std::ptr::null;

/// Kamailio as the client that sends forks.
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
        let to = in_angles(fork.recipient);
        let mut dialog = dialog(fork, &to, next_hop);
        dialog.send_sock = CoreSocket::of(self.core_socket, fork) as *mut c_void;
        let (headers, body) = (fork.headers(), fork.body());
        let (method, headers, body) = (Str::of(b"MESSAGE"), Str::of(&headers), Str::of(&body));
        let mut request = UacReq {
            method: &method,
            headers: &headers,
            body: &body,
            ssock: null(),
            ssockname: null(),
            dialog: &mut dialog,
            cb_flags: TMCB_LOCAL_COMPLETED | TMCB_DESTROY,
            cb: Some(progressed),
            cbp: cookie as usize as *mut c_void,
            callid: null(),
            later: [0; 22],
        };
        // tm registers the callback last of all, so that it is not called for what is refused.
        // SAFETY: all texts live until the call returns, and tm keeps copies.
        match unsafe { (self.transactions.uac)(&mut request) } {
            1.. => Ok(()),
            E_OUT_OF_MEM => Err(NotSent::OutOfMemory),
            _ => Err(NotSent::Failed),
        }
    }
}

/// An address as To has it. Most need no memory of their own.
fn in_angles(address: &[u8]) -> SmallVec<[u8; 128]> {
    let mut text = SmallVec::with_capacity(address.len() + 2);
    text.push(b'<');
    text.extend_from_slice(address);
    text.push(b'>');
    text
}

/// Not a real dialog: it tells tm what to write into the request, and is not kept.
fn dialog(fork: &Fork<'_>, to: &[u8], next_hop: &str) -> Dlg {
    Dlg {
        call_id: Str::of(fork.call_id.as_bytes()),
        loc_tag: Str::of(fork.from_tag.as_bytes()),
        loc_seq: DlgSeq {
            value: 1,
            is_set: DLG_SEQ_VALSET,
        },
        loc_uri: Str::of(fork.from().text()),
        rem_uri: Str::of(to),
        rem_target: Str::of(fork.recipient),
        dst_uri: match next_hop {
            "" => Str::NONE,
            next_hop => Str::of(next_hop.as_bytes()),
        },
        ..Dlg::NONE
    }
}

/// Called by tm, in whichever process it likes: when a fork has its final response or none in time,
/// and once more when tm gives back the memory of its transaction.
///
/// # Safety
/// tm calls it with its own parameters; the parameter is the cookie of the fork.
unsafe extern "C" fn progressed(_cell: *mut c_void, kind: c_int, params: *mut TmcbParams) {
    guarded((), || {
        let Some(module) = module() else {
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
        if kind.cast_unsigned() & TMCB_DESTROY != 0 {
            released(module.server, cookie);
            return;
        }
        let code = u16::try_from(params.code).unwrap_or_default();
        if params.rpl == FAKED_REPLY {
            module.server.outbox().engine().next_hop_failed(cookie);
        }
        completed(module.server, &mut Uac::of(module), cookie, code);
    });
}
