//! Commands for `kamcmd` and Kamailio's other RPC transports: `cimf.stats`.

use super::abi::{RpcExport, Table};
use super::guard::guarded;
use super::module::module;
use crate::fanout::Counter;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::null_mut;

/// `rpc_t`, as far as we use it: how a command answers. The function for structures takes what `add`
/// has made, the other the context of the call.
#[repr(C)]
pub struct Rpc {
    fault: *const c_void,
    send: *const c_void,
    add: unsafe extern "C" fn(*mut c_void, *const c_char, ...) -> c_int,
    scan: *const c_void,
    printf: *const c_void,
    struct_add: unsafe extern "C" fn(*mut c_void, *const c_char, ...) -> c_int,
}

/// The commands; a row of zeros ends the table.
pub static COMMANDS: Table<[RpcExport; 2]> = Table([
    RpcExport {
        name: c"cimf.stats".as_ptr(),
        function: Some(stats),
        documentation: STATS.0.as_ptr(),
        flags: 0,
    },
    RpcExport {
        name: std::ptr::null(),
        function: None,
        documentation: std::ptr::null(),
        flags: 0,
    },
]);

type Documentation = Table<[*const c_char; 2]>;

static STATS: Documentation = document(c"All counts of cimf.");
const fn document(text: &'static CStr) -> Documentation {
    Table([text.as_ptr(), std::ptr::null()])
}

/// A structure of an answer.
struct Struct<'r> {
    rpc: &'r Rpc,
    handle: *mut c_void,
}

impl<'r> Struct<'r> {
    /// # Safety
    /// `rpc` and `context` must be those of a command under way.
    unsafe fn add(rpc: &'r Rpc, context: *mut c_void) -> Option<Self> {
        let mut handle = null_mut::<c_void>();
        // SAFETY: the format asks for one structure, whose handle goes where the pointer says.
        let result = unsafe { (rpc.add)(context, c"{".as_ptr(), &raw mut handle) };
        (result >= 0 && !handle.is_null()).then_some(Self { rpc, handle })
    }

    /// Adds a number. Kamailio's numbers have 32 bits in all versions; a larger one stays there.
    fn number(&self, name: &CStr, number: u64) {
        let number = c_uint::try_from(number).unwrap_or(c_uint::MAX);
        // SAFETY: the format takes a name and one unsigned int. An answer that is too long fails,
        // and Kamailio tells the client.
        unsafe { (self.rpc.struct_add)(self.handle, c"u".as_ptr(), name.as_ptr(), number) };
    }

    fn numbers<'n>(&self, numbers: impl IntoIterator<Item = (&'n str, u64)>) {
        for (name, number) in numbers {
            if let Ok(name) = CString::new(name) {
                self.number(&name, number);
            }
        }
    }
}

/// `cimf.stats`.
///
/// # Safety
/// Kamailio calls it with a command under way.
unsafe extern "C" fn stats(rpc: *const Rpc, context: *mut c_void) {
    guarded((), || {
        // SAFETY: as Kamailio promises.
        let (Some(module), Some(rpc)) = (module(), unsafe { rpc.as_ref() }) else {
            return;
        };
        // SAFETY: as Kamailio promises.
        if let Some(answer) = unsafe { Struct::add(rpc, context) } {
            let counters = module.server.counters();
            let all = Counter::ALL.iter();
            answer.numbers(all.map(|(counter, name, _)| (*name, counters.get(*counter))));
        }
    });
}
