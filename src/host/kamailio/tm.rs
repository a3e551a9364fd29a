//! Transactions: Kamailio's tm makes them, answers in them and sends our requests. Without a
//! transaction its sl module answers.

use super::abi::{
    DLG_SEQ_VALSET, Dlg, DlgSeq, HdrField, TMCB_DESTROY, TMCB_LOCAL_COMPLETED, TmcbParams, UacReq,
};
use super::core::Core;
use super::module::{Module, module};
use crate::control::{Answer, Fork};
use crate::fanout::NotSent;
use crate::host::abi::{
    E_OUT_OF_MEM, E_SCRIPT, FAKED_REPLY, HDR_OTHER, HDR_RECORD_ROUTE, LUMP_RPL_HDR, SipMsg, Str,
};
use crate::host::guard::guarded;
use crate::host::handle::{Proxy, Sender, Transaction, completed, released};
use crate::host::symbol::{as_function, find_in};
use smallvec::SmallVec;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

/// Words of `struct tm_binds`: it has 70 to 76, and may grow.
const TM_BINDS: usize = 256;
/// Words of `sl_api_t`: it has 6.
const SL_API: usize = 32;

/// The functions of tm and sl that we use.
#[derive(Clone, Copy)]
pub struct Transactions {
    newtran: unsafe extern "C" fn(*mut SipMsg) -> c_int,
    reply: unsafe extern "C" fn(*mut SipMsg, c_int, *const c_char) -> c_int,
    uac: unsafe extern "C" fn(*mut UacReq) -> c_int,
    stateless_reply: unsafe extern "C" fn(*mut SipMsg, c_int, *const c_char) -> c_int,
}

impl Transactions {
    /// Asks both modules for their functions.
    pub fn find(core: &Core) -> Result<Self, String> {
        let (newtran, reply, uac) = load_tm(core)?;
        Ok(Self {
            newtran,
            reply,
            uac,
            stateless_reply: load_sl(core)?,
        })
    }
}

type TmFunctions = (
    unsafe extern "C" fn(*mut SipMsg) -> c_int,
    unsafe extern "C" fn(*mut SipMsg, c_int, *const c_char) -> c_int,
    unsafe extern "C" fn(*mut UacReq) -> c_int,
);

fn load_tm(core: &Core) -> Result<TmFunctions, String> {
    let wrong = |what: &str| format!("module tm: {what}; is this Kamailio 5.4 to 6.1?");
    // SAFETY: the name ends with NUL; the result is null or a module, which stays loaded.
    let tm = unsafe { (core.find_module_by_name)(c"tm".as_ptr()).as_ref() };
    let tm = tm.ok_or("module tm is not loaded: expected loadmodule \"tm.so\" before cimf.so")?;
    let symbol = |name: &'static CStr| {
        find_in(tm.handle, name).ok_or_else(|| wrong(&format!("no symbol {name:?}")))
    };
    let mut binds = [null_mut::<c_void>(); TM_BINDS];
    // SAFETY: `load_tm` takes a structure that is no larger than `binds` and fills it; `t_uac`
    // has had this signature in all versions.
    let (load, uac) = unsafe {
        let load: unsafe extern "C" fn(*mut c_void) -> c_int = as_function(symbol(c"load_tm")?);
        (load, as_function(symbol(c"t_uac")?))
    };
    // SAFETY: as above.
    let result = unsafe { load(binds.as_mut_ptr().cast()) };
    let (newtran, reply) = (binds[5], binds[6]);
    if result < 0 || newtran.is_null() || reply.is_null() {
        return Err(wrong("load_tm gave no t_newtran and t_reply"));
    }
    // SAFETY: words 5 and 6 are `t_newtran` and `t_reply` in every version.
    unsafe { Ok((as_function(newtran), as_function(reply), uac)) }
}

type StatelessReply = unsafe extern "C" fn(*mut SipMsg, c_int, *const c_char) -> c_int;

fn load_sl(core: &Core) -> Result<StatelessReply, String> {
    // SAFETY: the name ends with NUL.
    let bind = unsafe { (core.find_export)(c"bind_sl".as_ptr(), 0, 0) };
    if bind.is_null() {
        return Err("module sl is not loaded: expected loadmodule \"sl.so\" before cimf.so".into());
    }
    let mut api = [null_mut::<c_void>(); SL_API];
    // SAFETY: `bind_sl` takes a structure that is no larger than `api` and fills it.
    let result = unsafe {
        let bind: unsafe extern "C" fn(*mut c_void) -> c_int = as_function(bind);
        bind(api.as_mut_ptr().cast())
    };
    if result < 0 || api[0].is_null() {
        return Err("module sl: bind_sl gave no function to reply".to_owned());
    }
    // SAFETY: word 0 is `zreply` in every version.
    Ok(unsafe { as_function(api[0]) })
}

