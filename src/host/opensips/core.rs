//! Functions and variables of OpenSIPS's core, found by name once.

use super::abi::{EviParams, GetVariable, MiExport, PvParam, ReadStatistic, ScriptCallback};
use super::version::EXPECTED;
use crate::host::abi::{PvValue, SipMsg, Str};
use crate::host::symbol::{Missing, function};
use crate::server::Families;
use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};

/// `set_avp_list`: gives the script other AVPs, and returns those it had.
pub type SetAvpList = unsafe extern "C" fn(*mut *mut c_void) -> *mut *mut c_void;

/// The parts of the core that the module uses.
#[derive(Clone, Copy)]
pub struct Core {
    pub find_export: unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void,
    pub pv_parse_format: unsafe extern "C" fn(*const Str, *mut *mut c_void) -> c_int,
    pub pv_printf: unsafe extern "C" fn(*mut SipMsg, *mut c_void, *mut c_char, *mut c_int) -> c_int,
    pub pv_get_null: GetVariable,
    pub pv_get_sintval:
        unsafe extern "C" fn(*mut SipMsg, *mut PvParam, *mut PvValue, c_int) -> c_int,
    pub pv_get_strval:
        unsafe extern "C" fn(*mut SipMsg, *mut PvParam, *mut PvValue, *const Str) -> c_int,
    pub register_script_cb:
        unsafe extern "C" fn(ScriptCallback, c_int, *mut c_void, c_int) -> c_int,
    pub add_lump_rpl: unsafe extern "C" fn(*mut SipMsg, *const c_char, c_int, c_int) -> *mut c_void,
    /// `parse_headers`, or `parse_headers_aux`, which takes the fourth argument.
    pub parse_headers: unsafe extern "C" fn(*mut SipMsg, c_ulonglong, c_int, c_int) -> c_int,
    /// The fourth argument is one more than the function has until 3.4.11.
    pub parse_msg: unsafe extern "C" fn(*mut c_char, c_uint, *mut SipMsg, c_int) -> c_int,
    pub free_sip_msg: unsafe extern "C" fn(*mut SipMsg),
    pub register_stat2: unsafe extern "C" fn(
        *const c_char,
        *const c_char,
        ReadStatistic,
        u16,
        *mut c_void,
        c_int,
    ) -> c_int,
    pub register_mi_mod: unsafe extern "C" fn(*const c_char, *const MiExport) -> c_int,
    pub evi_get_id: unsafe extern "C" fn(*const Str) -> c_int,
    pub evi_publish_event: unsafe extern "C" fn(Str) -> c_int,
    pub evi_probe_event: unsafe extern "C" fn(c_int) -> c_int,
    pub evi_raise_event: unsafe extern "C" fn(c_int, *mut EviParams) -> c_int,
    pub set_avp_list: SetAvpList,
    pub reactor_proc_init: unsafe extern "C" fn(*const c_char) -> c_int,
    pub reactor_proc_add_fd: unsafe extern "C" fn(c_int, ReactorCallback, *mut c_void) -> c_int,
    pub reactor_proc_loop: unsafe extern "C" fn() -> c_int,
    /// The variable with the kind of the running route.
    route_type: *const c_int,
    /// The variable that points to the routes of the script, in processes that have them.
    routes: *const *const c_void,
    shared_memory: *const std::ffi::c_ulong,
    /// The variable that says whether names may lead to IPv6.
    try_ipv6: *const c_int,
}

/// `reactor_proc_cb_f`.
pub type ReactorCallback = unsafe extern "C" fn(c_int, *mut c_void, c_int) -> c_int;

// SAFETY: the pointers are to variables of the core, which its own processes only read and write
// one after the other.
unsafe impl Send for Core {}
// SAFETY: as above.
unsafe impl Sync for Core {}

impl Core {
    /// Which route is running, such as [`REQUEST_ROUTE`](crate::host::abi::REQUEST_ROUTE).
    pub fn route(&self) -> c_uint {
        // SAFETY: the variable is an int and always readable.
        unsafe { *self.route_type }.cast_unsigned()
    }

    /// Whether tm can send in this process: it looks for the script's local route.
    pub fn has_routes(&self) -> bool {
        // SAFETY: the variable is a pointer and always readable.
        unsafe { !(*self.routes).is_null() }
    }

    /// The size of OpenSIPS's shared memory (`-m`).
    pub fn shared_memory(&self) -> u64 {
        // SAFETY: the variable is an unsigned long and always readable.
        unsafe { *self.shared_memory }
    }

    /// To what kinds of addresses a name may lead: IPv6 only if the script says `dns_try_ipv6=yes`.
    pub fn families(&self) -> Families {
        Families {
            v4: true,
            // SAFETY: the variable is an int and always readable.
            v6: unsafe { *self.try_ipv6 } != 0,
        }
    }

    /// Finds all symbols, or returns the name of the missing one.
    pub fn find() -> Result<Self, Missing> {
        // SAFETY: each field has the signature of the function of its name, which has not changed
        // from OpenSIPS 3.2 to 4.0; only `parse_msg` and `parse_headers` have got other names, and an argument.
        unsafe {
            Ok(Self {
                find_export: function(c"find_export")?,
                pv_parse_format: function(c"pv_parse_format")?,
                pv_printf: function(c"pv_printf")?,
                pv_get_null: function(c"pv_get_null")?,
                pv_get_sintval: function(c"pv_get_sintval")?,
                pv_get_strval: function(c"pv_get_strval")?,
                register_script_cb: function(c"__register_script_cb")?,
                add_lump_rpl: function(c"add_lump_rpl")?,
                parse_headers: function(c"parse_headers_aux")
                    .or_else(|_| function(c"parse_headers"))?,
                parse_msg: function(c"parse_msg_opt").or_else(|_| function(c"parse_msg"))?,
                free_sip_msg: function(c"free_sip_msg")?,
                register_stat2: function(c"register_stat2")?,
                register_mi_mod: function(c"register_mi_mod")?,
                evi_get_id: function(c"evi_get_id")?,
                evi_publish_event: function(c"evi_publish_event")?,
                evi_probe_event: function(c"evi_probe_event")?,
                evi_raise_event: function(c"evi_raise_event")?,
                set_avp_list: function(c"set_avp_list")?,
                reactor_proc_init: function(c"reactor_proc_init")?,
                reactor_proc_add_fd: function(c"reactor_proc_add_fd")?,
                reactor_proc_loop: function(c"reactor_proc_loop")?,
                route_type: function(c"route_type")?,
                routes: function(c"sroutes")?,
                shared_memory: function(c"shm_mem_size")?,
                try_ipv6: function(c"dns_try_ipv6")?,
            })
        }
    }
}

/// The error for a missing function.
pub fn missing(symbol: Missing) -> String {
    let name = symbol.0.to_string_lossy();
    format!("OpenSIPS has no symbol {name}; is this {EXPECTED}?")
}
