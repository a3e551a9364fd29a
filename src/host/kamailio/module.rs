//! The life of the module: its start before Kamailio forks, and its script functions after.

use super::abi::{PROC_INIT, REQUEST_ROUTE, SipMsg};
use super::core::{Core, function, version};
use super::guard::guarded;
use super::log::{install, start_error};
use super::message::{SourceReader, bytes, parameter_text};
use super::parameters::SETTINGS;
use super::statistics;
use super::tm::{Request, Transactions};
use crate::control::Source;
use crate::host::handle::{ScriptResult, handle};
use crate::server::{Server, Worker};
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError, TryLockError};

/// The versions that have been tested; others get a warning.
const TESTED: std::ops::RangeInclusive<(u32, u32)> = (5, 6)..=(6, 1);

/// Everything that is the same in all workers, made before they are forked.
struct Module {
    core: Core,
    transactions: Transactions,
    source: SourceReader,
    server: &'static Server,
}

static MODULE: OnceLock<Module> = OnceLock::new();

/// Whether the workers were to be started, so that there is something to stop.
static STARTED: AtomicBool = AtomicBool::new(false);

/// What this process has of its own, made at its first message.
static WORKER: Mutex<Option<Worker>> = Mutex::new(None);

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
            start_error(&error);
            -1
        }
    })
}

/// `init_child_f`: checks the database once more when Kamailio has given up the rights of root, as
/// the workers have to open it without.
///
/// # Safety
/// Kamailio calls it in each process, with the rank of that process.
pub unsafe extern "C" fn start_process(rank: c_int) -> c_int {
    guarded(-1, || {
        let Some(module) = MODULE.get().filter(|_| rank == PROC_INIT) else {
            return 0;
        };
        match module.server.check_database() {
            Ok(()) => {
                STARTED.store(true, Relaxed);
                0
            }
            Err(error) => {
                start_error(&error);
                -1
            }
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
        let started = MODULE.get().filter(|_| STARTED.load(Relaxed));
        if let Some(Err(error)) = started.map(|module| module.server.tidy_database()) {
            log::warn!("{error}");
        }
    });
}

fn prepare() -> Result<Module, String> {
    install().map_err(|missing| format!("Kamailio has no symbol {}", missing.to_string_lossy()))?;
    let core = Core::find()?;
    check_version();
    check_layout(&core)?;
    let source = SourceReader::new(&core)
        .ok_or("module pv is not loaded: expected loadmodule \"pv.so\" before cimf.so")?;
    let transactions = Transactions::find(&core)?;
    let settings = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::open(&settings).map_err(|error| error.to_string())?;
    // It lives as long as the process: Kamailio reads its counts to the end.
    let server: &'static Server = Box::leak(Box::new(server));
    let registered = statistics::register(&core, server.counters());
    registered.map_err(|name| format!("Kamailio refused the counter {name}"))?;
    Ok(Module {
        core,
        transactions,
        source,
        server,
    })
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
        let request = (core.faked_msg_next)();
        !request.is_null() && bytes(request).is_some_and(|bytes| bytes.starts_with(b"OPTIONS "))
    };
    if holds {
        return Ok(());
    }
    Err("the layout of Kamailio's requests is unknown: cimf is tested with 5.6 to 6.1".to_owned())
}

/// `cimf_handle()` and `cimf_handle(identity)`.
///
/// # Safety
/// Kamailio calls it with the request it is handling and the parameter that [`fix_identity`] made,
/// or null.
pub unsafe extern "C" fn cimf_handle(
    message: *mut SipMsg,
    identity: *mut c_void,
    _: *mut c_void,
) -> c_int {
    let result = guarded(ScriptResult::InternalError, || {
        // SAFETY: as Kamailio promises.
        unsafe { handle_message(message, identity) }
    });
    result as c_int
}

/// # Safety
/// As for [`cimf_handle`].
unsafe fn handle_message(message: *mut SipMsg, identity: *mut c_void) -> ScriptResult {
    let Some(module) = MODULE.get() else {
        return ScriptResult::InternalError;
    };
    // Elsewhere the message is not the one that came, and its transaction not ours to answer: in
    // event_route[tm:local-request] it is one of our own forks.
    if module.core.route() != REQUEST_ROUTE {
        log::error!("cimf_handle() works in request_route only, and was called in another route");
        return ScriptResult::NotOurs;
    }
    // SAFETY: `message` is the request that Kamailio is handling.
    let (bytes, source) = unsafe { (bytes(message), module.source.read(message)) };
    let (Some(bytes), Some(source)) = (bytes, source) else {
        log::error!("the request or its source cannot be read from Kamailio");
        return ScriptResult::InternalError;
    };
    let mut given = None;
    if !identity.is_null() {
        // SAFETY: `message` is the request that Kamailio is handling, and the parameter has been
        // prepared by `fix_identity`.
        given = unsafe { parameter_text(&module.core, message, identity) };
        if given.is_none() {
            log::error!("the identity given to cimf_handle() cannot be read from Kamailio");
            return ScriptResult::InternalError;
        }
        if !module.server.believes_script() {
            log::debug!("the identity given to cimf_handle() does not count: see identity_mode");
        }
    }
    let source = Source {
        identity: given.as_deref(),
        ..source
    };
    let mut worker = match WORKER.try_lock() {
        Ok(worker) => worker,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => {
            log::error!("cimf_handle() was called from within itself");
            return ScriptResult::InternalError;
        }
    };
    let worker = worker.get_or_insert_with(|| module.server.worker());
    let mut request = Request {
        core: &module.core,
        transactions: &module.transactions,
        message,
        next_hop: module.server.next_hop(),
        stream_next_hop: module.server.stream_next_hop(),
    };
    handle(module.server, worker, &mut request, bytes, &source)
}

/// A function that prepares a parameter of a script function, or frees it.
type Fix = unsafe extern "C" fn(*mut *mut c_void, c_int) -> c_int;

/// Prepares the identity, text with pseudo-variables, by Kamailio's own function for such text.
///
/// # Safety
/// Kamailio calls it with a parameter of the script.
pub unsafe extern "C" fn fix_identity(parameter: *mut *mut c_void, number: c_int) -> c_int {
    // SAFETY: as Kamailio promises; the function has this signature in all versions.
    unsafe { function::<Fix>(c"fixup_spve_null").map_or(-1, |fix| fix(parameter, number)) }
}

/// Frees what [`fix_identity`] has made.
///
/// # Safety
/// Kamailio calls it with a parameter that [`fix_identity`] has prepared.
pub unsafe extern "C" fn free_identity(parameter: *mut *mut c_void, number: c_int) -> c_int {
    // SAFETY: as Kamailio promises; the function has this signature in all versions.
    unsafe { function::<Fix>(c"fixup_free_spve_null").map_or(-1, |free| free(parameter, number)) }
}
