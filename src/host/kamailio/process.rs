//! The processes of the module's own. `cimf` in `kamcmd core.psx` reports outcomes, runs event routes,
//! and does what is done by the clock. `cimf names` asks name servers, where copies may go to names. `cimf ledger`
//! writes the ledger, where there is one.

use super::copies::Uac;
use super::core::Core;
use super::module::Module;
use crate::host::background::OutcomeReporter;
use crate::host::guard::{confined, guarded};
use crate::host::{ledger, names};
use crate::server::Server;
use std::ffi::{CStr, c_int};
use std::time::Duration;

/// `PROC_RPC`: modules that have to do with databases get their connection in such a process.
const RANK: c_int = -2;

/// Asks Kamailio for room for the processes; to be done before it forks any.
pub fn announce(core: &Core, server: &Server) -> Result<(), String> {
    let has_ledger = server.outbox().has_ledger();
    let count = 1 + c_int::from(server.next_hops().have_names()) + c_int::from(has_ledger);
    // SAFETY: the function takes a number.
    if unsafe { (core.register_procs)(count) } < 0 {
        return Err(format!(
            "Kamailio refused {count} processes for cimf (register_procs)"
        ));
    }
    Ok(())
}

/// Starts the processes from Kamailio's main process; says whether that worked. They end with
/// Kamailio, by the signals that end all its processes.
pub fn start(module: &'static Module) -> bool {
    let has_names = module.server.next_hops().have_names();
    let has_ledger = module.server.outbox().has_ledger();
    fork(module, c"cimf", work)
        && (!has_names || fork(module, c"cimf names", ask))
        && (!has_ledger || fork(module, c"cimf ledger", store))
}

/// Starts a process from Kamailio's main process, with this life.
fn fork(module: &'static Module, name: &CStr, life: fn(&'static Module) -> String) -> bool {
    // SAFETY: the name ends with NUL and is copied; with the last argument the process can send
    // over TCP.
    match unsafe { (module.core.fork_process)(RANK, name.as_ptr(), 1) } {
        0 => confined(|| {
            // SAFETY: each process of Kamailio calls it once, to hear of changed settings.
            if unsafe { (module.core.cfg_child_init)() } != 0 {
                return "it cannot be set up (cfg_child_init)".to_owned();
            }
            life(module)
        }),
        child => child > 0,
    }
}

/// The life of the process that asks name servers, up to what ends it.
fn ask(module: &'static Module) -> String {
    names::work(module.server, module.core.families())
}

/// Runs in the process that writes the ledger until that ends.
fn store(module: &'static Module) -> String {
    ledger::work(module.server)
}

/// Runs in the process that reports outcomes until that ends.
fn work(module: &'static Module) -> String {
    let mut reporter = OutcomeReporter::new(module.server);
    loop {
        let went_well = guarded(false, || {
            let has_more = reporter.round(&mut Uac::of(module), |report| {
                let name = module.server.decider().server_name();
                module.events.run(&module.core, name, report);
            });
            if !has_more {
                reporter.wait();
            }
            true
        });
        if !went_well {
            // The panic is logged; limits a repeating one to one line per second.
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}