/// Kamailio while it handles one request.
pub struct Request<'a> {
    pub module: &'a Module,
    pub message: *mut SipMsg,
    /// What the fixup has made of the identity that the script gives, or null.
    pub identity: *mut c_void,
}

/// Kamailio as the client that sends forks.
pub struct Uac<'a> {
    pub transactions: &'a Transactions,
}

impl Proxy for Request<'_> {
    fn transaction(&mut self) -> Transaction {
        // SAFETY: `message` is the request that Kamailio is handling.
        match unsafe { (self.module.transactions.newtran)(self.message) } {
            0 => Transaction::Retransmission,
            E_SCRIPT | 1.. => Transaction::Present,
            _ => Transaction::Impossible,
        }
    }

    fn reply(&mut self, answer: &Answer, transaction: Transaction) -> bool {
        let Ok(phrase) = CString::new(answer.phrase) else {
            return false;
        };
        if !answer.headers.is_empty() {
            let headers = Str::of(&answer.headers);
            // SAFETY: Kamailio copies the text into its own memory.
            let lump = unsafe {
                (self.module.core.add_lump_rpl2)(self.message, headers.s, headers.len, LUMP_RPL_HDR)
            };
            if lump.is_null() {
                return false;
            }
        }
        let reply = match transaction {
            Transaction::Impossible => self.module.transactions.stateless_reply,
            Transaction::Present | Transaction::Retransmission => self.module.transactions.reply,
        };
        // SAFETY: `message` is the request that Kamailio is handling.
        let hidden = unsafe { hide_record_route(&self.module.core, self.message) };
        // SAFETY: `message` is the request that Kamailio is handling, and the phrase ends with NUL.
        let result = unsafe { reply(self.message, c_int::from(answer.code), phrase.as_ptr()) };
        for field in hidden {
            // SAFETY: the header fields of a request live as long as the request.
            unsafe { (*field).kind = HDR_RECORD_ROUTE };
        }
        result >= 0
    }
}

impl Sender for Request<'_> {
    fn send(&mut self, fork: &Fork<'_>, next_hop: &str, cookie: u64) -> Result<(), NotSent> {
        self.module.uac().send(fork, next_hop, cookie)
    }
}

impl Sender for Uac<'_> {
    fn send(&mut self, fork: &Fork<'_>, next_hop: &str, cookie: u64) -> Result<(), NotSent> {
        let to = in_angles(fork.recipient);
        let mut dialog = dialog(fork, &to, next_hop);
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

/// Makes the Record-Route fields of a request fields of no known name, and gives them to be changed
/// back: Kamailio copies them into each 2xx, but a MESSAGE makes no dialog.
///
/// # Safety
/// `message` must be the request that Kamailio is handling.
unsafe fn hide_record_route(core: &Core, message: *mut SipMsg) -> Vec<*mut HdrField> {
    const NAME: &[u8] = b"Record-Route";
    let mut hidden = Vec::new();
    // SAFETY: the function finds the first field of a name among those that are parsed; each field
    // points to the next one or to nothing.
    unsafe {
        let name = NAME.as_ptr().cast::<c_char>();
        let mut field = (core.get_hdr_by_name)(message, name, NAME.len() as c_int);
        while let Some(current) = field.as_mut() {
            if current.kind == HDR_RECORD_ROUTE {
                current.kind = HDR_OTHER;
                hidden.push(field);
            }
            field = current.next;
        }
    }
    hidden
}

/// An address as To has it. Most need no memory of their own.
fn in_angles(address: &[u8]) -> SmallVec<[u8; 128]> {
    let mut text = SmallVec::with_capacity(address.len() + 2);
    text.push(b'<');
    text.extend_from_slice(address);
    text.push(b'>');
    text
}

/// A dialog that is none: it tells tm what to write into the request, nothing is kept.
fn dialog(fork: &Fork<'_>, to: &[u8], next_hop: &str) -> Dlg {
    Dlg {
        call_id: Str::of(fork.call_id.as_bytes()),
        rem_tag: Str::NONE,
        loc_tag: Str::of(fork.from_tag.as_bytes()),
        loc_seq: DlgSeq {
            value: 1,
            is_set: DLG_SEQ_VALSET,
        },
        rem_seq: DlgSeq {
            value: 0,
            is_set: 0,
        },
        loc_uri: Str::of(fork.from()),
        rem_uri: Str::of(to),
        rem_target: Str::of(fork.recipient),
        dst_uri: match next_hop {
            "" => Str::NONE,
            next_hop => Str::of(next_hop.as_bytes()),
        },
        loc_dname: Str::NONE,
        rem_dname: Str::NONE,
        secure: 0,
        state: 0,
        route_set: null_mut(),
        hooks: [0; 8],
        send_sock: null_mut(),
        later: [0; 32],
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
        completed(module.server, &mut module.uac(), cookie, code);
    });
}
