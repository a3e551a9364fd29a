//! The life of the module: its start before Kamailio forks, and its end.

use super::abi::{PROC_INIT, PROC_MAIN};
use super::core::{Core, missing, version};
use super::events::Events;
use super::log::KamailioLog;
use super::message::{SourceReader, bytes};
use super::tm::{Transactions, Uac};
use super::{process, script, statistics};
use crate::host::guard::guarded;
use crate::host::life::{self, TransactionMemory};
use crate::host::message::MessageId;
use crate::host::symbol::find;
use crate::server::Server;
use std::ffi::c_int;
use std::sync::OnceLock;

/// The versions that have been tested; others get a warning.
const TESTED: std::ops::RangeInclusive<(u32, u32)> = (5, 6)..=(6, 1);

/// Everything that is the same in all workers, made before they are forked.
pub struct Module {
    pub core: Core,
    pub transactions: Transactions,
    pub source: SourceReader,
    pub events: Events,
    pub server: &'static Server,
}

impl Module {
    /// Kamailio as the client that sends forks.
    pub fn uac(&self) -> Uac<'_> {
        Uac {
            transactions: &self.transactions,
        }
    }
}

static MODULE: OnceLock<Module> = OnceLock::new();

/// The module, once it has started.
pub fn module() -> Option<&'static Module> {
    MODULE.get()
}

/// `init_mod_f`: checks host, parameters and database. It runs once, before Kamailio forks.
///
/// # Safety
/// Kamailio calls it as the start function of the module.
pub unsafe extern "C" fn start() -> c_int {
    guarded(-1, || match prepare() {
        Ok(module) => {
            let _ = MODULE.set(module);
            0
        }
        Err(error) => {
            log::error!("{error}");
            -1
        }
    })
}

/// `init_child_f`: checks the database once more and opens the journal when Kamailio has given up the
/// rights of root, as the workers have to do without; and starts the process of the module's own.
///
/// # Safety
/// Kamailio calls it in each process, with the rank of that process.
pub unsafe extern "C" fn start_process(rank: c_int) -> c_int {
    guarded(-1, || {
        let Some(module) = MODULE.get() else {
            return 0;
        };
        match rank {
            PROC_INIT if !life::check_as_worker(module.server) => -1,
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
        if let Some(module) = MODULE.get() {
            life::stop(module.server);
        }
    });
}

fn prepare() -> Result<Module, String> {
    KamailioLog::find().map_err(missing)?;
    let core = Core::find().map_err(missing)?;
    check_version();
    check_layout(&core)?;
    let source = SourceReader::new(&core)
        .ok_or("module pv is not loaded: expected loadmodule \"pv.so\" before cimf.so")?;
    let transactions = Transactions::find(&core)?;
    let server = life::prepare(TransactionMemory {
        shared: shared_memory_size().unwrap_or(64 << 20),
        transaction: TRANSACTION_BYTES,
    })?;
    let registered = statistics::register(&core, server);
    registered.map_err(|name| format!("Kamailio refused the counter {name}"))?;
    script::watch_end(&core)?;
    process::announce(&core, server)?;
    let events = Events::find(&core);
    server.outbox().tell_delivered(events.has_delivered());
    Ok(Module {
        events,
        core,
        transactions,
        source,
        server,
    })
}

/// Bytes of shared memory for the transaction of a copy of usual length: measured as 8,570 to 8,700
/// and those of the copy.
const TRANSACTION_BYTES: u64 = 10 << 10;

/// The size of Kamailio's shared memory (`-m`).
fn shared_memory_size() -> Option<u64> {
    let place = find(c"shm_mem_size")?.cast::<std::ffi::c_ulong>();
    // SAFETY: the symbol is a variable of this type in all versions.
    Some(unsafe { *place })
}

fn check_version() {
    match version() {
        Some(version) if TESTED.contains(&version) => {}
        Some((major, minor)) => {
            log::warn!("Kamailio {major}.{minor} is untested: cimf is tested with 5.6 to 6.1")
        }
        None => {
            log::warn!("the version of Kamailio cannot be read: cimf is tested with 5.6 to 6.1")
        }
    }
}

/// Checks the layout of requests on one that Kamailio keeps for such purposes.
fn check_layout(core: &Core) -> Result<(), String> {
    // SAFETY: both functions take nothing; the request is made by the first.
    let holds = unsafe {
        if (core.faked_msg_init)() < 0 {
            return Err("Kamailio cannot make a request to check its layout with".to_owned());
        }
        // The second is in the memory of the first, with the next number.
        let first = (core.faked_msg_next)();
        let number = (!first.is_null()).then(|| MessageId::of(first).number);
        let request = (core.faked_msg_next)();
        number.is_some_and(|number| MessageId::of(request).number == number.wrapping_add(1))
            && bytes(request).is_some_and(|bytes| bytes.starts_with(b"OPTIONS "))
    };
    if holds {
        return Ok(());
    }
    Err("the layout of Kamailio's requests is unknown: cimf is tested with 5.6 to 6.1".to_owned())
}
