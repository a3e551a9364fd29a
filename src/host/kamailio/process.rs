//! The processes of the module. `cimf` in `kamcmd core.psx` reports outcomes, runs event routes and does periodic
//! work. `cimf names` asks name servers, where copies may go to names. `cimf ledger` writes the ledger, if there is
//! one. `cimf replica` follows PostgreSQL, where the groups are there. `cimf groups` carries out commands about groups.

use super::copies::Uac;
use super::core::Core;
use super::module::Module;
use super::rpc;
use crate::host::background::OutcomeReporter;
use crate::host::guard::{confined, guarded};
use crate::host::{commands, ledger, names, replica};
use crate::server::Server;
use std::ffi::{CStr, c_int};
use std::time::Duration;

/// `PROC_RPC`: database modules open their connection in such a process.
const RANK: c_int = -2;

/// Reserves places for the processes. Must be called before Kamailio forks any.
pub fn announce(core: &Core, server: &Server) -> Result<(), String> {
    let has_ledger = server.outbox().has_ledger();
    let has_names = server.next_hops().have_names();
    let has_replica = server.decider().policy().settings.has_replica();
    let more = [has_names, has_ledger, has_replica];
    let count = 2 + more.map(c_int::from).iter().sum::<c_int>();
    // SAFETY: the function takes a number.
    if unsafe { (core.register_procs)(count) } < 0 {
        return Err(format!(
            "Kamailio refused {count} processes for cimf (register_procs)"
        ));
    }
    Ok(())
}

/// Forks the processes from Kamailio's main process and returns whether that succeeded. The signals that end
/// Kamailio's processes end them too.
pub fn start(module: &'static Module) -> bool {
    let has_names = module.server.next_hops().have_names();
    let has_ledger = module.server.outbox().has_ledger();
    let has_replica = module.server.decider().policy().settings.has_replica();
    fork(module, c"cimf", work)
        && (!has_names || fork(module, c"cimf names", ask))
        && (!has_ledger || fork(module, c"cimf ledger", store))
        && (!has_replica || fork(module, c"cimf replica", follow))
        && fork(module, c"cimf groups", keep)
}

/// Forks a process from Kamailio's main process, which then runs the given function.
fn fork(module: &'static Module, name: &CStr, life: fn(&'static Module) -> String) -> bool {
    // SAFETY: the name ends with NUL and is copied; with the last argument the process can send
    // over TCP.
    match unsafe { (module.core.fork_process)(RANK, name.as_ptr(), 1) } {
        0 => confined(|| {
            // SAFETY: each process of Kamailio calls it once, to receive changes of settings.
            if unsafe { (module.core.cfg_child_init)() } != 0 {
                return "it cannot be set up (cfg_child_init)".to_owned();
            }
            life(module)
        }),
        child => child > 0,
    }
}

/// Runs in the process that asks name servers until that ends.
fn ask(module: &'static Module) -> String {
    names::work(module.server, module.core.families())
}

/// Runs in the process that writes the ledger until that ends.
fn store(module: &'static Module) -> String {
    ledger::work(module.server)
}

/// Runs in the process that follows PostgreSQL until that ends.
fn follow(module: &'static Module) -> String {
    replica::work(module.server)
}

/// Runs in the process that carries out commands about groups until that ends.
fn keep(module: &'static Module) -> String {
    commands::work(module.server, &module.errands, |place, answer| {
        // SAFETY: an errand that nobody waits for has the place of a command that nobody else answers.
        unsafe { rpc::later(place, answer) };
    })
}

/// Runs in the process that reports outcomes until that ends.
fn work(module: &'static Module) -> String {
    let mut reporter = OutcomeReporter::new(module.server);
    module.events.look_for_function();
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
