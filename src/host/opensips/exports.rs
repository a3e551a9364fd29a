//! What OpenSIPS's module loader reads: the table of exports, in either of its two forms.

use super::abi::{
    ALL_ROUTES, CmdExport, CmdParam, DEP_SILENT, Dependencies, MOD_TYPE_DEFAULT, ModuleDependency,
    ModuleExports, OPTIONAL_TEXT, PROC_FLAGS, ProcExport, ScriptFunction, TEXT,
};
use super::log::OpenSipsLog;
use super::variables::VARIABLES;
use super::version::{Claim, claim};
use super::{commands, lifecycle, process, script};
use crate::host::abi::{REQUEST_ROUTE, Table};
use crate::host::exports::Exports;
use crate::host::log::install;
use crate::host::parameters::{Rows, rows};
use crate::host::symbol::find;
use std::ffi::{CStr, c_int};
use std::ptr::null;

/// Whether OpenSIPS has loaded the module.
pub fn is_host() -> bool {
    find(c"proto_udp_exports").is_some() && find(c"register_mi_cmd").is_some()
}

/// Fills in the table of exports. The module was built for no version: it claims that of the core
/// that loads it, and checks it when it starts.
///
/// # Safety
/// Only while the file is loaded, before the loader looks at it.
pub unsafe fn become_module(exports: &Exports) {
    install(OpenSipsLog::find());
    // SAFETY: the file is being loaded, as is required above.
    unsafe {
        match claim() {
            Some(Claim::Plain(version)) => exports.fill(table(version)),
            Some(Claim::Scm(version)) => exports.fill(table(version)),
            None => {}
        }
    }
}

const fn table<V>(version: V) -> ModuleExports<V> {
    ModuleExports {
        name: c"cimf".as_ptr(),
        module_type: MOD_TYPE_DEFAULT,
        version,
        dlflags: 0,
        load_f: null(),
        deps: &raw const DEPENDENCIES.0,
        cmds: COMMANDS.0.as_ptr(),
        acmds: null(),
        params: PARAMETERS.0.as_ptr(),
        stats: null(),
        mi_cmds: null(),
        items: VARIABLES.0.as_ptr(),
        trans: null(),
        procs: PROCESSES.0.as_ptr(),
        preinit_f: null(),
        init_f: Some(lifecycle::start),
        response_f: null(),
        destroy_f: Some(lifecycle::stop),
        init_child_f: Some(commands::start_process),
        reload_ack_f: null(),
    }
}

static PARAMETERS: Rows = rows(false);

static COMMANDS: Table<[CmdExport; 9]> = Table([
    command(
        Some(c"cimf_handle"),
        Some(script::cimf_handle),
        OPTIONAL_TEXT,
    ),
    command(Some(c"cimf_check"), Some(script::cimf_check), OPTIONAL_TEXT),
    command(Some(c"cimf_reply"), Some(script::cimf_reply), NOTHING),
    command(Some(c"cimf_fork"), Some(script::cimf_fork), NOTHING),
    command(Some(c"cimf_is_copy"), Some(script::cimf_is_copy), NOTHING),
    command(
        Some(c"cimf_retransmission"),
        Some(script::cimf_retransmission),
        NOTHING,
    ),
    command(Some(c"cimf_is_utf8"), Some(script::cimf_is_utf8), NOTHING),
    CmdExport {
        flags: ALL_ROUTES,
        ..command(Some(c"cimf_deliver"), Some(script::cimf_deliver), TEXT)
    },
    command(None, None, NOTHING),
]);

/// No parameter.
const NOTHING: c_int = 0;

/// A script function with a parameter of this kind.
const fn command(
    name: Option<&'static CStr>,
    function: Option<ScriptFunction>,
    parameter: c_int,
) -> CmdExport {
    let none = CmdParam {
        flags: NOTHING,
        fixup: null(),
        free_fixup: null(),
    };
    let mut params = [none; 9];
    params[0].flags = parameter;
    CmdExport {
        name: match name {
            Some(name) => name.as_ptr(),
            None => null(),
        },
        function,
        params,
        flags: REQUEST_ROUTE,
    }
}

/// The modules that start before this one, in whatever order the script loads them.
static DEPENDENCIES: Table<Dependencies> = {
    let none = ModuleDependency {
        module_type: 0,
        name: null(),
        flags: 0,
    };
    let mut modules = [none; 10];
    modules[0] = needs(c"tm");
    modules[1] = needs(c"sl");
    Table(Dependencies {
        modules,
        parameters: [null(); 2],
    })
};

/// Without it this module does not start either, and says why.
const fn needs(name: &'static CStr) -> ModuleDependency {
    ModuleDependency {
        module_type: MOD_TYPE_DEFAULT,
        name: name.as_ptr(),
        flags: DEP_SILENT,
    }
}

static PROCESSES: Table<[ProcExport; 6]> = Table([
    ProcExport {
        name: c"cimf".as_ptr(),
        pre_fork: Some(lifecycle::check_as_worker),
        post_fork: None,
        function: Some(process::work),
        number: 1,
        flags: PROC_FLAGS,
    },
    ProcExport {
        name: c"cimf names".as_ptr(),
        pre_fork: None,
        post_fork: None,
        function: Some(process::ask),
        number: 1,
        flags: 0,
    },
    ProcExport {
        name: c"cimf ledger".as_ptr(),
        pre_fork: None,
        post_fork: None,
        function: Some(process::store),
        number: 1,
        flags: 0,
    },
    ProcExport {
        name: c"cimf replica".as_ptr(),
        pre_fork: None,
        post_fork: None,
        function: Some(process::follow),
        number: 1,
        flags: 0,
    },
    ProcExport {
        name: c"cimf groups".as_ptr(),
        pre_fork: None,
        post_fork: None,
        function: Some(process::keep),
        number: 1,
        flags: 0,
    },
    ProcExport {
        name: null(),
        pre_fork: None,
        post_fork: None,
        function: None,
        number: 0,
        flags: 0,
    },
]);
