//! What Kamailio's module loader reads: the version it compares, and the table of exports.

use super::abi::{ANY_ROUTE, CmdExport, Fixup, ModuleExports, ScriptFunction};
use super::log::KamailioLog;
use super::variables::VARIABLES;
use super::{commands, lifecycle, script, version};
use crate::host::abi::{REQUEST_ROUTE, Table};
use crate::host::exports::Exports;
use crate::host::log::install;
use crate::host::parameters::{Rows, rows};
use crate::host::symbol::find;
use std::ffi::{CStr, c_char, c_int, c_uint};
use std::ptr::null;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// Which version the module was built for. It was built for none: at load it claims that of the core that
/// loads it, and a program that is no proxy finds this text.
#[unsafe(no_mangle)]
static module_version: AtomicPtr<c_char> = AtomicPtr::new(UNKNOWN.as_ptr().cast_mut());

/// With which flags the core was compiled.
#[unsafe(no_mangle)]
static module_flags: AtomicPtr<c_char> = AtomicPtr::new(UNKNOWN.as_ptr().cast_mut());

/// `MODULE_INTERFACE_VER`.
#[unsafe(no_mangle)]
static module_interface_ver: c_uint = 4;

static PARAMETERS: Rows = rows(true);

const UNKNOWN: &CStr = c"unknown host";

static COMMANDS: Table<[CmdExport; 11]> = Table([
    command(c"cimf_handle", script::cimf_handle, false),
    command(c"cimf_handle", script::cimf_handle, true),
    command(c"cimf_check", script::cimf_check, false),
    command(c"cimf_check", script::cimf_check, true),
    command(c"cimf_reply", script::cimf_reply, false),
    command(c"cimf_fork", script::cimf_fork, false),
    command(c"cimf_is_copy", script::cimf_is_copy, false),
    command(c"cimf_retransmission", script::cimf_retransmission, false),
    command(c"cimf_is_utf8", script::cimf_is_utf8, false),
    CmdExport {
        flags: ANY_ROUTE,
        ..command(c"cimf_deliver", script::cimf_deliver, true)
    },
    CmdExport {
        name: null(),
        function: None,
        param_no: 0,
        fixup: None,
        free_fixup: None,
        flags: 0,
    },
]);

/// A script function, with an identity as its parameter or without one.
const fn command(name: &'static CStr, function: ScriptFunction, identity: bool) -> CmdExport {
    let (fixup, free_fixup): (Option<Fixup>, Option<Fixup>) = if identity {
        (Some(script::fix_identity), Some(script::free_identity))
    } else {
        (None, None)
    };
    CmdExport {
        name: name.as_ptr(),
        function: Some(function),
        param_no: identity as c_int,
        fixup,
        free_fixup,
        flags: REQUEST_ROUTE,
    }
}

/// Whether Kamailio has loaded the module.
pub fn is_host() -> bool {
    find(c"ver_name").is_some() && find(c"ver_version").is_some()
}

/// Claims the version of the Kamailio that has loaded the module if it is known, and fills in the table of exports.
///
/// # Safety
/// Only while the file is loaded, before the loader looks at it.
pub unsafe fn become_module(exports: &Exports) {
    if let Some((version, flags)) = version::claim() {
        module_version.store(version.cast_mut(), Relaxed);
        module_flags.store(flags.cast_mut(), Relaxed);
    }
    install(KamailioLog::find());
    // SAFETY: the file is being loaded, as is required above.
    unsafe {
        exports.fill(ModuleExports {
            name: c"cimf".as_ptr(),
            dlflags: 0,
            cmds: COMMANDS.0.as_ptr(),
            params: PARAMETERS.0.as_ptr(),
            rpc_methods: commands::exports(),
            pv_items: VARIABLES.0.as_ptr(),
            response_f: None,
            init_mod_f: Some(lifecycle::start),
            init_child_f: Some(lifecycle::start_process),
            destroy_mod_f: Some(lifecycle::stop),
        });
    }
}
