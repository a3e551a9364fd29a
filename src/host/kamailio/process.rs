//! The process of the module's own, `cimf` in `kamcmd core.psx`: it tells outcomes, runs event
//! routes, and does what is done by the clock.

use super::core::Core;
use super::module::Module;
use crate::host::background::Teller;
use crate::host::guard::{confined, guarded};
use std::ffi::c_int;
use std::time::Duration;

/// `PROC_RPC`: modules that have to do with databases get their connection in such a process.
const RANK: c_int = -2;

/// Asks Kamailio for room for the process; to be done before it forks any.
pub fn announce(core: &Core) -> Result<(), String> {
    // SAFETY: the function takes a number.
    if unsafe { (core.register_procs)(1) } < 0 {
        return Err("Kamailio refused a process for cimf (register_procs)".to_owned());
    }
    Ok(())
}

/// Starts the process from Kamailio's main process; says whether that worked. It ends with
/// Kamailio, by the signals that end all its processes.
pub fn start(module: &'static Module) -> bool {
    // SAFETY: the name ends with NUL and is copied; with the last argument the process can send
    // over TCP.
    match unsafe { (module.core.fork_process)(RANK, c"cimf".as_ptr(), 1) } {
        0 => confined(|| work(module)),
        child => child > 0,
    }
}

/// The life of the process, up to what ends it.
fn work(module: &Module) -> String {
    // SAFETY: each process of Kamailio calls it once, to hear of changed settings.
    if unsafe { (module.core.cfg_child_init)() } != 0 {
        return "it cannot be set up (cfg_child_init)".to_owned();
    }
    let mut teller = match Teller::new(module.server) {
        Ok(teller) => teller,
        Err(error) => return format!("it cannot use the journal: {error}"),
    };
    loop {
        let went_well = guarded(false, || {
            let has_more = teller.round(&mut module.uac(), |news| {
                let name = module.server.server_name();
                module.events.run(&module.core, name, news);
            });
            if !has_more {
                teller.wait();
            }
            true
        });
        if !went_well {
            // The log has the reason; what is told once more each second can be read.
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}
