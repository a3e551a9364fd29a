//! Transactions: OpenSIPS's tm makes them, answers in them and sends our requests. Without a
//! transaction its sl module answers.

use super::abi::{
    DLG_CONFIRMED, Dlg, DlgSeq, ReleaseCallback, TMCB_LOCAL_COMPLETED, TmcbParams,
    TransactionCallback,
};
use super::core::{Core, SetAvpList};
use super::module::{Module, module};
use super::version::{EXPECTED, Number};
use crate::control::{Answer, Fork};
use crate::fanout::NotSent;
use crate::host::abi::{E_OUT_OF_MEM, E_SCRIPT, FAKED_REPLY, LUMP_RPL_HDR, SipMsg, Str};
use crate::host::core_socket::CoreSocket;
use crate::host::guard::guarded;
use crate::host::handle::{Proxy, Sender, Transaction, completed, released};
use crate::host::symbol::as_function;
use crate::sip::name_addr::NameAddr;
use std::borrow::Cow;
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::ptr::{null, null_mut};

/// Words of `struct tm_binds`: it has 45 or 46, and may grow.
const TM_BINDS: usize = 256;
/// Words of `struct sl_binds`: it has 2.
const SL_BINDS: usize = 32;

/// From which version on a dialog has two sockets.
pub const TWO_SOCKETS: Number = Number(3, 4, 2);

/// `treqwith_t`: method, headers, body, dialog, callback with its parameter, and what releases that.
type RequestWithin = unsafe extern "C" fn(
    *const Str,
    *const Str,
    *const Str,
    *mut c_void,
    TransactionCallback,
    *mut c_void,
    ReleaseCallback,
) -> c_int;

/// `new_dlg_uac_f`: Call-ID, tag, number, From, To, Request-URI and where the dialog goes.
type NewDialog = unsafe extern "C" fn(
    *const Str,
    *const Str,
    c_uint,
    *const Str,
    *const Str,
    *const Str,
    *mut *mut c_void,
) -> c_int;

/// The functions of tm and sl that we use.
#[derive(Clone, Copy)]
pub struct Transactions {
    newtran: unsafe extern "C" fn(*mut SipMsg) -> c_int,
    reply: unsafe extern "C" fn(*mut SipMsg, c_uint, *const Str) -> c_int,
    request: RequestWithin,
    stateless_reply: unsafe extern "C" fn(*mut SipMsg, c_int, *const Str, *const Str) -> c_int,
    has_two_sockets: bool,
    set_avp_list: SetAvpList,
}

impl Transactions {
    /// Asks both modules for their functions, and checks the layout of dialogs.
    pub fn find(core: &Core, version: Number) -> Result<Self, String> {
        let tm = load::<TM_BINDS>(core, c"load_tm", "tm")?;
        let sl = load::<SL_BINDS>(core, c"load_sl", "sl")?;
        let word = |words: &[*mut c_void], at: usize, name: &str| {
            let word = words.get(at).copied().filter(|word| !word.is_null());
            word.ok_or_else(|| format!("OpenSIPS gives no function {name}"))
        };
        let new_dialog = word(&tm, 15, "new_dlg_uac of tm")?;
        let free_dialog = word(&tm, 19, "free_dlg of tm")?;
        // SAFETY: in every version these words are the functions of these names, which have these
        // signatures.
        unsafe {
            check_dialog(as_function(new_dialog), as_function(free_dialog))?;
            Ok(Self {
                newtran: as_function(word(&tm, 3, "t_newtran of tm")?),
                reply: as_function(word(&tm, 4, "t_reply of tm")?),
                request: as_function(word(&tm, 12, "t_request_within of tm")?),
                stateless_reply: as_function(word(&sl, 0, "reply of sl")?),
                has_two_sockets: version >= TWO_SOCKETS,
                set_avp_list: core.set_avp_list,
            })
        }
    }
}

