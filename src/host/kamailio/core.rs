//! Functions and variables of Kamailio's core, found by name once.

use super::abi::{GetVariable, HdrField, LumpRpl, PvParam, RouteList, ScriptCallback, SrModule};
use super::version::EXPECTED;
use crate::host::abi::{PvValue, SipMsg, Str};
use crate::host::symbol::{Missing, function};
use crate::server::Families;
use std::ffi::{c_char, c_int, c_long, c_uint, c_ulonglong, c_void};

/// `SOCKET_T_IPV4` and `SOCKET_T_IPV6`.
const SOCKET_IPV4: c_int = 1;
const SOCKET_IPV6: c_int = 2;

/// The parts of the core that the module uses.
#[derive(Clone, Copy)]
pub struct Core {
    pub find_module_by_name: unsafe extern "C" fn(*const c_char) -> *const SrModule,
    pub find_export: unsafe extern "C" fn(*const c_char, c_int, c_int) -> *mut c_void,
    pub pv_parse_format: unsafe extern "C" fn(*const Str, *mut *mut c_void) -> c_int,
    pub pv_printf: unsafe extern "C" fn(*mut SipMsg, *mut c_void, *mut c_char, *mut c_int) -> c_int,
    pub pv_get_null: GetVariable,
    /// The number is an `int` until 5.6 and a `long` since 5.7; either takes its part of a `long`.
    pub pv_get_sintval:
        unsafe extern "C" fn(*mut SipMsg, *mut PvParam, *mut PvValue, c_long) -> c_int,
    pub pv_get_strval:
        unsafe extern "C" fn(*mut SipMsg, *mut PvParam, *mut PvValue, *const Str) -> c_int,
    pub register_script_cb: unsafe extern "C" fn(ScriptCallback, c_uint, *mut c_void) -> c_int,
    pub get_str_fparam: unsafe extern "C" fn(*mut Str, *mut SipMsg, *mut c_void) -> c_int,
    pub add_lump_rpl2:
        unsafe extern "C" fn(*mut SipMsg, *const c_char, c_int, c_int) -> *mut *mut LumpRpl,
    pub counter_register: CounterRegister,
    pub parse_headers: unsafe extern "C" fn(*mut SipMsg, c_ulonglong, c_int) -> c_int,
    pub get_hdr_by_name: unsafe extern "C" fn(*const SipMsg, *const c_char, c_int) -> *mut HdrField,
    pub register_procs: unsafe extern "C" fn(c_int) -> c_int,
    pub fork_process: unsafe extern "C" fn(c_int, *const c_char, c_int) -> c_int,
    pub cfg_child_init: unsafe extern "C" fn() -> c_int,
    pub route_lookup: unsafe extern "C" fn(*const RouteList, *const c_char) -> c_int,
    /// The event routes of the script.
    pub event_routes: *const RouteList,
    pub inc_msg_no: unsafe extern "C" fn() -> c_uint,
    pub build_sip_msg_from_buf:
        unsafe extern "C" fn(*mut SipMsg, *mut c_char, c_int, c_uint) -> c_int,
    pub free_sip_msg: unsafe extern "C" fn(*mut SipMsg),
    /// The engine that runs a script in Lua, Python or the like, or nothing.
    pub sr_kemi_eng_get: unsafe extern "C" fn() -> *const c_void,
    pub run_top_route: unsafe extern "C" fn(*mut c_void, *mut SipMsg, *mut c_void) -> c_int,
    /// The variable with the kind of the running route.
    route_type: *const c_uint,
    /// The variable that says for what kinds of addresses there are sockets.
    socket_types: *const c_int,
}

// SAFETY: the pointer is to a variable of the core, which its own processes only read and write
// one after the other.
unsafe impl Send for Core {}
// SAFETY: as above.
unsafe impl Sync for Core {}

/// `counter_register`: handle, group, name, flags, reader, its parameter, documentation, flags.
pub type CounterRegister = unsafe extern "C" fn(
    *mut u16,
    *const c_char,
    *const c_char,
    c_int,
    super::abi::ReadCounter,
    *mut c_void,
    *const c_char,
    c_int,
) -> c_int;

impl Core {
    /// Which route is running, such as [`REQUEST_ROUTE`](crate::host::abi::REQUEST_ROUTE).
    pub fn route(&self) -> c_uint {
        // SAFETY: the variable is an int and always readable.
        unsafe { *self.route_type }
    }

    /// Whether the site's script is in Lua, Python or the like.
    pub fn has_kemi_engine(&self) -> bool {
        // SAFETY: the function reads a variable of the core.
        !unsafe { (self.sr_kemi_eng_get)() }.is_null()
    }

    /// To what kinds of addresses Kamailio can send: those that it listens on.
    pub fn families(&self) -> Families {
        // SAFETY: the variable is an int and always readable.
        let types = unsafe { *self.socket_types };
        Families {
            v4: types & SOCKET_IPV4 != 0,
            v6: types & SOCKET_IPV6 != 0,
        }
    }

    /// Finds all symbols, or returns the name of the missing one.
    pub fn find() -> Result<Self, Missing> {
        // SAFETY: each field has the signature of the function of its name, which has not changed
        // in the versions that are known.
        unsafe {
            Ok(Self {
                find_module_by_name: function(c"find_module_by_name")?,
                find_export: function(c"find_export")?,
                pv_parse_format: function(c"pv_parse_format")?,
                pv_printf: function(c"pv_printf")?,
                pv_get_null: function(c"pv_get_null")?,
                pv_get_sintval: function(c"pv_get_sintval")?,
                pv_get_strval: function(c"pv_get_strval")?,
                register_script_cb: function(c"register_script_cb")?,
                get_str_fparam: function(c"get_str_fparam")?,
                add_lump_rpl2: function(c"add_lump_rpl2")?,
                counter_register: function(c"counter_register")?,
                parse_headers: function(c"parse_headers")?,
                get_hdr_by_name: function(c"get_hdr_by_name")?,
                register_procs: function(c"register_procs")?,
                fork_process: function(c"fork_process")?,
                cfg_child_init: function(c"cfg_child_init")?,
                route_lookup: function(c"route_lookup")?,
                event_routes: function(c"event_rt")?,
                inc_msg_no: function(c"inc_msg_no")?,
                build_sip_msg_from_buf: function(c"build_sip_msg_from_buf")?,
                free_sip_msg: function(c"free_sip_msg")?,
                sr_kemi_eng_get: function(c"sr_kemi_eng_get")?,
                run_top_route: function(c"run_top_route")?,
                route_type: function(c"route_type")?,
                socket_types: function(c"socket_types")?,
            })
        }
    }
}

/// The error for a missing function.
pub fn missing(symbol: Missing) -> String {
    let name = symbol.0.to_string_lossy();
    format!("Kamailio has no symbol {name}; is this {EXPECTED}?")
}
