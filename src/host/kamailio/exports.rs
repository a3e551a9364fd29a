//! What Kamailio's module loader reads: the version it compares, and the table of exports.

use super::abi::{CmdExport, ModuleExports, REQUEST_ROUTE, Table};
use super::core::text;
use super::module;
use super::parameters::PARAMETERS;
use std::ffi::{CString, c_char, c_uint};
use std::ptr::null;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// Which version the module was built for. We were built for none: at load we claim that of the
/// core that loads us, and a program that is no proxy finds this text.
#[unsafe(no_mangle)]
static module_version: AtomicPtr<c_char> = AtomicPtr::new(UNKNOWN.as_ptr().cast_mut());

/// With which flags the core was compiled.
#[unsafe(no_mangle)]
static module_flags: AtomicPtr<c_char> = AtomicPtr::new(UNKNOWN.as_ptr().cast_mut());

/// `MODULE_INTERFACE_VER`.
#[unsafe(no_mangle)]
static module_interface_ver: c_uint = 4;

const UNKNOWN: &std::ffi::CStr = c"unknown host";

/// The table of exports, `module_exports_t`.
#[unsafe(no_mangle)]
static exports: Table<ModuleExports> = Table(ModuleExports {
    name: c"cimf".as_ptr(),
    dlflags: 0,
    cmds: COMMANDS.0.as_ptr(),
    params: PARAMETERS.0.as_ptr(),
    rpc_methods: null(),
    pv_items: null(),
    response_f: None,
    init_mod_f: Some(module::start),
    init_child_f: None,
    destroy_mod_f: None,
});

static COMMANDS: Table<[CmdExport; 3]> = Table([
    CmdExport {
        name: c"cimf_handle".as_ptr(),
        function: Some(module::cimf_handle),
        param_no: 0,
        fixup: None,
        free_fixup: None,
        flags: REQUEST_ROUTE,
    },
    CmdExport {
        name: c"cimf_handle".as_ptr(),
        function: Some(module::cimf_handle),
        param_no: 1,
        fixup: Some(module::fix_identity),
        free_fixup: Some(module::free_identity),
        flags: REQUEST_ROUTE,
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

/// Runs when the file is loaded, before the loader looks at the version.
#[unsafe(link_section = ".init_array")]
#[used]
static AT_LOAD: extern "C" fn() = identify;

/// Claims the version of the Kamailio that has loaded us, if one has.
pub extern "C" fn identify() {
    let (Some(version), Some(flags)) = (core_version(), text(c"ver_flags")) else {
        return;
    };
    module_version.store(version.into_raw(), Relaxed);
    module_flags.store(flags.as_ptr().cast_mut(), Relaxed);
}

/// `SER_FULL_VERSION` of the running core.
fn core_version() -> Option<CString> {
    let part = |name| text(name)?.to_str().ok();
    let name = part(c"ver_name")?;
    let version = part(c"ver_version")?;
    let (arch, os) = (part(c"ver_arch")?, part(c"ver_os")?);
    CString::new(format!("{name} {version} ({arch}/{os})")).ok()
}
