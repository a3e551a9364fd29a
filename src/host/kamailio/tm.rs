//! Transactions: Kamailio's tm makes them, answers in them and sends our requests. Without a
//! transaction its sl module answers.

use super::abi::{
    DLG_SEQ_VALSET, Dlg, DlgSeq, HdrField, TMCB_DESTROY, TMCB_LOCAL_COMPLETED, TmcbParams, UacReq,
};
use super::core::Core;
use super::module::{Module, module};
use super::version::EXPECTED;
use crate::control::{Answer, Fork};
use crate::fanout::NotSent;
use crate::host::abi::{
    E_OUT_OF_MEM, E_SCRIPT, FAKED_REPLY, HDR_OTHER, HDR_RECORD_ROUTE, LUMP_RPL_HDR, SipMsg, Str,
};
use crate::host::core_socket::CoreSocket;
use crate::host::guard::guarded;
use crate::host::handle::{Proxy, Sender, Transaction, completed, released};
use crate::host::symbol::{as_function, find_in};
use smallvec::SmallVec;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::ptr::{null, null_mut};

/// Words of `struct tm_binds`: it has 70 to 75, and may grow.
pub const TM_BINDS: usize = 256;
/// Its first word that we use: `t_newtran`, then `t_reply` and `t_reply_with_body`.
pub const T_NEWTRAN: usize = 5;
/// Words of `sl_api_t`: it has 6.
pub const SL_API: usize = 32;

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
    let wrong = |what: &str| format!("module tm: {what}; is this {EXPECTED}?");
    // SAFETY: the name ends with NUL; the result is null or a module, which stays loaded.
    let tm = unsafe { (core.find_module_by_name)(c"tm".as_ptr()).as_ref() };
    let tm = tm.ok_or("module tm is not loaded: expected loadmodule \"tm.so\" before cimf.so")?;
    let symbol = |name: &'static CStr| {
        find_in(tm.handle, name).ok_or_else(|| wrong(&format!("no symbol {name:?}")))
    };
    let mut binds = [null_mut::<c_void>(); TM_BINDS];
    // SAFETY: `load_tm` takes a structure that is no larger than `binds` and fills it.
    let result = unsafe {
        let load: unsafe extern "C" fn(*mut c_void) -> c_int = as_function(symbol(c"load_tm")?);
        load(binds.as_mut_ptr().cast())
    };
    // SAFETY: the name ends with NUL.
    let newtran = unsafe { (core.find_export)(c"t_newtran".as_ptr(), 0, 0) };
    let expected = [
        newtran,
        symbol(c"w_t_reply_wrp")?,
        symbol(c"t_reply_with_body")?,
    ];
    if result < 0 || newtran.is_null() || binds[T_NEWTRAN..][..3] != expected {
        return Err(wrong(
            "load_tm gave no t_newtran, t_reply and t_reply_with_body",
        ));
    }
    // SAFETY: these functions have had these signatures in all versions.
    unsafe {
        let new_dialog = as_function(symbol(c"new_dlg_uac")?);
        let free_dialog = as_function(symbol(c"free_dlg")?);
        let calculate_hooks = as_function(symbol(c"w_calculate_hooks")?);
        if !(made_dialog_holds(new_dialog, free_dialog) && own_dialog_holds(calculate_hooks)) {
            return Err(wrong("the layout of its dialogs is unknown"));
        }
        let [newtran, reply, _] = expected;
        Ok((
            as_function(newtran),
            as_function(reply),
            as_function(symbol(c"t_uac")?),
        ))
    }
}

/// `new_dlg_uac`: Call-ID, tag, number, From, To, and where the dialog goes.
type NewDialog = unsafe extern "C" fn(
    *const Str,
    *const Str,
    c_uint,
    *const Str,
    *const Str,
    *mut *mut Dlg,
) -> c_int;