/// What a module gives to others.
fn load<const WORDS: usize>(
    core: &Core,
    export: &'static CStr,
    module: &str,
) -> Result<[*mut c_void; WORDS], String> {
    // SAFETY: the name ends with NUL.
    let load = unsafe { (core.find_export)(export.as_ptr(), 0) };
    if load.is_null() {
        return Err(format!(
            "module {module} is not loaded: expected loadmodule \"{module}.so\" beside cimf.so"
        ));
    }
    let mut words = [null_mut::<c_void>(); WORDS];
    // SAFETY: the function takes a structure that is no larger than `words` and fills it.
    let result = unsafe {
        let load: unsafe extern "C" fn(*mut c_void) -> c_int = as_function(load);
        load(words.as_mut_ptr().cast())
    };
    match result {
        -1 => Err(format!("module {module} gives no functions to others")),
        _ => Ok(words),
    }
}

/// Checks the layout of dialogs on one that tm has made.
///
/// # Safety
/// Both must be tm's functions.
unsafe fn check_dialog(
    new: NewDialog,
    free: unsafe extern "C" fn(*mut c_void),
) -> Result<(), String> {
    let texts = [
        &b"cimf-call-id"[..],
        b"cimf-tag",
        b"sip:from@localhost",
        b"sip:to@localhost",
        b"sip:target@localhost",
    ];
    let [call_id, tag, from, to, target] = texts.map(Str::of);
    let mut made = null_mut();
    // SAFETY: the texts live until the call returns, and tm keeps copies.
    let result = unsafe { new(&call_id, &tag, 1, &from, &to, &target, &mut made) };
    if result < 0 || made.is_null() {
        return Err("tm cannot make a dialog to check its layout with".to_owned());
    }
    // SAFETY: tm has made the dialog, and it is at least as large up to its hooks in all versions.
    let holds = unsafe {
        let dialog = &*made.cast::<Dlg<[usize; 1]>>();
        let of = [
            &dialog.call_id,
            &dialog.loc_tag,
            &dialog.loc_uri,
            &dialog.rem_uri,
            &dialog.rem_target,
        ];
        let is = |found: &Str, expected: &[u8]| {
            usize::try_from(found.len) == Ok(expected.len())
                && !found.s.is_null()
                && std::slice::from_raw_parts(found.s.cast::<u8>(), expected.len()) == expected
        };
        let holds = of.iter().zip(texts).all(|(found, text)| is(found, text))
            && (dialog.loc_seq.value, dialog.loc_seq.is_set) == (1, 1)
            && dialog.request_uri == &raw const dialog.ru
            && dialog.next_hop == &raw const dialog.nh
            && is(&dialog.ru, texts[4]);
        free(made);
        holds
    };
    if holds {
        return Ok(());
    }
    Err(format!(
        "the layout of tm's dialogs is unknown: expected that of {EXPECTED}"
    ))
}

/// OpenSIPS while it handles one request, for as long as it calls us with it.
pub struct Request<'c> {
    pub module: &'c Module,
    pub message: *mut SipMsg,
    /// The identity that the script gives, or null.
    pub identity: *const Str,
    call: PhantomData<&'c Call>,
}

/// One call of OpenSIPS's: what it lends lives as long as this stands on the stack.
pub struct Call;

impl<'c> Request<'c> {
    /// A request for the time of a call.
    ///
    /// # Safety
    /// `message` must be the request that OpenSIPS is handling, and `identity` the parameter of the
    /// function or null; OpenSIPS must keep both until `call` is over.
    pub unsafe fn during(
        _: &'c Call,
        module: &'c Module,
        message: *mut SipMsg,
        identity: *const Str,
    ) -> Self {
        Self {
            module,
            message,
            identity,
            call: PhantomData,
        }
    }
}

/// OpenSIPS as the client that sends forks.
pub struct Uac<'a> {
    pub transactions: &'a Transactions,
    /// The listener from which copies leave, where the administrator names one.
    pub core_socket: Option<CoreSocket>,
}

