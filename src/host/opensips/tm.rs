//! The functions of OpenSIPS's tm and sl that the module uses, and the layout of tm's dialogs.

use super::abi::{Dlg, ReleaseCallback, TransactionCallback};
use super::core::{Core, SetAvpList};
use super::version::{EXPECTED, Number};
use crate::host::abi::{SipMsg, Str};
use crate::host::server_transaction::ServerTransaction;
use crate::host::symbol::as_function;
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ptr::null_mut;

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

/// The functions of tm and sl that the module uses.
#[derive(Clone, Copy)]
pub struct Transactions {
    pub server: ServerTransaction,
    pub reply: unsafe extern "C" fn(*mut SipMsg, c_uint, *const Str) -> c_int,
    pub request: RequestWithin,
    pub stateless_reply: unsafe extern "C" fn(*mut SipMsg, c_int, *const Str, *const Str) -> c_int,
    pub has_two_sockets: bool,
    pub set_avp_list: SetAvpList,
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
                server: ServerTransaction {
                    newtran: as_function(word(&tm, 3, "t_newtran of tm")?),
                    check_transaction: as_function(word(&tm, 2, "t_check_trans of tm")?),
                    current: as_function(word(&tm, 21, "t_gett of tm")?),
                },
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