/// Whether a dialog that tm makes has everything where we put it.
///
/// # Safety
/// Both must be tm's functions.
unsafe fn made_dialog_holds(new: NewDialog, free: unsafe extern "C" fn(*mut Dlg)) -> bool {
    let texts = [
        &b"cimf-call-id"[..],
        b"cimf-tag",
        b"sip:from@localhost",
        b"sip:to@localhost",
    ];
    let [call_id, tag, from, to] = texts.map(Str::of);
    let mut made = null_mut();
    // SAFETY: the texts live until the call returns, and tm keeps copies.
    let result = unsafe { new(&call_id, &tag, 7, &from, &to, &mut made) };
    if result < 0 || made.is_null() {
        return false;
    }
    // SAFETY: tm has made the dialog, which is as large as ours up to `later` in all versions, and frees it. A text
    // is looked at only if it is as long as what tm has copied.
    unsafe {
        let of = [
            &(*made).call_id,
            &(*made).loc_tag,
            &(*made).loc_uri,
            &(*made).rem_uri,
        ];
        let is = |found: &Str, expected: &[u8]| {
            usize::try_from(found.len) == Ok(expected.len())
                && !found.s.is_null()
                && std::slice::from_raw_parts(found.s.cast::<u8>(), expected.len()) == expected
        };
        let holds = of
            .into_iter()
            .zip(texts)
            .all(|(found, text)| is(found, text))
            && (*made).loc_seq.value == 7
            && (*made).loc_seq.is_set == DLG_SEQ_VALSET;
        free(made);
        holds
    }
}

/// Whether tm finds where a dialog of ours leads, and writes that where we leave room for it.
///
/// # Safety
/// It must be tm's function.
unsafe fn own_dialog_holds(calculate_hooks: unsafe extern "C" fn(*mut Dlg) -> c_int) -> bool {
    let (target, next_hop) = (&b"sip:target@localhost"[..], &b"sip:next.localhost;lr"[..]);
    let mut dialog = Dlg {
        rem_target: Str::of(target),
        dst_uri: Str::of(next_hop),
        ..Dlg::NONE
    };
    // SAFETY: the dialog has room for all that tm writes, and its texts live until the call returns.
    let result = unsafe { calculate_hooks(&mut dialog) };
    let place = std::ptr::from_ref(&dialog.hooks) as usize;
    let word = size_of::<usize>();
    let expected = [
        target.as_ptr() as usize,
        target.len(),
        next_hop.as_ptr() as usize,
        next_hop.len(),
        place,
        place + 2 * word,
        0,
        0,
    ];
    // The upper half of a length is padding.
    let mut found = dialog.hooks;
    found[1] &= u32::MAX as usize;
    found[3] &= u32::MAX as usize;
    result >= 0 && found == expected
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

/// Kamailio while it handles one request, for as long as it calls us with it.
pub struct Request<'c> {
    pub module: &'c Module,
    pub message: *mut SipMsg,
    /// What the fixup has made of the identity that the script gives, or null.
    pub identity: *mut c_void,
    call: PhantomData<&'c Call>,
}

/// One call of Kamailio's: what it lends lives as long as this stands on the stack.
pub struct Call;

impl<'c> Request<'c> {
    /// A request for the time of a call.
    ///
    /// # Safety
    /// `message` must be the request that Kamailio is handling, and `identity` the parameter of the
    /// function or null; Kamailio must keep both until `call` is over.
    pub unsafe fn during(
        _: &'c Call,
        module: &'c Module,
        message: *mut SipMsg,
        identity: *mut c_void,
    ) -> Self {
        Self {
            module,
            message,
            identity,
            call: PhantomData,
        }
    }
}

/// Kamailio as the client that sends forks.
pub struct Uac<'a> {
    pub transactions: &'a Transactions,
    /// The listener from which copies leave, where the administrator names one.
    pub core_socket: Option<CoreSocket>,
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
        loc_tag: Str::of(fork.from_tag.as_bytes()),
        loc_seq: DlgSeq {
            value: 1,
            is_set: DLG_SEQ_VALSET,
        },
        loc_uri: Str::of(fork.from()),
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
        completed(module.server, &mut module.uac(), cookie, code);
    });
}