impl Proxy for Request<'_> {
    fn transaction(&mut self) -> Transaction {
        // SAFETY: `message` is the request that OpenSIPS is handling.
        match unsafe { (self.module.transactions.newtran)(self.message) } {
            0 => Transaction::Retransmission,
            E_SCRIPT | 1.. => Transaction::Present,
            _ => Transaction::Impossible,
        }
    }

    fn reply(&mut self, answer: &Answer, transaction: Transaction) -> bool {
        let phrase = Str::of(answer.phrase.as_bytes());
        if !answer.headers.is_empty() {
            let headers = Str::of(&answer.headers);
            let add = self.module.core.add_lump_rpl;
            // SAFETY: OpenSIPS copies the text into its own memory.
            if unsafe { add(self.message, headers.s, headers.len, LUMP_RPL_HDR) }.is_null() {
                return false;
            }
        }
        let code = c_int::from(answer.code);
        let Transactions {
            reply,
            stateless_reply,
            ..
        } = self.module.transactions;
        // SAFETY: `message` is the request that OpenSIPS is handling, and the phrase lives until the
        // call returns.
        let result = unsafe {
            // OpenSIPS copies Record-Route into each 2xx, but a MESSAGE makes no dialog.
            let hidden = self.module.layout.take_record_route(self.message);
            let result = match transaction {
                Transaction::Impossible => stateless_reply(self.message, code, &phrase, null()),
                Transaction::Present | Transaction::Retransmission => {
                    reply(self.message, code.cast_unsigned(), &phrase)
                }
            };
            self.module.layout.put_record_route(self.message, hidden);
            result
        };
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
        let from = From::of(fork);
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
            let mut dialog = dialog::<2>(fork, &from, next_hop, hops);
            dialog.sockets[0] = CoreSocket::of(self.core_socket, fork);
            request((&raw mut dialog).cast())
        } else {
            let mut dialog = dialog::<1>(fork, &from, next_hop, hops);
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

/// From, in the pieces that tm puts together.
struct From<'f> {
    display_name: &'f [u8],
    uri: &'f [u8],
    /// The tag, and what other parameters there are: tm writes both at the end.
    tag: Vec<u8>,
}

impl<'f> From<'f> {
    fn of(fork: &Fork<'f>) -> Self {
        let from = fork.from();
        let display_name = NameAddr::parse("From", from).map_or(&b""[..], |from| from.display_name);
        // The display name may have any bracket inside its quotes.
        let rest = from.get(display_name.len()..).unwrap_or(from);
        let rest = rest.trim_ascii_start();
        let end = memchr::memchr(b'>', rest).unwrap_or(rest.len());
        let (uri, parameters) = rest.split_at(end);
        let mut tag = fork.from_tag.as_bytes().to_vec();
        tag.extend_from_slice(parameters.strip_prefix(b">").unwrap_or(parameters));
        Self {
            display_name,
            uri: uri.strip_prefix(b"<").unwrap_or(uri),
            tag,
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

/// A dialog that is none: it tells tm what to write into the request, nothing is kept.
fn dialog<const SOCKETS: usize>(
    fork: &Fork<'_>,
    from: &From<'_>,
    next_hop: &str,
    hops: Option<u16>,
) -> Dlg<[usize; SOCKETS]> {
    Dlg {
        call_id: Str::of(fork.call_id.as_bytes()),
        rem_tag: Str::NONE,
        loc_tag: Str::of(&from.tag),
        // tm counts to 1 before it writes the number.
        loc_seq: DlgSeq {
            value: 0,
            is_set: 1,
        },
        rem_seq: DlgSeq {
            value: 0,
            is_set: 0,
        },
        loc_uri: Str::of(from.uri),
        rem_uri: Str::of(fork.recipient),
        obp: match next_hop {
            "" => Str::NONE,
            next_hop => Str::of(next_hop.as_bytes()),
        },
        forced_to_su: [0; 7],
        rem_target: Str::of(fork.recipient),
        loc_dname: Str::of(from.display_name),
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
            completed(module.server, &mut module.uac(), cookie, code);
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
