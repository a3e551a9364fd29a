//! The processes of the module. `cimf` in `opensips-cli -x mi ps` reports outcomes, raises events and does periodic
//! work. It waits in OpenSIPS's own loop, so that OpenSIPS can reach it like all its processes. `cimf names` asks name
//! servers; it calls nothing of OpenSIPS but its log, and is idle where copies go to an address. `cimf ledger` writes
//! the ledger, if there is one, and calls nothing but the log either. `cimf replica` follows PostgreSQL, where the groups
//! are there. `cimf groups` carries out commands about groups.

use super::copies::Uac;
use super::module::{Module, module};
use crate::host::background::{LOOK, OutcomeReporter};
use crate::host::guard::{confined, guarded};
use crate::host::{commands, ledger, names, replica};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::time::Duration;

/// The state of the process.
struct Work {
    module: &'static Module,
    reporter: RefCell<OutcomeReporter<'static>>,
    clock: OwnedFd,
}

/// Runs in the process `cimf`. Never returns, because OpenSIPS would end the process then.
///
/// # Safety
/// OpenSIPS calls it in the process that it has forked for the module.
pub unsafe extern "C" fn work(_: c_int) {
    confined(|| match prepare() {
        // SAFETY: the work is never freed, and each callback gets it.
        Ok(work) => unsafe { wait(Box::leak(Box::new(work))) },
        Err(error) => error,
    });
}

/// Runs in the process `cimf names`, and never returns either.
///
/// # Safety
/// OpenSIPS calls it in the process that it has forked for the module.
pub unsafe extern "C" fn ask(_: c_int) {
    confined(|| match module() {
        Some(module) => names::work(module.server, module.core.families()),
        None => "the module has not started".to_owned(),
    });
}

/// Runs in the process `cimf ledger`, and never returns either.
///
/// # Safety
/// OpenSIPS calls it in the process that it has forked for the module.
pub unsafe extern "C" fn store(_: c_int) {
    confined(|| match module() {
        Some(module) => ledger::work(module.server),
        None => "the module has not started".to_owned(),
    });
}

/// Runs in the process `cimf replica`, and never returns either.
///
/// # Safety
/// OpenSIPS calls it in the process that it has forked for the module.
pub unsafe extern "C" fn follow(_: c_int) {
    confined(|| match module() {
        Some(module) => replica::work(module.server),
        None => "the module has not started".to_owned(),
    });
}

/// Runs in the process `cimf groups`, and never returns either.
///
/// # Safety
/// OpenSIPS calls it in the process that it has forked for the module.
pub unsafe extern "C" fn keep(_: c_int) {
    confined(|| match module() {
        // Nobody asks and goes on: all interfaces wait in processes of their own.
        Some(module) => commands::work(module.server, &module.errands, |_, _| ()),
        None => "the module has not started".to_owned(),
    });
}

fn prepare() -> Result<Work, String> {
    let module = module().ok_or("the module has not started")?;
    let reporter = OutcomeReporter::new(module.server);
    let clock = clock().map_err(|error| format!("there is no clock: {error}"))?;
    Ok(Work {
        module,
        reporter: RefCell::new(reporter),
        clock,
    })
}

/// A descriptor that becomes readable each time periodic work is due.
fn clock() -> rustix::io::Result<OwnedFd> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    let clock = timerfd_create(TimerfdClockId::Monotonic, flags)?;
    let tick = Timespec {
        tv_sec: 0,
        tv_nsec: LOOK.subsec_nanos().into(),
    };
    let times = Itimerspec {
        it_interval: tick,
        it_value: tick,
    };
    timerfd_settime(&clock, TimerfdTimerFlags::empty(), &times)?;
    Ok(clock)
}

/// OpenSIPS's loop; returns why it has ended.
///
/// # Safety
/// To be called in a process that OpenSIPS has forked for the module.
unsafe fn wait(work: &'static Work) -> String {
    let core = &work.module.core;
    let outcomes = work.module.server.outbox().engine().news();
    let parameter = std::ptr::from_ref(work).cast_mut().cast();
    // SAFETY: the name ends with NUL, both descriptors stay open, and the callbacks have the
    // signature that OpenSIPS expects and the parameter that they expect.
    unsafe {
        if (core.reactor_proc_init)(c"cimf".as_ptr()) < 0 {
            return "reactor_proc_init failed".to_owned();
        }
        let add = core.reactor_proc_add_fd;
        if add(outcomes.as_raw_fd(), on_outcomes, parameter) < 0
            || add(work.clock.as_raw_fd(), on_clock, parameter) < 0
        {
            return "reactor_proc_add_fd failed".to_owned();
        }
        (core.reactor_proc_loop)();
    }
    "reactor_proc_loop has ended".to_owned()
}

/// Called when there are outcomes to report.
///
/// # Safety
/// OpenSIPS calls it with the parameter that [`wait`] gave.
unsafe extern "C" fn on_outcomes(_: c_int, work: *mut c_void, _: c_int) -> c_int {
    // SAFETY: the parameter is the work, which is never freed.
    if let Some(work) = unsafe { work.cast::<Work>().as_ref() } {
        work.gather_and_round();
    }
    0
}

/// Called when the clock runs out.
///
/// # Safety
/// As for [`on_outcomes`].
unsafe extern "C" fn on_clock(_: c_int, work: *mut c_void, _: c_int) -> c_int {
    // SAFETY: as above.
    if let Some(work) = unsafe { work.cast::<Work>().as_ref() } {
        // How often it ran out does not matter.
        let _ = rustix::io::read(&work.clock, &mut [0; 8]);
        // A process that was killed may have announced outcomes without waking this one; gathering
        // withdraws the announcement.
        work.gather_and_round();
    }
    0
}

impl Work {
    fn gather_and_round(&self) {
        guarded((), || self.reporter.borrow().gather());
        self.round();
    }

    fn round(&self) {
        let went_well = guarded(false, || {
            let module = self.module;
            // Subscriptions made while OpenSIPS runs take effect with the next round.
            let has_delivered = module.events.has_delivered(&module.core);
            module.server.outbox().report_delivered(has_delivered);
            let mut reporter = self.reporter.borrow_mut();
            let has_more = reporter.round(&mut Uac::of(module), |report| {
                let name = module.server.decider().server_name();
                module.events.raise(&module.core, name, report);
            });
            if has_more {
                reporter.call_again();
            }
            true
        });
        if !went_well {
            // The panic is logged; limits a repeating one to one line per second.
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}
