//! The lifecycle of the module: its start before OpenSIPS forks, and its end.

use super::core::{Core, missing};
use super::events::Events;
use super::listeners::{core_socket, listeners};
use super::log::OpenSipsLog;
use super::message::{Layout, SourceReader};
use super::mi::Mi;
use super::module::{Module, keep, module};
use super::tm::Transactions;
use super::{commands, memory, script, statistics, version};
use crate::host::commands::Errands;
use crate::host::guard::guarded;
use crate::host::lifecycle::{self, TransactionMemory};
use std::ffi::c_int;

/// `init_f`: checks host, parameters and database. It runs once, before OpenSIPS forks.
///
/// # Safety
/// OpenSIPS calls it as the start function of the module.
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

/// Called in the main process, when OpenSIPS has given up the rights of root and forks the process of
/// the module's own: the workers come after it.
///
/// # Safety
/// OpenSIPS calls it as the function before the fork of a module's process.
pub unsafe extern "C" fn check_as_worker() -> c_int {
    guarded(-1, || {
        let Some(module) = module() else {
            return -1;
        };
        let listeners = version::number().ok().and_then(listeners);
        match lifecycle::check_as_worker(module.server, listeners.as_deref()) {
            true => 0,
            false => -1,
        }
    })
}

/// `destroy_f`: runs in the main process when the workers have ended.
///
/// # Safety
/// OpenSIPS calls it as the last function of the module.
pub unsafe extern "C" fn stop() {
    guarded((), || {
        if let Some(module) = module() {
            lifecycle::stop(module.server);
        }
    });
}

/// Bytes of shared memory for the transaction of a copy of usual length: measured as 7,300 to 7,800 in
/// 3.2 and 3.6, and as 4,100 in 4.0, and longer copies need more.
const TRANSACTION_BYTES: u64 = 10 << 10;

fn prepare() -> Result<Module, String> {
    OpenSipsLog::find().map_err(missing)?;
    let version = version::number()?;
    let core = Core::find().map_err(missing)?;
    let layout = Layout::find(&core)?;
    let source = SourceReader::new(&core)
        .ok_or("OpenSIPS does not know the variables $socket_in(proto) and $si")?;
    let transactions = Transactions::find(&core, version)?;
    let server = lifecycle::prepare(TransactionMemory {
        shared: core.shared_memory(),
        transaction: TRANSACTION_BYTES,
        free: memory::free(),
    })?;
    let registered = statistics::register(&core, server);
    registered.map_err(|name| format!("OpenSIPS refused the statistic {name}"))?;
    let events = Events::publish(&core)?;
    commands::register(&core, version)?;
    let mi = Mi::find().map_err(missing)?;
    script::watch_end(&core)?;
    let errands = Errands::new().map_err(|error| format!("socketpair: {error}"))?;
    Ok(Module {
        core_socket: core_socket(server.decider().core_socket())?,
        core,
        layout,
        transactions,
        source,
        events,
        mi,
        errands,
        server,
    })
}
