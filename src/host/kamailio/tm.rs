//! The functions of Kamailio's tm and sl that the module uses, and the layout of tm's dialogs.

use super::abi::{DLG_SEQ_VALSET, Dlg, UacReq};
use super::core::Core;
use super::version::EXPECTED;
use crate::host::abi::{SipMsg, Str};
use crate::host::server_transaction::ServerTransaction;
use crate::host::symbol::{as_function, find_in};
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;

/// Words of `struct tm_binds`: it has 70 to 75, and may grow.
pub const TM_BINDS: usize = 256;
/// Its first word that is used: `t_newtran`, then `t_reply` and `t_reply_with_body`.
pub const T_NEWTRAN: usize = 5;
/// Words of `sl_api_t`: it has 6.
pub const SL_API: usize = 32;

/// The functions of tm and sl that the module uses.
#[derive(Clone, Copy)]
pub struct Transactions {
    pub server: ServerTransaction,
    pub reply: unsafe extern "C" fn(*mut SipMsg, c_int, *const c_char) -> c_int,
    pub uac: unsafe extern "C" fn(*mut UacReq) -> c_int,
    pub stateless_reply: unsafe extern "C" fn(*mut SipMsg, c_int, *const c_char) -> c_int,
}

impl Transactions {
    /// Asks both modules for their functions.
    pub fn find(core: &Core) -> Result<Self, String> {
        load_tm(core, load_sl(core)?)
    }
}

fn load_tm(core: &Core, stateless_reply: StatelessReply) -> Result<Transactions, String> {
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
        Ok(Transactions {
            server: ServerTransaction {
                newtran: as_function(newtran),
                check_transaction: as_function(symbol(c"t_check_trans")?),
                current: as_function(symbol(c"get_t")?),
            },
            reply: as_function(reply),
            uac: as_function(symbol(c"t_uac")?),
            stateless_reply,
        })
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

/// Whether a dialog that tm makes has its fields where `Dlg` has them.
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
    // is read only if it is as long as what tm has copied.
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

/// Whether tm finds the next hop of a dialog that the module made, and writes it where `Dlg` has room for it.
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
