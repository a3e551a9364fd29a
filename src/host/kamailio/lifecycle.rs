//! The lifecycle of the module: its start before Kamailio forks, and its end.

use super::abi::{PROC_INIT, PROC_MAIN, PROC_TIMER};
use super::core::{Core, missing};
use super::events::Events;
use super::listeners::{core_socket, listeners};
use super::log::KamailioLog;
use super::message::{SourceReader, check_layout};
use super::module::{Module, keep, module};
use super::tm::Transactions;
use super::{commands, memory, process, script, statistics, version};
use crate::host::commands::Errands;
use crate::host::event_values;
use crate::host::guard::guarded;
use crate::host::lifecycle::{self, TransactionMemory};
use std::ffi::{CStr, c_int};

/// `init_mod_f`: checks host, parameters and database. It runs once, before Kamailio forks.
///
/// # Safety
/// Kamailio calls it as the start function of the module.
pub unsafe extern "C" fn start() -> c_int {
    guarded(-1, || match prepare() {
        Ok(module) => {
            keep(module);
            0
        }
        Err(error) => {
            log::error!("{error}");
            -1
        }
    })
}

/// `init_child_f`: checks the database once more and opens the ledger when Kamailio has given up the
/// rights of root, as the workers have to do without; and starts the process of the module's own.
///
/// # Safety
/// Kamailio calls it in each process, with the rank of that process.
pub unsafe extern "C" fn start_process(rank: c_int) -> c_int {
    guarded(-1, || {
        let Some(module) = module() else {
            return 0;
        };
        if rank == PROC_INIT && has_other_languages(&module.core) {
            event_values::will_be_asked();
        }
        if rank > 0 || rank == PROC_TIMER {
            commands::will_not_wait();
        }
        match rank {
            PROC_INIT if !lifecycle::check_as_worker(module.server, listeners().as_deref()) => -1,
            PROC_MAIN if !process::start(module) => -1,
            _ => 0,
        }
    })
}

/// `destroy_mod_f`: runs in the main process when the workers have ended, and leaves the database
/// in one file.
///
/// # Safety
/// Kamailio calls it as the last function of the module.
pub unsafe extern "C" fn stop() {
    guarded((), || {
        if let Some(module) = module() {
            lifecycle::stop(module.server);
        }
    });
}

fn prepare() -> Result<Module, String> {
    KamailioLog::find().map_err(missing)?;
    version::known()?;
    let core = Core::find().map_err(missing)?;
    check_layout(&core)?;
    let source = SourceReader::new(&core)
        .ok_or("module pv is not loaded: expected loadmodule \"pv.so\" before cimf.so")?;
    let transactions = Transactions::find(&core)?;
    let server = lifecycle::prepare(TransactionMemory {
        shared: memory::size().unwrap_or(64 << 20),
        transaction: TRANSACTION_BYTES,
        free: memory::free(),
    })?;
    let registered = statistics::register(&core, server);
    registered.map_err(|name| format!("Kamailio refused the counter {name}"))?;
    script::watch_end(&core)?;
    process::announce(&core, server)?;
    let events = Events::find(&core, &server.decider().policy().settings)?;
    server.outbox().report_delivered(events.has_delivered());
    let errands = Errands::new().map_err(|error| format!("socketpair: {error}"))?;
    Ok(Module {
        core_socket: core_socket(server.decider().core_socket())?,
        events,
        core,
        transactions,
        source,
        server,
        errands,
    })
}

/// The modules that run scripts in other languages than Kamailio's own.
const LANGUAGES: [&CStr; 8] = [
    c"app_java",
    c"app_jsdt",
    c"app_lua",
    c"app_mono",
    c"app_perl",
    c"app_python3",
    c"app_python3s",
    c"app_ruby",
];

/// Whether a script may name a variable only when it runs, as late as while a copy is sent.
fn has_other_languages(core: &Core) -> bool {
    LANGUAGES.iter().any(|name| {
        // SAFETY: Kamailio compares the name, which ends with NUL, with those of its modules.
        !unsafe { (core.find_module_by_name)(name.as_ptr()) }.is_null()
    })
}

/// Bytes of shared memory for the transaction of a copy of usual length: measured as 8,570 to 8,700
/// and those of the copy.
const TRANSACTION_BYTES: u64 = 10 << 10;
